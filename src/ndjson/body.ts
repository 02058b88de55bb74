// Lines to the body of a request, and back.

import { Line } from "./line.ts";

const COMMA = 0x2c;

/** The body of a request, and the way back to the lines in it. */
export interface EncodedLines {
  /** The head, the lines with a comma between them, and the tail. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Makes the lines again from the body: each is what was sent for it, and is sent as it is. */
  readonly restore: (body: Uint8Array) => Line[];
}

/**
 * Encodes lines as a list.
 *
 * The body has a buffer of its own, as it lives until its answer has come: the lines,
 * and with them the chunks they were read in, need not be kept for it.
 */
export function encodeLines(
  lines: readonly Line[],
  head: Uint8Array,
  tail: Uint8Array,
  allocate: (size: number) => Uint8Array<ArrayBuffer> = (size) =>
    new Uint8Array(size),
): EncodedLines {
  // Exact, but for lines that were rewritten: their size is only known once they
  // are encoded.
  let size = head.length + tail.length + Math.max(lines.length - 1, 0);
  for (const line of lines) size += line.maxBody;
  const buffer = allocate(size);
  const body = buffer;
  const ends = new Uint32Array(lines.length);
  body.set(head);
  let at = head.length;
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
    if (first > 0) body[at++] = COMMA;
    body.set(chunk.subarray(start, last.cut), at);
    const shift = at - start;
    for (let k = first; k < i - 1; k++) {
      const end = lines[k]!.end + shift;
      body[end] = COMMA;
      ends[k] = end;
    }
    at = last.writeRest(body, last.cut + shift);
    ends[i - 1] = at;
  }
  body.set(tail, at);
  at += tail.length;
  return {
    body: buffer.subarray(0, at),
    restore: (body) => restoreLines(body, head.length, ends),
  };
}

function restoreLines(
  body: Uint8Array,
  start: number,
  ends: Uint32Array,
): Line[] {
  const lines: Line[] = [];
  for (const end of ends) {
    lines.push(Line.verbatim(body, start, end, end));
    start = end + 1;
  }
  return lines;
}
