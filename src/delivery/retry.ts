// Retry: a batch that met a transient failure is sent again, later and later.

import { guard } from "../core/logger.ts";
import { show } from "../core/text.ts";
import {
  type SendError,
  type SendOptions,
  toSendError,
  type Transport,
} from "../core/transport.ts";

/** What {@linkcode RetryOptions.onRetry} is told before each retry. */
export interface RetryEvent<T> {
  /** Which attempt failed, from 1. */
  readonly attempt: number;
  /** How long until the next one, in milliseconds. */
  readonly delay: number;
  /** Why it failed, and what is to be sent again. */
  readonly error: SendError<T>;
}

/**
 * Options for {@linkcode withRetry}.
 *
 * @typeParam T What a batch consists of.
 */
export interface RetryOptions<T> {
  /**
   * How often a batch is sent at most, the first time included. A positive
   * integer; 1 retries nothing.
   *
   * @default {5}
   */
  readonly attempts?: number | undefined;
  /**
   * The bound of the first wait, in milliseconds: 0 or more. It doubles with each
   * attempt.
   *
   * @default {500}
   */
  readonly baseDelay?: number | undefined;
  /**
   * What the bound grows to at most, in milliseconds: at least `baseDelay`, at
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

/** What a server may ask to wait at most: one that asks for hours is as good as down. */
const MAX_RETRY_AFTER = 5 * 60_000;
const MAX_TIMER = 2 ** 31 - 1;

/**
 * Wraps a transport so that transient failures are tried again.
 *
 * The wait before each retry is random, between 0 and a bound that doubles each
 * time (exponential backoff with full jitter), so that many senders do not come
 * back at the same moment. A `Retry-After` of the server, up to five minutes, is
 * waited in full before that. Only what was not delivered is sent again. When the
 * signal is aborted, the wait ends and the last failure stands.
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
 */
export function withRetry<T>(
  transport: Transport<T>,
  options: RetryOptions<T> = {},
): Transport<T> {
  const { attempts = 5, baseDelay = 500, maxDelay = 30_000, onRetry } = options;
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new RangeError(
      `Cannot retry as 'attempts' must be a positive integer: current value is ${
        show(attempts)
      }`,
    );
  }
  if (!(baseDelay >= 0)) {
    throw new RangeError(
      `Cannot retry as 'baseDelay' must be 0 or more milliseconds: current value is ${
        show(baseDelay)
      }`,
    );
  }
  if (!(maxDelay >= baseDelay && maxDelay <= MAX_TIMER)) {
    throw new RangeError(
      `Cannot retry as 'maxDelay' must be at least 'baseDelay' and at most ${MAX_TIMER} milliseconds: current value is ${
        show(maxDelay)
      }`,
    );
  }

  return {
    async send(batch: readonly T[], { signal }: SendOptions): Promise<void> {
      let rest = batch;
      for (let attempt = 1;; attempt++) {
        try {
          return await transport.send(rest, { signal });
        } catch (thrown) {
          const error = toSendError(thrown, rest);
          if (error.undelivered.length === 0) return;
          if (
            error.kind !== "transient" || attempt >= attempts || signal.aborted
          ) throw error;
          const asked = Math.min(error.retryAfter ?? 0, MAX_RETRY_AFTER);
          const bound = Math.min(
            maxDelay,
            baseDelay * 2 ** Math.min(attempt - 1, 31),
          );
          const delay = Math.round(asked + Math.random() * bound);
          if (onRetry !== undefined) {
            guard(() => onRetry({ attempt, delay, error }));
          }
          await sleep(delay, signal);
          if (signal.aborted) throw error;
          rest = error.undelivered;
        }
      }
    },
  };
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
