// Retry: after a transient failure, sends the batch again, at longer and longer
// intervals.

import { toBatch } from "../core/batch.ts";
import {
  checkDuration,
  checkKnown,
  checkPositiveInteger,
  checkRule,
  MAX_TIMER,
} from "../core/check.ts";
import { guard } from "../core/logger.ts";
import {
  countUndelivered,
  type SendError,
  toSendError,
} from "../core/send_error.ts";
import type { Transport } from "../core/transport.ts";
import { wrapTransport } from "./wrap.ts";

/** What {@linkcode RetryOptions.onRetry} is told before each retry. */
export interface RetryEvent<T> {
  /** Which attempt failed, from 1. */
  readonly attempt: number;
  /** How long until the next one, in milliseconds. */
  readonly delay: number;
  /** Why it failed, and what of the batch goes out again. */
  readonly error: SendError<T>;
}

/**
 * Options for {@linkcode withRetry}.
 *
 * @typeParam T What a batch consists of.
 */
export interface RetryOptions<T> {
  /**
   * The most times a batch is sent, the first one included. A positive integer; 1
   * retries nothing.
   *
   * @default {5}
   */
  readonly attempts?: number | undefined;
  /**
   * The upper bound of the first wait, in milliseconds: 0 or more. It doubles with
   * each attempt.
   *
   * @default {500}
   */
  readonly baseDelay?: number | undefined;
  /**
   * The most that the bound grows to, in milliseconds: at least `baseDelay`, at
   * most 2147483647.
   *
   * @default {30000}
   */
  readonly maxDelay?: number | undefined;
  /**
   * Called before each retry. What it throws is ignored.
   *
   * @default {undefined} nobody is told
   */
  readonly onRetry?: ((event: RetryEvent<T>) => unknown) | undefined;
}

const OPTIONS = ["attempts", "baseDelay", "maxDelay", "onRetry"];
const ALIASES = {
  retries: "attempts",
  maxRetries: "attempts",
  maxAttempts: "attempts",
  minDelay: "baseDelay",
  minTimeout: "baseDelay",
  delay: "baseDelay",
  maxTimeout: "maxDelay",
};

/** The longest `Retry-After` that is honoured: a server that asks for hours is as good as down. */
const MAX_RETRY_AFTER = 5 * 60_000;

/**
 * Wraps a transport so that a batch is sent again after a transient failure.
 *
 * The wait before each retry is random, between 0 and a bound that doubles each
 * time (exponential backoff with full jitter), so that many senders do not come
 * back at the same moment. If the server sends a `Retry-After`, of up to five
 * minutes, that passes in full first. Only what was not delivered is sent again.
 * When the signal is aborted, the wait ends and the last failure stands.
 *
 * A `Batcher` does this by itself; see its option `retry`.
 *
 * @example Usage
 * ```ts
 * import { fetchTransport, withRetry } from "@tinyobs/batch";
 *
 * const transport = withRetry(
 *   fetchTransport("http://localhost:8080/v1/ingest"),
 *   {
 *     attempts: 3,
 *     onRetry: ({ attempt, delay, error }) =>
 *       console.warn(`Attempt ${attempt}: ${error.message}; again in ${delay} ms`),
 *   },
 * );
 * ```
 *
 * @typeParam T What a batch consists of.
 * @param transport Sends the batches.
 * @param options How often and how far apart.
 * @returns The transport that retries.
 * @throws {RangeError} If an option is out of its bounds.
 * @throws {TypeError} If there is no such option.
 */
export function withRetry<T>(
  transport: Transport<T>,
  options: RetryOptions<T> = {},
): Transport<T> {
  const { attempts = 5, baseDelay = 500, maxDelay = 30_000, onRetry } = options;
  checkKnown("retry", options, OPTIONS, ALIASES);
  checkPositiveInteger("retry", "attempts", attempts);
  checkDuration("retry", "baseDelay", baseDelay);
  checkRule(
    "retry",
    "maxDelay",
    maxDelay,
    maxDelay >= baseDelay && maxDelay <= MAX_TIMER,
    `at least 'baseDelay' and at most ${MAX_TIMER} milliseconds`,
  );

  return wrapTransport(transport, async (batch, { signal }) => {
    let rest = toBatch(batch);
    for (let attempt = 1;; attempt++) {
      try {
        return await transport.send(rest, { signal });
      } catch (thrown) {
        const error = toSendError(thrown, rest);
        if (countUndelivered(error, rest) === 0) return;
        // What failed of the rest, said of the batch.
        const undelivered = error.undelivered ??
          (rest.length < batch.length ? [...rest] : undefined);
        const failure = undelivered === error.undelivered
          ? error
          : error.with({ undelivered });
        if (
          error.kind !== "transient" || attempt >= attempts || signal.aborted
        ) throw failure;
        const asked = Math.min(error.retryAfter ?? 0, MAX_RETRY_AFTER);
        const bound = Math.min(
          maxDelay,
          baseDelay * 2 ** Math.min(attempt - 1, 31),
        );
        const delay = Math.round(asked + Math.random() * bound);
        if (onRetry !== undefined) {
          guard(() => onRetry({ attempt, delay, error: failure }));
        }
        await sleep(delay, signal);
        if (signal.aborted) throw failure;
        if (error.undelivered !== undefined) rest = toBatch(error.undelivered);
      }
    }
  }, "retry");
}

/** Resolves after `delay` milliseconds, or when the signal is aborted. */
function sleep(delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, Math.min(delay, MAX_TIMER));
    signal.addEventListener("abort", wake);
    if (signal.aborted) wake();
  });
}
