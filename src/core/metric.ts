// The model: what a metric is, and the copy of it that waits to be sent. The limits
// are the wire's, and handed in.

import { type Tick, tick } from "./clock.ts";
import { show } from "./text.ts";

/** The kinds of metric. */
export type MetricType = "counter" | "gauge" | "histogram";

/**
 * One sample of one time series.
 *
 * How long names and labels may be is up to the wire; {@linkcode checkMetric} tells
 * whether a value keeps the limits.
 *
 * @example Usage
 * ```ts
 * import type { Metric } from "@tinyobs/batch";
 *
 * const metric: Metric = {
 *   name: "http_requests_total",
 *   type: "counter",
 *   value: 1,
 *   labels: { method: "GET", status: "200" },
 * };
 * ```
 */
export interface Metric {
  /** The metric's name: not empty. */
  readonly name: string;
  /**
   * What the value means: a counter's is its running total, a gauge's the current
   * reading, a histogram's one observation.
   */
  readonly type: MetricType;
  /** The sample: a finite number. */
  readonly value: number;
  /**
   * What tells this series from others of the same name: a plain object of
   * strings.
   *
   * @default {undefined} no labels
   */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * When the sample was taken: RFC 3339 with a zone, such as
   * `2026-11-23T07:00:00.123456789Z`. Go's zero time, `0001-01-01T00:00:00Z`, means
   * that it is not set.
   *
   * @default {undefined} the moment the metric is added to a `Batcher`
   */
  readonly timestamp?: string;
}

/** The limits of a wire, with lengths in bytes of UTF-8. */
export interface MetricRules {
  /** How long a name may be. */
  readonly maxName: number;
  /** How many labels a metric may have. */
  readonly maxLabels: number;
  /** How long a label's key may be. */
  readonly maxLabelKey: number;
  /** How long a label's value may be. */
  readonly maxLabelValue: number;
  /** The first and the last year of a timestamp. */
  readonly years: readonly [first: number, last: number];
}

/** The limits of a wire that names none. */
export const NO_RULES: MetricRules = {
  maxName: Infinity,
  maxLabels: Infinity,
  maxLabelKey: Infinity,
  maxLabelValue: Infinity,
  years: [0, 9999],
};

/**
 * A metric that was checked and copied. Its timestamp is a tick at first, where it
 * has none of its own, and becomes text in place when its batch is complete.
 */
export interface AcceptedMetric {
  readonly name: string;
  readonly type: MetricType;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
  timestamp: string | Tick;
}

/** Why a value is not a metric that keeps the rules, or `undefined` if it is one. */
export function checkMetric(
  metric: unknown,
  rules: MetricRules,
): string | undefined {
  const accepted = acceptMetric(metric, rules);
  return typeof accepted === "string" ? accepted : undefined;
}

/**
 * Checks and copies a metric. Every field is read once, so that what was checked is
 * what is kept.
 *
 * @returns The copy, or the reason why the value is not a metric.
 */
export function acceptMetric(
  metric: unknown,
  rules: MetricRules,
): AcceptedMetric | string {
  try {
    if (typeof metric !== "object" || metric === null) {
      return `A metric must be an object: current value is ${show(metric)}`;
    }
    const { name, type, value, labels, timestamp } = metric as Record<
      string,
      unknown
    >;
    if (
      typeof name !== "string" || name === "" || !fits(name, rules.maxName)
    ) {
      const most = rules.maxName;
      return `'name' must be a ${
        most === Infinity ? "non-empty string" : `string of 1 to ${most} bytes`
      }: ${current(name)}`;
    }
    if (type !== "counter" && type !== "gauge" && type !== "histogram") {
      return `'type' must be "counter", "gauge" or "histogram": ${
        current(type)
      }`;
    }
    if (typeof value !== "number" || value - value !== 0) {
      return `'value' must be a finite number: ${current(value)}`;
    }
    let ownLabels: Record<string, string> | undefined;
    if (labels !== undefined && labels !== null) {
      if (!isPlainObject(labels)) {
        return `'labels' must be a plain object: ${current(labels)}`;
      }
      // A spread, as an assignment to `__proto__` would lose that label.
      ownLabels = { ...labels } as Record<string, string>;
      if (!labelsAreFine(ownLabels, rules)) {
        const reason = checkLabels(ownLabels, rules);
        if (reason !== undefined) return reason;
      }
    }
    let stamp: string | Tick;
    if (isUnset(timestamp)) {
      stamp = tick();
    } else if (
      typeof timestamp === "string" && isTimestamp(timestamp, rules.years)
    ) {
      stamp = timestamp;
    } else {
      const [first, last] = rules.years;
      return `'timestamp' must be an RFC 3339 time with a zone${
        rules.years === NO_RULES.years
          ? ""
          : `, in the years ${first} to ${last}`
      }: ${current(timestamp)}${
        timestamp instanceof Date ? " (use toISOString() of the Date)" : ""
      }`;
    }
    return ownLabels === undefined
      ? { name, type, value, timestamp: stamp }
      : { name, type, value, labels: ownLabels, timestamp: stamp };
  } catch {
    return "A metric must be an object whose fields can be read: one of them throws an error";
  }
}

