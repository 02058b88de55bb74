// The transport for TinyObs: its JSON, its limits, and what its answers mean.

import { checkKnown } from "../core/check.ts";
import { parseJson } from "../core/json.ts";
import type { Metric } from "../core/metric.ts";
import { count, show } from "../core/text.ts";
import type { Transport } from "../core/transport.ts";
import {
  type Answer,
  judgeStatus,
  parseObject,
  parseRetryAfter,
  type Verdict,
} from "./http/answer.ts";
import { encodeText } from "./http/buffers.ts";
import {
  type Encoded,
  type HttpOptions,
  httpTransport,
} from "./http/http_transport.ts";
import { TINYOBS_MAX_PER_REQUEST, TINYOBS_RULES } from "./tinyobs_rules.ts";

/**
 * Options for {@linkcode fetchTransport}.
 *
 * @typeParam T What a batch consists of.
 */
export interface FetchTransportOptions<T> extends HttpOptions {
  /**
   * How many items one request holds at most: a positive integer. A larger batch
   * goes out as several requests, one after the other. TinyObs refuses more than
   * 1000 (its `pkg/ingest/limits.go`).
   *
   * @default {1000}
   */
  readonly maxPerRequest?: number | undefined;
  /**
   * Makes a request's body from its items. The same items must give the same body.
   *
   * @default {undefined} `{"metrics":[…]}`, as TinyObs reads it
   */
  readonly encode?:
    | ((items: readonly T[]) => string | Uint8Array<ArrayBuffer>)
    | undefined;
}

/**
 * Makes a transport that posts each batch to a TinyObs server, or to anything else
 * that takes JSON over HTTP.
 *
 * - A request ends after `timeout` (`AbortSignal.timeout`) or with the caller's
 *   signal.
 * - Redirects are not followed: a POST that follows a 301 or 302 becomes a GET
 *   without a body, and its 200 would look like a success.
 * - A 2xx counts as delivered, unless it is HTML, longer than 64 KiB or says
 *   another `count` than was sent: then something else answered, or a part was
 *   dropped.
 * - Every other answer is a {@linkcode SendError}. `transient`: 408, 429 (unless it
 *   names TinyObs's cardinality limit and has no `Retry-After`), 500, 502, 503, 504,
 *   and no answer at all. `rejected`: 400, 413, 422 and the cardinality 429.
 *   `refused`: the others.
 *
 * Delivery is at least once: where a connection breaks after the server has read
 * the request, nobody knows, and Deno's and Node's `fetch` may repeat a request by
 * themselves when a kept connection turns out to be dead. On the server, a metric
 * with the same timestamp overwrites itself, so it does not count twice.
 *
 * A batch of a `Batcher` is encoded once and kept as bytes: a retry sends the very
 * same ones.
 *
 * @example Usage
 * ```ts
 * import { fetchTransport } from "@tinyobs/batch";
 *
 * const transport = fetchTransport("http://localhost:8080/v1/ingest", {
 *   apiKey: "secret",
 *   timeout: 2000,
 * });
 * ```
 *
 * @typeParam T What a batch consists of.
 * @param url Where to send: `http:` or `https:`. A user and password in it become
 * a Basic `Authorization` header.
 * @param options The key, limits and encoding.
 * @returns The transport.
 * @throws {TypeError} If `url` is not an HTTP URL, or a header's name or value cannot
 * be sent, or there is no such option.
 * @throws {RangeError} If `timeout` or `maxPerRequest` is out of its bounds.
 */
export function fetchTransport<T = Metric>(
  url: string | URL,
  options: FetchTransportOptions<T> = {},
): Transport<T> {
  checkKnown("create fetchTransport", options, OPTIONS, ALIASES);
  const { encode, maxPerRequest } = options;
  return tinyobsTransport<T>(url, options, {
    encode: encode === undefined
      ? encodeMetrics
      : (items) => ({ body: encode(items) }),
    maxPerRequest,
  });
}

const OPTIONS = [
  "apiKey",
  "headers",
  "timeout",
  "fetch",
  "maxPerRequest",
  "encode",
];
const ALIASES = {
  token: "apiKey",
  key: "apiKey",
  timeoutMs: "timeout",
  batchSize: "maxPerRequest",
  maxBatchSize: "maxPerRequest",
};

