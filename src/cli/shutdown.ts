// How a run ends early: at a signal it stops reading and delivers what was read, at
// the drain's deadline or a second signal it gives that up, and in the end it exits.

import type { Io, StopSignal } from "./io.ts";
import { STOP_SIGNALS } from "./io.ts";
import type { Log } from "./log.ts";

/**
 * Another signal so soon, in ms, is the same event: a terminal, a shell and wrappers
 * such as npx each pass a Ctrl-C on, and systemd can send SIGHUP after SIGTERM.
 */
const ECHO = 500;
/** How long a run that was told twice to end may take to write down what is left, in ms. */
const LAST_GRACE = 2000;

/** Listens to the stop signals until it is disposed. */
export class Shutdown implements Disposable {
  readonly #io: Io;
  readonly #log: Log;
  readonly #drainTimeout: number;
  readonly #forget: () => void;
  readonly #reading = new AbortController();
  readonly #sending = new AbortController();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  #last = -Infinity;
  #count = 0;
  /** The first signal that came. */
  received: StopSignal | undefined;

  constructor(io: Io, log: Log, drainTimeout: number) {
    this.#io = io;
    this.#log = log;
    this.#drainTimeout = drainTimeout;
    this.#forget = io.onSignal((signal) => this.#onSignal(signal));
  }

  /** Aborted when nothing more is to be read. */
  get stopReading(): AbortSignal {
    return this.#reading.signal;
  }

  /** Aborted, with the reason in words, when what is not delivered yet is given up. */
  get giveUp(): AbortSignal {
    return this.#sending.signal;
  }

  /** Ends the reading without a signal. */
  stop(): void {
    this.#reading.abort();
  }

  [Symbol.dispose](): void {
    this.#forget();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #onSignal(signal: StopSignal): void {
    const now = performance.now();
    if (this.#count > 0 && now - this.#last < ECHO) return;
    this.#last = now;
    switch (++this.#count) {
      case 1:
        return this.#drain(signal);
      case 2:
        this.#sending.abort(`a second signal (${signal}) came`);
        // Whatever hangs now, such as a file on a network.
        this.#after(LAST_GRACE, () => this.#io.exit(STOP_SIGNALS[signal]));
        return;
      default:
        this.#io.exit(STOP_SIGNALS[signal]);
    }
  }

  #drain(signal: StopSignal): void {
    this.received = signal;
    this.#reading.abort();
    this.#log.warn(
      `${signal}: reading no more, sending what was read (a second signal ends it at once)`,
      { signal },
    );
    const timeout = this.#drainTimeout;
    this.#after(timeout, () =>
      this.#sending.abort(
        `the --drain-timeout of ${timeout / 1000} s is over`,
      ));
  }

  #after(ms: number, callback: () => void): void {
    this.#timers.push(setTimeout(callback, ms));
  }
}
