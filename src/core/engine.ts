// The engine under the Batcher: buffers items, cuts them into batches, sends a
// few at a time, and knows at every moment what became of each.
//
// It knows nothing of metrics, HTTP or JSON. `P` is what is pushed, `T` what the
// transport gets.
//
// Invariants:
// - accepted = sent + failed + buffered + inFlight, after every call;
// - a batch holds at most `maxBatchSize` items, and is in one place: being
//   filled, in the queue or in flight;
// - while something is buffered, either the timer runs (the engine is started), a
//   send is in flight whose end will pump, or less than a batch waits in an engine
//   that was not started.

import { defaultLogger, guard, type Logger, ThrottledLog } from "./logger.ts";
import { count, messageOf, show } from "./text.ts";
import { SendError, toSendError, type Transport } from "./transport.ts";

/** The options of {@linkcode Batcher}, in general. */
export interface EngineOptions<T> {
  maxBatchSize?: number | undefined;
  flushEvery?: number | undefined;
  maxBuffered?: number | undefined;
  maxInFlight?: number | undefined;
  logger?: Logger | undefined;
  onFailure?:
    | ((undelivered: readonly T[], error: SendError<T>) => unknown)
    | undefined;
}

/** What became of the items that were outstanding when `flush` or `stop` was called. */
export interface EngineReport<T> {
  sent: number;
  failed: number;
  errors: SendError<T>[];
}

/** A caller of `flush` that waits for some batches. */
interface Waiter<T> {
  readonly report: EngineReport<T>;
  batches: number;
  readonly resolve: (report: EngineReport<T>) => void;
}

interface Batch<P, T> {
  items: P[];
  readonly waiters: Waiter<T>[];
}

interface Send<T> {
  readonly items: readonly T[];
  readonly waiters: Waiter<T>[];
  /** One for each, as Node warns of many listeners on a signal that all share. */
  readonly abort: AbortController;
}

const MAX_DELAY = 2 ** 31 - 1;
const DRAIN_TIMEOUT = 30_000;
/** What a transport gets to say what it had delivered when it was aborted, in ms. */
const ABORT_GRACE = 50;
const RESOLVED = Promise.resolve();

export class Engine<P, T = P> {
  readonly #transport: Transport<T>;
  readonly #finish: (items: P[]) => T[];
  readonly #maxBatchSize: number;
  readonly #flushEvery: number;
  readonly maxBuffered: number;
  readonly #readyBelow: number;
  readonly #maxInFlight: number;
  readonly #logger: Logger;
  readonly #onFailure:
    | ((undelivered: readonly T[], error: SendError<T>) => unknown)
    | undefined;
  readonly #refusals: ThrottledLog;
  readonly #failures: ThrottledLog;
  /** Ends the listening to the signal given to `start`. */
  readonly #end = new AbortController();

  #filling: P[] = [];
  #queue: Batch<P, T>[] = [];
  #sends = new Set<Send<T>>();

  #started = false;
  #closed = false;
  /** What is being filled has waited long enough, and goes with the next free send. */
  #due = false;
  #pumping = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #room: { promise: Promise<void>; resolve: () => void } | undefined;
  #stopped: Promise<EngineReport<T>> | undefined;

  buffered = 0;
  inFlight = 0;
  sent = 0;
  failed = 0;
  /** Batches handed to the transport. */
  batches = 0;

