// The four cases of the Go package's README, and what belongs to no other file.

import { assert, assertEquals } from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { type Batch, Batcher, fetchTransport, type Metric } from "../../mod.ts";
import {
  HandTimers,
  HandTransport,
  isPending,
  metric,
  metrics,
  quiet,
  range,
  Recorder,
  turn,
  values,
  within,
} from "../_helpers.ts";
import { addAll, balance } from "./_helpers.ts";

Deno.test("flushes on size", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 3 });
  batcher.start();
  addAll(batcher, 0, 2);
  await turn();
  assertEquals(transport.sizes, []);
  addAll(batcher, 2, 3);
  const { batch, resolve } = await transport.next();
  assertEquals(values(batch), [0, 1, 2]);
  resolve();
  await batcher.stop();
  assertEquals(transport.sizes, [3]);
});

Deno.test("flushes on time", async () => {
  using timers = new HandTimers();
  const transport = new Recorder();
  const batcher = new Batcher(transport, { flushEvery: 250 });
  batcher.start();
  addAll(batcher, 0, 2);
  await turn();
  assertEquals(transport.sizes, []);
  const [timer] = timers.running;
  assertEquals(timer?.delay, 250);
  timer!.fire();
  await turn();
  assertEquals(transport.metrics.map(({ value }) => value), [0, 1]);
  assertEquals(balance(batcher).sent, 2);
});

Deno.test("concurrent adds", async () => {
  await using server = startIngestServer({ port: 0, delay: 5 });
  const batcher = new Batcher(fetchTransport(server.url), {
    maxBatchSize: 100,
    maxBuffered: 300,
    maxInFlight: 3,
    logger: quiet,
  });
  batcher.start();
  const producers = range(0, 20).map(async (producer) => {
    for (let i = 0; i < 100; i++) {
      const one = metric(producer * 100 + i);
      // Another producer may have taken the room, but not again and again.
      for (let tries = 1;; tries++) {
        await batcher.ready;
        if (batcher.add(one)) break;
        assert(tries < 100);
      }
      if (i % 7 === producer % 7) await turn();
    }
  });
  await Promise.all(producers);
  await batcher.stop();
  const stored = server.query("test_metric").map(({ value }) => value);
  assertEquals(stored.sort((a, b) => a - b), range(0, 2000));
  assertEquals(server.stats.received, 2000);
  assert(server.stats.largestRequest <= 100);
  assertEquals(balance(batcher).sent, 2000);
});

Deno.test("graceful shutdown", async () => {
  const answers = [Promise.withResolvers<undefined>()];
  const arrived = Promise.withResolvers<void>();
  await using server = startIngestServer({
    port: 0,
    intercept(_request, n) {
      if (n === 3) arrived.resolve();
      return answers[0]!.promise;
    },
  });
  const batcher = new Batcher(fetchTransport(server.url), {
    maxBatchSize: 10,
    logger: quiet,
  });
  batcher.start();
  addAll(batcher, 0, 25);
  const stopped = batcher.stop();
  assertEquals(batcher.add(metric(99)), false);
  await within(arrived.promise, "the third request");
  assert(await isPending(stopped));
  assertEquals(server.stats.received, 0);
  answers[0]!.resolve(undefined);
  assertEquals(await stopped, { sent: 25, failed: 0, errors: [] });
  // Already there when stop resolved, the last and smallest batch included.
  assertEquals(server.stats.metrics, 25);
  assertEquals(server.stats.requests, 3);
});

Deno.test("the transport's own this is kept", async () => {
  class Counting {
    count = 0;
    send(batch: Batch<Metric>): Promise<void> {
      this.count += batch.length;
      return Promise.resolve();
    }
  }
  const transport = new Counting();
  const batcher = new Batcher(transport);
  for (const one of metrics(0, 3)) batcher.add(one);
  await batcher.stop();
  assertEquals(transport.count, 3);
});
