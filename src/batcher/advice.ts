// What somebody who uses a Batcher most likely did not mean, said once each: a
// Batcher that was never started, and fields that a metric does not have.

import { FIELDS, likelyField } from "../core/fields.ts";
import { defaultLogger, guard, type Logger } from "../core/logger.ts";
import { backgroundTimer } from "../core/task.ts";
import { show } from "../core/text.ts";

/** The real ones: a test that fakes timers means those that send. */
const { setTimeout, clearTimeout } = globalThis;
/** So many metrics are looked at one by one; of the later ones, every 64th. */
const LOOK_AT_ALL = 1000;
const LOOK_AT = 64;
/** So many fields are told of; a program that makes up ever new ones means it. */
const MAX_FIELDS = 20;

/** Says what looks like a mistake. */
export class Advice {
  readonly #logger: Logger;
  readonly #patience: number;
  readonly #fields = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The Batcher was started, flushed or stopped. */
  #followed = false;

  /** @param flushEvery After how long a Batcher would have sent. */
  constructor(logger: Logger = defaultLogger, flushEvery = 5000) {
    this.#logger = logger;
    this.#patience = flushEvery;
  }

  /** A metric was added, the `n`th one. */
  added(metric: object, n: number): void {
    if (!this.#followed) {
      this.#timer ??= backgroundTimer(
        () => this.#remind(),
        this.#patience,
        setTimeout,
      );
    }
    if (n > LOOK_AT_ALL && n % LOOK_AT !== 0) return;
    guard(() => {
      for (const field in metric) {
        if (!FIELDS.includes(field)) this.#tellOf(field);
      }
    });
  }

  /** The Batcher was started, flushed or stopped: somebody takes care of it. */
  followed(): void {
    this.#followed = true;
    clearTimeout(this.#timer);
  }

  #remind(): void {
    this.#followed = true;
    this.#warn(
      "The Batcher was not started, so metrics wait until a batch is full: call start(), or flush() or stop() when you are done",
    );
  }

  #tellOf(field: string): void {
    if (this.#fields.size >= MAX_FIELDS || this.#fields.has(field)) return;
    this.#fields.add(field);
    const meant = likelyField(field);
    this.#warn(
      `Field ${show(field)} is not sent, as a metric has no such field` +
        (meant === undefined ? "" : `: did you mean "${meant}"?`),
    );
  }

  #warn(message: string): void {
    guard(() => this.#logger.warn(message));
  }
}