  constructor(
    what: string,
    transport: Transport<T>,
    finish: (items: P[]) => T[],
    options: EngineOptions<T>,
  ) {
    const { maxBatchSize = 1000, flushEvery = 5000, maxInFlight = 4 } = options;
    checkOption(what, "maxBatchSize", maxBatchSize);
    const { maxBuffered = 100 * maxBatchSize } = options;
    checkOption(what, "maxBuffered", maxBuffered);
    checkOption(what, "maxInFlight", maxInFlight);
    if (
      !(typeof flushEvery === "number" && flushEvery > 0 &&
        flushEvery <= MAX_DELAY)
    ) {
      throw new RangeError(
        `Cannot create ${what} as 'flushEvery' must be more than 0 and at most ${MAX_DELAY} milliseconds: current value is ${
          show(flushEvery)
        }`,
      );
    }
    if (typeof transport?.send !== "function") {
      throw new TypeError(
        `Cannot create ${what} as 'transport' must have a method 'send': current value is ${
          show(transport)
        }`,
      );
    }
    this.#transport = transport;
    this.#finish = finish;
    // Reaching either bound sends: nothing would ever make room otherwise.
    this.#maxBatchSize = Math.min(maxBatchSize, maxBuffered);
    this.#flushEvery = flushEvery;
    this.maxBuffered = maxBuffered;
    // Whoever can wait needs no more than keeps every send busy, and metrics that
    // do not wait long cost the collector of garbage half (`bench/all_in.ts`).
    this.#readyBelow = options.maxBuffered === undefined
      ? Math.min(maxBuffered, 2 * maxInFlight * maxBatchSize)
      : maxBuffered;
    this.#maxInFlight = maxInFlight;
    const logger = this.#logger = options.logger ?? defaultLogger;
    this.#onFailure = options.onFailure;
    this.#refusals = new ThrottledLog((message) =>
      guard(() => logger.warn(message))
    );
    this.#failures = new ThrottledLog((message) =>
      guard(() => logger.error(message))
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  get full(): boolean {
    return this.buffered >= this.maxBuffered;
  }

  /** Resolves once few enough items are waiting, or none will be taken anymore. */
  get ready(): Promise<void> {
    if (this.buffered < this.#readyBelow || this.#closed) return RESOLVED;
    if (this.#room === undefined) {
      let resolve = () => {};
      const promise = new Promise<void>((r) => resolve = r);
      this.#room = { promise, resolve };
    }
    return this.#room.promise;
  }

  /** Starts the timer: from now on nothing waits longer than `flushEvery` for company. */
  start(signal?: AbortSignal): void {
    if (this.#closed) return;
    this.#started = true;
    if (this.#filling.length > 0) this.#arm();
    if (signal === undefined) return;
    if (signal.aborted) {
      this.stop();
    } else {
      signal.addEventListener("abort", () => this.stop(), {
        once: true,
        signal: this.#end.signal,
      });
    }
  }

  /** Takes an item. The caller has made sure that the engine is neither full nor closed. */
  push(item: P): void {
    const length = this.#filling.push(item);
    this.buffered++;
    if (length >= this.#maxBatchSize) {
      this.#cut();
      this.#pumpSoon();
    } else if (length === 1 && this.#started) {
      this.#arm();
    }
  }

  /** Says that something was not accepted. */
  refuse(reason: () => string): void {
    this.#refusals.say(reason);
  }

  flush(): Promise<EngineReport<T>> {
    if (this.#filling.length > 0) {
      this.#cut();
      this.#pumpSoon();
    }
    const report: EngineReport<T> = { sent: 0, failed: 0, errors: [] };
    const outstanding = [...this.#sends, ...this.#queue];
    if (outstanding.length === 0) {
      this.#flushLogs();
      return Promise.resolve(report);
    }
    return new Promise((resolve) => {
      const waiter: Waiter<T> = {
        report,
        batches: outstanding.length,
        resolve,
      };
      for (const { waiters } of outstanding) waiters.push(waiter);
    });
  }

  stop(
    timeout = DRAIN_TIMEOUT,
    reason = `stop() has reached its deadline of ${timeout} ms`,
  ): Promise<EngineReport<T>> {
    this.#closed = true;
    this.#room?.resolve();
    this.#stopped ??= this.flush().then((report) => {
      this.#end.abort();
      return report;
    });
    // A longer one is as good as none; timers cannot count further.
    if (timeout <= MAX_DELAY && !this.#idle) {
      const timer = setTimeout(() => this.#expire(reason), timeout);
      this.#stopped.then(() => clearTimeout(timer));
    }
    return this.#stopped;
  }

  get #idle(): boolean {
    return this.buffered === 0 && this.inFlight === 0;
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#due = true;
      this.#pump();
    }, this.#flushEvery);
  }

  #cut(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = false;
    this.#queue.push({ items: this.#filling, waiters: [] });
    this.#filling = [];
  }

