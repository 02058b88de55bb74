// Buffers for request bodies, used again and again: with a new one for each batch, the
// garbage makes 100 MB of 86 (docs/decisions/0001-batches-are-bytes.md).
//
// One rule: a body belongs to its batch until the batch is done with, delivered or
// handed back. Then nobody sends or restores it anymore, and `recycle` may hand its
// buffer to the next one.

const encoder = new TextEncoder();

/** Buffers that no batch uses at the moment. */
const free: Uint8Array<ArrayBuffer>[] = [];
/** More than this many in flight or waiting is a burst, which will not last. */
const MAX_FREE = 16;
/** A larger one is not worth keeping. */
const MAX_KEPT = 4 * 1024 * 1024;
/** Sizes are rounded up, so that the next batch, a little longer, fits as well. */
const GRAIN = 32 * 1024;

/** A buffer of at least `size` bytes, whose content is left over from earlier. */
export function takeBuffer(size: number): Uint8Array<ArrayBuffer> {
  const buffer = free.pop();
  if (buffer !== undefined && buffer.length >= size) return buffer;
  return new Uint8Array(Math.ceil(size / GRAIN) * GRAIN);
}

/** The bytes of a text, in a buffer of the pool. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  const buffer = takeBuffer(text.length);
  const { read, written } = encoder.encodeInto(text, buffer);
  if (read === text.length) return buffer.subarray(0, written);
  // Not ASCII: up to three bytes for each UTF-16 unit.
  recycle(buffer);
  return encoder.encode(text);
}

/** Gives the buffer of a body back, which nobody will look at anymore. */
export function recycle({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength <= MAX_KEPT && free.length < MAX_FREE) {
    free.push(new Uint8Array(buffer));
  }
}
