// What delivers a batch.

import type { Batch } from "./batch.ts";
import type { MetricRules } from "./metric.ts";

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
 * batcher.start();
 * batcher.add({ name: "up", type: "gauge", value: 1 });
 * ```
 */
export interface Transport<T> {
  /**
   * How many batches the wire bears at the same time: a positive integer, 1 where
   * the order of batches counts. A `Batcher` never exceeds it.
   *
   * @default {undefined} as many as the sender likes
   */
  readonly maxInFlight?: number | undefined;
  /**
   * The limits of the wire that a metric must keep. A `Batcher` checks them when a
   * metric is added.
   *
   * @default {undefined} none beyond what a metric is
   */
  readonly rules?: MetricRules | undefined;
  /**
   * Called when a batch is complete, before it waits its turn to be sent: the
   * chance to encode it and to let its items go. What it throws is ignored; `send`
   * then meets the same problem and reports it.
   *
   * @param batch What `send` will be called with.
   */
  readonly prepare?: ((batch: Batch<T>) => void) | undefined;
  /**
   * Delivers one batch.
   *
   * @param batch What to deliver. The transport must not change it.
   * @param options Carries the signal at which to give up.
   * @returns A promise that resolves once every item of the batch is delivered.
   * @throws {SendError} (as a rejection) if not all of it was: its `undelivered`
   * says what was not. Any other error counts as a transient failure of the whole
   * batch.
   */
  // Not a method, whose parameters the compiler would compare less strictly: a `send`
  // that wants an array must not compile.
  readonly send: (batch: Batch<T>, options: SendOptions) => Promise<void>;
}