/** What items of one's own need, to be sent to a TinyObs server. */
export interface TinyobsWire<T> {
  readonly encode: (items: readonly T[]) => Encoded<T>;
  readonly maxPerRequest?: number | undefined;
  /** Told of the length of each request's body. */
  readonly onRequest?: ((bytes: number) => void) | undefined;
}

/** The transport for items that are encoded in a way of their own. */
export function tinyobsTransport<T>(
  url: string | URL,
  options: HttpOptions,
  wire: TinyobsWire<T>,
): Transport<T> {
  return httpTransport<T>({
    name: "fetchTransport",
    url,
    wireHeaders: { "content-type": "application/json" },
    judge,
    rules: TINYOBS_RULES,
    text: true,
    ...wire,
    maxPerRequest: wire.maxPerRequest === undefined
      ? TINYOBS_MAX_PER_REQUEST
      : wire.maxPerRequest,
  }, options);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What the server reads before and after the metrics of a request. */
export const HEAD: Uint8Array<ArrayBuffer> = encoder.encode('{"metrics":[');
export const TAIL: Uint8Array<ArrayBuffer> = encoder.encode("]}");

function encodeMetrics<T>(items: readonly T[]): Encoded<T> {
  const body = encodeText(
    items.some(isNegativeZero)
      ? `{"metrics":[${items.map(stringifyExactly)}]}`
      : JSON.stringify({ metrics: items }),
  );
  return {
    body,
    recyclable: true,
    restore: (body) =>
      (parseJson(decoder.decode(body)) as { metrics: T[] }).metrics,
  };
}

/** JSON has a -0, which `JSON.stringify` writes as 0. */
function stringifyExactly(item: unknown): string {
  const text = JSON.stringify(item);
  // Inside a string, the quotes would be escaped.
  return isNegativeZero(item) ? text.replace('"value":0', '"value":-0') : text;
}

function isNegativeZero(item: unknown): boolean {
  return Object.is((item as Partial<Metric> | null)?.value, -0);
}

function judge(answer: Answer, sent: number): Verdict | undefined {
  const { status, headers, text } = answer;
  if (status >= 200 && status < 300) {
    const said = parseObject(text ?? "") ?? {};
    if (reportsFailure(said)) {
      // A gateway that wraps the server's error in a 200.
      const { reason } = judgeStatus(answer);
      return {
        kind: "refused",
        code: "status",
        reason: `reports an error: ${reason}`,
      };
    }
    const taken = said.count;
    if (taken === undefined || taken === sent) return undefined;
    return {
      kind: "refused",
      code: "count",
      reason: `says that it took ${show(taken)} of ${count(sent)}`,
    };
  }
  const verdict = judgeStatus(answer);
  const { reason } = verdict;
  if (
    status === 429 && /cardinality/i.test(reason) &&
    parseRetryAfter(headers) === undefined
  ) {
    // The limit on the number of series, which does not pass with time.
    return { ...verdict, kind: "rejected", code: "series_limit" };
  }
  return verdict.kind === "rejected"
    ? { ...verdict, index: namedIndex(reason, sent) }
    : verdict;
}

/** Whether an answer says that something went wrong, in one of the usual ways. */
function reportsFailure(said: Record<string, unknown>): boolean {
  const fields = Object.fromEntries(
    Object.entries(said).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const { status, error, errors, success, ok, rejected, failed } = fields;
  const partial = fields.partialsuccess ?? fields.partial_success;
  return (typeof status === "string" &&
    /^(?:err|error|fail|failed|failure|partial)$/i.test(status)) ||
    (typeof status === "number" && status >= 300) ||
    Boolean(error) ||
    (Array.isArray(errors) && errors.length > 0) ||
    success === false || ok === false ||
    Number(rejected) > 0 || Number(failed) > 0 ||
    (typeof partial === "object" && partial !== null &&
      Object.entries(partial).some(([name, value]) =>
        /rejected/i.test(name) && Number(value) > 0
      ));
}

/** The index that the server names in `invalid metric at index N: …`. */
function namedIndex(words: string, items: number): number | undefined {
  const match = /invalid metric at index (\d{1,9})\b/i.exec(words);
  const index = match === null ? items : Number(match[1]);
  return index < items ? index : undefined;
}
