// Framing: cuts chunks of bytes into lines, and hands each to the fast path or to the
// slow one.

import { tick } from "../core/clock.ts";
import { likelyField } from "../core/fields.ts";
import type { MetricRules } from "../core/metric.ts";
import { guessFormat } from "./formats.ts";
import { Line } from "./line.ts";
import { parseLine, type ParseOptions } from "./parse.ts";
import { Scanner } from "./scan.ts";

/** A line that is not a metric, or a part of one that is longer than the limit. */
export interface BadLine {
  /** Which line of the input it is, from 1. */
  readonly number: number;
  /** What is wrong with it. */
  readonly reason: string;
  /** The line as it was read, without its line feed. */
  readonly raw: Uint8Array;
  /** Whether this is a part of an overlong line, and more of it follows. */
  readonly more: boolean;
  /** Whether this is such a part and not the first: the line was reported already. */
  readonly continued: boolean;
  /**
   * Which format the input seems to be in and how to send it, for the first bad line
   * of an input only.
   */
  readonly hint?: string | undefined;
}

/** Options for {@linkcode NdjsonReader}. */
export interface NdjsonReaderOptions {
  /** The limits of the wire. */
  readonly rules: MetricRules;
  /** How long a line may be, in bytes. A longer one costs no more memory than that. */
  readonly maxLine?: number | undefined;
  /** Labels for every metric that does not have them itself. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Gets each bad line, in order. Its bytes are only good during the call. */
  readonly onBadLine: (line: BadLine) => void;
  /**
   * Told once of each field that is not a metric's, with the one that is most likely
   * meant and the number of the line.
   */
  readonly onUnknownField?:
    | ((name: string, meant: string | undefined, number: number) => void)
    | undefined;
}

const LF = 0x0a;
const LINE_FEED = new Uint8Array([LF]);
const NO_BYTES = new Uint8Array(0);
/** So many unknown fields are told of; input that makes up ever new ones is no mistake. */
const MAX_UNKNOWN = 20;

/** Cuts a stream of bytes into lines and reads a metric from each. */
export class NdjsonReader {
  readonly #maxLine: number;
  readonly #scanner: Scanner;
  readonly #parsing: ParseOptions;
  readonly #onBadLine: (line: BadLine) => void;
  // A byte order mark is dropped by `parseLine`, so that a rejected line keeps its own.
  readonly #lossy = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
  readonly #unknown = new Set<string>();
  /** The beginning of a line whose end was not read yet. */
  #carry: Uint8Array = NO_BYTES;
  /** In a line that has become too long: its parts are passed on as they come. */
  #overlong = false;
  /** Whether a line of this input was bad. */
  #anyBad = false;

  /** Lines read so far, not counting blank ones. */
  lines = 0;
  /** How many of them are not metrics. */
  invalid = 0;
  /** Line feeds read so far in this input: what line numbers are counted by. */
  #number = 0;

  constructor(options: NdjsonReaderOptions) {
    const { rules, labels, onUnknownField } = options;
    this.#maxLine = options.maxLine ?? 1024 * 1024;
    this.#scanner = new Scanner(rules);
    this.#parsing = {
      rules,
      labels: labels !== undefined && Object.keys(labels).length > 0
        ? labels
        : undefined,
      onUnknownField: onUnknownField === undefined ? undefined : (name) => {
        const { size } = this.#unknown;
        if (size >= MAX_UNKNOWN || this.#unknown.add(name).size === size) {
          return;
        }
        onUnknownField(name, likelyField(name), this.#number);
      },
    };
    this.#onBadLine = options.onBadLine;
  }

  /** Whether the input read so far ends in the middle of a line. */
  get midLine(): boolean {
    return this.#overlong || this.#carry.length > 0;
  }

