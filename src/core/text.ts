// How values, other programs' words and URLs are shown in messages: short,
// without control characters and without secrets.

/** Characters that could move a terminal's cursor, hide text or reverse it. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu;

/** At most `max` UTF-16 units of `text`, with unsafe characters escaped. */
export function excerpt(text: string, max = 80): string {
  const cut = text.length > max;
  const shown = (cut ? text.slice(0, max) : text).replace(
    UNSAFE,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"),
  );
  return cut ? `${shown}…` : shown;
}

/** Shows any value in a message; never throws and never runs the value's code. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `"${excerpt(value, 60)}"`;
    case "bigint":
      return excerpt(`${value}n`, 60);
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "an array" : "an object";
    default:
      return String(value);
  }
}

/** What a thrown value says; anything can be thrown, and reading it may throw too. */
export function messageOf(error: unknown): string {
  try {
    if (error instanceof Error) {
      const { message, name } = error;
      return String(message || name);
    }
    return typeof error === "string" ? error : show(error);
  } catch {
    return "an error that cannot be read";
  }
}

/** `1 metric`, `2 metrics`. */
export function count(n: number, noun = "metric", plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}
