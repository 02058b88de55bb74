// One POST for each request of a batch: encodes it once, divides it by the wire's
// limits, sends it within a timeout, and reads the answer to its end. What to send
// and what an answer means is the wire's to say.

import { type Batch, itemsOf } from "../../core/batch.ts";
import { checkDelay, checkPositiveInteger } from "../../core/check.ts";
import type { MetricRules } from "../../core/metric.ts";
import { SendError, type SendErrorOptions } from "../../core/send_error.ts";
import { count, messageOf } from "../../core/text.ts";
import type { SendOptions, Transport } from "../../core/transport.ts";
import {
  type Answer,
  judgeForeignAnswer,
  judgeStatus,
  parseRetryAfter,
  readAnswer,
  type Verdict,
} from "./answer.ts";
import { Body, type Waiting } from "./body.ts";
import { Connections } from "./connection.ts";
import { readNetworkError } from "./network_error.ts";
import { type HeaderFields, safeUrl, Target } from "./target.ts";
import { startTimeout } from "./timeout.ts";

/** What somebody who uses a transport over HTTP can set, whatever the wire. */
export interface HttpOptions {
  /**
   * Sent as `Authorization: Bearer KEY`. It never appears in a message.
   *
   * @default {undefined} no key
   */
  readonly apiKey?: string | undefined;
  /**
   * Further request headers. They override the ones that the transport sets.
   *
   * @default {undefined} only what the wire needs, and the key
   */
  readonly headers?: HeaderFields | undefined;
  /**
   * How long one request may take, its answer included, in milliseconds: more
   * than 0, at most 2147483647.
   *
   * @default {5000}
   */
  readonly timeout?: number | undefined;
  /**
   * What makes the requests. It must heed `init.signal`, which carries the timeout.
   *
   * @default {globalThis.fetch}
   */
  readonly fetch?:
    | ((url: string, init: RequestInit) => Promise<Response>)
    | undefined;
}

/** What a wire makes of some items. */
export interface Encoded<T> {
  /** The request's body. A string must hold nothing but ASCII if the wire limits bytes. */
  readonly body: string | Uint8Array<ArrayBuffer>;
  /**
   * Makes the items again from the body. Without it, the batch keeps them until
   * its answer comes.
   */
  readonly restore?:
    | ((body: Uint8Array<ArrayBuffer>) => readonly T[])
    | undefined;
  /** The body's buffer is one of `takeBuffer`, and can be recycled. */
  readonly recyclable?: boolean | undefined;
}

/** What tells one wire over HTTP from another. */
export interface Wire<T> {
  /** The function that makes the transport, as messages name it. */
  readonly name: string;
  readonly url: string | URL;
  /** The headers that the wire needs, `content-type` among them. */
  readonly wireHeaders: Readonly<Record<string, string>>;
  /** Makes a request's body. The same items must give the same body. */
  readonly encode: (items: readonly T[]) => Encoded<T>;
  /**
   * Judges an answer that is not a redirect, nor a 2xx of something that is no
   * metrics server.
   *
   * @returns Why the request was not delivered, or `undefined` if it was.
   */
  readonly judge?: (answer: Answer, sent: number) => Verdict | undefined;
  readonly rules?: MetricRules | undefined;
  /** How many items one request may hold; more go out as several requests. */
  readonly maxPerRequest?: number | undefined;
  /** How many bytes one request may have; more go out as several requests. */
  readonly maxBytes?: number | undefined;
  readonly maxInFlight?: number | undefined;
  /** The body is text: a `fetch` of the caller's own gets it as a string. */
  readonly text?: boolean | undefined;
  /** Told of the length of each request's body. */
  readonly onRequest?: ((bytes: number) => void) | undefined;
}

/** One request of a batch: the items from `from`, `count` of them, encoded. */
interface Part<T> {
  readonly from: number;
  readonly count: number;
  readonly encoded: Encoded<T>;
  readonly body: Body;
}

