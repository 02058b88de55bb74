// How many metrics may wait, and who waits when they do.

import { assert, assertEquals } from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { Batcher, fetchTransport } from "../../mod.ts";
import {
  HandTransport,
  isPending,
  metric,
  quiet,
  range,
  Recorder,
  turn,
  values,
  within,
} from "../_helpers.ts";
import { addAll, balance } from "./_helpers.ts";

Deno.test("add() is false for exactly what maxBuffered has no room for", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 10,
    maxBuffered: 30,
    maxInFlight: 1,
    logger: quiet,
  });
  addAll(batcher, 0, 10);
  const first = await transport.next();
  const accepted = range(10, 100).filter((i) => batcher.add(metric(i)));
  assertEquals(accepted, range(10, 40));
  assertEquals(balance(batcher), {
    added: 40,
    sent: 0,
    failed: 0,
    buffered: 30,
    inFlight: 10,
    refused: { invalid: 0, full: 60, stopped: 0 },
  });
  first.resolve();
  await batcher.ready;
  assert(batcher.add(metric(100)));
  const stopped = batcher.stop();
  for (let i = 0; i < 4; i++) (await transport.next()).resolve();
  await stopped;
  const sent = transport.sends.flatMap(({ batch }) => values(batch));
  assertEquals(sent, [...range(0, 40), 100]);
});

Deno.test("a producer that does not wait gets false for exactly those that are not delivered", async () => {
  await using server = startIngestServer({ port: 0, delay: 1 });
  const batcher = new Batcher(fetchTransport(server.url), {
    maxBatchSize: 50,
    maxBuffered: 200,
    maxInFlight: 2,
    logger: quiet,
  });
  const accepted: number[] = [];
  for (let i = 0; i < 5000; i++) {
    if (batcher.add(metric(i))) accepted.push(i);
    if (i % 400 === 0) await turn();
  }
  assert(accepted.length < 5000);
  await batcher.stop();
  const stored = server.query("test_metric").map(({ value }) => value);
  assertEquals(stored.sort((a, b) => a - b), accepted);
  const { added, sent, refused } = balance(batcher);
  assertEquals(added, accepted.length);
  assertEquals(sent, accepted.length);
  assertEquals(refused, {
    invalid: 0,
    full: 5000 - accepted.length,
    stopped: 0,
  });
});

Deno.test("ready resolves at once while there is room", async () => {
  const batcher = new Batcher(new HandTransport(), { logger: quiet });
  await batcher.ready;
  addAll(batcher, 0, 1);
  await batcher.ready;
  await batcher.stop({ timeout: 0 });
});

Deno.test("ready waits for room, for every producer that waits", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 2,
    maxBuffered: 2,
    maxInFlight: 1,
  });
  addAll(batcher, 0, 2);
  const first = await transport.next();
  addAll(batcher, 2, 4);
  const waiting = [batcher.ready, batcher.ready];
  assert(await isPending(Promise.race(waiting)));
  first.resolve();
  await Promise.all(waiting);
  addAll(batcher, 4, 6);
  (await transport.next()).resolve();
  (await transport.next()).resolve();
  await batcher.stop();
});

Deno.test("ready resolves when the Batcher is stopped while it is full", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 1,
    maxBuffered: 1,
    maxInFlight: 1,
    logger: quiet,
  });
  addAll(batcher, 0, 1);
  const first = await transport.next();
  addAll(batcher, 1, 2);
  const waiting = batcher.ready;
  assert(await isPending(waiting));
  const stopped = batcher.stop();
  await waiting;
  await batcher.ready;
  assertEquals(batcher.add(metric(3)), false);
  first.resolve();
  (await transport.next()).resolve();
  await stopped;
});

Deno.test("a maxBuffered smaller than maxBatchSize still drains", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport, {
    maxBatchSize: 1000,
    maxBuffered: 3,
  });
  for (let i = 0; i < 100; i++) {
    await batcher.ready;
    assert(batcher.add(metric(i)));
  }
  await batcher.stop();
  assertEquals(values(transport.metrics), range(0, 100));
  assert(Math.max(...transport.sizes) <= 3);
});

Deno.test("none of many producers that wait is refused, and each is served in its turn", async () => {
  const transport = {
    async send(): Promise<void> {
      await turn();
    },
  };
  const batcher = new Batcher(transport, {
    maxBatchSize: 10,
    maxBuffered: 100,
    logger: quiet,
  });
  batcher.start();
  const counts = Array<number>(24).fill(0);
  let widest = 0;
  const produce = async (producer: number) => {
    for (let i = 0; i < 1000; i++) {
      await batcher.ready;
      assert(batcher.add(metric(i)), `producer ${producer}, number ${i}`);
      counts[producer]!++;
      // Until the first is done, nobody falls far behind.
      const spread = Math.max(...counts) - Math.min(...counts);
      widest = Math.max(widest, spread);
    }
  };
  await Promise.all(range(0, 24).map(produce));
  await batcher.stop();
  const { added, sent, refused } = balance(batcher);
  assertEquals([added, sent], [24_000, 24_000]);
  assertEquals(refused, { invalid: 0, full: 0, stopped: 0 });
  assert(widest <= 200, `${widest} apart`);
});

Deno.test("producers that wait lose nothing where some give up waiting", async () => {
  const batcher = new Batcher({ send: () => turn() }, {
    maxBatchSize: 5,
    maxBuffered: 10,
    logger: quiet,
  });
  const produce = async (producer: number) => {
    for (let i = 0; i < 100; i++) {
      await batcher.ready;
      // Every third producer was let through and adds nothing.
      if (producer % 3 > 0) assert(batcher.add(metric(i)));
    }
  };
  await within(
    Promise.all(range(0, 24).map(produce)),
    "24 producers",
  );
  await batcher.stop();
  assertEquals(balance(batcher).sent, 1600);
});

Deno.test("1,000,000 metrics by a producer that waits are all delivered, and each once", async () => {
  const seen = new Uint8Array(1_000_000);
  let largest = 0;
  let acknowledged = 0;
  const batcher = new Batcher({
    async send(batch) {
      largest = Math.max(largest, batch.length);
      for (const { value } of batch) seen[value]!++;
      await turn();
      acknowledged += batch.length;
    },
  });
  batcher.start();
  for (let i = 0; i < 1_000_000; i++) {
    await batcher.ready;
    if (!batcher.add(metric(i))) throw new Error(`number ${i} was refused`);
  }
  await batcher.stop();
  assertEquals(acknowledged, 1_000_000);
  assert(seen.every((times) => times === 1));
  assertEquals(largest, 1000);
  const { batches, ...rest } = batcher.stats;
  assertEquals(batches, 1000);
  assertEquals(rest, {
    added: 1_000_000,
    sent: 1_000_000,
    failed: 0,
    buffered: 0,
    inFlight: 0,
    refused: { invalid: 0, full: 0, stopped: 0 },
  });
});
