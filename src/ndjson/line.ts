// A line that is a metric: where its bytes are, and what of them is sent.
//
// Lines are kept as ranges of the chunk that they were read in, and not as strings
// of their own: so a batch is one copy of bytes for each run of neighbouring lines,
// which takes a fifth off what a line costs (`bench/ideas.ts`).

import type { Tick } from "../core/clock.ts";

const COMMA = 0x2c;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const HEAD = encoder.encode('{"metrics":[');
const TAIL = encoder.encode("]}");
/** The most bytes that a UTF-16 unit takes in UTF-8. */
const MAX_UTF8 = 3;
/** How long what `writeStamp` writes is. */
const STAMP_SIZE = `,"timestamp":"2026-11-23T07:00:00.123456789Z"}`.length;

/** A line of input that is a metric. */
export class Line {
  /** What it was read in, and others with it. Nobody may change it. */
  readonly chunk: Uint8Array;
  /** Where in the chunk it begins. */
  readonly start: number;
  /** Where its line feed is. */
  readonly end: number;
  /** Up to where it is sent as it is; after that comes the stamp or the tail. */
  readonly cut: number;
  /** The stamp of a line without a timestamp; its closing brace comes after it. */
  readonly tick: Tick | undefined;
  /** Which nanosecond of `tick` it is. */
  readonly nanos: number;
  /** What is sent for a line that had to be written anew. */
  readonly tail: string;

  constructor(
    chunk: Uint8Array,
    start: number,
    end: number,
    cut: number,
    tick: Tick | undefined,
    nanos: number,
    tail: string,
  ) {
    this.chunk = chunk;
    this.start = start;
    this.end = end;
    this.cut = cut;
    this.tick = tick;
    this.nanos = nanos;
    this.tail = tail;
  }

  /** How many bytes it had, without its line feed. */
  get size(): number {
    return this.end - this.start;
  }

  /** The same line in a chunk of its own. */
  copy(): Line {
    const { start, cut, tick, nanos, tail } = this;
    return new Line(
      this.bytes.slice(),
      0,
      this.size,
      cut - start,
      tick,
      nanos,
      tail,
    );
  }

  /** The line as it was read, without its line feed. */
  get bytes(): Uint8Array {
    return this.chunk.subarray(this.start, this.end);
  }

  /** The same as text. */
  get raw(): string {
    return decoder.decode(this.bytes);
  }

  /** The metric in JSON, as it is sent. */
  get body(): string {
    const body = decoder.decode(encodeLines([this]));
    return body.slice(HEAD.length, -TAIL.length);
  }
}

/**
 * What bodies are written to. One for all of them: `fetch` copies what it is given,
 * as its standard has it, and a new one of 200 KB for each takes memory and time.
 */
let scratch = new Uint8Array(256 * 1024);
/** A larger one is not worth keeping. */
const MAX_SCRATCH = 4 * 1024 * 1024;

/**
 * The body of a request with these lines, as TinyObs reads it. It is good until the
 * next call.
 */
export function encodeLines(lines: readonly Line[]): Uint8Array<ArrayBuffer> {
  let size = HEAD.length + TAIL.length;
  for (const { start, cut, tail } of lines) {
    size += cut - start + STAMP_SIZE + tail.length * MAX_UTF8 + 1;
  }
  const body = scratch.length >= size ? scratch : new Uint8Array(size * 2);
  if (body.length <= MAX_SCRATCH) scratch = body;
  body.set(HEAD);
  let at = HEAD.length;
  for (let i = 0; i < lines.length;) {
    const first = i;
    const { chunk, start } = lines[i]!;
    // With the lines that follow it in the chunk, nothing but a line feed in between.
    let last = lines[i++]!;
    while (i < lines.length && last.cut === last.end) {
      const next = lines[i]!;
      if (next.chunk !== chunk || next.start !== last.end + 1) break;
      last = next;
      i++;
    }
    body.set(chunk.subarray(start, last.cut), at);
    const shift = at - start;
    for (let k = first; k < i - 1; k++) body[lines[k]!.end + shift] = COMMA;
    at = last.cut + shift;
    if (last.tick !== undefined) {
      writeStamp(last.tick, last.nanos, body, at);
      at += STAMP_SIZE;
    } else if (last.tail !== "") {
      at += encoder.encodeInto(last.tail, body.subarray(at)).written;
    }
    body[at++] = COMMA;
  }
  // In place of the last comma.
  body.set(TAIL, at - 1);
  return body.subarray(0, at - 1 + TAIL.length);
}

let prefixTick: Tick | undefined;
let prefix = new Uint8Array(0);

/** Writes a timestamp and the closing brace, digit by digit: a string takes 100 ns more. */
function writeStamp(
  tick: Tick,
  nanos: number,
  body: Uint8Array,
  at: number,
): void {
  if (tick !== prefixTick) {
    prefix = encoder.encode(`,"timestamp":"${tick.prefix}`);
    prefixTick = tick;
  }
  body.set(prefix, at);
  const end = at + STAMP_SIZE;
  for (let i = end - 4, rest = nanos; i >= end - 9; i--) {
    body[i] = 0x30 + rest % 10;
    rest = Math.floor(rest / 10);
  }
  body[end - 3] = 0x5a; // Z
  body[end - 2] = 0x22; // "
  body[end - 1] = 0x7d; // }
}
