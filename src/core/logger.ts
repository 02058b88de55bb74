// Where the Batcher says what happened, and how a flood of messages becomes one line
// a second.

import { backgroundTimer } from "./task.ts";

/**
 * What the Batcher logs to: `console`, a logger of `@std/log`, LogTape or pino, or
 * any object with these four methods.
 */
export interface Logger {
  /** `Flushing N metrics`, once per batch. */
  debug(message: string): unknown;
  /** What ended well after trouble. */
  info(message: string): unknown;
  /** Metrics that were not accepted. */
  warn(message: string): unknown;
  /** Metrics that were not delivered: `Failed to send metrics: …`. */
  error(message: string): unknown;
}

/** Warnings and errors to stderr, the rest nowhere: `console.debug` writes to stdout. */
export const defaultLogger: Logger = {
  debug() {},
  info() {},
  warn: (message) => console.warn(message),
  error: (message) => console.error(message),
};

/** Calls a function of the user's; what it throws, now or later, goes to `onError`. */
export function guard(
  call: () => unknown,
  onError: (error: unknown) => void = () => {},
): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(onError);
  } catch (error) {
    onError(error);
  }
}

const WINDOW = 1000;

/**
 * Lets one line a second through and counts the others. What was counted is said at
 * the end of the second, with the last of the messages, or earlier by `flush`; its
 * timer keeps no process alive.
 */
export class ThrottledLog {
  readonly #write: (message: string) => void;
  #openUntil = -Infinity;
  #suppressed = 0;
  #last: () => string = () => "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(write: (message: string) => void) {
    this.#write = write;
  }

  /** Says the message, or counts it if the last one is less than a second ago. */
  say(message: () => string): void {
    const now = performance.now();
    if (now < this.#openUntil) {
      this.#suppressed++;
      this.#last = message;
      this.#timer ??= backgroundTimer(
        () => this.flush(),
        this.#openUntil - now,
      );
      return;
    }
    this.flush();
    this.#openUntil = now + WINDOW;
    this.#write(message());
  }

  /** Says how many messages were counted and not said, with the last of them. */
  flush(): void {
    const more = this.#suppressed;
    this.drop();
    if (more === 0) return;
    this.#openUntil = performance.now() + WINDOW;
    this.#write(
      more === 1
        ? this.#last()
        : `${this.#last()} (and ${more - 1} more like it)`,
    );
  }

  /** Forgets what was counted. */
  drop(): void {
    this.#suppressed = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
