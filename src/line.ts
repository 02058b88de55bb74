// A line that is a metric: where its bytes are, and what of them is sent.
//
// Lines are kept as ranges of the chunk that they were read in, and not as strings
// of their own: so a batch is one copy of bytes for each run of neighbouring lines,
// which takes a fifth off what a line costs (`bench/ideas.ts`).

const COMMA = 0x2c;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const HEAD = encoder.encode('{"metrics":[');
const TAIL = encoder.encode("]}");
/** The most bytes that a UTF-16 unit takes in UTF-8. */
const MAX_UTF8 = 3;

/** A line of input that is a metric. */
export class Line {
  /** What it was read in, and others with it. Nobody may change it. */
  readonly chunk: Uint8Array;
  /** Where in the chunk it begins. */
  readonly start: number;
  /** Where its line feed is. */
  readonly end: number;
  /** Up to where it is sent as it is; after that comes `tail`. */
  readonly cut: number;
  /** What is sent after that: a timestamp, or all of it where it had to be written anew. */
  readonly tail: string;

  constructor(
    chunk: Uint8Array,
    start: number,
    end: number,
    cut: number,
    tail: string,
  ) {
    this.chunk = chunk;
    this.start = start;
    this.end = end;
    this.cut = cut;
    this.tail = tail;
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
    return decoder.decode(this.chunk.subarray(this.start, this.cut)) +
      this.tail;
  }
}

let scratch = new Uint8Array(256 * 1024);

/** The body of a request with these lines, as TinyObs reads it. */
export function encodeLines(lines: readonly Line[]): Uint8Array<ArrayBuffer> {
  let size = HEAD.length + TAIL.length;
  for (const line of lines) {
    size += line.end - line.start + line.tail.length * MAX_UTF8 + 1;
  }
  if (scratch.length < size) scratch = new Uint8Array(size + (size >> 1));
  const body = scratch;
  body.set(HEAD);
  let at = HEAD.length;
  for (let i = 0; i < lines.length;) {
    const first = i;
    const { chunk, start } = lines[i]!;
    // With the lines that follow it in the chunk, nothing but a line feed in between.
    let last = lines[i++]!;
    while (i < lines.length && last.cut === last.end && last.tail === "") {
      const next = lines[i]!;
      if (next.chunk !== chunk || next.start !== last.end + 1) break;
      last = next;
      i++;
    }
    body.set(chunk.subarray(start, last.cut), at);
    const shift = at - start;
    for (let k = first; k < i - 1; k++) body[lines[k]!.end + shift] = COMMA;
    at = last.cut + shift;
    if (last.tail !== "") {
      at += encoder.encodeInto(last.tail, body.subarray(at)).written;
    }
    body[at++] = COMMA;
  }
  // In place of the last comma.
  body.set(TAIL, at - 1);
  return body.subarray(0, at - 1 + TAIL.length);
}
