// NDJSON: bytes to lines, lines to checked metrics.
//
// A good line is forwarded as the text it is, as far as the server reads the same
// from it as we do. Where a timestamp or a label is to be added, or the line holds
// something that the server does not know or reads differently, what is sent is
// written anew from what was read.

import { stamp, tick } from "../core/clock.ts";
import { Line } from "./line.ts";
import { found, scanLine } from "./scan.ts";
import { checkLabels, checkMetric, type Metric } from "../core/metric.ts";
import { excerpt, messageOf, show } from "../core/text.ts";

/** A line that is none, or a part of one that is longer than the limit. */
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
}

/** Options for {@linkcode NdjsonReader}. */
export interface NdjsonReaderOptions {
  /** How long a line may be, in bytes. A longer one costs no more memory than that. */
  maxLine?: number;
  /** Labels for every metric, where it does not have them itself. */
  labels?: Readonly<Record<string, string>>;
  /** Gets each bad line, in order. Its bytes are only good during the call. */
  onBadLine: (line: BadLine) => void;
}

const LF = 0x0a;
const LINE_FEED = new Uint8Array([LF]);
const NO_BYTES = new Uint8Array(0);

/** Cuts a stream of bytes into lines and reads a metric from each. */
export class NdjsonReader {
  readonly #maxLine: number;
  readonly #labels: Readonly<Record<string, string>> | undefined;
  readonly #onBadLine: (line: BadLine) => void;
  // A byte order mark is dropped by `readLine`, so that a rejected line keeps its own.
  readonly #lossy = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
  /** The beginning of a line whose end was not read yet. */
  #carry: Uint8Array = NO_BYTES;
  /** In a line that has become too long: its parts are passed on as they come. */
  #overlong = false;

  /** Lines read so far, blank ones not counted. */
  lines = 0;
  /** How many of them are no metric. */
  invalid = 0;
  /** Line feeds read so far in this input: what line numbers are counted by. */
  #number = 0;

  constructor(options: NdjsonReaderOptions) {
    this.#maxLine = options.maxLine ?? 1024 * 1024;
    this.#labels =
      options.labels !== undefined && Object.keys(options.labels).length > 0
        ? options.labels
        : undefined;
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
    // The same line in the text and in the bytes.
    for (let start = 0, at = 0; start < text.length;) {
      const quick = this.#labels === undefined && scanLine(text, start, ascii);
      const end = quick ? found.end : text.indexOf("\n", start) + 1;
      const next = ascii ? end : bytes.indexOf(LF, at) + 1;
      this.#number++;
      if (quick && next - at <= this.#maxLine) {
        this.lines++;
        // Between the brace and the line feed is nothing but ASCII.
        const brace = next - (end - found.brace);
        if (found.stamped) {
          good.push(new Line(bytes, at, next - 1, brace + 1, undefined, 0, ""));
        } else {
          const now = tick();
          good.push(new Line(bytes, at, next - 1, brace, now, now.nanos++, ""));
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
    const body = readMetric(text, this.#labels);
    if (body === undefined) return;
    this.lines++;
    if (typeof body === "string") {
      good.push(new Line(chunk, start, end, start, undefined, 0, body));
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
      this.#onBadLine({
        number,
        reason,
        raw: this.#carry,
        more: true,
        continued: false,
      });
      this.#carry = NO_BYTES;
    }
    this.#onBadLine({ number, reason, raw: part, more, continued: true });
    this.#overlong = more;
    if (!more) this.#number++;
  }

  #reject(reason: string, raw: Uint8Array): void {
    this.invalid++;
    this.#onBadLine({
      number: this.#number,
      reason,
      raw,
      more: false,
      continued: false,
    });
  }
}

/** Lines that are few among bad ones must not keep the whole chunk they stood in. */
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

/**
 * Reads a metric from a line.
 *
 * @returns What is to be sent, the reason why the line is no metric, or
 * `undefined` for a blank line.
 */
