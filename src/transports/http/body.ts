// The body of a request, from when it is encoded until its batch is settled.
//
// A few bodies wait as they are. Where many do, in a burst that nobody waits for, the
// later ones wait compressed: a body of metrics has a tenth of its size then
// (docs/decisions/0012-a-deep-queue-is-compressed.md).

import { compress, decompress } from "./snappy.ts";
import { recycle, takeBuffer } from "./buffers.ts";

/** So many bytes of a transport's bodies may wait as they are. */
const MAX_PLAIN = 16 * 1024 * 1024;

/** What the bodies of one transport take up that wait as they are. */
export interface Waiting {
  bytes: number;
}

/** A body, and what it takes up. */
export class Body {
  readonly #recyclable: boolean;
  readonly #waiting: Waiting;
  #content: string | Uint8Array<ArrayBuffer> | undefined;
  #packed: Uint8Array | undefined;
  /** How much of `waiting` is this one's. */
  #counted = 0;

  constructor(
    encoded: {
      readonly body: string | Uint8Array<ArrayBuffer>;
      readonly recyclable?: boolean | undefined;
    },
    waiting: Waiting,
  ) {
    this.#content = encoded.body;
    this.#recyclable = encoded.recyclable === true;
    this.#waiting = waiting;
  }

  /** The batch is going to wait, for how long nobody knows. */
  wait(): void {
    const content = this.#content;
    if (!this.#recyclable || !(content instanceof Uint8Array)) return;
    if (this.#waiting.bytes + content.length <= MAX_PLAIN) {
      this.#waiting.bytes += this.#counted = content.length;
      return;
    }
    this.#packed = compress(content);
    this.#content = undefined;
    recycle(content);
  }

  /** What is sent: the same at each attempt. */
  get content(): string | Uint8Array<ArrayBuffer> {
    this.#waiting.bytes -= this.#counted;
    this.#counted = 0;
    if (this.#packed !== undefined) {
      this.#content = decompress(this.#packed, takeBuffer);
      this.#packed = undefined;
    }
    return this.#content!;
  }

  /** The same, of a body that is bytes. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.content as Uint8Array<ArrayBuffer>;
  }

  /** Nobody will look at it anymore. */
  recycle(): void {
    this.#waiting.bytes -= this.#counted;
    this.#counted = 0;
    const content = this.#content;
    this.#content = undefined;
    if (content instanceof Uint8Array) recycle(content);
  }
}
