// The Batcher: the engine for metrics, which are checked, copied and stamped on
// their way in, and delivered with retries and quarantine on their way out.

import { ReleasableBatch } from "../core/batch.ts";
import { checkDuration, checkKnown } from "../core/check.ts";
import { Engine } from "../core/engine.ts";
import type { Logger } from "../core/logger.ts";
import {
  type AcceptedMetric,
  acceptMetric,
  finishMetrics,
  type Metric,
  type MetricRules,
  NO_RULES,
} from "../core/metric.ts";
import type { SendError } from "../core/send_error.ts";
import type { Transport } from "../core/transport.ts";
import { withQuarantine } from "../delivery/quarantine.ts";
import { type RetryOptions, withRetry } from "../delivery/retry.ts";
import { hasLayer } from "../delivery/wrap.ts";
import { Advice } from "./advice.ts";

/** Options for {@linkcode Batcher}. */
export interface BatcherOptions {
  /**
   * The most metrics a batch holds; reaching it sends the batch. A positive
   * integer.
   *
   * @default {1000}
   */
  readonly maxBatchSize?: number | undefined;
  /**
   * How long the first metric of a batch waits for others, in milliseconds: more
   * than 0, at most 2147483647. Needs {@linkcode Batcher.start}.
   *
   * @default {5000}
   */
  readonly flushEvery?: number | undefined;
  /**
   * How many metrics may wait to be sent, not counting those in flight. When that
   * many do, {@linkcode Batcher.add} returns `false` and {@linkcode Batcher.ready}
   * waits. A positive integer.
   *
   * @default {100 * maxBatchSize} for `add`; `ready` already waits when two batches
   * for each of `maxInFlight` do, which is plenty for producers that can wait
   */
  readonly maxBuffered?: number | undefined;
  /**
   * How many batches may be in flight at the same time. A positive integer. Where
   * the transport bears fewer, that holds.
   *
   * @default {4}
   */
  readonly maxInFlight?: number | undefined;
  /**
   * How to retry after a transient failure, or `false` for not at all. A transport
   * that is wrapped in {@linkcode withRetry} already is left as it is.
   *
   * @default {{}} the defaults of {@linkcode withRetry}
   */
  readonly retry?: false | RetryOptions<Metric> | undefined;
  /**
   * Whether to find the metrics for which a server rejects a batch, and to deliver
   * the others; see {@linkcode withQuarantine}. A transport that is wrapped in it
   * already is left as it is.
   *
   * @default {true}
   */
  readonly quarantine?: boolean | undefined;
  /**
   * Where to say what happened: `console`, or a logger of `@std/log`, LogTape or
   * pino.
   *
   * @default {undefined} warnings and errors to stderr, the rest nowhere
   */
  readonly logger?: Logger | undefined;
  /**
   * Gets back what was not delivered, once per batch that failed or partly
   * failed. What it throws is logged.
   *
   * @default {undefined} failures are counted and logged only
   */
  readonly onFailure?:
    | ((undelivered: readonly Metric[], error: SendError<Metric>) => unknown)
    | undefined;
}

/** Options for {@linkcode Batcher.stop}. */
export interface StopOptions {
  /**
   * How long to drain, in milliseconds: 0 or more. `Infinity` drains for as long
   * as the transport takes.
   *
   * @default {30000}
   */
  readonly timeout?: number | undefined;
}

/**
 * What became of the metrics that were outstanding when a flush began. Where every
 * send was busy, what was added a little later may share their batch; if only a
 * part of such a batch fails, the failures count as the earlier ones first.
 */
export interface FlushReport {
  /** How many were delivered. */
  readonly sent: number;
  /** How many were not. */
  readonly failed: number;
  /** Why: one for each batch that failed or partly failed, the first 100. */
  readonly errors: readonly SendError<Metric>[];
}

/** How many metrics a {@linkcode Batcher} did not accept, by reason. */
export interface RefusedStats {
  /** They are not metrics, or break a limit of the transport. */
  readonly invalid: number;
  /** Added while `maxBuffered` metrics were waiting. */
  readonly full: number;
  /** Added after {@linkcode Batcher.stop}. */
  readonly stopped: number;
}

/**
 * The totals of a {@linkcode Batcher}, in metrics. At every moment
 * `added = sent + failed + buffered + inFlight`.
 */
export interface BatcherStats {
  /** Accepted by {@linkcode Batcher.add}. */
  readonly added: number;
  /** Delivered: the transport said so. */
  readonly sent: number;
  /** Given up, and handed to `onFailure`. */
  readonly failed: number;
  /** Waiting to be sent. */
  readonly buffered: number;
  /** Being sent, or waiting to be sent again. */
  readonly inFlight: number;
  /** Batches handed to the transport. */
  readonly batches: number;
  /** Not accepted. They are part of no other number. */
  readonly refused: RefusedStats;
}

