// What the tests of the Batcher share.

import { assert, assertEquals } from "@std/assert";
import type { Batcher, Metric, SendError } from "../../mod.ts";
import { metric, values } from "../_helpers.ts";

/** Adds metrics, all of which must be accepted. */
export function addAll(batcher: Batcher, from: number, to: number): void {
  for (let i = from; i < to; i++) assert(batcher.add(metric(i)), `number ${i}`);
}

/** Asserts that every accepted metric is in one place, and gives the totals. */
export function balance(batcher: Batcher) {
  const { added, sent, failed, buffered, inFlight, refused } = batcher.stats;
  assertEquals(added, sent + failed + buffered + inFlight);
  return { added, sent, failed, buffered, inFlight, refused };
}

/** An `onFailure` that keeps what it got. */
export function failures() {
  const got: { undelivered: readonly Metric[]; error: SendError<Metric> }[] =
    [];
  return {
    got,
    get values() {
      return got.flatMap(({ undelivered }) => values(undelivered));
    },
    onFailure(undelivered: readonly Metric[], error: SendError<Metric>) {
      got.push({ undelivered, error });
    },
  };
}
