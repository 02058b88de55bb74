// The slow path: judges a line that the fast path does not know, and says what to
// send for it or why it is not a metric.
//
// A good line is forwarded as the text it is, as far as a server reads the same from
// it as we do. Where a timestamp or a label is to be added, or the line holds
// something that a server does not know or reads differently, what is sent is
// written anew from what was read.

import { stamp } from "../core/clock.ts";
import { FIELDS } from "../core/fields.ts";
import { parseJson } from "../core/json.ts";
import {
  checkLabels,
  checkMetric,
  isUnset,
  type Metric,
  type MetricRules,
} from "../core/metric.ts";
import { excerpt, messageOf, show } from "../core/text.ts";

/** How to judge a line. */
export interface ParseOptions {
  readonly rules: MetricRules;
  /** Labels for every metric that does not have them itself. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Told of each field of a good line that is not one of a metric's. */
  readonly onUnknownField?: ((name: string) => void) | undefined;
}

/**
 * Reads a metric from a line.
 *
 * @returns What is to be sent, the reason why the line is not a metric, or
 * `undefined` for a blank line.
 */
export function parseLine(
  line: string,
  options: ParseOptions,
): string | { reason: string } | undefined {
  const { rules, labels, onUnknownField } = options;
  // A byte order mark may come before any line, where files were joined.
  const text = (line.charCodeAt(0) === 0xfeff ? line.slice(1) : line).trim();
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    // The line that it counts is always the first.
    const words = messageOf(error).replace(/ \(line \d+ column \d+\)/, "");
    return { reason: `Not JSON: ${excerpt(words, 120)}` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return {
      reason: `A line must be a JSON object: current value is ${show(value)}`,
    };
  }
  const metric = value as Metric;
  const reason = checkMetric(metric, rules) ?? checkFields(text, metric);
  if (reason !== undefined) return { reason };
  if (onUnknownField !== undefined) {
    for (const key of Object.keys(metric)) {
      if (!FIELDS.includes(key)) onUnknownField(key);
    }
  }
  return write(text, metric, labels, rules);
}

/** A field's key, with the letters that Go takes for one another. */
const FIELD = /"(?:name|type|value|labels|timestamp)"\s*:/giu;

/**
 * Refuses fields that a line has twice, and those that are a known field in another
 * case. Go's decoder matches fields without regard to case and merges the two, so
 * that the server would store another metric than the one we checked.
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
    if (seen.has(key)) return `Field "${key}" must not appear twice`;
    seen.add(key);
  }
  return undefined;
}

/** A string, with the colon if it is a key, or a bracket. Only for text that is JSON. */
const TOKEN = /"(?:[^"\\]|\\.)*"(?=(\s*:)?)|[{}[\]]/g;

/** The keys of the objects at a depth of a JSON text, duplicates included. */
function* keysAt(wanted: number, text: string): Generator<string> {
  let depth = 0;
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === wanted && colon !== undefined) yield JSON.parse(token);
  }
}

/** Whether the text writes a value with escapes, which Go does not read in a time. */
function isEscaped(text: string, value: string | undefined): boolean {
  if (value === undefined || !text.includes("\\")) return false;
  const strings = text.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  return strings.some((string) =>
    string.includes("\\") && JSON.parse(string) === value
  );
}

/** What to send for a line that is a good metric. */
function write(
  text: string,
  metric: Metric,
  defaults: Readonly<Record<string, string>> | undefined,
  rules: MetricRules,
): string | { reason: string } {
  const { name, type, value, timestamp } = metric;
  let labels: Metric["labels"] = metric.labels ?? undefined;
  if (defaults !== undefined) {
    labels = { ...defaults, ...labels };
    const reason = checkLabels(labels, rules);
    if (reason !== undefined) {
      return { reason: `With the labels added: ${reason}` };
    }
  } else if (
    (timestamp === undefined || !isUnset(timestamp)) &&
    Object.keys(metric).every((key) => FIELDS.includes(key)) &&
    !isEscaped(text, timestamp) &&
    // Of a label that the line has twice, the first one was not checked.
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
    timestamp: isUnset(timestamp) ? stamp() : timestamp,
  });
}
