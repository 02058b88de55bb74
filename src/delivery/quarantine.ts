// Quarantine: finds the items for which a server rejects a batch, and delivers the
// others.

import {
  countUndelivered,
  type SendError,
  toSendError,
} from "../core/send_error.ts";
import { count } from "../core/text.ts";
import type { SendOptions, Transport } from "../core/transport.ts";
import { wrapTransport } from "./wrap.ts";

/**
 * After so many requests in a row that deliver nothing, a part is given up. As the
 * search goes depth first, something gets through much sooner even where every
 * second item is a culprit.
 */
const PATIENCE = 256;
/** The same, after a batch of which nothing was delivered. */
const MIN_PATIENCE = 32;
/** The same, for the parts that the search had not reached when its patience ran out. */
const LAST_CHANCE = 3;
/** After so many requests in a row, halving is quicker than following the server's hints. */
const MAX_HINTS = 16;

/**
 * Wraps a transport so that the items at fault in a rejected batch do not take the
 * others down with them.
 *
 * A server that refuses a whole request for one bad item stores none of it. So a
 * rejected batch is halved until the culprits stand alone, and everything else is
 * delivered. Where the server names the culprit, it is taken out at once. For k
 * culprits among n items this takes on the order of k·log2(n) requests, one at a
 * time; when hundreds of requests in a row deliver nothing, the rest is given up.
 *
 * The error that remains holds just the culprits in `undelivered`, and in `errors`
 * one `SendError` for each, in the server's words.
 *
 * Any other failure ends the search. Put it around {@linkcode withRetry}, so that
 * transient failures are retried on the way. A `Batcher` does this by itself; see
 * its option `quarantine`.
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
    items: readonly T[],
    first: SendError<T>,
    options: SendOptions,
  ): Promise<void> {
    const culprits: SendError<T>[] = [];
    /** What is still to be sent, the next one last. */
    let parts: (readonly T[])[] = [];
    /** What was given up. */
    const left: T[] = [];
    let fruitless = 1;
    let delivered = false;

    const divide = (error: SendError<T>, part: readonly T[]) => {
      const { undelivered = part, index } = error;
      const named = undelivered.length === 1 ? 0 : index;
      let rest = undelivered;
      if (named !== undefined) {
        culprits.push(error.with({
          undelivered: undelivered.slice(named, named + 1),
          index: undefined,
        }));
        rest = undelivered.toSpliced(named, 1);
        if (rest.length === 0) return;
        if (fruitless < MAX_HINTS) {
          parts.push(rest);
          return;
        }
      }
      const middle = Math.ceil(rest.length / 2);
      if (middle < rest.length) parts.push(rest.slice(middle));
      parts.push(rest.slice(0, middle));
    };

    /** Everything that is not delivered, in the order of the batch. */
    const fail = (error: SendError<T>) => {
      const all = [
        ...culprits.flatMap((culprit) => culprit.undelivered ?? []),
        ...left,
        ...parts.flat(),
      ];
      const counts = new Map<T, number>();
      for (const item of all) counts.set(item, (counts.get(item) ?? 0) + 1);
      const undelivered = items.filter((item) => {
        const n = counts.get(item) ?? 0;
        counts.set(item, n - 1);
        return n > 0;
      });
      return error.with({
        // A transport that hands back copies leaves open which items those are.
        undelivered: undelivered.length === all.length ? undelivered : all,
        index: undefined,
        errors: culprits,
      });
    };

    /** Goes through `parts`, until as many requests in a row have delivered nothing. */
    const go = async (patience: number) => {
      while (fruitless < patience) {
        const part = parts.pop();
        if (part === undefined) return;
        try {
          await transport.send(part, options);
          fruitless = 0;
          delivered = true;
        } catch (thrown) {
          const error = toSendError(thrown, part);
          if (error.kind !== "rejected" || options.signal.aborted) {
            parts.push(error.undelivered ?? part);
            throw fail(error);
          }
          // A transport that splits requests may have delivered a part of it.
          const passed = countUndelivered(error, part) < part.length;
          fruitless = passed ? 0 : fruitless + 1;
          delivered ||= passed;
          divide(error, part);
        }
      }
    };

    divide(first, items);
    await go(patience);
    // What remains is a part of each size, and the larger ones may be good as a whole.
    const roots = parts;
    parts = [];
    for (let root = roots.shift(); root !== undefined; root = roots.shift()) {
      parts = [root];
      fruitless = 0;
      try {
        await go(LAST_CHANCE);
      } catch (error) {
        left.push(...parts.flat(), ...roots.flat());
        parts = [];
        throw fail(error as SendError<T>);
      }
      left.push(...parts.flat());
      parts = [];
    }
    patience = delivered ? PATIENCE : MIN_PATIENCE;
    const error = culprits[0] ?? first;
    // Each part got through by itself: it was the batch that was too large.
    if (culprits.length === 0 && left.length === 0) return;
    const others = culprits.length - 1;
    throw fail(error.with({
      message: error.message +
        (others > 0 ? ` (and ${count(others, "more rejection")})` : "") +
        (left.length > 0
          ? ` (and ${left.length} given up, as nothing got through)`
          : ""),
    }));
  }

  return wrapTransport(transport, async (batch, options) => {
    try {
      await transport.send(batch, options);
      patience = PATIENCE;
    } catch (thrown) {
      const error = toSendError(thrown, batch);
      if (error.kind !== "rejected" || countUndelivered(error, batch) === 0) {
        throw error;
      }
      await search([...batch], error, options);
    }
  }, "quarantine");
}