/**
 * The metrics as transports get them, with their stamps as text. They are the same
 * objects: making others would double what there is to clean up.
 *
 * @param nanos The nanosecond of each metric's tick.
 */
export function finishMetrics(
  metrics: AcceptedMetric[],
  nanos: readonly number[],
): Metric[] {
  for (let i = 0; i < metrics.length; i++) {
    const metric = metrics[i]!;
    const { timestamp } = metric;
    if (typeof timestamp !== "string") {
      metric.timestamp = timestamp.format(nanos[i]!);
    }
  }
  return metrics as Metric[];
}

/** Why a copy of a metric's labels breaks a rule, or `undefined`. */
export function checkLabels(
  labels: Record<string, unknown>,
  rules: MetricRules,
): string | undefined {
  const { maxLabels, maxLabelKey, maxLabelValue } = rules;
  const keys = Object.keys(labels);
  if (keys.length > maxLabels) {
    return `'labels' must have at most ${maxLabels} entries: current number is ${keys.length}`;
  }
  for (const key of keys) {
    const value = labels[key];
    if (!fits(key, maxLabelKey)) {
      return `A label's key must have at most ${maxLabelKey} bytes: ${
        current(key)
      }`;
    }
    if (typeof value !== "string" || !fits(value, maxLabelValue)) {
      return `Label ${show(key)} must be a string${
        maxLabelValue === Infinity ? "" : ` of at most ${maxLabelValue} bytes`
      }: ${current(value)}`;
    }
  }
  return undefined;
}

/** The quick answer for what nearly all labels are; `checkLabels` decides the others. */
function labelsAreFine(
  labels: Record<string, unknown>,
  { maxLabels, maxLabelKey, maxLabelValue }: MetricRules,
): boolean {
  let n = 0;
  for (const key in labels) {
    const value = labels[key];
    if (typeof value !== "string" || ++n > maxLabels) return false;
    if (key.length * 3 > maxLabelKey || value.length * 3 > maxLabelValue) {
      return false;
    }
  }
  return true;
}

/** What programs in Go write for a time that is not set, and those in C#, without the zone. */
const ZERO_TIME = /^0001-01-01T00:00:00(?:\.0+)?(?:Z|[+-]00:00)?$/;

/** Whether a timestamp stands for none: the metric is stamped. */
export function isUnset(timestamp: unknown): boolean {
  return timestamp === undefined || timestamp === null ||
    (typeof timestamp === "string" && timestamp.startsWith("0001-") &&
      ZERO_TIME.test(timestamp));
}

const TIMESTAMP =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Whether the text is an RFC 3339 time with a zone, in one of the years. */
export function isTimestamp(
  text: string,
  [first, last]: readonly [number, number],
): boolean {
  const match = TIMESTAMP.exec(text);
  if (match === null) return false;
  const [year, month, day] = [
    Number(match[1]),
    Number(match[2]),
    Number(match[3]),
  ];
  return year >= first && year <= last && month >= 1 && month <= 12 &&
    day >= 1 &&
    (day <= 28 || day <= new Date(Date.UTC(year, month, 0)).getUTCDate());
}

/** Whether `text` takes at most `max` bytes of UTF-8. */
function fits(text: string, max: number): boolean {
  // A UTF-16 unit takes one to three bytes, so the length alone mostly tells.
  return text.length * 3 <= max ||
    (text.length <= max && utf8Length(text) <= max);
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    // The second half of a pair is counted with the first: four bytes in all.
    if (unit >= 0xd800 && unit < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) i++;
    }
  }
  return bytes;
}

/** An object literal, of any realm: a Map's or a class's fields are not its labels. */
function isPlainObject(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype ||
    Object.getPrototypeOf(prototype) === null;
}

function current(value: unknown): string {
  if (typeof value !== "string") return `current value is ${show(value)}`;
  const bytes = utf8Length(value);
  return `current value is ${show(value)}` +
    (bytes > 60 ? ` (${bytes} bytes)` : "");
}