/**
 * Groups metrics into batches and sends them: at `maxBatchSize` metrics, or
 * `flushEvery` milliseconds after the first one.
 *
 * Every metric that {@linkcode Batcher.add} accepted ends up either sent or
 * failed. A failed send is logged and handed to `onFailure`; it never throws into
 * the program. Memory is bounded by `maxBuffered`.
 *
 * There is a timer only while a batch is being filled, so an idle Batcher does not
 * keep a process alive, and a program that just ends still delivers first: if the
 * Batcher was started, as the timer is what sends the last few.
 *
 * @example Usage
 * ```ts
 * import { Batcher, fetchTransport } from "@tinyobs/batch";
 *
 * await using batcher = new Batcher(
 *   fetchTransport("http://localhost:8080/v1/ingest"),
 * );
 * batcher.start();
 * batcher.add({ name: "custom_metric", type: "counter", value: 42 });
 * // Leaving the scope flushes and stops.
 * ```
 *
 * @example A producer that can wait loses nothing
 * ```ts
 * import { Batcher } from "@tinyobs/batch";
 * import { assertEquals } from "@std/assert";
 *
 * let delivered = 0;
 * const batcher = new Batcher({
 *   send(batch) {
 *     delivered += batch.length;
 *     return Promise.resolve();
 *   },
 * }, { maxBatchSize: 10, maxBuffered: 20 });
 * for (let value = 0; value < 1000; value++) {
 *   await batcher.ready;
 *   batcher.add({ name: "jobs_done_total", type: "counter", value });
 * }
 * await batcher.stop();
 * assertEquals(delivered, 1000);
 * ```
 */
export class Batcher implements AsyncDisposable {
  readonly #engine: Engine<AcceptedMetric, Metric>;
  readonly #rules: MetricRules;
  readonly #advice: Advice;
  #writable: WritableStream<Metric> | undefined;
  /** The nanosecond of each stamp, in the batch that is being filled. */
  #nanos: number[] = [];
  #added = 0;
  #invalid = 0;
  #full = 0;
  #stopped = 0;

