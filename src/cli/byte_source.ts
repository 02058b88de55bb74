// The bytes of an input, one by one or as many as there are.

import type { Input } from "./io.ts";

const SIZE = 64 * 1024;
/** How many bytes stay in the buffer after they were taken, to be given back. */
const HISTORY = 8;

/** A buffer of an input. Whoever is in a hurry takes from `buffer`, and moves `at`. */
export class ByteSource {
  readonly #input: Input;
  readonly buffer: Uint8Array = new Uint8Array(SIZE);
  /** Where the next byte is. Up to a few bytes may be given back. */
  at = 0;
  /** Where the bytes that have been read end. */
  end = 0;
  /** Whether there are no more after these. */
  ended = false;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Reads on, after what is in the buffer. */
  async more(): Promise<void> {
    const from = Math.max(0, this.at - HISTORY);
    this.buffer.copyWithin(0, from, this.end);
    this.at -= from;
    this.end -= from;
    const n = await this.#input.read(this.buffer.subarray(this.end));
    if (n === null) this.ended = true;
    else this.end += n;
  }

  /** The next byte, which is not taken, or `undefined` at the end. */
  async peek(): Promise<number | undefined> {
    while (this.at === this.end) {
      if (this.ended) return undefined;
      await this.more();
    }
    return this.buffer[this.at];
  }

  /** Takes the next byte. */
  async next(): Promise<number> {
    const byte = await this.peek();
    if (byte === undefined) throw unexpectedEnd();
    this.at++;
    return byte;
  }

  /** Takes a number of `size` bytes, the lowest first. */
  async number(size: number): Promise<number> {
    let value = 0;
    for (let i = 0; i < size; i++) value += await this.next() * 2 ** (8 * i);
    return value;
  }
}

export function unexpectedEnd(): Error {
  return new Error("unexpected end of file");
}
