// What a metric is, and what a TinyObs server takes as one.

import { show } from "./text.ts";
import { type Tick, tick } from "./clock.ts";

/** The kinds of metric that TinyObs knows. */
export type MetricType = "counter" | "gauge" | "histogram";

/**
 * One sample of one time series.
 *
 * The limits are those of the TinyObs server (its `pkg/ingest/limits.go`),
 * counted in bytes of UTF-8. {@linkcode checkMetric} tells whether a value keeps
 * them.
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
  /** The metric's name: 1 to 256 bytes. */
  readonly name: string;
  /** What the value means. */
  readonly type: MetricType;
  /** The sample: a finite number. */
  readonly value: number;
  /**
   * What tells this series from others of the same name: at most 20 labels, a
   * plain object of strings, keys of at most 256 and values of at most 1024
   * bytes.
   *
   * @default {undefined} no labels
   */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * When the sample was taken: RFC 3339 with a zone, such as
   * `2026-11-23T07:00:00.123456789Z`, in the years 1678 to 2261 (the server
   * keeps signed 64-bit nanoseconds since 1970).
   *
   * @default {undefined} the moment the metric is added to a `Batcher`
   */
  readonly timestamp?: string;
}

const MAX_NAME = 256;
const MAX_LABELS = 20;
const MAX_LABEL_KEY = 256;
const MAX_LABEL_VALUE = 1024;

/**
 * A metric that was checked and copied. One shape for every metric keeps the
 * hot path monomorphic: `timestamp` is `""` where `tick` and `nanos` stand for
 * it, and the text is only made when the metric is sent.
 */
export interface AcceptedMetric {
  name: string;
  type: MetricType;
  value: number;
  labels: Record<string, string> | undefined;
  timestamp: string;
  tick: Tick | undefined;
  nanos: number;
}

/**
 * Checks whether a value is a metric that a TinyObs server takes.
 *
 * One metric that breaks a rule makes the server refuse the whole request it
 * stands in, so everything is checked here that the server checks, and also what
 * it would silently change: `NaN` and the infinities become `null` in JSON, which
 * it stores as 0.
 *
 * @example Usage
 * ```ts
 * import { checkMetric } from "@tinyobs/batch";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(checkMetric({ name: "up", type: "gauge", value: 1 }), undefined);
 * assertEquals(
 *   checkMetric({ name: "up", type: "gauge", value: NaN }),
 *   "'value' must be a finite number: current value is NaN",
 * );
 * ```
 *
 * @param metric Any value.
 * @returns Why it is not a metric (the field, the rule and the value), or
 * `undefined` if it is one.
 */
export function checkMetric(metric: unknown): string | undefined {
  const accepted = acceptMetric(metric);
  return typeof accepted === "string" ? accepted : undefined;
}

/**
 * Checks and copies a metric, and takes a stamp for one that has no timestamp.
 * Every field is read once, so that what was checked is what is kept.
 *
 * @returns The copy, or the reason why it is none.
 */
export function acceptMetric(metric: unknown): AcceptedMetric | string {
  try {
    if (typeof metric !== "object" || metric === null) {
      return `A metric must be an object: current value is ${show(metric)}`;
    }
    const { name, type, value, labels, timestamp } = metric as Record<
      string,
      unknown
    >;
    if (typeof name !== "string" || name === "" || !fits(name, MAX_NAME)) {
      return `'name' must be a string of 1 to ${MAX_NAME} bytes: ${
        current(name)
      }`;
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
      if (!labelsAreFine(ownLabels)) {
        const reason = checkLabels(ownLabels);
        if (reason !== undefined) return reason;
      }
    }
    if (timestamp === undefined || timestamp === null) {
      const now = tick();
      return {
        name,
        type,
        value,
        labels: ownLabels,
        timestamp: "",
        tick: now,
        nanos: now.nanos++,
      };
    }
    if (typeof timestamp !== "string" || !isTimestamp(timestamp)) {
      return `'timestamp' must be an RFC 3339 time with a zone, in the years 1678 to 2261: ${
        current(timestamp)
      }`;
    }
    return {
      name,
      type,
      value,
      labels: ownLabels,
      timestamp,
      tick: undefined,
      nanos: 0,
    };
  } catch {
    return "A metric must be an object whose fields can be read: one of them throws an error";
  }
}

/** The metric as transports get it, with its stamp in text. */
export function finishMetric(accepted: AcceptedMetric): Metric {
  const { name, type, value, labels } = accepted;
  const timestamp = accepted.tick?.format(accepted.nanos) ?? accepted.timestamp;
  return labels === undefined
    ? { name, type, value, timestamp }
    : { name, type, value, labels, timestamp };
}

/** Why a copy of a metric's labels breaks a rule, or `undefined`. */
export function checkLabels(
  labels: Record<string, unknown>,
): string | undefined {
  const keys = Object.keys(labels);
  if (keys.length > MAX_LABELS) {
    return `'labels' must have at most ${MAX_LABELS} entries: current number is ${keys.length}`;
  }
  for (const key of keys) {
    const value = labels[key];
    if (!fits(key, MAX_LABEL_KEY)) {
      return `A label's key must have at most ${MAX_LABEL_KEY} bytes: ${
        current(key)
      }`;
    }
    if (typeof value !== "string" || !fits(value, MAX_LABEL_VALUE)) {
      return `Label ${
        show(key)
      } must be a string of at most ${MAX_LABEL_VALUE} bytes: ${
        current(value)
      }`;
    }
  }
  return undefined;
}

/** The quick answer for what nearly all labels are; `checkLabels` decides the others. */
function labelsAreFine(labels: Record<string, unknown>): boolean {
  let n = 0;
  for (const key in labels) {
    const value = labels[key];
    if (typeof value !== "string" || ++n > MAX_LABELS) return false;
    if (key.length * 3 > MAX_LABEL_KEY || value.length * 3 > MAX_LABEL_VALUE) {
      return false;
    }
  }
  return true;
}

const TIMESTAMP =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Whether the server reads the text as a time and can store it. */
export function isTimestamp(text: string): boolean {
  const match = TIMESTAMP.exec(text);
  if (match === null) return false;
  const [year, month, day] = [
    Number(match[1]),
    Number(match[2]),
    Number(match[3]),
  ];
  return year >= 1678 && year <= 2261 && month >= 1 && month <= 12 &&
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
