// Writing to what may be slow, stall or fail, without ever waiting for it.

import type { Sink } from "./io.ts";

/** So much is written at a time, in bytes: a pipe that is read slowly shows progress. */
const PIECE = 64 * 1024;
/** How long to wait before a sink that failed is tried again, in ms. */
const RETRY_EVERY = 1000;
/** The same for a pipe that another program has made non-blocking, and that is full. */
const FULL_PIPE_WAIT = 20;
/** How long `flush` bears a sink that takes nothing, in ms. */
const PATIENCE = 500;

/** What an {@linkcode Outlet} tells its owner. */
export interface OutletEvents {
  /** Some bytes have been written. */
  onWritten?(): void;
  /** Nothing is left to write. */
  onIdle?(): void;
  /** A write has failed: whether to keep what is left and to try again. */
  onError(error: unknown): boolean;
}

/** What waits to be written. */
interface Entry {
  readonly bytes: Uint8Array;
  /** How much it counts for. */
  readonly weight: number;
}

/**
 * A queue in front of a sink. A file on disk takes everything at once, so that what
 * was pushed is there whatever happens to the process next; anything else is written
 * in the background, as a pipe that nobody reads would stop the whole program.
 */
export class Outlet {
  readonly #sink: Sink;
  readonly #events: OutletEvents;
  #queue: Entry[] = [];
  /** How many bytes of the first entry have been written. */
  #at = 0;
  #writing = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void)[] = [];
  /** How many bytes have been written. */
  written = 0;
  /** What the entries count for that have been written in full. */
  done = 0;
  /** How many bytes wait. */
  pending = 0;
  /** The last write failed, and what is left waits to be tried again. */
  failing = false;

  constructor(sink: Sink, events: OutletEvents) {
    this.#sink = sink;
    this.#events = events;
  }

  /** The part of an entry that has been written, where that is not all of it. */
  get partial(): Uint8Array | undefined {
    return this.#queue[0]?.bytes.subarray(0, this.#at);
  }

  /** Takes bytes, which must not change anymore. */
  push(bytes: Uint8Array, weight = 0): void {
    if (bytes.length === 0) return;
    this.#queue.push({ bytes, weight });
    this.pending += bytes.length;
    if (!this.failing) this.#go();
  }

  /** Resolves when something has been written, or nothing more will be. */
  progress(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  /**
   * Resolves when everything is written, or cannot be. After `hurry` is aborted it
   * waits only as long as the sink goes on taking something.
   */
  async flush(hurry: AbortSignal): Promise<void> {
    if (this.failing) this.#go();
    while (this.pending > 0 && !this.failing) {
      const before = this.written;
      const patience = new Patience(hurry);
      await Promise.race([this.progress(), patience.end]);
      patience.clear();
      if (hurry.aborted && this.written === before && patience.ended) return;
    }
  }

  /** Forgets what is left. */
  close(): void {
    clearTimeout(this.#retry);
    this.#queue = [];
    this.#at = 0;
    this.pending = 0;
    this.#wakeAll();
  }

  #go(): void {
    clearTimeout(this.#retry);
    this.failing = false;
    if (this.#sink.writeSync !== undefined) {
      try {
        while (this.#queue.length > 0) {
          const { bytes } = this.#queue[0]!;
          this.#advance(this.#sink.writeSync(bytes.subarray(this.#at)));
        }
      } catch (error) {
        this.#fail(error);
      }
    } else if (!this.#writing) {
      this.#writing = true;
      this.#writeAll();
    }
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) {
      try {
        const { bytes } = this.#queue[0]!;
        const n = await this.#sink.write(
          bytes.subarray(this.#at, this.#at + PIECE),
        );
        // It may have been closed in the meantime.
        if (this.#queue.length > 0) this.#advance(n);
      } catch (error) {
        if (error instanceof Deno.errors.WouldBlock) {
          await new Promise((resolve) => setTimeout(resolve, FULL_PIPE_WAIT));
          continue;
        }
        this.#writing = false;
        return this.#fail(error);
      }
    }
    this.#writing = false;
    this.#events.onIdle?.();
  }

  #advance(n: number): void {
    const { bytes, weight } = this.#queue[0]!;
    this.#at += n;
    if (this.#at === bytes.length) {
      this.#queue.shift();
      this.#at = 0;
      this.done += weight;
    }
    this.written += n;
    this.pending -= n;
    this.#events.onWritten?.();
    this.#wakeAll();
  }

  #fail(error: unknown): void {
    if (this.#events.onError(error)) {
      this.failing = true;
      this.#retry = setTimeout(() => this.#go(), RETRY_EVERY);
      this.#wakeAll();
    } else {
      this.close();
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Ends some time after `hurry` is aborted. */
class Patience {
  readonly end: Promise<void>;
  ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #hurry: AbortSignal;
  readonly #start: () => void;

  constructor(hurry: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.end = promise;
    this.#hurry = hurry;
    this.#start = () => {
      this.#timer = setTimeout(() => {
        this.ended = true;
        resolve();
      }, PATIENCE);
    };
    if (hurry.aborted) this.#start();
    else hurry.addEventListener("abort", this.#start);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#hurry.removeEventListener("abort", this.#start);
  }
}
