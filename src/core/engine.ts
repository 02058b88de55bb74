// The engine under the Batcher and the command line: buffers items, cuts them into
// batches, sends a few at a time, and knows at every moment what became of each.
//
// It knows nothing of metrics, HTTP or JSON. `P` is what is pushed, `T` what the
// transport gets.
//
// Invariants:
// - pushed = sent + failed + buffered + inFlight, after every call;
// - a batch holds at most `maxBatchSize` items, and is in one place: being
//   filled, in the queue or in flight;
// - while something is buffered, either the timer runs (the engine is started), a
//   send is in flight whose end will pump, or less than a batch waits in an engine
//   that was not started.

import type { Batch, ReleasableBatch } from "./batch.ts";
import {
  checkDelay,
  checkPositiveInteger,
  checkRule,
  MAX_TIMER,
} from "./check.ts";
import { defaultLogger, guard, type Logger, ThrottledLog } from "./logger.ts";
import { Room } from "./room.ts";
import {
  countUndelivered,
  SendError,
  toSendError,
  undeliveredOf,
} from "./send_error.ts";
import { nextTask } from "./task.ts";
import { count, messageOf, show } from "./text.ts";
import type { Transport } from "./transport.ts";

/** What an engine is made of. */
export interface EngineOptions<P, T> {
  /** What messages call the engine, and one and several of its items. */
  readonly noun: {
    readonly engine: string;
    readonly item: string;
    readonly items: string;
  };
  /** Makes a batch of what was pushed. */
  readonly seal: (items: P[]) => Batch<T>;
  /** How many items a batch holds at most. */
  readonly maxBatchSize?: number | undefined;
  /** How long the first item of a batch waits for others, in milliseconds. */
  readonly flushEvery?: number | undefined;
  /** How many items may wait. */
  readonly maxBuffered?: number | undefined;
  /** How many batches may be in flight; the transport may bear fewer. */
  readonly maxInFlight?: number | undefined;
  /** How many bytes an item counts for; without it, bytes are not counted. */
  readonly weigh?: ((item: P) => number) | undefined;
  /** How many bytes a batch holds at most, unless it has a single item. */
  readonly maxBatchBytes?: number | undefined;
  /** How many bytes may wait; the item that exceeds it is the last one taken. */
  readonly maxBufferedBytes?: number | undefined;
  readonly logger?: Logger | undefined;
  /** Gets back what was not delivered. */
  readonly onFailure?:
    | ((undelivered: readonly T[], error: SendError<T>) => unknown)
    | undefined;
  /** Told of every batch that is delivered or given up. Must not throw. */
  readonly onSettled?:
    | ((items: Batch<T>, error?: SendError<T>) => void)
    | undefined;
}

/** What became of the items that were outstanding when `flush` or `stop` was called. */
export interface EngineReport<T> {
  sent: number;
  failed: number;
  errors: SendError<T>[];
}

/** A caller of `flush`. It waits until every item up to its mark is settled. */
interface Waiter<T> {
  /** How many items had been pushed when it called. */
  readonly mark: number;
  /** How many of them were outstanding, and how many had failed. */
  readonly outstanding: number;
  readonly failed: number;
  /** How many batches had settled. */
  readonly settled: number;
  /** How many errors had been passed by. */
  readonly errors: number;
  readonly resolve: (report: EngineReport<T>) => void;
}

/** What became of a batch, in the order in which batches were cut. */
interface Entry<T> {
  /** How many items were pushed before its first one, and before the next batch. */
  readonly start: number;
  readonly end: number;
  /** It was the so manyth batch that settled; 0 until then. */
  settled: number;
  failed: number;
  error: SendError<T> | undefined;
}

/** A batch that is complete: in the queue, then in flight. */
interface Cut<T> {
  readonly batch: Batch<T>;
  readonly bytes: number;
  readonly entry: Entry<T>;
  /** One for each, as Node warns of many listeners on a signal that all share. */
  abort: AbortController | undefined;
}

const DRAIN_TIMEOUT = 30_000;
/** How long an aborted transport gets to say what it had delivered, in ms. */
const ABORT_GRACE = 50;
/** So many sends may settle before the event loop gets a turn. */
const SENDS_PER_TASK = 32;
/** So many errors a report names; its numbers count all of them. */
const MAX_ERRORS = 100;

