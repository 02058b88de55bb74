// Reads the values of options, and says what is wrong with them.

import { excerpt, show } from "../core/text.ts";
import { safeUrl } from "../transports/http/target.ts";

/** A mistake of whoever wrote the command line: exit code 2. */
export class UsageError extends Error {}

/** `Option --batch-size must be …: current value is "x"`. */
function complain(option: string, rule: string, text: string): UsageError {
  return new UsageError(
    `Option ${option} must be ${rule}: current value is ${show(text)}`,
  );
}

/** Reads an integer from `min` to `max`. */
export function readInteger(
  option: string,
  text: string,
  min: number,
  max: number,
): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw complain(option, `an integer from ${min} to ${max}`, text);
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const DAY = 24 * 3_600_000;

/** Milliseconds of `500ms`, `5s`, `1m` or `1h`. */
export function readDuration(option: string, text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const value = Number(number) * (UNITS[unit] ?? NaN);
  if (value >= 1 && value <= DAY) return value;
  throw complain(
    option,
    "a duration from 1ms to 24h, such as 500ms, 5s or 1m",
    text,
  );
}

/** Reads one of several words. */
export function readChoice<T extends string>(
  option: string,
  text: string,
  choices: readonly T[],
): T {
  const choice = choices.find((choice) => choice === text);
  if (choice !== undefined) return choice;
  throw complain(
    option,
    choices.map((choice) => JSON.stringify(choice)).join(" or "),
    text,
  );
}

/** Reads a key and a value; what is around the key and the value is not theirs. */
export function readPair(
  option: string,
  text: string,
  separator: "=" | ":",
  form: string,
): [key: string, value: string] {
  const at = text.indexOf(separator);
  const key = text.slice(0, at).trim();
  // The text is not shown, as a header's may be a secret.
  if (at < 0 || key === "") {
    throw new UsageError(`Option ${option} must have the form ${form}`);
  }
  return [key, text.slice(at + 1)];
}

/**
 * Checks a text that goes into a request's header. Some control characters would only
 * fail at the first request, and a line break in a key is a second key.
 */
export function checkHeaderValue(what: string, text: string): string {
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) {
    throw new UsageError(
      `${what} must not contain a control character or a line break`,
    );
  }
  return text;
}

/**
 * Checks a server's address.
 *
 * @param source What messages call it: the argument or an environment variable.
 * @param path Where a server takes metrics, to complete a guess.
 */
export function checkUrl(source: string, text: string, path: string): string {
  if (!/^https?:\/\//i.test(text)) {
    const guess = guessUrl(text, path);
    throw new UsageError(
      `${source} must begin with http:// or https://: ${
        guess === undefined
          ? `current value is ${show(safeUrl(text))}`
          : `did you mean "${guess}"${
            source.startsWith("$") ? "?" : ", or --file for a file?"
          }`
      }`,
    );
  }
  if (!URL.canParse(text)) {
    throw new UsageError(
      `${source} is not valid (is its port a number up to 65535?): current value is ${
        show(safeUrl(text))
      }`,
    );
  }
  return text;
}

/** The URL that somebody means who writes `localhost:8080`, or just the port. */
function guessUrl(text: string, path: string): string | undefined {
  const url = /^:?\d+$/.test(text)
    ? `http://localhost:${text.replace(":", "")}`
    : `http://${text}`;
  const plain = /^\w+:\/\/(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?(?:\/|$)/i.test(
    url,
  );
  if (!plain || !URL.canParse(url)) return undefined;
  const full = new URL(url).pathname === "/" ? new URL(path, url).href : url;
  return safeUrl(full);
}

/** The name of an argument that looks like an option, without what may be a secret. */
export function optionName(arg: string): string {
  return excerpt(/^--[\w-]+|^-./s.exec(arg)?.[0] ?? arg);
}
