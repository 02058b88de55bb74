// Quarantine: finds the items for which a server rejects a batch, and delivers the
// others.

import { count } from "./text.ts";
import {
  SendError,
  type SendOptions,
  toSendError,
  type Transport,
} from "./transport.ts";

/**
 * How many requests in a row may deliver nothing before the rest of a batch is
 * given up. It lets 60 culprits be found that lie evenly in 1000 items, and ends
 * where a server takes nothing at all.
 */
const PATIENCE = 256;
const MIN_PATIENCE = 8;
/** After as many requests in a row, halving is quicker than taking the server's hints. */
const MAX_HINTS = 16;

/**
 * Wraps a transport so that the items at fault in a rejected batch do not take the
 * others with them.
 *
 * A TinyObs server refuses a whole request for one bad metric, before it stores
 * any of it. So a rejected batch is cut in halves until the culprits stand alone,
 * and everything else is delivered. Where the server names the culprit
 * (`invalid metric at index N`), it is taken out at once. For k culprits among n
 * items this takes in the order of k·log2(n) requests, one at a time; when one
 * request after the other delivers nothing, the rest is given up.
 *
 * The error that remains holds just the culprits in `undelivered`, and as `cause`
 * an array with one `SendError` for each, in the server's words.
 *
 * Other failures end the search. Put it around {@linkcode withRetry}, so that
 * those are retried on the way.
 *
 * @example Usage
 * ```ts
 * import { fetchTransport, withQuarantine, withRetry } from "@tinyobs/batch";
 *
 * const transport = withQuarantine(
 *   withRetry(fetchTransport("http://localhost:8080/v1/ingest")),
 * );
 * ```
 *
 * @typeParam T What a batch consists of.
 * @param transport Sends the batches and their parts.
 * @returns The transport that isolates culprits.
 */
export function withQuarantine<T>(transport: Transport<T>): Transport<T> {
  // Less for the next batch, when a batch was rejected to the last item.
  let patience = PATIENCE;

  async function search(
    batch: readonly T[],
    first: SendError<T>,
    options: SendOptions,
  ): Promise<void> {
    const culprits: SendError<T>[] = [];
    /** What is still to be sent, largest parts first, so that halves that pass show early. */
    const parts: (readonly T[])[] = [];
    let fruitless = 1;

    const divide = (error: SendError<T>) => {
      const { undelivered, index } = error;
      const named = undelivered.length === 1 ? 0 : index;
      let rest = undelivered;
      if (named !== undefined) {
        culprits.push(
          new SendError(error.message, {
            kind: "rejected",
            undelivered: undelivered.slice(named, named + 1),
            status: error.status,
          }),
        );
        rest = undelivered.toSpliced(named, 1);
        if (rest.length === 0) return;
        if (fruitless < MAX_HINTS) {
          parts.push(rest);
          return;
        }
      }
      const middle = Math.ceil(rest.length / 2);
      parts.push(rest.slice(0, middle));
      if (middle < rest.length) parts.push(rest.slice(middle));
    };

    /** Everything that is not delivered, in the order of the batch. */
    const fail = (error: SendError<T>, left: readonly T[]) => {
      const counts = new Map<T, number>();
      for (const item of [...culprits.flatMap((c) => c.undelivered), ...left]) {
        counts.set(item, (counts.get(item) ?? 0) + 1);
      }
      const undelivered = batch.filter((item) => {
        const n = counts.get(item) ?? 0;
        counts.set(item, n - 1);
        return n > 0;
      });
      return new SendError(error.message, {
        kind: error.kind,
        undelivered,
        status: error.status,
        retryAfter: error.retryAfter,
        cause: culprits,
      });
    };

    divide(first);
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      if (fruitless >= patience) {
        patience = Math.max(MIN_PATIENCE, patience >> 2);
        throw fail(culprits.at(-1) ?? first, [...part, ...parts.flat()]);
      }
      try {
        await transport.send(part, options);
        fruitless = 0;
        patience = PATIENCE;
      } catch (thrown) {
        const error = toSendError(thrown, part);
        if (error.kind !== "rejected") {
          throw fail(error, [...error.undelivered, ...parts.flat()]);
        }
        // A transport that splits requests may have delivered a part of it.
        fruitless = error.undelivered.length < part.length ? 0 : fruitless + 1;
        divide(error);
      }
    }
    const error = culprits[0];
    // The parts passed, each for itself: it was the batch that was too large.
    if (error === undefined) return;
    throw culprits.length === 1 ? fail(error, []) : fail(
      new SendError(
        `${error.message} (and ${
          count(culprits.length - 1, "more rejection")
        })`,
        { kind: "rejected", undelivered: [], status: error.status },
      ),
      [],
    );
  }

  return {
    async send(batch: readonly T[], options: SendOptions): Promise<void> {
      try {
        await transport.send(batch, options);
        patience = PATIENCE;
      } catch (thrown) {
        const error = toSendError(thrown, batch);
        if (error.kind !== "rejected" || error.undelivered.length === 0) {
          throw error;
        }
        await search(batch, error, options);
      }
    },
  };
}
