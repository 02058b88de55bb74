// A batch on its way: items at first, and bytes as soon as a transport has encoded
// them (docs/decisions/0001-batches-are-bytes.md).

/**
 * What a transport is asked to deliver: a number of items that can be iterated
 * over. An array is one, too.
 *
 * @typeParam T What it consists of.
 */
export interface Batch<T> extends Iterable<T> {
  /** How many items it has. */
  readonly length: number;
  /**
   * Tells the batch that its items can be made again, so that it need not keep
   * them. A transport calls it once it has encoded them; until the batch is
   * delivered or given up, what it encoded is all that memory holds.
   *
   * The batch of a `Batcher` has it; an array does not.
   *
   * @param restore Makes the items again, in their order and equal to what they
   * were. Called when the batch is next iterated over, which is only needed to hand
   * it back or to divide it.
   */
  release?(restore: () => readonly T[]): void;
  /**
   * Registers what to clean up once nobody needs the batch: it is delivered, or was
   * handed back.
   *
   * @param callback Called once, at that time.
   */
  whenDone?(callback: () => void): void;
}

/** A batch that can let its items go. */
export class ReleasableBatch<T> implements Batch<T> {
  readonly length: number;
  #items: readonly T[] | undefined;
  #restore: (() => readonly T[]) | undefined;
  readonly #cleanUp: (() => void)[] = [];

  constructor(items: readonly T[]) {
    this.#items = items;
    this.length = items.length;
  }

  get items(): readonly T[] {
    // Kept from then on, so that every iteration gives the same objects.
    return this.#items ??= this.#restore?.() ?? [];
  }

  [Symbol.iterator](): Iterator<T> {
    return this.items[Symbol.iterator]();
  }

  whenDone(callback: () => void): void {
    this.#cleanUp.push(callback);
  }

  /** Whoever made the batch does not need it anymore. */
  done(): void {
    for (const callback of this.#cleanUp.splice(0)) callback();
  }

  release(restore: () => readonly T[]): void {
    this.#restore = restore;
    this.#items = undefined;
  }
}

/**
 * A batch as an object of its own, under which a transport can remember what it
 * encoded. An array gets one, as its owner may change it between two sends.
 */
export function toBatch<T>(batch: Batch<T>): Batch<T> {
  if (!Array.isArray(batch)) return batch;
  return {
    length: batch.length,
    [Symbol.iterator]: () => batch[Symbol.iterator](),
  };
}

/** The items of a batch, without a copy where it has them as an array. */
export function itemsOf<T>(batch: Batch<T>): readonly T[] {
  if (Array.isArray(batch)) return batch;
  return batch instanceof ReleasableBatch ? batch.items : [...batch];
}
