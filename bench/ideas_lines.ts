// Ideas for reading lines: bytes to text, text to checked metrics.

import { checkMetric } from "../src/core/metric.ts";
import { NdjsonReader } from "../src/ndjson/reader.ts";
import type { Idea, Ideas } from "./ideas.ts";
import { line } from "./inputs.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** As many lines as a read of 64 KiB holds. */
function chunkOf(shape: Parameters<Idea>[0]["shape"], size = 65536) {
  const lines: string[] = [];
  for (let bytes = 0; bytes < size; bytes += lines.at(-1)!.length + 1) {
    lines.push(line(shape, lines.length));
  }
  return { n: lines.length, bytes: encoder.encode(lines.join("\n") + "\n") };
}

function decodeOf(decode: (bytes: Uint8Array) => number, size?: number): Idea {
  return ({ shape }) => {
    const { n, bytes } = chunkOf(shape, size);
    return { per: n, run: () => decode(bytes) };
  };
}

const plain = new TextDecoder();

function cutText(text: string): number {
  let n = 0;
  for (let start = 0; start < text.length; n++) {
    const end = text.indexOf("\n", start);
    n += text.slice(start, end).length;
    start = end + 1;
  }
  return n;
}

export const DECODE: Ideas = {
  "decode 64 KiB once, no cutting": decodeOf((b) => decoder.decode(b).length),
  "decode 64 KiB once (not fatal), no cutting": decodeOf((b) =>
    plain.decode(b).length
  ),
  "decode 16 KiB once, indexOf and slice": decodeOf(
    (b) => cutText(decoder.decode(b)),
    16 * 1024,
  ),
  "decode 64 KiB once, indexOf and slice": decodeOf((b) =>
    cutText(decoder.decode(b))
  ),
  "decode 256 KiB once, indexOf and slice": decodeOf(
    (b) => cutText(decoder.decode(b)),
    256 * 1024,
  ),
  "decode 64 KiB once, split": decodeOf((b) =>
    decoder.decode(b).split("\n").length
  ),
  "decode each line": decodeOf((b) => {
    let n = 0;
    for (let start = 0; start < b.length;) {
      const end = b.indexOf(10, start);
      n += decoder.decode(b.subarray(start, end)).length;
      start = end + 1;
    }
    return n;
  }),
  "only finding line feeds in bytes, indexOf": decodeOf((b) => {
    let n = 0;
    for (let i = b.indexOf(10); i >= 0; i = b.indexOf(10, i + 1)) n++;
    return n;
  }),
  "only finding line feeds in bytes, a loop": decodeOf((b) => {
    let n = 0;
    for (let i = 0; i < b.length; i++) if (b[i] === 10) n++;
    return n;
  }),
};

/** Reads all lines of a chunk; returns how many took the way that is measured. */
type Read = (bytes: Uint8Array, good: unknown[]) => number;

function linesOf(read: Read): Idea {
  return ({ shape }) => {
    const { n, bytes } = chunkOf(shape);
    const check: unknown[] = [];
    read(bytes, check);
    if (check.length !== n) throw new Error(`Took ${check.length} of ${n}`);
    return {
      per: n,
      run() {
        const good: unknown[] = [];
        read(bytes, good);
        return good.length;
      },
    };
  };
}

function byLine(take: (line: string) => unknown): Read {
  return (bytes, good) => {
    const text = decoder.decode(bytes);
    for (let start = 0; start < text.length;) {
      const end = text.indexOf("\n", start);
      const line = text.slice(start, end);
      if (take(line)) good.push(line);
      start = end + 1;
    }
    return good.length;
  };
}

const WORD = String.raw`"[ !#-\[\]-~]{1,80}"`;
const LABEL = String.raw`${WORD}: ?"[ !#-\[\]-~]{0,300}"`;
const NUMBER = String
  .raw`-?(?:0|[1-9]\d{0,20})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?`;
// Days that every month has; the full check decides the others.
const TIME = String
  .raw`"20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"`;
const METRIC = String
  .raw`\{"name": ?${WORD}, ?"type": ?"(?:counter|gauge|histogram)", ?"value": ?${NUMBER}(?:, ?"labels": ?\{(?:${LABEL}(?:, ?${LABEL}){0,19})?\})?(?:, ?"timestamp": ?${TIME})?\}`;
const WHOLE = new RegExp(`^${METRIC}$`);
const STICKY = new RegExp(`${METRIC}\n`, "y");

const bySticky: Read = (bytes, good) => {
  const text = decoder.decode(bytes);
  for (let start = 0; start < text.length;) {
    STICKY.lastIndex = start;
    let end: number;
    if (STICKY.test(text)) {
      end = STICKY.lastIndex - 1;
      good.push(text.slice(start, end));
    } else {
      end = text.indexOf("\n", start);
      const line = text.slice(start, end);
      if (checked(line)) good.push(line);
    }
    start = end + 1;
  }
  return good.length;
};

function checked(line: string): boolean {
  return checkMetric(JSON.parse(line)) === undefined;
}

