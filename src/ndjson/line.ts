// A line that is a metric: where its bytes are, and what of them is sent.
//
// Lines are ranges of the chunk that they were read in, and not strings of their
// own: so the body of a request is one copy of bytes for each run of neighbouring
// lines, which takes a fifth off what a line costs.

import { STAMP_LENGTH, type Tick } from "../core/clock.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const BEFORE_STAMP = encoder.encode(`,"timestamp":"`);
const QUOTE = 0x22;
const CLOSING_BRACE = 0x7d;
/** How many bytes a stamp adds, with its quote and the closing brace behind it. */
const STAMP_SIZE = BEFORE_STAMP.length + STAMP_LENGTH + 2;
/** The most bytes of UTF-8 that a UTF-16 unit takes. */
const MAX_UTF8 = 3;

/** A line of input that is a metric. */
export class Line {
  /** The chunk it was read in, along with others. Nobody may change it. */
  readonly chunk: Uint8Array;
  /** Where it begins in the chunk. */
  readonly start: number;
  /** Where its line feed is. */
  readonly end: number;
  /** Up to where it is sent as it is. Beyond that, `tick` or `text` is sent instead. */
  readonly cut: number;
  readonly #tick: Tick | undefined;
  readonly #nanos: number;
  readonly #text: string;

  // One constructor and one shape for all kinds, as this is the hot path.
  private constructor(
    chunk: Uint8Array,
    start: number,
    end: number,
    cut: number,
    tick: Tick | undefined,
    nanos: number,
    text: string,
  ) {
    this.chunk = chunk;
    this.start = start;
    this.end = end;
    this.cut = cut;
    this.#tick = tick;
    this.#nanos = nanos;
    this.#text = text;
  }

  /** A line that is sent as it is, up to `cut`: what follows is white space. */
  static verbatim(
    chunk: Uint8Array,
    start: number,
    end: number,
    cut: number,
  ): Line {
    return new Line(chunk, start, end, cut, undefined, 0, "");
  }

  /** A line that gets a timestamp in front of its closing brace. */
  static stamped(
    chunk: Uint8Array,
    start: number,
    end: number,
    brace: number,
    tick: Tick,
    nanos: number,
  ): Line {
    return new Line(chunk, start, end, brace, tick, nanos, "");
  }

  /** A line in whose place another text is sent. */
  static rewritten(
    chunk: Uint8Array,
    start: number,
    end: number,
    text: string,
  ): Line {
    return new Line(chunk, start, end, start, undefined, 0, text);
  }

  /** How many bytes were read, without the line feed. */
  get size(): number {
    return this.end - this.start;
  }

  /** How many bytes are sent, at most. */
  get maxBody(): number {
    return this.cut - this.start +
      (this.#tick === undefined ? this.#text.length * MAX_UTF8 : STAMP_SIZE);
  }

  /** The line as it was read, without its line feed. */
  get bytes(): Uint8Array {
    return this.chunk.subarray(this.start, this.end);
  }

  /** The same as text. */
  get raw(): string {
    return decoder.decode(this.bytes);
  }

  /** The metric's JSON as it is sent, its stamp and the labels added to it included. */
  get body(): Uint8Array<ArrayBuffer> {
    const body = new Uint8Array(this.maxBody);
    body.set(this.chunk.subarray(this.start, this.cut));
    return body.subarray(0, this.writeRest(body, this.cut - this.start));
  }

  /**
   * Writes what is sent after `cut`.
   *
   * @returns Where it ends.
   */
  writeRest(body: Uint8Array, at: number): number {
    if (this.#tick !== undefined) {
      // For so few bytes, a call of set() takes longer.
      for (let i = 0; i < BEFORE_STAMP.length; i++) {
        body[at + i] = BEFORE_STAMP[i]!;
      }
      this.#tick.write(body, at + BEFORE_STAMP.length, this.#nanos);
      const end = at + STAMP_SIZE;
      body[end - 2] = QUOTE;
      body[end - 1] = CLOSING_BRACE;
      return end;
    }
    if (this.#text === "") return at;
    return at + encoder.encodeInto(this.#text, body.subarray(at)).written;
  }

  /** The same line in a chunk of its own. */
  copy(): Line {
    const { start, end, cut } = this;
    return new Line(
      this.bytes.slice(),
      0,
      end - start,
      cut - start,
      this.#tick,
      this.#nanos,
      this.#text,
    );
  }
}
