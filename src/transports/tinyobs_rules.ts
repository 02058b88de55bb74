// What a TinyObs server takes as a metric (its pkg/ingest/limits.go).

import { checkMetric as check, type MetricRules } from "../core/metric.ts";

/**
 * The server's limits. It counts bytes, and keeps signed 64-bit nanoseconds since
 * 1970.
 */
export const TINYOBS_RULES: MetricRules = {
  maxName: 256,
  maxLabels: 20,
  maxLabelKey: 256,
  maxLabelValue: 1024,
  years: [1678, 2261],
};

/** How many metrics one request may hold. */
export const TINYOBS_MAX_PER_REQUEST = 1000;

/**
 * Checks whether a value is a metric that the server takes.
 *
 * One metric that breaks a rule makes a TinyObs server refuse the whole request it
 * is part of, so this checks everything that the server checks, and also what it
 * would silently change: `NaN` and the infinities become `null` in JSON, which it
 * stores as 0.
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
 * @param rules The limits of the wire.
 * @returns Why it is not a metric (the field, the rule and the value), or
 * `undefined` if it is one.
 */
export function checkMetric(
  metric: unknown,
  rules: MetricRules = TINYOBS_RULES,
): string | undefined {
  return check(metric, rules);
}