export class Engine<P, T = P> {
  readonly #transport: Transport<T>;
  readonly #options: EngineOptions<P, T>;
  readonly #maxBatchSize: number;
  readonly #maxBatchBytes: number;
  readonly #flushEvery: number;
  readonly maxBuffered: number;
  readonly #maxBufferedBytes: number;
  readonly #maxInFlight: number;
  readonly #logger: Logger;
  readonly #refusals: ThrottledLog;
  readonly #failures: ThrottledLog;
  readonly #room: Room;
  /** Ends the listening to the signal given to `start`. */
  readonly #end = new AbortController();

  #filling: P[] = [];
  #fillingBytes = 0;
  /** Complete batches that wait, and those in flight, each in the order of their items. */
  #queue: Cut<T>[] = [];
  #sends = new Set<Cut<T>>();
  /** In the order of their marks. */
  #waiters: Waiter<T>[] = [];
  /** The batches from the first that is outstanding on, settled ones among them. */
  #ledger: Entry<T>[] = [];
  /** How many batches have settled. */
  #settled = 0;
  /** How many items failed in the batches that the ledger has passed by. */
  #passedFailed = 0;
  /** The failed ones among those, as far as a waiter may want them. */
  #passedErrors: Entry<T>[] = [];
  /** How many more there were before. */
  #droppedErrors = 0;

  #started = false;
  #closed = false;
  /** What is being filled goes with the next free send, however little it is. */
  #due = false;
  #pumping = false;
  #sendsThisTask = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped: Promise<EngineReport<T>> | undefined;

  #pushed = 0;
  buffered = 0;
  bufferedBytes = 0;
  inFlight = 0;
  sent = 0;
  failed = 0;
  /** Batches handed to the transport. */
  batches = 0;

  constructor(transport: Transport<T>, options: EngineOptions<P, T>) {
    const {
      maxBatchSize = 1000,
      flushEvery = 5000,
      maxInFlight = 4,
      maxBatchBytes = Infinity,
      maxBufferedBytes = Infinity,
    } = options;
    const action = `create ${options.noun.engine}`;
    checkPositiveInteger(action, "maxBatchSize", maxBatchSize);
    const { maxBuffered = 100 * maxBatchSize } = options;
    checkPositiveInteger(action, "maxBuffered", maxBuffered);
    checkPositiveInteger(action, "maxInFlight", maxInFlight);
    checkDelay(action, "flushEvery", flushEvery);
    for (
      const [name, value] of Object.entries({ maxBatchBytes, maxBufferedBytes })
    ) {
      checkRule(action, name, value, value > 0, "more than 0");
    }
    if (typeof transport?.send !== "function") {
      throw new TypeError(
        `Cannot ${action} as 'transport' must have a method 'send': current value is ${
          show(transport)
        }`,
      );
    }
    const bears = transport.maxInFlight ?? Infinity;
    checkRule(
      action,
      "transport.maxInFlight",
      bears,
      bears === Infinity || (Number.isInteger(bears) && bears >= 1),
      "a positive integer",
    );
    this.#transport = transport;
    this.#options = options;
    // Reaching either bound sends: nothing would ever make room otherwise.
    this.#maxBatchSize = Math.min(maxBatchSize, maxBuffered);
    this.#maxBatchBytes = Math.min(maxBatchBytes, maxBufferedBytes);
    this.#flushEvery = flushEvery;
    this.maxBuffered = maxBuffered;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#maxInFlight = Math.min(maxInFlight, bears);
    // Producers that can wait need only enough to keep every send busy, and what
    // waits less is less for the garbage collector to copy.
    const readyBelow = options.maxBuffered === undefined
      ? Math.min(maxBuffered, 2 * this.#maxInFlight * maxBatchSize)
      : maxBuffered;
    this.#room = new Room(() =>
      this.bufferedBytes < maxBufferedBytes ? readyBelow - this.buffered : 0
    );
    const logger = this.#logger = options.logger ?? defaultLogger;
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
    return this.buffered >= this.maxBuffered ||
      this.bufferedBytes >= this.#maxBufferedBytes;
  }

  /** Resolves once there is room for an item, or none will be taken anymore. */
  get ready(): Promise<void> {
    return this.#room.wait();
  }