const nativeFetch = globalThis.fetch;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Makes the transport of a wire. */
export function httpTransport<T>(
  wire: Wire<T>,
  options: HttpOptions,
): Transport<T> {
  const { timeout = 5000 } = options;
  const { name, encode, judge = judgeStandard } = wire;
  const { maxPerRequest, maxBytes = Infinity } = wire;
  checkDelay(`create ${name}`, "timeout", timeout);
  if (maxPerRequest !== undefined) {
    checkPositiveInteger(`create ${name}`, "maxPerRequest", maxPerRequest);
  }
  const target = new Target(name, wire.url, wire.wireHeaders, options);
  const connections = new Connections(target.href);
  const waiting: Waiting = { bytes: 0 };
  /** What each batch was encoded to: a retry sends the very same bytes. */
  const prepared = new WeakMap<Batch<T>, Part<T>[]>();

  function divide(items: readonly T[]): Part<T>[] {
    const parts: Part<T>[] = [];
    const add = (from: number, to: number) => {
      const count = to - from;
      const encoded = encode(
        count === items.length ? items : items.slice(from, to),
      );
      if (count <= 1 || encoded.body.length <= maxBytes) {
        parts.push({ from, count, encoded, body: new Body(encoded, waiting) });
      } else {
        const middle = from + Math.ceil(count / 2);
        add(from, middle);
        add(middle, to);
      }
    };
    const step = maxPerRequest ?? items.length;
    let from = 0;
    do {
      add(from, Math.min(items.length, from + step));
      from += step;
    } while (from < items.length);
    return parts;
  }

  function prepare(batch: Batch<T>): Part<T>[] {
    const known = prepared.get(batch);
    if (known !== undefined) return known;
    const parts = divide(itemsOf(batch));
    // An array may be changed before it is sent again.
    if (Array.isArray(batch)) return parts;
    prepared.set(batch, parts);
    batch.whenDone?.(() => forget(batch, parts));
    if (parts.every(({ encoded }) => encoded.restore !== undefined)) {
      batch.release?.(() =>
        parts.flatMap(({ encoded, body }) => encoded.restore!(body.bytes))
      );
      for (const { body } of parts) body.wait();
    }
    return parts;
  }

  /** Nobody needs the batch anymore. */
  function forget(batch: Batch<T>, parts: readonly Part<T>[]): void {
    prepared.delete(batch);
    // A `fetch` of somebody else's may keep what it was given.
    if ((options.fetch ?? globalThis.fetch) !== nativeFetch) return;
    for (const { body, encoded } of parts) {
      if (!encoded.recyclable) continue;
      batch.release?.(() => {
        throw new Error("The batch is done with, and its items are gone");
      });
      body.recycle();
    }
  }

  async function post(
    { body: { content: body }, count: sent }: Part<T>,
    signal: AbortSignal,
  ): Promise<void> {
    const fail = (message: string, details: SendErrorOptions<T>) =>
      new SendError<T>(message, details);
    const limit = startTimeout(timeout, signal);
    // Looked up at each request, so that a test's or a tracer's patch is seen.
    const fetch = options.fetch ?? globalThis.fetch;
    const connection = fetch === nativeFetch ? connections.init : {};
    let response: Response;
    let text: string | undefined;
    try {
      wire.onRequest?.(body.length);
      response = await fetch(target.href, {
        method: "POST",
        headers: target.headers,
        // Whoever looks into requests expects text.
        body: wire.text && fetch !== nativeFetch && typeof body !== "string"
          ? decoder.decode(body)
          : body,
        redirect: "manual",
        signal: limit.signal,
        ...connection,
      });
      text = await readAnswer(response);
    } catch (error) {
      if (signal.aborted) {
        throw fail(
          `Sending to ${target.name} was aborted: ${
            target.quote(messageOf(signal.reason), 300)
          }`,
          { kind: "transient", code: "aborted" },
        );
      }
      if (limit.signal.aborted) {
        connections.abandon(connection);
        throw fail(`No answer from ${target.name} within ${timeout} ms`, {
          kind: "transient",
          code: "timeout",
        });
      }
      const { code, kind, reason } = readNetworkError(error);
      throw fail(
        `Cannot send to ${target.name}: ${target.quote(reason, 300)}`,
        { kind, code },
      );
    } finally {
      limit.end();
    }

    const { status, statusText, headers, ok } = response;
    const says = `${target.name} answered ${
      target.quote(`${status} ${statusText}`.trim(), 100)
    }`;
    const location = headers.get("location");
    if (status >= 300 && status < 400 && location) {
      throw fail(
        `${says}, a redirect to ${
          target.quote(safeUrl(location, target.href), 200)
        }`,
        { kind: "refused", code: "redirect", status },
      );
    }
    const answer: Answer = { status, headers, text };
    const verdict = (ok ? judgeForeignAnswer(answer) : undefined) ??
      judge(answer, sent);
    if (verdict === undefined) return;
    const { kind, code, reason, index } = verdict;
    throw fail(
      reason === ""
        ? says
        : `${says}${ok ? ", but " : ": "}${target.quote(reason, 300)}`,
      { kind, code, status, index, retryAfter: parseRetryAfter(headers) },
    );
  }

  return {
    maxInFlight: wire.maxInFlight,
    rules: wire.rules,
    prepare: (batch) => void prepare(batch),
    async send(batch: Batch<T>, { signal }: SendOptions): Promise<void> {
      let parts: Part<T>[];
      try {
        parts = prepare(batch);
      } catch (error) {
        throw new SendError(
          `Cannot encode ${count(batch.length)}: ${
            target.quote(messageOf(error), 300)
          }`,
          { kind: "rejected", code: "encode" },
        );
      }
      const [only] = parts;
      if (only !== undefined && parts.length === 1) {
        return await post(only, signal);
      }
      const errors: SendError<T>[] = [];
      const failed: Part<T>[] = [];
      for (const part of parts) {
        const last = errors.at(-1);
        // A request that was rejected says nothing about the next one; any other
        // failure would meet it as well.
        if (last === undefined || last.kind === "rejected") {
          try {
            await post(part, signal);
            continue;
          } catch (error) {
            errors.push(error as SendError<T>);
          }
        }
        failed.push(part);
      }
      const last = errors.at(-1);
      if (last === undefined) return;
      throw last.with({
        undelivered: failed.length === parts.length
          ? undefined
          : itemsIn(failed, itemsOf(batch)),
        index: errors.length === 1 && failed.length === 1
          ? last.index
          : undefined,
      });
    },
  };
}

function itemsIn<T>(parts: readonly Part<T>[], items: readonly T[]): T[] {
  return parts.flatMap(({ from, count }) => items.slice(from, from + count));
}

function judgeStandard(answer: Answer): Verdict | undefined {
  return answer.status >= 200 && answer.status < 300
    ? undefined
    : judgeStatus(answer);
}
