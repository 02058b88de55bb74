// Who may push next: producers that wait for room are woken in the order in which
// they came, and only as many as there is room for.

import { nextTask } from "./task.ts";

const RESOLVED = Promise.resolve();

/**
 * Hands out the free places. Each producer that is let through is promised one,
 * until it pushes; those who never do are found out once the others are waiting
 * for their places.
 */
export class Room {
  readonly #free: () => number;
  readonly #waiting: (() => void)[] = [];
  /** Places that are promised to producers that have not pushed yet. */
  #promised = 0;
  /** How many of them were promised before the last turn of the event loop. */
  #stale = 0;
  #open = false;
  #reclaiming = false;

  /** @param free How many items may be pushed. */
  constructor(free: () => number) {
    this.#free = free;
  }

  /** Resolves once there is a place for the caller. */
  wait(): Promise<void> {
    if (this.#open) return RESOLVED;
    if (this.#waiting.length === 0 && this.#free() > this.#promised) {
      this.#promised++;
      return RESOLVED;
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#promised > 0) this.#reclaim();
    });
  }

  /** An item was pushed. */
  taken(): void {
    if (this.#promised > 0) this.#promised--;
    if (this.#stale > 0) this.#stale--;
  }

  /** Lets as many through as there is room for. */
  wake(): void {
    if (this.#waiting.length === 0) return;
    const places = Math.max(0, this.#free() - this.#promised);
    const woken = this.#waiting.splice(0, places);
    this.#promised += woken.length;
    for (const resolve of woken) resolve();
    if (this.#waiting.length > 0 && this.#promised > 0) this.#reclaim();
  }

  /** Lets everybody through, from now on: nothing will be taken anymore. */
  open(): void {
    this.#open = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Takes back the places of those who have had a turn of the event loop to push. */
  #reclaim(): void {
    if (this.#reclaiming) return;
    this.#reclaiming = true;
    this.#stale = this.#promised;
    nextTask().then(() => {
      this.#reclaiming = false;
      this.#promised -= this.#stale;
      this.#stale = 0;
      this.wake();
    });
  }
}
