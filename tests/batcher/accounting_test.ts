// The accounting: every metric is in one place at any moment.

import { assert, assertEquals, assertNotStrictEquals } from "@std/assert";
import { Batcher, type Metric, SendError } from "../../mod.ts";
import {
  bare,
  metric,
  quiet,
  random,
  range,
  Recorder,
  values,
} from "../_helpers.ts";
import { addAll } from "./_helpers.ts";

Deno.test("every metric is in one place at every step of a random run", async () => {
  for (const seed of range(1, 21)) {
    const next = random(seed);
    const below = (n: number) => Math.floor(next() * n);
    const where = `seed ${seed}`;
    const lost: number[] = [];
    const open = new Set<() => void>();
    const delivered: number[] = [];
    const maxBatchSize = 1 + below(12);
    const maxBuffered = 1 + below(40);
    const maxInFlight = 1 + below(4);
    let sends = 0;
    let accepted = 0;
    let tried = 0;
    const check = () => {
      const { added, sent, failed, buffered, inFlight, refused, batches } =
        batcher.stats;
      assertEquals(added, sent + failed + buffered + inFlight, where);
      assertEquals(added, accepted, where);
      assertEquals(failed, lost.length, where);
      assertEquals(batches, sends, where);
      const { invalid, full, stopped } = refused;
      assertEquals(added + invalid + full + stopped, tried, where);
      assert(buffered <= maxBuffered, where);
      assert(inFlight <= maxInFlight * maxBatchSize, where);
    };
    // `accepted` and `tried` count before `add` as callbacks may run within it.
    const add = (one: Metric) => {
      const before = batcher.stats.added;
      const ok = batcher.add(one);
      tried++;
      if (ok) accepted++;
      assertEquals(batcher.stats.added - before, ok ? 1 : 0, where);
    };
    const batcher: Batcher = new Batcher({
      send(items, { signal }) {
        const batch = [...items];
        sends++;
        assert(batch.length > 0 && batch.length <= maxBatchSize, where);
        check();
        const deliver = (items: readonly Metric[]) => {
          delivered.push(...values(items));
        };
        const fate = below(10);
        if (fate === 0) throw new Error("at once");
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const end = () => {
          if (!open.delete(end)) return;
          if (fate === 1) return reject(new Error("later"));
          if (fate > 3) {
            deliver(batch);
            return resolve();
          }
          const at = below(batch.length + 1);
          deliver(batch.slice(at));
          reject(
            new SendError("partly", {
              kind: "rejected",
              undelivered: batch.slice(0, at),
            }),
          );
        };
        open.add(end);
        signal.addEventListener("abort", end);
        assert(open.size <= maxInFlight, where);
        return promise;
      },
    }, {
      ...bare,
      maxBatchSize,
      maxBuffered,
      maxInFlight,
      logger: quiet,
      onFailure(undelivered) {
        lost.push(...values(undelivered));
        check();
      },
    });
    let value = 0;
    for (let step = 0; step < 300; step++) {
      const action = below(8);
      if (action < 4) {
        for (let i = below(15); i > 0; i--) add(metric(value++));
      } else if (action === 4) {
        add({ ...metric(0), value: NaN });
      } else if (action === 5) {
        batcher.flush();
      } else {
        const sends = [...open];
        sends[below(sends.length)]?.();
      }
      check();
      // Microtasks only, so that every step of the Batcher is looked at.
      for (let i = below(4); i > 0; i--) {
        await Promise.resolve();
        check();
      }
    }
    const stopped = batcher.stop({ timeout: 0 });
    add(metric(value++));
    check();
    await stopped;
    check();
    const { sent, failed, buffered, inFlight } = batcher.stats;
    assertEquals([buffered, inFlight], [0, 0], where);
    assertEquals([delivered.length, lost.length], [sent, failed], where);
    // Each of them once: nothing was lost and nothing was there twice.
    assertEquals(new Set([...delivered, ...lost]).size, accepted, where);
  }
});

Deno.test("stats is a snapshot", async () => {
  const batcher = new Batcher(new Recorder());
  const before = batcher.stats;
  addAll(batcher, 0, 2);
  assertEquals(before.added, 0);
  assertNotStrictEquals(batcher.stats, batcher.stats);
  await batcher.stop();
  assertEquals(batcher.stats.sent, 2);
});
