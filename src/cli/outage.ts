// Says when the server stops taking metrics, and when it takes them again.

import type { SendError } from "../core/send_error.ts";
import type { RetryEvent } from "../delivery/retry.ts";
import type { Log } from "./log.ts";
import { Throttle } from "./throttle.ts";

/** How long reading may stand still before that is worth a word, in ms. */
const WORTH_A_WORD = 2000;
/** Recoveries that follow one another more quickly are not all said, in ms. */
const RECOVERY_EVERY = 1000;

/** The log of one server's outages. */
export class Outage {
  readonly #log: Log;
  readonly #maxRetries: number;
  readonly #retries = new Throttle();
  readonly #failures = new Throttle();
  /** When it began, if there is one. */
  #since: number | undefined;
  #recovered = -Infinity;
  /** Since when reading stands still, if it does. */
  #waitingSince: number | undefined;
  #waitTimer: ReturnType<typeof setTimeout> | undefined;
  #saidWait = false;

  constructor(log: Log, maxRetries: number) {
    this.#log = log;
    this.#maxRetries = maxRetries;
  }

  /** A batch is sent again after a while. */
  retry({ attempt, delay, error }: RetryEvent<unknown>): void {
    this.#since ??= performance.now();
    this.#retries.say(() =>
      this.#log.warn(
        `Retry ${attempt} of ${this.#maxRetries} in ${
          (delay / 1000).toFixed(1)
        } s: ${error.message}`,
        {
          attempt,
          delayMs: delay,
          code: error.code,
          status: error.status,
        },
      )
    );
  }

  /** A batch of `size` is settled: all of it is delivered, or not. */
  settled(size: number, failed: number, error: SendError | undefined): void {
    if (error !== undefined && failed > 0) {
      // The retries come before what they have led to.
      this.#retries.flush();
      this.#failures.say(() =>
        this.#log.error(
          `Failed to send metrics: ${error.message} (${failed} of ${size} not delivered)`,
          { failed, size, code: error.code, status: error.status },
        )
      );
    }
    // A server that rejects metrics is there.
    if (failed < size || error?.kind === "rejected") this.#over();
  }

  /** Waits for room, and says so if that takes long. */
  async waitFor(ready: Promise<void>): Promise<void> {
    const begin = this.#waitingSince = performance.now();
    // Not one for each wait, of which there are many: nearly all are short.
    this.#waitTimer ??= setTimeout(() => this.#checkWait(), WORTH_A_WORD);
    await ready;
    this.#waitingSince = undefined;
    if (this.#saidWait) {
      this.#saidWait = false;
      const waitedMs = Math.round(performance.now() - begin);
      this.#log.info(`Reading again after ${seconds(waitedMs)}`, {
        waitedMs,
      });
    }
  }

  /** Says what is left to say. */
  close(): void {
    this.#retries.close();
    this.#failures.close();
    clearTimeout(this.#waitTimer);
  }

  #checkWait(): void {
    this.#waitTimer = undefined;
    if (this.#waitingSince === undefined) return;
    const left = this.#waitingSince + WORTH_A_WORD - performance.now();
    if (left > 0) {
      this.#waitTimer = setTimeout(() => this.#checkWait(), left);
      return;
    }
    this.#saidWait = true;
    this.#log.info("Reading is paused until the server takes what was read");
  }

  #over(): void {
    if (this.#since === undefined) return;
    const now = performance.now();
    const outageMs = Math.round(now - this.#since);
    this.#since = undefined;
    this.#retries.drop();
    if (now - this.#recovered < RECOVERY_EVERY) return;
    this.#recovered = now;
    this.#log.info(`Sending again after ${seconds(outageMs)}`, { outageMs });
  }
}

/** `0.4 s`, `63 s`. */
function seconds(ms: number): string {
  return `${ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)} s`;
}
