// How a transport says that it could not deliver.

import type { Batch } from "./batch.ts";
import { messageOf } from "./text.ts";

/**
 * What kind of failure a {@linkcode SendError} is, which decides what helps.
 *
 * - `transient`: the network, a timeout or a busy server; the same batch may get
 *   through later.
 * - `rejected`: the server read the batch and will not take it; some of its items
 *   may get through without the others.
 * - `refused`: nothing about the batch will help: a wrong key or address, a full
 *   disk.
 */
export type SendErrorKind = "transient" | "rejected" | "refused";

/**
 * What exactly went wrong. Switch on this, never on the words of a message.
 *
 * - `timeout`: no answer in time.
 * - `aborted`: the sender's signal ended the request.
 * - `connection`: the connection could not be made, or broke.
 * - `connection_refused`: nothing listens at the address.
 * - `dns`: the host's name has no address.
 * - `certificate`: the server's certificate is not trusted.
 * - `tls`: one side speaks TLS, the other does not.
 * - `address`: the runtime does not send to such an address.
 * - `permission`: the runtime does not allow it.
 * - `redirect`: the server sends elsewhere; redirects are not followed.
 * - `not_metrics_server`: the answer is a web page or too long.
 * - `count`: the server took another number of items than was sent.
 * - `status`: the server answered that it failed.
 * - `series_limit`: the server takes no more series.
 * - `encode`: an item cannot be written in the wire's format.
 * - `given_up`: the deadline of `stop()` passed first.
 * - `unknown`: a transport threw something that is not a `SendError`, or did not say.
 */
export type SendErrorCode =
  | "timeout"
  | "aborted"
  | "connection"
  | "connection_refused"
  | "dns"
  | "certificate"
  | "tls"
  | "address"
  | "permission"
  | "redirect"
  | "not_metrics_server"
  | "count"
  | "status"
  | "series_limit"
  | "encode"
  | "given_up"
  | "unknown";

/** The details of a {@linkcode SendError}. */
export interface SendErrorOptions<T> {
  /** What kind of failure it is. */
  readonly kind: SendErrorKind;
  /**
   * What exactly went wrong.
   *
   * @default {"unknown"}
   */
  readonly code?: SendErrorCode | undefined;
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
   * Which of the undelivered items the server blames, from 0.
   *
   * @default {undefined} it blames none in particular
   */
  readonly index?: number | undefined;
  /**
   * The failures behind this one, where there are several: one for each item that
   * was found to be at fault.
   *
   * @default {[]}
   */
  readonly errors?: readonly SendError<T>[] | undefined;
  /**
   * What a foreign transport threw.
   *
   * @default {undefined} nothing but this error
   */
  readonly cause?: unknown;
}

/** Marks a `SendError` of any copy of this package in the program. */
const BRAND = Symbol.for("@tinyobs/batch/SendError");

/**
 * A batch that was not delivered, or not all of it.
 *
 * The message holds no credentials, no query of a URL and no header's value.
 * `instanceof` also recognizes the errors of another copy of this package.
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
 *   if (error instanceof SendError && error.code === "connection_refused") {
 *     console.error(`Nothing listens there: ${error.message}`);
 *   }
 * }
 * ```
 */
export class SendError<T = unknown> extends Error {
  /** `"SendError"`. */
  override readonly name = "SendError";
  /** What kind of failure it is. */
  readonly kind: SendErrorKind;
  /** What exactly went wrong. */
  readonly code: SendErrorCode;
  /** What was not delivered, in the order of the batch; `undefined` is all of it. */
  readonly undelivered: readonly T[] | undefined;
  /** The HTTP status of the answer, if there was one. */
  readonly status: number | undefined;
  /** How long the server asks to wait, in milliseconds, if it says so. */
  readonly retryAfter: number | undefined;
  /** Which of the undelivered items the server blames, if it blames one. */
  readonly index: number | undefined;
  /** The failures behind this one, where there are several. */
  readonly errors: readonly SendError<T>[];

  /**
   * Makes the error that a transport throws.
   *
   * @param message What happened, to what.
   * @param options The kind, what was not delivered, and what the server said.
   */
  constructor(message: string, options: SendErrorOptions<T>) {
    const { cause } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.kind = options.kind;
    this.code = options.code ?? "unknown";
    this.undelivered = options.undelivered;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.index = options.index;
    this.errors = options.errors ?? [];
    Object.defineProperty(this, BRAND, { value: true });
  }

  /**
   * The same error with some details changed.
   *
   * @param changes The details that differ; an explicit `undefined` clears one.
   * @returns A new error.
   */
  with(
    changes: Partial<SendErrorOptions<T>> & { readonly message?: string },
  ): SendError<T> {
    const { message = this.message, ...options } = changes;
    const { kind, code, undelivered, status, retryAfter, index } = this;
    const { errors, cause } = this;
    return new SendError(message, {
      kind,
      code,
      undelivered,
      status,
      retryAfter,
      index,
      errors,
      cause,
      ...options,
    });
  }

  /**
   * Whether a value is a `SendError`, of this copy of the package or another.
   *
   * @param value Any value.
   * @returns Whether `value instanceof SendError`.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === SendError
      ? isSendError(value)
      : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

function isSendError(value: unknown): value is SendError {
  try {
    return typeof value === "object" && value !== null && BRAND in value;
  } catch {
    // A proxy may throw whatever it likes.
    return false;
  }
}

/**
 * Takes whatever a transport threw as a `SendError` about `batch`. One that names
 * more items than the batch holds means all of it. Anything else counts as
 * transient, since what most transports throw is their network's error. Never
 * throws, as nothing would catch it.
 */
export function toSendError<T>(
  thrown: unknown,
  batch: Batch<T>,
): SendError<T> {
  if (!isSendError(thrown)) {
    return new SendError(messageOf(thrown), {
      kind: "transient",
      cause: thrown,
    });
  }
  const error = thrown as SendError<T>;
  const { undelivered } = error;
  const plausible = undelivered === undefined ||
    (Array.isArray(undelivered) && undelivered.length <= batch.length);
  if (plausible && typeof error.with === "function") return error;
  return SendError.prototype.with.call(
    error,
    plausible ? {} : { undelivered: undefined, index: undefined },
  ) as SendError<T>;
}

/** How many items of `batch` the error is about. */
export function countUndelivered<T>(
  error: SendError<T>,
  batch: Batch<T>,
): number {
  return error.undelivered?.length ?? batch.length;
}

/** The items of `batch` that the error is about. */
export function undeliveredOf<T>(
  error: SendError<T>,
  batch: Batch<T>,
): readonly T[] {
  return error.undelivered ?? [...batch];
}