const FIELDS = new Set(["name", "type", "value", "labels", "timestamp"]);
const QUOTED = [...FIELDS].map((field) => `"${field}"`);

/** No field is unknown, nor can one stand twice. Where it may, the slow way decides. */
function keysAreFine(line: string, metric: object): boolean {
  for (const key in metric) if (!FIELDS.has(key)) return false;
  for (const quoted of QUOTED) {
    const at = line.indexOf(quoted);
    if (at >= 0 && line.indexOf(quoted, at + 6) >= 0) return false;
  }
  return true;
}

const byBytes: Read = (bytes, good) => {
  for (let start = 0; start < bytes.length;) {
    let end = scanLine(bytes, start);
    if (end >= 0) {
      good.push(bytes.subarray(start, end));
    } else {
      end = bytes.indexOf(10, start);
      const line = decoder.decode(bytes.subarray(start, end));
      if (checked(line)) good.push(line);
    }
    start = end + 1;
  }
  return good.length;
};

/** The same, where only the positions are kept: the bytes go on as they lie. */
/** The same, where only the positions are kept: the bytes go on as they lie. */
const byPositions: Read = (bytes, good) => {
  for (let start = 0; start < bytes.length;) {
    let end = scanLine(bytes, start);
    let taken = true;
    if (end < 0) {
      end = bytes.indexOf(10, start);
      taken = checked(decoder.decode(bytes.subarray(start, end)));
    }
    if (taken) good.push(end);
    start = end + 1;
  }
  return good.length;
};

export const LINES: Ideas = {
  "JSON.parse": linesOf(byLine((line) => JSON.parse(line))),
  "JSON.parse, checkMetric": linesOf(byLine(checked)),
  "and keys by indexOf": linesOf(byLine((line) => {
    const metric = JSON.parse(line);
    return checkMetric(metric) === undefined && keysAreFine(line, metric);
  })),
  "reg. expr. a line, else checked": linesOf(
    byLine((line) => WHOLE.test(line) || checked(line)),
  ),
  "sticky reg. expr., else checked": linesOf(bySticky),
  "byte scanner, else checked": linesOf(byBytes),
  "byte scanner, positions only": linesOf(byPositions),
  "NdjsonReader of src/": linesOf((bytes, good) => {
    for (const line of reader.push(bytes)) good.push(line);
    return good.length;
  }),
};

const reader = new NdjsonReader({
  onBadLine(line) {
    throw new Error(line.reason);
  },
});

// The scanner: accepts a line that surely is a metric, in any order of its fields,
// with blanks and escapes, but with ASCII only. Every line ends with a line
// feed, which is allowed nowhere and so stops each loop.

const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Where the line that begins at `i` ends, or -1. */
function scanLine(b: Uint8Array, i: number): number {
  if (b[i++] !== 0x7b) return -1;
  let seen = 0;
  for (;;) {
    i = blank(b, i);
    if (b[i] !== QUOTE) return -1;
    let field: number;
    switch (b[i + 1]) {
      case 0x6e: // name
        if (!is(b, i + 2, 0x61, 0x6d, 0x65)) return -1;
        field = 1;
        i += 5;
        break;
      case 0x76: // value
        if (!is(b, i + 2, 0x61, 0x6c, 0x75) || b[i + 5] !== 0x65) return -1;
        field = 4;
        i += 6;
        break;
      case 0x6c: // labels
        if (!is(b, i + 2, 0x61, 0x62, 0x65)) return -1;
        if (b[i + 5] !== 0x6c || b[i + 6] !== 0x73) return -1;
        field = 8;
        i += 7;
        break;
      case 0x74:
        if (b[i + 2] === 0x79) { // type
          if (b[i + 3] !== 0x70 || b[i + 4] !== 0x65) return -1;
          field = 2;
          i += 5;
        } else { // timestamp
          if (!is(b, i + 2, 0x69, 0x6d, 0x65)) return -1;
          if (!is(b, i + 5, 0x73, 0x74, 0x61)) return -1;
          if (b[i + 8] !== 0x6d || b[i + 9] !== 0x70) return -1;
          field = 16;
          i += 10;
        }
        break;
      default:
        return -1;
    }
    if ((seen & field) !== 0 || b[i] !== QUOTE) return -1;
    seen |= field;
    i = blank(b, i + 1);
    if (b[i] !== COLON) return -1;
    i = blank(b, i + 1);
    switch (field) {
      case 1: {
        const begin = i;
        i = string(b, i);
        if (i < 0 || i - begin < 3 || i - begin > 258) return -1;
        break;
      }
      case 2:
        i = type(b, i);
        break;
      case 4:
        i = number(b, i);
        break;
      case 8:
        i = labels(b, i);
        break;
      default:
        i = timestamp(b, i);
    }
    if (i < 0) return -1;
    i = blank(b, i);
    const next = b[i++];
    if (next === COMMA) continue;
    if (next !== 0x7d || (seen & 7) !== 7) return -1;
    i = blank(b, i);
    return b[i] === 10 ? i : -1;
  }
}

