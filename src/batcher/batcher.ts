// The Batcher: the engine for metrics, which are checked, copied and stamped on
// their way in.

import { Engine } from "../core/engine.ts";
import type { Logger } from "../core/logger.ts";
import {
  type AcceptedMetric,
  acceptMetric,
  finishMetric,
  type Metric,
} from "../core/metric.ts";
import { show } from "../core/text.ts";
import type { SendError, Transport } from "../core/transport.ts";

/** Options for {@linkcode Batcher}. */
export interface BatcherOptions {
  /**
   * How many metrics a batch holds at most; reaching it sends the batch. A
   * positive integer.
   *
   * @default {1000}
   */
  readonly maxBatchSize?: number | undefined;
  /**
   * How long the first metric of a batch waits for company, in milliseconds: more
   * than 0, at most 2147483647. Needs {@linkcode Batcher.start}.
   *
   * @default {5000}
   */
  readonly flushEvery?: number | undefined;
  /**
   * How many metrics may wait to be sent, those in flight not counted. When as
   * many do, {@linkcode Batcher.add} returns `false` and {@linkcode Batcher.ready}
   * waits. A positive integer.
   *
   * @default {100 * maxBatchSize} for `add`; `ready` already waits when two batches
   * for each of `maxInFlight` do, which is plenty for producers that can wait
   */
  readonly maxBuffered?: number | undefined;
  /**
   * How many batches may be in flight at the same time. A positive integer.
   *
   * @default {4}
   */
  readonly maxInFlight?: number | undefined;
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

/** What became of the metrics that were outstanding when a flush began. */
export interface FlushReport {
  /** How many were delivered. */
  readonly sent: number;
  /** How many were not. */
  readonly failed: number;
  /** Why, one per batch that failed or partly failed. */
  readonly errors: readonly SendError<Metric>[];
}

/** How many metrics a {@linkcode Batcher} did not accept, by reason. */
export interface RefusedStats {
  /** Not metrics that the server takes. */
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
  #added = 0;
  #invalid = 0;
  #full = 0;
  #stopped = 0;

  /**
   * Makes a Batcher that sends through `transport`.
   *
   * @param transport Delivers the batches.
   * @param options Limits, logger and callback.
   * @throws {RangeError} If an option is out of its bounds.
   * @throws {TypeError} If `transport` has no `send`.
   */
  constructor(transport: Transport<Metric>, options: BatcherOptions = {}) {
    this.#engine = new Engine("Batcher", transport, finishAll, options);
  }

  /**
   * Starts the timer. Without it a batch is sent when it is full and by
   * {@linkcode Batcher.flush}. Starting twice is fine; after `stop` it does
   * nothing.
   *
   * @param signal Stops the Batcher when it is aborted, as `stop()` does.
   */
  start(signal?: AbortSignal): void {
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
    const accepted = acceptMetric(metric);
    if (typeof accepted === "string") {
      this.#invalid++;
      engine.refuse(() => `Cannot add metric: ${accepted}`);
      return false;
    }
    this.#added++;
    engine.push(accepted);
    return true;
  }

  /**
   * Sends everything that was added before the call, without waiting for a batch
   * to fill or the timer. Each call ends a batch: flush where something is over, and
   * not after each metric.
   *
   * @returns What became of it, once all of it is sent or given up; sends that
   * were in flight already and retries included. Never rejects.
   */
  flush(): Promise<FlushReport> {
    return this.#engine.flush();
  }

  /**
   * Sends what is left and ends: from now on {@linkcode Batcher.add} returns
   * `false`. When the time is over, sends in flight are aborted and what is left
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
    if (
      timeout !== undefined && !(typeof timeout === "number" && timeout >= 0)
    ) {
      throw new RangeError(
        `Cannot stop Batcher as 'timeout' must be 0 or more milliseconds: current value is ${
          show(timeout)
        }`,
      );
    }
    return this.#engine.stop(timeout);
  }

  /**
   * Resolves when a metric can be added: at once if there is room, else when
   * there is, or when the Batcher is stopped (see `maxBuffered`). Never rejects.
   * Wait first, add then: among several producers that wait, another may have
   * taken the room.
   *
   * @returns A promise for room.
   */
  get ready(): Promise<void> {
    return this.#engine.ready;
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
}

function finishAll(items: AcceptedMetric[]): Metric[] {
  return items.map(finishMetric);
}
