/**
 * Groups metrics into batches and sends one request per 1000 metrics or 5 seconds
 * to a TinyObs server. Every metric is acknowledged, or handed back with the
 * reason.
 *
 * @example Usage
 * ```ts
 * import { Batcher, fetchTransport } from "@tinyobs/batch";
 *
 * await using batcher = new Batcher(
 *   fetchTransport("http://localhost:8080/v1/ingest"),
 * );
 * batcher.start();
 * batcher.add({ name: "custom_metric", type: "counter", value: 42 });
 * ```
 *
 * @module
 */

export {
  Batcher,
  type BatcherOptions,
  type BatcherStats,
  type FlushReport,
  type RefusedStats,
  type StopOptions,
} from "./src/batcher/batcher.ts";
export type { Batch } from "./src/core/batch.ts";
export type { Logger } from "./src/core/logger.ts";
export type { Metric, MetricRules, MetricType } from "./src/core/metric.ts";
export {
  SendError,
  type SendErrorCode,
  type SendErrorKind,
  type SendErrorOptions,
} from "./src/core/send_error.ts";
export type { SendOptions, Transport } from "./src/core/transport.ts";
export { withQuarantine } from "./src/delivery/quarantine.ts";
export {
  type RetryEvent,
  type RetryOptions,
  withRetry,
} from "./src/delivery/retry.ts";
export type { HttpOptions } from "./src/transports/http/http_transport.ts";
export type { HeaderFields } from "./src/transports/http/target.ts";
export {
  fetchTransport,
  type FetchTransportOptions,
} from "./src/transports/tinyobs.ts";
export { checkMetric } from "./src/transports/tinyobs_rules.ts";