  /**
   * Not now: `push` takes no longer when it happens to fill a batch, and a
   * transport that pushes does not meet itself.
   */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** Sends what is to go, as long as there is a send free. */
  #pump(): void {
    while (this.#sends.size < this.#maxInFlight) {
      if (this.#queue.length === 0 && this.#due && this.#filling.length > 0) {
        this.#cut();
      }
      const batch = this.#queue.shift();
      if (batch === undefined) break;
      this.#send(batch);
    }
    if (this.buffered < this.#readyBelow && this.#room !== undefined) {
      this.#room.resolve();
      this.#room = undefined;
    }
  }

  #send(batch: Batch<P, T>): void {
    const send: Send<T> = {
      items: this.#finish(batch.items),
      waiters: batch.waiters,
      abort: new AbortController(),
    };
    const { length } = send.items;
    this.#sends.add(send);
    this.buffered -= length;
    this.inFlight += length;
    this.batches++;
    guard(() => this.#logger.debug(`Flushing ${count(length)}`));
    let result: Promise<void>;
    try {
      result = Promise.resolve(
        this.#transport.send(send.items, { signal: send.abort.signal }),
      );
    } catch (error) {
      result = Promise.reject(error);
    }
    result.then(
      () => this.#settle(send, undefined),
      (thrown) => {
        const error = toSendError(thrown, send.items);
        this.#settle(send, error.undelivered.length > 0 ? error : undefined);
      },
    );
  }

  /** The one place where an item that was sent becomes sent or failed. */
  #settle(send: Send<T>, error: SendError<T> | undefined): void {
    // A transport may answer after `stop` has given it up.
    if (!this.#sends.delete(send)) return;
    this.inFlight -= send.items.length;
    this.#account(send, error);
    this.#pump();
    if (this.#idle) this.#flushLogs();
  }

  #flushLogs(): void {
    this.#refusals.flush();
    this.#failures.flush();
  }

  #account(
    { items, waiters }: Pick<Send<T>, "items" | "waiters">,
    error: SendError<T> | undefined,
  ): void {
    const failed = error?.undelivered.length ?? 0;
    const sent = items.length - failed;
    this.sent += sent;
    this.failed += failed;
    if (error !== undefined) {
      this.#failures.say(() =>
        `Failed to send metrics: ${
          messageOf(error)
        } (${failed} of ${items.length} not delivered)`
      );
      const { undelivered } = error;
      guard(
        () => this.#onFailure?.(undelivered, error),
        (thrown) => {
          this.#failures.say(() =>
            `The callback 'onFailure' failed: ${messageOf(thrown)}`
          );
          if (this.#idle) this.#failures.flush();
        },
      );
    }
    for (const waiter of waiters) {
      waiter.report.sent += sent;
      waiter.report.failed += failed;
      if (error !== undefined) waiter.report.errors.push(error);
      if (--waiter.batches === 0) waiter.resolve(waiter.report);
    }
  }

  /** The end of `stop`'s patience: nothing more is sent, and what is left has failed. */
  #expire(reason: string): void {
    const giveUp = (items: readonly T[]) =>
      new SendError(`Gave up as ${reason}`, {
        kind: "transient",
        undelivered: items,
      });
    const left = this.#queue;
    this.#queue = [];
    for (const { abort } of this.#sends) abort.abort(new Error(reason));
    for (const batch of left) {
      const items = this.#finish(batch.items);
      this.buffered -= items.length;
      this.#account({ items, waiters: batch.waiters }, giveUp(items));
    }
    // A transport that heeds its signal now says what it has delivered; one that
    // does not is not waited for.
    const timer = setTimeout(() => {
      for (const send of this.#sends) this.#settle(send, giveUp(send.items));
    }, ABORT_GRACE);
    this.#stopped?.then(() => clearTimeout(timer));
  }
}

function checkOption(what: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(
      `Cannot create ${what} as '${name}' must be a positive integer: current value is ${
        show(value)
      }`,
    );
  }
}
