// What carries a batch away, and how it says that it could not.

import { messageOf } from "./text.ts";

/** What a transport is given besides the batch. */
export interface SendOptions {
  /** Aborted when the sender will wait no longer. */
  readonly signal: AbortSignal;
}

/**
 * Delivers batches. {@linkcode fetchTransport} is one; anything with a `send` is
 * another.
 *
 * @typeParam T What a batch consists of.
 *
 * @example A transport that prints
 * ```ts
 * import { Batcher, type Metric, type Transport } from "@tinyobs/batch";
 *
 * const transport: Transport<Metric> = {
 *   send(batch) {
 *     for (const metric of batch) console.log(JSON.stringify(metric));
 *     return Promise.resolve();
 *   },
 * };
 *
 * await using batcher = new Batcher(transport);
 * batcher.add({ name: "up", type: "gauge", value: 1 });
 * ```
 */
export interface Transport<T> {
  /**
   * Delivers one batch.
   *
   * @param batch What to deliver. The transport must not change it.
   * @param options Carries the signal at which to give up.
   * @returns A promise that resolves once every item of the batch is delivered.
   * @throws {SendError} (as a rejection) if not all of it was: its `undelivered`
   * says what was not. Any other error counts as the whole batch failed.
   */
  send(batch: readonly T[], options: SendOptions): Promise<void>;
}

/**
 * What kind of failure a {@linkcode SendError} is, which decides what helps.
 *
 * - `transient`: the network, a timeout or a busy server; the same batch may pass
 *   later.
 * - `rejected`: the server read the batch and will not take it; some of its items
 *   may pass without the others.
 * - `refused`: nothing about the batch will help: a wrong key or address, a full
 *   disk.
 */
export type SendErrorKind = "transient" | "rejected" | "refused";

/** The details of a {@linkcode SendError}. */
export interface SendErrorOptions<T> {
  /** What kind of failure it is. */
  readonly kind: SendErrorKind;
  /**
   * What was not delivered, in the order of the batch.
   *
   * @default {undefined} the whole batch
   */
  readonly undelivered?: readonly T[] | undefined;
  /**
   * The HTTP status of the answer.
   *
   * @default {undefined} there was none
   */
  readonly status?: number | undefined;
  /**
   * How long the server asks to wait, in milliseconds, 0 or more.
   *
   * @default {undefined} it does not say
   */
  readonly retryAfter?: number | undefined;
  /**
   * Which of `undelivered` the server named as the one at fault, from 0.
   *
   * @default {undefined} it named none
   */
  readonly index?: number | undefined;
  /**
   * What a foreign transport threw.
   *
   * @default {undefined} nothing but this error
   */
  readonly cause?: unknown;
}

/** Stands for the whole batch, which the one who throws need not have at hand. */
const UNSAID: readonly never[] = Object.freeze([]);

/**
 * A batch that was not delivered, or not all of it.
 *
 * The message holds no credentials, no query of a URL and no header's value.
 *
 * @typeParam T What a batch consists of.
 *
 * @example Usage
 * ```ts
 * import { fetchTransport, SendError } from "@tinyobs/batch";
 *
 * const transport = fetchTransport("http://localhost:49151/v1/ingest");
 * try {
 *   await transport.send([{ name: "up", type: "gauge", value: 1 }], {
 *     signal: AbortSignal.timeout(1000),
 *   });
 * } catch (error) {
 *   if (error instanceof SendError && error.kind === "transient") {
 *     console.error(`${error.undelivered.length} to send again: ${error.message}`);
 *   }
 * }
 * ```
 */
export class SendError<T = unknown> extends Error {
  /** `"SendError"`. */
  override readonly name = "SendError";
  /** What kind of failure it is. */
  readonly kind: SendErrorKind;
  /**
   * What was not delivered, in the order of the batch. Where the transport did not
   * say, this is empty at first; a `Batcher`, `withRetry` and `withQuarantine` take
   * it as the whole batch and hand on an error that says so.
   */
  readonly undelivered: readonly T[];
  /** The HTTP status of the answer, if there was one. */
  readonly status: number | undefined;
  /** How long the server asks to wait, in milliseconds, if it says so. */
  readonly retryAfter: number | undefined;
  /** Which of `undelivered` the server named as the one at fault, if it did. */
  readonly index: number | undefined;

  /**
   * Makes the error that a transport throws.
   *
   * @param message What happened, to what.
   * @param options The kind, what was not delivered, and what the server said.
   */
  constructor(message: string, options: SendErrorOptions<T>) {
    super(
      message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.kind = options.kind;
    this.undelivered = options.undelivered ?? UNSAID;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.index = options.index;
  }
}

/**
 * Takes whatever a transport threw as a `SendError` about `batch`. One that does
 * not say what is undelivered, or says more than the batch holds, means all of it.
 * So does anything else, which counts as transient: what most transports throw is
 * their network's error. Never throws, as nothing would catch it.
 */
export function toSendError<T>(
  thrown: unknown,
  batch: readonly T[],
): SendError<T> {
  const error = thrown as SendError<T>;
  if (isSendError(thrown)) {
    const { undelivered } = error;
    if (
      undelivered !== UNSAID && Array.isArray(undelivered) &&
      undelivered.length <= batch.length
    ) return error;
  }
  const { kind, status, retryAfter, index } = isSendError(thrown)
    ? error
    : { kind: "transient" } as SendError<T>;
  return new SendError(messageOf(thrown), {
    kind,
    undelivered: batch,
    status,
    retryAfter,
    index,
    cause: thrown,
  });
}

/** `instanceof` throws for a revoked Proxy. */
function isSendError(thrown: unknown): boolean {
  try {
    return thrown instanceof SendError;
  } catch {
    return false;
  }
}