  /** Starts the timer: from now on nothing waits longer than `flushEvery` to be sent. */
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
    const { weigh } = this.#options;
    if (weigh !== undefined) {
      const bytes = weigh(item);
      if (
        this.#fillingBytes + bytes > this.#maxBatchBytes &&
        this.#filling.length > 0
      ) {
        this.#cut();
        this.#pumpSoon();
      }
      this.#fillingBytes += bytes;
      this.bufferedBytes += bytes;
    }
    const length = this.#filling.push(item);
    this.#pushed++;
    this.buffered++;
    this.#room.taken();
    if (
      length >= this.#maxBatchSize || this.#fillingBytes >= this.#maxBatchBytes
    ) {
      this.#cut();
      this.#pumpSoon();
    } else if (length === 1 && this.#started) {
      this.#arm();
    }
  }

  /** Says that something was not accepted. */
  refuse(reason: () => string): void {
    this.#refusals.say(reason);
    // Nothing would say it later.
    if (this.#closed && this.#idle) this.#refusals.drop();
  }

  /** Sends what was pushed so far, and resolves once all of it is settled. */
  flush(): Promise<EngineReport<T>> {
    if (this.#filling.length > 0) {
      // Where enough already wait to keep every send busy, what comes until one is
      // free goes along.
      const outstanding = this.#queue.length + this.#sends.size;
      if (outstanding < 2 * this.#maxInFlight) {
        this.#cut();
      } else {
        this.#due = true;
      }
      this.#pumpSoon();
    }
    const outstanding = this.buffered + this.inFlight;
    if (outstanding === 0) {
      this.#flushLogs();
      return Promise.resolve({ sent: 0, failed: 0, errors: [] });
    }
    return new Promise((resolve) => {
      this.#waiters.push({
        mark: this.#pushed,
        outstanding,
        failed: this.failed,
        settled: this.#settled,
        errors: this.#droppedErrors + this.#passedErrors.length,
        resolve,
      });
    });
  }

  stop(
    timeout = DRAIN_TIMEOUT,
    reason = `stop() has reached its deadline of ${timeout} ms`,
  ): Promise<EngineReport<T>> {
    this.#closed = true;
    this.#room.open();
    this.#stopped ??= this.flush().then((report) => {
      this.#end.abort();
      return report;
    });
    // A longer one is as good as none; timers cannot count further.
    if (timeout <= MAX_TIMER && !this.#idle) {
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

  /** Completes the batch that is being filled. */
  #cut(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = false;
    // Taken out first, as a transport that encodes may push or flush.
    const items = this.#filling;
    const bytes = this.#fillingBytes;
    this.#filling = [];
    this.#fillingBytes = 0;
    const batch = this.#options.seal(items);
    const entry: Entry<T> = {
      start: this.#pushed - batch.length,
      end: this.#pushed,
      settled: 0,
      failed: 0,
      error: undefined,
    };
    this.#ledger.push(entry);
    this.#queue.push({ batch, bytes, entry, abort: undefined });
    const transport = this.#transport;
    if (transport.prepare !== undefined) {
      guard(() => transport.prepare!(batch));
    }
  }

  /**
   * Not now: `push` returns before anything is sent, and a transport that pushes
   * does not meet itself. A transport that never waits for I/O must not keep the
   * event loop to itself, so now and then it is a task and not a microtask.
   */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const turn = this.#sendsThisTask < SENDS_PER_TASK
      ? Promise.resolve()
      : nextTask().then(() => {
        this.#sendsThisTask = 0;
      });
    turn.then(() => {
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
      if (this.#queue.length === 0) break;
      if (++this.#sendsThisTask > SENDS_PER_TASK) {
        this.#pumpSoon();
        break;
      }
      this.#send(this.#queue.shift()!);
    }
    this.#room.wake();
  }

  #send(cut: Cut<T>): void {
    const { batch, bytes } = cut;
    const { length } = batch;
    const { signal } = cut.abort = new AbortController();
    this.#sends.add(cut);
    this.buffered -= length;
    this.bufferedBytes -= bytes;
    this.inFlight += length;
    this.batches++;
    const { item, items } = this.#options.noun;
    guard(() => this.#logger.debug(`Flushing ${count(length, item, items)}`));
    let result: Promise<void>;
    try {
      result = Promise.resolve(this.#transport.send(batch, { signal }));
    } catch (error) {
      result = Promise.reject(error);
    }
    result.then(
      () => this.#settle(cut, undefined),
      (thrown) => this.#settle(cut, toSendError(thrown, batch)),
    );
  }

  /** The one place where an item that was sent becomes sent or failed. */
  #settle(cut: Cut<T>, error: SendError<T> | undefined): void {
    // A transport may answer after `stop` has given it up.
    if (!this.#sends.delete(cut)) return;
    this.inFlight -= cut.batch.length;
    this.#account(cut, error);
    if (this.#sendsThisTask < SENDS_PER_TASK) this.#pump();
    else if (!this.#idle) this.#pumpSoon();
    if (this.#idle) this.#flushLogs();
  }

  #flushLogs(): void {
    this.#refusals.flush();
    this.#failures.flush();
  }

  #account({ batch, entry }: Cut<T>, error: SendError<T> | undefined): void {
    const { onFailure, onSettled, noun } = this.#options;
    const failed = error === undefined ? 0 : countUndelivered(error, batch);
    const { length } = batch;
    entry.settled = ++this.#settled;
    if (failed > 0) [entry.failed, entry.error] = [failed, error];
    this.sent += length - failed;
    this.failed += failed;
    if (error !== undefined && failed > 0) {
      this.#failures.say(() =>
        `Failed to send ${noun.items}: ${
          messageOf(error)
        } (${failed} of ${length} not delivered)`
      );
      if (onFailure !== undefined) {
        guard(
          () => onFailure(undeliveredOf(error, batch), error),
          (thrown) => {
            this.#failures.say(() =>
              `The callback 'onFailure' failed: ${messageOf(thrown)}`
            );
            if (this.#idle) this.#failures.flush();
          },
        );
      }
    }
    if (onSettled !== undefined) {
      onSettled(batch, failed > 0 ? error : undefined);
    }
    (batch as Partial<ReleasableBatch<T>>).done?.();
    this.#passBy();
  }

  /** Passes the settled batches at the head of the ledger by, and resolves who waits. */
  #passBy(): void {
    while (this.#ledger.length > 0 && this.#ledger[0]!.settled > 0) {
      const entry = this.#ledger.shift()!;
      if (entry.failed > 0) this.#passedErrors.push(entry);
      while (
        this.#waiters.length > 0 && this.#waiters[0]!.mark <= entry.end
      ) this.#report(this.#waiters.shift()!, entry);
      this.#passedFailed += entry.failed;
    }
    // What no waiter that is left can want.
    const wanted = this.#waiters[0]?.errors ?? Infinity;
    const dropped = Math.min(
      this.#passedErrors.length,
      Math.max(0, wanted - this.#droppedErrors),
    );
    if (dropped === 0) return;
    this.#passedErrors.splice(0, dropped);
    this.#droppedErrors += dropped;
  }

  /** Tells a waiter what became of its items, the last of which are in this batch. */
  #report(waiter: Waiter<T>, { start, failed: last }: Entry<T>): void {
    const { mark, outstanding, settled, resolve } = waiter;
    // Of a batch that went on filling after the call, its own items come first.
    const failed = this.#passedFailed + Math.min(last, mark - start) -
      waiter.failed;
    const entries: Entry<T>[] = [];
    let i = waiter.errors - this.#droppedErrors;
    for (; i < this.#passedErrors.length && entries.length < MAX_ERRORS; i++) {
      const entry = this.#passedErrors[i]!;
      if (entry.settled > settled) entries.push(entry);
    }
    // In the order in which they happened.
    const errors = entries.sort((a, b) => a.settled - b.settled)
      .map(({ error }) => error!);
    resolve({ sent: outstanding - failed, failed, errors });
  }

  /** The end of `stop`'s patience: nothing more is sent, and what is left has failed. */
  #expire(reason: string): void {
    const error = new SendError<T>(`Gave up as ${reason}`, {
      kind: "transient",
      code: "given_up",
    });
    if (this.#filling.length > 0) this.#cut();
    const left = this.#queue;
    this.#queue = [];
    for (const { abort } of this.#sends) abort?.abort(new Error(reason));
    for (const cut of left) {
      this.buffered -= cut.batch.length;
      this.bufferedBytes -= cut.bytes;
      this.#account(cut, error);
    }
    if (this.#idle) this.#flushLogs();
    // A transport that heeds its signal now says what it has delivered; one that
    // does not is not waited for.
    const timer = setTimeout(() => {
      for (const cut of this.#sends) this.#settle(cut, error);
    }, ABORT_GRACE);
    this.#stopped?.then(() => clearTimeout(timer));
  }
}