  /**
   * Makes a Batcher that sends through `transport`, with retries and quarantine
   * unless the options say otherwise.
   *
   * @param transport Delivers the batches.
   * @param options Limits, retries, logger and callback.
   * @throws {RangeError} If an option is out of its bounds.
   * @throws {TypeError} If `transport` has no `send`, or there is no such option.
   */
  constructor(transport: Transport<Metric>, options: BatcherOptions = {}) {
    checkKnown("create Batcher", options, OPTIONS, ALIASES);
    const { maxBatchSize, flushEvery, maxBuffered, maxInFlight } = options;
    const { logger, onFailure } = options;
    this.#rules = transport?.rules ?? NO_RULES;
    this.#engine = new Engine(deliver(transport, options), {
      noun: { engine: "Batcher", item: "metric", items: "metrics" },
      seal: (metrics) => this.#seal(metrics),
      maxBatchSize,
      flushEvery,
      maxBuffered,
      maxInFlight,
      logger,
      onFailure,
    });
    this.#advice = new Advice(logger, flushEvery);
  }

  /**
   * Starts the timer. Without it a batch is sent when it is full and by
   * {@linkcode Batcher.flush}. Starting twice is fine; after `stop` it does
   * nothing.
   *
   * @param signal Stops the Batcher when it is aborted, as `stop()` does.
   */
  start(signal?: AbortSignal): void {
    this.#advice.followed();
    this.#engine.start(signal);
  }

  /**
   * Takes a metric to be sent. It is checked, copied, and stamped if it has no
   * timestamp: what the caller changes afterwards changes nothing.
   *
   * Never throws, never blocks. A metric that is not accepted is counted in
   * {@linkcode Batcher.stats} and logged.
   *
   * @param metric The metric.
   * @returns Whether it was accepted: `false` if it is invalid (see
   * {@linkcode checkMetric}), if `maxBuffered` metrics are waiting, or after
   * `stop`.
   */
  add(metric: Metric): boolean {
    const engine = this.#engine;
    if (engine.closed) {
      this.#stopped++;
      engine.refuse(() => "Cannot add metric as the Batcher is stopped");
      return false;
    }
    if (engine.full) {
      this.#full++;
      engine.refuse(() =>
        `Cannot add metric as ${engine.maxBuffered} are waiting already ('maxBuffered')`
      );
      return false;
    }
    const accepted = acceptMetric(metric, this.#rules);
    if (typeof accepted === "string") {
      this.#invalid++;
      engine.refuse(() => `Cannot add metric: ${accepted}`);
      return false;
    }
    const { timestamp } = accepted;
    this.#nanos.push(typeof timestamp === "string" ? 0 : timestamp.take());
    this.#added++;
    engine.push(accepted);
    this.#advice.added(metric, this.#added);
    return true;
  }

  /**
   * Sends everything that was added before the call, without waiting for a batch
   * to fill or for the timer. Each call ends a batch if a send is free, so flush
   * where something is over and not after each metric.
   *
   * @returns What became of it, once all of it is sent or given up; sends that
   * were in flight already and retries included. Never rejects.
   */
  flush(): Promise<FlushReport> {
    this.#advice.followed();
    return this.#engine.flush();
  }

  /**
   * Sends what is left and ends: from now on {@linkcode Batcher.add} returns
   * `false`. When the time is up, sends in flight are aborted, and what is left
   * counts as failed and is handed to `onFailure`.
   *
   * Stopping again is fine and gives the same report; the earliest deadline holds.
   *
   * @param options How long to wait.
   * @returns What became of what was outstanding at the first call. Never rejects
   * because a send failed.
   * @throws {RangeError} At once, if `timeout` is negative or no number.
   */
  stop(options: StopOptions = {}): Promise<FlushReport> {
    const { timeout } = options;
    if (timeout !== undefined) {
      checkDuration("stop Batcher", "timeout", timeout);
    }
    this.#advice.followed();
    return this.#engine.stop(timeout);
  }

  /**
   * Resolves when a metric can be added: at once if there is room, else when
   * there is, or when the Batcher is stopped (see `maxBuffered`). Never rejects.
   * Wait first, then add at once: producers are let through in the order in which
   * they came, as many as there is room for.
   *
   * @returns A promise for room.
   */
  get ready(): Promise<void> {
    return this.#engine.ready;
  }

  /**
   * A stream of metrics into the Batcher, for producers that are streams themselves:
   * it waits for room, so that `stream.pipeTo(batcher.writable)` loses nothing. A
   * metric that is invalid is counted and logged, as by {@linkcode Batcher.add}, and
   * does not break the stream; after `stop`, writing does. Closing it flushes.
   *
   * @example Usage
   * ```ts
   * import { Batcher, type Metric } from "@tinyobs/batch";
   * import { assertEquals } from "@std/assert";
   *
   * const kept: Metric[] = [];
   * await using batcher = new Batcher({
   *   send(batch) {
   *     kept.push(...batch);
   *     return Promise.resolve();
   *   },
   * });
   * batcher.start();
   * await ReadableStream.from<Metric>([{ name: "up", type: "gauge", value: 1 }])
   *   .pipeTo(batcher.writable);
   * assertEquals(kept.length, 1);
   * ```
   *
   * @returns The stream, which is always the same one.
   */
  get writable(): WritableStream<Metric> {
    return this.#writable ??= new WritableStream<Metric>({
      write: async (metric) => {
        const engine = this.#engine;
        do await engine.ready; while (engine.full && !engine.closed);
        if (engine.closed) {
          throw new Error("Cannot write metric as the Batcher is stopped");
        }
        this.add(metric);
      },
      close: async () => {
        await this.flush();
      },
    });
  }

  /**
   * The totals so far.
   *
   * @returns A snapshot.
   */
  get stats(): BatcherStats {
    const { sent, failed, buffered, inFlight, batches } = this.#engine;
    return {
      added: this.#added,
      sent,
      failed,
      buffered,
      inFlight,
      batches,
      refused: {
        invalid: this.#invalid,
        full: this.#full,
        stopped: this.#stopped,
      },
    };
  }

  /**
   * Stops, as `stop()` does, at the end of an `await using` scope.
   *
   * @returns A promise that resolves when the Batcher has stopped.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #seal(metrics: AcceptedMetric[]): ReleasableBatch<Metric> {
    const nanos = this.#nanos;
    this.#nanos = [];
    return new ReleasableBatch(finishMetrics(metrics, nanos));
  }
}

const OPTIONS = [
  "maxBatchSize",
  "flushEvery",
  "maxBuffered",
  "maxInFlight",
  "retry",
  "quarantine",
  "logger",
  "onFailure",
];
const ALIASES = {
  batchSize: "maxBatchSize",
  flushInterval: "flushEvery",
  flushIntervalMs: "flushEvery",
  flushMs: "flushEvery",
  interval: "flushEvery",
  maxBuffer: "maxBuffered",
  maxQueue: "maxBuffered",
  maxQueueSize: "maxBuffered",
  bufferSize: "maxBuffered",
  concurrency: "maxInFlight",
  retries: "retry",
  log: "logger",
  onError: "onFailure",
  onFail: "onFailure",
};

/** The transport with what the options leave on and it does not have yet. */
function deliver(
  transport: Transport<Metric>,
  { retry = {}, quarantine = true }: BatcherOptions,
): Transport<Metric> {
  // What is not a transport is the engine's to refuse.
  if (typeof transport?.send !== "function") return transport;
  let delivering = transport;
  if (retry !== false && !hasLayer(delivering, "retry")) {
    delivering = withRetry(delivering, retry);
  }
  if (quarantine && !hasLayer(delivering, "quarantine")) {
    delivering = withQuarantine(delivering);
  }
  return delivering;
}
