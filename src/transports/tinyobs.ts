// The transport that speaks HTTP: one POST per request, and a verdict on the
// answer.

import type { Metric } from "../core/metric.ts";
import {
  SendError,
  type SendErrorKind,
  type SendOptions,
  type Transport,
} from "../core/transport.ts";
import { safeUrl, Target } from "./http/target.ts";
import { count, messageOf, show } from "../core/text.ts";

/**
 * Options for {@linkcode fetchTransport}.
 *
 * @typeParam T What a batch consists of.
 */
export interface FetchTransportOptions<T> {
  /**
   * Sent as `Authorization: Bearer KEY`. It never appears in a message.
   *
   * @default {undefined} no key
   */
  readonly apiKey?: string | undefined;
  /**
   * Further request headers. They go over the ones the transport sets itself.
   *
   * @default {undefined} only `Content-Type: application/json` and the key
   */
  readonly headers?: HeadersInit | undefined;
  /**
   * How long one request may take, its answer included, in milliseconds: more
   * than 0, at most 2147483647.
   *
   * @default {5000}
   */
  readonly timeout?: number | undefined;
  /**
   * How many items one request holds at most. A larger batch goes out as several
   * requests, one after the other. TinyObs refuses more than 1000 (its
   * `pkg/ingest/limits.go`).
   *
   * @default {1000}
   */
  readonly maxPerRequest?: number | undefined;
  /**
   * Makes a request's body of its items. The same items must give the same body.
   * What it returns may be changed once `fetch` has returned its promise.
   *
   * @default {undefined} `{"metrics":[…]}`, as TinyObs reads it
   */
  readonly encode?:
    | ((items: readonly T[]) => string | Uint8Array<ArrayBuffer>)
    | undefined;
  /**
   * What makes the requests. It must heed `init.signal`, which carries the timeout.
   *
   * @default {globalThis.fetch}
   */
  readonly fetch?:
    | ((url: string, init: RequestInit) => Promise<Response>)
    | undefined;
}

