// Log lines that come in floods: one a second, and the last one of the second at its
// end. Nothing is said when the matter is long over.

const SECOND = 1000;

/** Lets one message a second through. */
export class Throttle {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #held: (() => void) | undefined;

  /** Says the message, now or, if no other takes its place, when the second is over. */
  say(message: () => void): void {
    if (this.#timer !== undefined) {
      this.#held = message;
      return;
    }
    message();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const held = this.#held;
      this.#held = undefined;
      if (held !== undefined) this.say(held);
    }, SECOND);
  }

  /** Forgets the message that is held back. */
  drop(): void {
    this.#held = undefined;
  }

  /** Says what is held back. */
  flush(): void {
    this.#held?.();
    this.#held = undefined;
  }

  /** The same, and ends. */
  close(): void {
    this.flush();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