export function readMetric(
  line: string,
  labels?: Readonly<Record<string, string>>,
): string | { reason: string } | undefined {
  // A byte order mark may stand before any line, where files were joined.
  const text = (line.charCodeAt(0) === 0xfeff ? line.slice(1) : line).trim();
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { reason: `Not JSON: ${excerpt(messageOf(error), 120)}` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return {
      reason: `A line must be a JSON object: current value is ${show(value)}`,
    };
  }
  const metric = value as Metric;
  if (isMisread(text, metric.labels)) {
    return {
      reason:
        "A label's key that is one escaped character must be written without",
    };
  }
  const reason = checkMetric(metric) ?? checkFields(text, metric);
  if (reason !== undefined) return { reason };
  return encodeLine(text, metric, labels);
}

const FIELDS = ["name", "type", "value", "labels", "timestamp"];

/** A field's key, with the letters that Go takes for one another. */
const FIELD = /"(?:name|type|value|labels|timestamp)"\s*:/giu;

/**
 * Refuses fields that stand twice, and those that are a known field in another
 * case. Go's decoder matches fields without regard to case and merges what stands
 * twice, so that the server would store another metric than the one we checked.
 */
function checkFields(text: string, metric: Metric): string | undefined {
  // Where no key can be written with escapes, a count tells: each field once.
  const fields = FIELDS.filter((field) => Object.hasOwn(metric, field)).length;
  if (!text.includes("\\") && text.match(FIELD)?.length === fields) {
    return undefined;
  }
  const seen = new Set<string>();
  for (const key of keysAt(1, text)) {
    // Both ways, as Go folds the long s and the Kelvin sign too.
    const field = key.toUpperCase().toLowerCase();
    if (!FIELDS.includes(field)) continue;
    if (key !== field) return `Field ${show(key)} must be written "${field}"`;
    if (seen.has(key)) return `Field "${key}" must not stand twice in a line`;
    seen.add(key);
  }
  return undefined;
}

/** A string, with the colon if it is a key, or a bracket. Only for text that is JSON. */
const TOKEN = /"(?:[^"\\]|\\.)*"(?=(\s*:)?)|[{}[\]]/g;

/** The keys of the objects at a depth of a JSON text, as they stand there. */
function* keysAt(wanted: number, text: string): Generator<string> {
  let depth = 0;
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === wanted && colon !== undefined) yield JSON.parse(token);
  }
}

/**
 * Whether `JSON.parse` took another key for a backslash. V8 15.0 (Deno 2.9) does,
 * with every key of one escaped character, after it has seen a label `"\\"`:
 * `JSON.parse('{"x":0,"\\\\":1}'); JSON.parse('{"x":0,"\\n":1}')["\\n"]` is undefined.
 */
function isMisread(text: string, labels: unknown): boolean {
  if (
    typeof labels !== "object" || labels === null ||
    !Object.hasOwn(labels, "\\")
  ) return false;
  const keys = new Set(keysAt(2, text));
  return !keys.has("\\") ||
    [...keys].some((key) => !Object.hasOwn(labels, key));
}

/** Whether a string of the text reads so only with its escapes, which Go reads in no time. */
function isEscaped(text: string, value: string | undefined): boolean {
  if (value === undefined || !text.includes("\\")) return false;
  const strings = text.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  return strings.some((string) =>
    string.includes("\\") && JSON.parse(string) === value
  );
}

/** What to send for a line that is a good metric. */
function encodeLine(
  text: string,
  metric: Metric,
  defaults: Readonly<Record<string, string>> | undefined,
): string | { reason: string } {
  const { name, type, value, timestamp } = metric;
  let labels: Metric["labels"] = metric.labels ?? undefined;
  if (defaults !== undefined) {
    labels = { ...defaults, ...labels };
    const reason = checkLabels(labels);
    if (reason !== undefined) {
      return { reason: `With the labels added: ${reason}` };
    }
  } else if (
    timestamp !== null &&
    Object.keys(metric).every((key) => FIELDS.includes(key)) &&
    !isEscaped(text, timestamp) &&
    // Of a label that stands twice, the first one was not checked.
    [...keysAt(2, text)].length === Object.keys(labels ?? {}).length
  ) {
    return timestamp === undefined
      ? `${text.slice(0, -1)},"timestamp":"${stamp()}"}`
      : text;
  }
  return JSON.stringify({
    name,
    type,
    value,
    labels,
    timestamp: timestamp ?? stamp(),
  });
}
