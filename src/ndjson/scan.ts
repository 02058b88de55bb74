// Reads the usual shapes of a line without JSON.parse: it accepts less than
// `readMetric` of ndjson.ts, and nothing that one would refuse or send as another
// metric. What it does not accept is `readMetric`'s to judge. A property test holds
// the two against each other.

const CHARS = String.raw`[^"\\\x00-\x1f]*`;
const ESCAPE = String.raw`\\(?:["\\/bfnrt]|u[\da-fA-F]{4})`;
const STRING = `"${CHARS}(?:${ESCAPE}${CHARS})*"`;
// Few enough digits that the number is finite whatever they are.
const NUMBER = String
  .raw`-?(?:0|[1-9]\d{0,15})(?:\.\d{1,17})?(?:[eE][+-]?\d{1,2})?`;
const TYPE = `"(?:counter|gauge|histogram)"`;
const DATE = String
  .raw`(?:1[7-9]|2[01])\d\d-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))`;
const TIMESTAMP = `"${DATE}${String
  .raw`T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)`}"`;
const WS = String.raw`[ \t]*`;

/** A JSON object of at most 20 strings. */
function labels(string: string, space: string): string {
  const label = `${string}${space}:${space}${string}`;
  return String
    .raw`\{${space}(?:${label}(?:${space},${space}${label}){0,19}${space})?\}`;
}

// The order and spacing that most programs write: half the time of `scanFields`
// (`bench/ideas.ts`).
const CANONICAL = new RegExp(
  `\\{"name": ?"[^"\\\\\\x00-\\x1f]${CHARS}", ?"type": ?${TYPE}, ?"value": ?${NUMBER}` +
    `(?:, ?"labels": ?${
      labels(`"${CHARS}"`, " ?")
    })?(?:, ?"timestamp": ?${TIMESTAMP})?\\}\\r?\\n`,
  "y",
);

const STRING_AT = new RegExp(STRING, "y");
const NUMBER_AT = new RegExp(NUMBER, "y");
const TYPE_AT = new RegExp(TYPE, "y");
const TIMESTAMP_AT = new RegExp(TIMESTAMP, "y");
const LABELS_AT = new RegExp(labels(STRING, WS), "y");

const NAME = 1, TYPE_FIELD = 2, VALUE = 4, LABELS = 8, STAMP = 16;
const REQUIRED = NAME | TYPE_FIELD | VALUE;

/** What the last successful {@linkcode scanLine} found; one object, as it is the hot path. */
export const found = {
  /** Where the next line begins. */
  end: 0,
  /** Where the closing brace is. */
  brace: 0,
  /** Whether the line has a timestamp. */
  stamped: false,
};

/**
 * Reads the line that begins at `start` and ends with a line feed.
 *
 * @param text The lines.
 * @param start Where the line begins.
 * @param ascii Whether `text` is known to hold nothing but ASCII.
 * @returns Whether the line is a metric whose text can be sent as it is; then
 * `found` says more.
 */
export function scanLine(text: string, start: number, ascii: boolean): boolean {
  CANONICAL.lastIndex = start;
  if (CANONICAL.test(text)) {
    const end = CANONICAL.lastIndex;
    const brace = text.charCodeAt(end - 2) === 0x7d ? end - 2 : end - 3;
    found.end = end;
    found.brace = brace;
    // Of what can come last, only a timestamp ends with a quote.
    found.stamped = text.charCodeAt(brace - 1) === 0x22;
    return stringsFit(text, start, end, ascii);
  }
  return scanFields(text, start) && stringsFit(text, start, found.end, ascii);
}

/** The same for any order of the fields, spaces between them, and escapes. */
function scanFields(text: string, start: number): boolean {
  if (text.charCodeAt(start) !== 0x7b) return false;
  let seen = 0;
  for (let at = start + 1;;) {
    at = skipSpace(text, at);
    let field: number;
    let value: RegExp;
    switch (text.charCodeAt(at + 1)) {
      case 0x6e: // n
        if (!text.startsWith('"name"', at)) return false;
        field = NAME, value = STRING_AT, at += 6;
        break;
      case 0x76: // v
        if (!text.startsWith('"value"', at)) return false;
        field = VALUE, value = NUMBER_AT, at += 7;
        break;
      case 0x6c: // l
        if (!text.startsWith('"labels"', at)) return false;
        field = LABELS, value = LABELS_AT, at += 8;
        break;
      default:
        if (text.startsWith('"type"', at)) {
          field = TYPE_FIELD, value = TYPE_AT, at += 6;
        } else if (text.startsWith('"timestamp"', at)) {
          field = STAMP, value = TIMESTAMP_AT, at += 11;
        } else return false;
    }
    // Twice the same field: what counts is not for us to say.
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
    found.brace = at - 1;
    found.stamped = (seen & STAMP) !== 0;
    at = skipSpace(text, at);
    if (text.charCodeAt(at) === 0x0d) at++;
    found.end = at + 1;
    return text.charCodeAt(at) === 0x0a;
  }
}

function skipSpace(text: string, at: number): number {
  let unit = text.charCodeAt(at);
  while (unit === 0x20 || unit === 0x09) unit = text.charCodeAt(++at);
  return at;
}

/** The least limit of a string in a metric, in bytes: that of a name. */
const MAX_STRING = 256;
/** What any line has around one string: `{"name":"","type":"gauge","value":0}`. */
const AROUND = 36;

/** Whether no string of the line can be longer than the server takes. */
function stringsFit(
  text: string,
  start: number,
  end: number,
  ascii: boolean,
): boolean {
  // A UTF-16 unit that is not ASCII takes at most three bytes.
  const max = ascii ? MAX_STRING : Math.floor(MAX_STRING / 3);
  if (end - start <= max + AROUND) return true;
  // Else no two neighbouring quotes may be further apart than that; where some
  // are escaped they do not tell.
  const line = text.slice(start, end);
  if (line.includes("\\")) return false;
  for (let quote = -1;;) {
    const next = line.indexOf('"', quote + 1);
    if (next < 0) return true;
    if (next - quote - 1 > max) return false;
    quote = next;
  }
}