  /**
   * Reads a chunk of the input and returns the good lines that end in it. They keep
   * the chunk, which the caller must not change anymore.
   */
  push(chunk: Uint8Array): Line[] {
    const good: Line[] = [];
    let rest = chunk;
    // First what is left of a line that began in an earlier chunk.
    if (this.midLine) {
      const end = chunk.indexOf(LF) + 1;
      const part = end === 0 ? chunk : chunk.subarray(0, end);
      rest = end === 0 ? NO_BYTES : chunk.subarray(end);
      if (
        this.#overlong || this.#carry.length + part.length > this.#maxLine + 1
      ) {
        this.#readOverlong(end === 0 ? part : part.subarray(0, -1), end === 0);
      } else if (end === 0) {
        this.#carry = concat(this.#carry, part);
      } else {
        const line = concat(this.#carry, part);
        this.#carry = NO_BYTES;
        this.#readLines(line, good);
      }
    }
    const end = rest.lastIndexOf(LF) + 1;
    if (end > 0) this.#readLines(rest.subarray(0, end), good);
    rest = rest.subarray(end);
    if (rest.length > this.#maxLine) {
      this.#readOverlong(rest, true);
    } else if (rest.length > 0) {
      // A copy, so as not to keep the chunk for it.
      this.#carry = rest.slice();
    }
    return good;
  }

  /**
   * Reads the last line, if the input does not end with a line feed. What is
   * pushed afterwards is another input, whose lines are counted from 1.
   */
  end(): Line[] {
    const good: Line[] = [];
    if (this.#overlong) {
      this.#readOverlong(NO_BYTES, false);
    } else if (this.#carry.length > 0) {
      const line = concat(this.#carry, LINE_FEED);
      this.#carry = NO_BYTES;
      this.#readLines(line, good);
    }
    this.#number = 0;
    this.#anyBad = false;
    return good;
  }

  /** Reads complete lines, each with its line feed. */
  #readLines(bytes: Uint8Array, good: Line[]): void {
    // One call for all lines, as a call costs as much as a line; and one that is not
    // strict, as that is ten times as fast. What is as long as its bytes and free of
    // replacements is ASCII, and the same either way.
    let text = this.#lossy.decode(bytes);
    const ascii = text.length === bytes.length && !text.includes("\ufffd");
    const before = good.length;
    if (!ascii) {
      try {
        text = this.#strict.decode(bytes);
      } catch {
        return this.#readOneByOne(bytes, good);
      }
    }
    const scanner = this.#parsing.labels === undefined
      ? this.#scanner
      : undefined;
    // The same line in the text and in the bytes.
    for (let start = 0, at = 0; start < text.length;) {
      const quick = scanner !== undefined && scanner.scan(text, start, ascii);
      const end = quick ? scanner.end : text.indexOf("\n", start) + 1;
      const next = ascii ? end : bytes.indexOf(LF, at) + 1;
      this.#number++;
      if (quick && next - at <= this.#maxLine) {
        this.lines++;
        // Between the brace and the line feed is nothing but ASCII.
        const brace = next - (end - scanner.brace);
        if (scanner.stamped) {
          good.push(Line.verbatim(bytes, at, next - 1, brace + 1));
        } else {
          const now = tick();
          good.push(
            Line.stamped(bytes, at, next - 1, brace, now, now.take()),
          );
        }
      } else {
        this.#readLine(text.slice(start, end - 1), bytes, at, next - 1, good);
      }
      start = end;
      at = next;
    }
    shedChunk(bytes.length, good, before);
  }

  /** The slow way, for lines among which at least one is not UTF-8. */
  #readOneByOne(bytes: Uint8Array, good: Line[]): void {
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(LF, at);
      this.#number++;
      let text: string | undefined;
      try {
        text = this.#strict.decode(bytes.subarray(at, end));
      } catch {
        this.lines++;
        this.#reject("Not UTF-8", bytes.subarray(at, end));
      }
      if (text !== undefined) this.#readLine(text, bytes, at, end, good);
      at = end + 1;
    }
  }

  #readLine(
    text: string,
    chunk: Uint8Array,
    start: number,
    end: number,
    good: Line[],
  ): void {
    if (end - start > this.#maxLine) {
      this.lines++;
      return this.#reject(tooLong(this.#maxLine), chunk.subarray(start, end));
    }
    const body = parseLine(text, this.#parsing);
    if (body === undefined) return;
    this.lines++;
    if (body === text) {
      good.push(Line.verbatim(chunk, start, end, end));
    } else if (typeof body === "string") {
      good.push(Line.rewritten(chunk, start, end, body));
    } else {
      this.#reject(body.reason, chunk.subarray(start, end));
    }
  }

  #readOverlong(part: Uint8Array, more: boolean): void {
    const number = this.#number + 1;
    const reason = tooLong(this.#maxLine);
    if (!this.#overlong) {
      this.lines++;
      this.invalid++;
      this.#report(number, reason, this.#carry, true, false);
      this.#carry = NO_BYTES;
    }
    this.#report(number, reason, part, more, true);
    this.#overlong = more;
    if (!more) this.#number++;
  }

  #reject(reason: string, raw: Uint8Array): void {
    this.invalid++;
    this.#report(this.#number, reason, raw, false, false);
  }

  #report(
    number: number,
    reason: string,
    raw: Uint8Array,
    more: boolean,
    continued: boolean,
  ): void {
    const format = this.#anyBad ? undefined : guessFormat(raw);
    this.#anyBad = true;
    const hint = format === undefined
      ? undefined
      : `this looks like ${format.looksLike}: ${format.instead}`;
    this.#onBadLine({ number, reason, raw, more, continued, hint });
  }
}

/** A few good lines among bad ones must not keep the whole chunk they were read in. */
function shedChunk(size: number, good: Line[], from: number): void {
  let kept = 0;
  for (let i = from; i < good.length; i++) kept += good[i]!.size;
  if (kept * 4 >= size) return;
  for (let i = from; i < good.length; i++) good[i] = good[i]!.copy();
}

function tooLong(maxLine: number): string {
  return `Longer than ${maxLine} bytes`;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
