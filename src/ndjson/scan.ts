// The fast path: reads the usual shapes of a line without JSON.parse.
//
// It accepts fewer lines than `parse.ts`, and none that `parse.ts` would refuse or
// send as another metric; what it does not accept goes there. A property test holds
// the two against each other.

import type { MetricRules } from "../core/metric.ts";

const CHARS = String.raw`[^"\\\x00-\x1f]*`;
const ESCAPE = String.raw`\\(?:["\\/bfnrt]|u[\da-fA-F]{4})`;
const STRING = `"${CHARS}(?:${ESCAPE}${CHARS})*"`;
// Few enough digits that the number is finite whatever they are.
const NUMBER = String
  .raw`-?(?:0|[1-9]\d{0,15})(?:\.\d{1,17})?(?:[eE][+-]?\d{1,2})?`;
const TYPE = `"(?:counter|gauge|histogram)"`;
// Every day but February 29, the usual ones first.
const DAY = String
  .raw`(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)`;
const TIME = String
  .raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)`;
const WS = String.raw`[ \t]*`;

/** A timestamp in one of the centuries that the years contain as a whole. */
function timestamp([first, last]: MetricRules["years"]): string {
  const centuries: string[] = [];
  // Not the first one: its first instant stands for "no timestamp".
  for (let c = Math.max(1, Math.ceil(first / 100)); c * 100 + 99 <= last; c++) {
    centuries.push(String(c).padStart(2, "0"));
  }
  // Without a century, something that never matches.
  const century = centuries.length === 0 ? "(?!)" : centuries.join("|");
  return String.raw`"(?:${century})\d\d-${DAY}T${TIME}"`;
}

/** An object of at most `max` strings. */
function labels(string: string, space: string, max: number): string {
  if (max < 1) return String.raw`\{${space}\}`;
  const label = `${string}${space}:${space}${string}`;
  const more = max === Infinity ? "*" : `{0,${max - 1}}`;
  return String
    .raw`\{${space}(?:${label}(?:${space},${space}${label})${more}${space})?\}`;
}

const NAME = 1, TYPE_FIELD = 2, VALUE = 4, LABELS = 8, STAMP = 16;
const REQUIRED = NAME | TYPE_FIELD | VALUE;

const QUOTE = 0x22;

/** What any line has around one string: `{"name":"","type":"gauge","value":0}`. */
const AROUND = 36;

/** Scans lines for metrics that keep the rules of a wire. */
export class Scanner {
  // What the last successful `scan` found is in fields, as a result object for each
  // line would be garbage.
  /** Where the next line begins. */
  end = 0;
  /** Where the closing brace is. */
  brace = 0;
  /** Whether the line has a timestamp. */
  stamped = false;

  /** How long a string may be, in bytes, wherever it is. */
  readonly #maxString: number;
  /** A whole line in the order and spacing that most programs write. */
  readonly #canonical: RegExp;
  readonly #string: RegExp;
  readonly #number: RegExp;
  readonly #type: RegExp;
  readonly #timestamp: RegExp;
  readonly #labels: RegExp;

  /** @param rules The limits of the wire. */
  constructor(rules: MetricRules) {
    const { maxName, maxLabels, maxLabelKey, maxLabelValue, years } = rules;
    this.#maxString = Math.min(maxName, maxLabelKey, maxLabelValue);
    this.#canonical = new RegExp(
      `\\{"name": ?(?!"")${STRING}, ?"type": ?${TYPE}, ?"value": ?${NUMBER}` +
        `(?:, ?"labels": ?${labels(STRING, " ?", maxLabels)})?` +
        `(?:, ?"timestamp": ?${timestamp(years)})?\\}\\r?\\n`,
      "y",
    );
    this.#string = new RegExp(STRING, "y");
    this.#number = new RegExp(NUMBER, "y");
    this.#type = new RegExp(TYPE, "y");
    this.#timestamp = new RegExp(timestamp(years), "y");
    this.#labels = new RegExp(labels(STRING, WS, maxLabels), "y");
  }

  /**
   * Reads the line that begins at `start` and ends with a line feed.
   *
   * @param text The lines.
   * @param start Where the line begins.
   * @param ascii Whether `text` is known to hold nothing but ASCII.
   * @returns Whether the line is a metric that can be sent as it is, once it has a
   * timestamp.
   */
  scan(text: string, start: number, ascii: boolean): boolean {
    const canonical = this.#canonical;
    canonical.lastIndex = start;
    if (canonical.test(text)) {
      const end = canonical.lastIndex;
      const brace = text.charCodeAt(end - 2) === 0x7d ? end - 2 : end - 3;
      this.end = end;
      this.brace = brace;
      // Of what can come last, only a timestamp ends with a quote.
      this.stamped = text.charCodeAt(brace - 1) === 0x22;
    } else if (!this.#scanFields(text, start)) {
      return false;
    }
    return this.#stringsFit(text, start, this.end, ascii);
  }

  /** The same for any order of the fields, spaces between them, and escapes. */
  #scanFields(text: string, start: number): boolean {
    if (text.charCodeAt(start) !== 0x7b) return false;
    let seen = 0;
    for (let at = start + 1;;) {
      at = skipSpace(text, at);
      let field: number;
      let value: RegExp;
      switch (text.charCodeAt(at + 1)) {
        case 0x6e: // n
          if (!text.startsWith('"name"', at)) return false;
          field = NAME, value = this.#string, at += 6;
          break;
        case 0x76: // v
          if (!text.startsWith('"value"', at)) return false;
          field = VALUE, value = this.#number, at += 7;
          break;
        case 0x6c: // l
          if (!text.startsWith('"labels"', at)) return false;
          field = LABELS, value = this.#labels, at += 8;
          break;
        default:
          if (text.startsWith('"type"', at)) {
            field = TYPE_FIELD, value = this.#type, at += 6;
          } else if (text.startsWith('"timestamp"', at)) {
            field = STAMP, value = this.#timestamp, at += 11;
          } else return false;
      }
      // A field that is there twice: `parse.ts` explains what is wrong with it.
      if ((seen & field) !== 0) return false;
      seen |= field;
      at = skipSpace(text, at);
      if (text.charCodeAt(at) !== 0x3a) return false;
      at = skipSpace(text, at + 1);
      value.lastIndex = at;
      if (!value.test(text)) return false;
      if (field === NAME && value.lastIndex - at === 2) return false;
      at = skipSpace(text, value.lastIndex);
      const next = text.charCodeAt(at++);
      if (next === 0x2c) continue;
      if (next !== 0x7d || (seen & REQUIRED) !== REQUIRED) return false;
      this.brace = at - 1;
      this.stamped = (seen & STAMP) !== 0;
      at = skipSpace(text, at);
      if (text.charCodeAt(at) === 0x0d) at++;
      this.end = at + 1;
      return text.charCodeAt(at) === 0x0a;
    }
  }

  /** Whether no string of the line can be longer than any rule allows. */
  #stringsFit(
    text: string,
    start: number,
    end: number,
    ascii: boolean,
  ): boolean {
    // A UTF-16 unit that is not ASCII takes at most three bytes.
    const max = ascii ? this.#maxString : Math.floor(this.#maxString / 3);
    if (end - start <= max + AROUND) return true;
    // An escaped quote looks like an end, and so hides how long a string is.
    if (max < 1 || text.slice(start, end).includes("\\")) return false;
    // A longer string would contain at least one of these places.
    for (let at = start + max; at < end; at += max) {
      let before = at;
      while (text.charCodeAt(before) !== QUOTE) {
        if (--before < at - max) return false;
      }
      if (text.indexOf('"', at) - before - 1 > max) return false;
    }
    return true;
  }
}

function skipSpace(text: string, at: number): number {
  let unit = text.charCodeAt(at);
  while (unit === 0x20 || unit === 0x09) unit = text.charCodeAt(++at);
  return at;
}