function is(b: Uint8Array, i: number, x: number, y: number, z: number) {
  return b[i] === x && b[i + 1] === y && b[i + 2] === z;
}

function blank(b: Uint8Array, i: number): number {
  while (b[i] === 0x20 || b[i] === 0x0d || b[i] === 0x09) i++;
  return i;
}

/** Past the string that begins at `i`, or -1. */
function string(b: Uint8Array, i: number): number {
  if (b[i] !== QUOTE) return -1;
  for (;;) {
    const c = b[++i]!;
    if (c === QUOTE) return i + 1;
    if (c < 0x20 || c > 0x7e) return -1;
    if (c === 0x5c && (i = escape(b, i + 1)) < 0) return -1;
  }
}

/** At the last character of the escape whose backslash stands before `i`, or -1. */
function escape(b: Uint8Array, i: number): number {
  switch (b[i]) {
    case 0x22:
    case 0x2f:
    case 0x5c:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return i;
    case 0x75:
      for (const end = i + 4; i < end;) {
        const c = b[++i]! | 0x20;
        if (!(c >= 0x30 && c <= 0x39 || c >= 0x61 && c <= 0x66)) return -1;
      }
      return i;
    default:
      return -1;
  }
}

function type(b: Uint8Array, i: number): number {
  const end = string(b, i);
  switch (end - i) {
    case 9: // counter
      return is(b, i + 1, 0x63, 0x6f, 0x75) && is(b, i + 4, 0x6e, 0x74, 0x65) &&
          b[i + 7] === 0x72
        ? end
        : -1;
    case 7: // gauge
      return is(b, i + 1, 0x67, 0x61, 0x75) && b[i + 4] === 0x67 &&
          b[i + 5] === 0x65
        ? end
        : -1;
    case 11: // histogram
      return is(b, i + 1, 0x68, 0x69, 0x73) && is(b, i + 4, 0x74, 0x6f, 0x67) &&
          is(b, i + 7, 0x72, 0x61, 0x6d)
        ? end
        : -1;
    default:
      return -1;
  }
}

function digits(b: Uint8Array, i: number): number {
  while (b[i]! >= 0x30 && b[i]! <= 0x39) i++;
  return i;
}

function number(b: Uint8Array, i: number): number {
  if (b[i] === 0x2d) i++;
  let end = digits(b, i);
  if (end === i || end - i > 20 || (b[i] === 0x30 && end > i + 1)) return -1;
  if (b[end] === 0x2e) {
    i = end + 1;
    end = digits(b, i);
    if (end === i) return -1;
  }
  if (b[end] === 0x65 || b[end] === 0x45) {
    i = end + 1;
    if (b[i] === 0x2b || b[i] === 0x2d) i++;
    end = digits(b, i);
    // More might be more than a double holds.
    if (end === i || end - i > 2) return -1;
  }
  return end;
}

function labels(b: Uint8Array, i: number): number {
  if (b[i++] !== 0x7b) return -1;
  i = blank(b, i);
  if (b[i] === 0x7d) return i + 1;
  for (let n = 0; n < 20; n++) {
    let begin = i;
    i = string(b, i);
    if (i < 0 || i - begin > 258) return -1;
    i = blank(b, i);
    if (b[i++] !== COLON) return -1;
    begin = i = blank(b, i);
    i = string(b, i);
    if (i < 0 || i - begin > 1026) return -1;
    i = blank(b, i);
    const next = b[i++];
    if (next === 0x7d) return i;
    if (next !== COMMA) return -1;
    i = blank(b, i);
  }
  return -1;
}

/** Two digits as a number, or one that is too large for anything. */
function two(b: Uint8Array, i: number): number {
  const tens = b[i]! - 0x30;
  const ones = b[i + 1]! - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9
    ? tens * 10 + ones
    : 1000;
}

function timestamp(b: Uint8Array, i: number): number {
  if (b[i] !== QUOTE || two(b, i + 1) !== 20 || two(b, i + 3) > 99) return -1;
  const month = two(b, i + 6);
  const day = two(b, i + 9);
  if (
    b[i + 5] !== 0x2d || month < 1 || month > 12 ||
    // Days that every month has; the full check decides the others.
    b[i + 8] !== 0x2d || day < 1 || day > 28 ||
    b[i + 11] !== 0x54 || two(b, i + 12) > 23 ||
    b[i + 14] !== COLON || two(b, i + 15) > 59 ||
    b[i + 17] !== COLON || two(b, i + 18) > 59
  ) return -1;
  i += 20;
  if (b[i] === 0x2e) {
    const end = digits(b, i + 1);
    if (end === i + 1) return -1;
    i = end;
  }
  if (b[i] === 0x5a) {
    i++;
  } else {
    if (b[i] !== 0x2b && b[i] !== 0x2d) return -1;
    if (two(b, i + 1) > 23 || b[i + 3] !== COLON || two(b, i + 4) > 59) {
      return -1;
    }
    i += 6;
  }
  return b[i] === QUOTE ? i + 1 : -1;
}