/** An answer that is longer is not read to its end. */
const MAX_ANSWER = 64 * 1024;
const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * Makes a transport that sends each batch to an HTTP server, as TinyObs takes it.
 *
 * - A request ends after `timeout` (`AbortSignal.timeout`) or with the caller's
 *   signal.
 * - Redirects are not followed: a POST that follows a 301 or 302 becomes a GET
 *   without a body, and its 200 would look like a success.
 * - A 2xx counts as delivered, unless it is HTML, longer than 64 KiB or says
 *   another `count` than was sent: then something else answered, or a part was
 *   dropped.
 * - Every other answer is a {@linkcode SendError}. `transient`: 408, 429 (unless
 *   it names TinyObs's cardinality limit and has no `Retry-After`), 500, 502, 503, 504, and no answer at
 *   all. `rejected`: 400, 413, 422 and the cardinality 429. `refused`: the others.
 *
 * Delivery is at least once: where a connection breaks after the server read the
 * request, nobody knows, and Deno's and Node's `fetch` may repeat a request by
 * themselves on a kept connection that turns out to be dead. Metrics with the same
 * timestamps overwrite themselves on the server, so they do not count twice.
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
 * @throws {TypeError} If `url` is no HTTP URL, or a header's name or value cannot
 * be sent.
 * @throws {RangeError} If `timeout` or `maxPerRequest` is out of its bounds.
 */
export function fetchTransport<T = Metric>(
  url: string | URL,
  options: FetchTransportOptions<T> = {},
): Transport<T> {
  const { timeout = 5000, maxPerRequest = 1000 } = options;
  const encode = options.encode ?? encodeMetrics;
  if (!(typeof timeout === "number" && timeout > 0 && timeout <= MAX_TIMEOUT)) {
    throw new RangeError(
      `Cannot create fetchTransport as 'timeout' must be more than 0 and at most ${MAX_TIMEOUT} milliseconds: current value is ${
        show(timeout)
      }`,
    );
  }
  if (!Number.isInteger(maxPerRequest) || maxPerRequest < 1) {
    throw new RangeError(
      `Cannot create fetchTransport as 'maxPerRequest' must be a positive integer: current value is ${
        show(maxPerRequest)
      }`,
    );
  }
  const target = new Target(url, options);

  async function post(items: readonly T[], signal: AbortSignal): Promise<void> {
    const fail = (
      kind: SendErrorKind,
      message: string,
      details: {
        status?: number;
        retryAfter?: number | undefined;
        index?: number | undefined;
      } = {},
    ) =>
      new SendError(message, {
        kind,
        undelivered: items,
        ...details,
      });

    // Looked up at each request, so that a test's or a tracer's patch is seen.
    const fetch = options.fetch ?? globalThis.fetch;
    let body: string | Uint8Array<ArrayBuffer>;
    let pooled = false;
    try {
      body = encode(items);
      if (typeof body === "string" && fetch === nativeFetch) {
        body = toBytes(body);
        pooled = typeof body !== "string";
      }
    } catch (error) {
      throw fail(
        "rejected",
        `Cannot encode ${count(items.length)}: ${
          target.quote(messageOf(error), 300)
        }`,
      );
    }
    const timer = AbortSignal.timeout(Math.ceil(timeout));
    let response: Response;
    let answer: string | undefined;
    try {
      response = await fetch(target.href, {
        method: "POST",
        headers: target.headers,
        body,
        redirect: "manual",
        signal: AbortSignal.any([signal, timer]),
      });
      answer = await readAnswer(response);
      // Not after an error: the request may still be on its way.
      if (pooled && body instanceof Uint8Array) {
        buffers.push(new Uint8Array(body.buffer));
      }
    } catch (error) {
      if (signal.aborted) {
        throw fail(
          "transient",
          `Sending to ${target.name} was aborted: ${
            target.quote(messageOf(signal.reason), 300)
          }`,
        );
      }
      if (timer.aborted) {
        throw fail(
          "transient",
          `No answer from ${target.name} within ${timeout} ms`,
        );
      }
      throw fail(
        isDenied(error) ? "refused" : "transient",
        `Cannot send to ${target.name}: ${
          target.quote(networkReason(error), 300)
        }`,
      );
    }

    const { status } = response;
    const says = `${target.name} answered ${
      target.quote(`${status} ${response.statusText}`.trim(), 100)
    }`;
    if (response.ok) {
      const problem = checkAnswer(response, answer, items.length);
      if (problem === undefined) return;
      throw fail("refused", `${says}, but ${target.quote(problem, 300)}`, {
        status,
      });
    }
    const words = serverWords(answer);
    const message = words === ""
      ? says
      : `${says}: ${target.quote(words, 300)}`;
    const retryAfter = parseRetryAfter(response.headers.get("retry-after"));
    const kind = classify(status, retryAfter, words);
    if (kind === "rejected") {
      throw fail(kind, message, {
        status,
        index: namedIndex(words, items.length),
      });
    }
    const location = status >= 300 && status < 400 &&
      response.headers.get("location");
    throw fail(
      kind,
      location
        ? `${says}, a redirect to ${
          target.quote(safeUrl(location, target.href), 200)
        }`
        : message,
      { status, retryAfter },
    );
  }

  return {
    async send(batch: readonly T[], { signal }: SendOptions): Promise<void> {
      if (batch.length <= maxPerRequest) return await post(batch, signal);
      const errors: SendError<T>[] = [];
      let at = 0;
      while (at < batch.length) {
        const items = batch.slice(at, at + maxPerRequest);
        at += items.length;
        try {
          await post(items, signal);
        } catch (error) {
          errors.push(error as SendError<T>);
          // A request that was rejected says nothing about the next one; any
          // other failure would meet it as well.
          if ((error as SendError<T>).kind !== "rejected") break;
        }
      }
      const last = errors.at(-1);
      if (last === undefined) return;
      throw new SendError(last.message, {
        kind: last.kind,
        undelivered: [
          ...errors.flatMap((error) => error.undelivered),
          ...batch.slice(at),
        ],
        status: last.status,
        retryAfter: last.retryAfter,
        index: errors.length === 1 ? last.index : undefined,
      });
    },
  };
}

const nativeFetch = globalThis.fetch;
const encoder = new TextEncoder();
/** Buffers that no request uses at the moment. A larger one is not worth keeping. */
const buffers: Uint8Array<ArrayBuffer>[] = [];
const MAX_BUFFER = 4 * 1024 * 1024;

/**
 * A text's bytes in a buffer of the pool, as `fetch` takes a fresh text a third
 * longer (`bench/ideas.ts`). Only for the `fetch` that was there from the start:
 * a test's may want to keep what it is given.
 */
function toBytes(text: string): string | Uint8Array<ArrayBuffer> {
  const size = text.length * 3;
  if (size > MAX_BUFFER) return text;
  let buffer = buffers.pop();
  if (buffer === undefined || buffer.length < size) {
    buffer = new Uint8Array(size);
  }
  return buffer.subarray(0, encoder.encodeInto(text, buffer).written);
}

function encodeMetrics(items: readonly unknown[]): string {
  return JSON.stringify({ metrics: items });
}

/** The answer's text, or `undefined` if it is longer than is worth reading. */
async function readAnswer(response: Response): Promise<string | undefined> {
  if (response.body === null) return "";
  // An unread body costs the connection, so the usual answer is read to its end. The
  // length of a compressed one tells nothing.
  const { headers } = response;
  const length = Number(headers.get("content-length") ?? Infinity);
  if (length <= MAX_ANSWER && !headers.has("content-encoding")) {
    return await response.text();
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0; bytes <= MAX_ANSWER;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel().catch(() => {});
  return undefined;
}

/** Why a 2xx is not the server's word that it has the items, or `undefined`. */
function checkAnswer(
  response: Response,
  answer: string | undefined,
  sent: number,
): string | undefined {
  if (answer === undefined) {
    return "with a longer text than a server of metrics gives";
  }
  if (
    /html/i.test(response.headers.get("content-type") ?? "") ||
    /^\s*</.test(answer)
  ) {
    return "with HTML: it is not a server of metrics";
  }
  const taken = parseObject(answer)?.count;
  return taken === undefined || taken === sent
    ? undefined
    : `says that it took ${show(taken)} of ${count(sent)}`;
}

/** The server's own explanation: `message` of its JSON, else its text. */
function serverWords(answer: string | undefined): string {
  if (answer === undefined) return "";
  const { message, error } = parseObject(answer) ?? {};
  const words = typeof message === "string"
    ? message
    : typeof error === "string"
    ? error
    : answer;
  return /^\s*</.test(words) ? "(HTML)" : words.trim();
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

function classify(
  status: number,
  retryAfter: number | undefined,
  words: string,
): SendErrorKind {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return "rejected";
    case 429:
      // TinyObs's limit of series, which does not pass with time.
      return retryAfter === undefined && /cardinality/i.test(words)
        ? "rejected"
        : "transient";
    case 408:
    case 500:
    case 502:
    case 503:
    case 504:
      return "transient";
    default:
      return "refused";
  }
}

/** The index that TinyObs names in `invalid metric at index N: …`. */
function namedIndex(words: string, items: number): number | undefined {
  const match = /invalid metric at index (\d{1,9})\b/i.exec(words);
  const index = match === null ? items : Number(match[1]);
  return index < items ? index : undefined;
}

/** `Retry-After` in milliseconds: seconds or an HTTP date (RFC 9110, 10.2.3). */
function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** What broke, without the URL that errors of `fetch` repeat. */
function networkReason(error: unknown): string {
  // "fetch failed" is all that Deno, Node and Bun say themselves; the cause tells
  // why, or where several addresses were tried, the first of its errors.
  let source = error instanceof Error && error.cause !== undefined
    ? error.cause
    : error;
  if (source instanceof AggregateError) source = source.errors[0] ?? source;
  return messageOf(source)
    .replace(/^error sending request.*?client error \(\w+\): /s, "")
    .replace(/^error sending request.*? \([^)]*\): /s, "").trim();
}

/** A missing permission of Deno, which does not come by waiting. */
function isDenied(error: unknown): boolean {
  return error instanceof Error && error.name === "NotCapable";
}
