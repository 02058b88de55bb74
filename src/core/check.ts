// Checks of options, each written once, and the sentence for one that is wrong.

import { likelyWord } from "./fields.ts";
import { show } from "./text.ts";

/** The longest delay that a timer can count, in milliseconds. */
export const MAX_TIMER = 2 ** 31 - 1;

/** `Cannot create Batcher as 'maxInFlight' must be …: current value is 0`. */
function complain(
  action: string,
  name: string,
  rule: string,
  value: unknown,
): RangeError {
  return new RangeError(
    `Cannot ${action} as '${name}' must be ${rule}: current value is ${
      show(value)
    }`,
  );
}

/** Throws a `RangeError` unless the value is an integer of 1 or more. */
export function checkPositiveInteger(
  action: string,
  name: string,
  value: unknown,
): void {
  if (!Number.isInteger(value) || (value as number) < 1) {
    throw complain(action, name, "a positive integer", value);
  }
}

/** Throws a `RangeError` unless the value is a delay that a timer can count. */
export function checkDelay(action: string, name: string, value: unknown): void {
  if (!(typeof value === "number" && value > 0 && value <= MAX_TIMER)) {
    throw complain(
      action,
      name,
      `more than 0 and at most ${MAX_TIMER} milliseconds`,
      value,
    );
  }
}

/** Throws a `RangeError` unless the value is a duration; `Infinity` is one. */
export function checkDuration(
  action: string,
  name: string,
  value: unknown,
): void {
  if (!(typeof value === "number" && value >= 0)) {
    throw complain(action, name, "0 or more milliseconds", value);
  }
}

/** Throws a `RangeError` with a rule of the caller's own unless it holds. */
export function checkRule(
  action: string,
  name: string,
  value: unknown,
  holds: boolean,
  rule: string,
): void {
  if (!holds) throw complain(action, name, rule, value);
}

/**
 * Throws a `TypeError` for an option that does not exist, with the one that is most
 * likely meant: a misspelt one would silently leave the default.
 *
 * @param known The options there are.
 * @param aliases What other libraries call them.
 */
export function checkKnown(
  action: string,
  options: object,
  known: readonly string[],
  aliases: Readonly<Record<string, string>>,
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = Object.hasOwn(aliases, name)
      ? aliases[name]
      : likelyWord(name, known);
    throw new TypeError(
      `Cannot ${action} as there is no option ${show(name)}` +
        (meant === undefined ? "" : `: did you mean "${meant}"?`),
    );
  }
}
