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
export {
  fetchTransport,
  type FetchTransportOptions,
} from "./src/transports/tinyobs.ts";
export type { Logger } from "./src/core/logger.ts";
export {
  checkMetric,
  type Metric,
  type MetricType,
} from "./src/core/metric.ts";
export { withQuarantine } from "./src/delivery/quarantine.ts";
export {
  type RetryEvent,
  type RetryOptions,
  withRetry,
} from "./src/delivery/retry.ts";
export {
  SendError,
  type SendErrorKind,
  type SendErrorOptions,
  type SendOptions,
  type Transport,
} from "./src/core/transport.ts";
