// What sends a batch: its size, the timer, and a free send.

import { assertEquals } from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { Batcher, fetchTransport } from "../../mod.ts";
import {
  HandTimers,
  HandTransport,
  range,
  Recorder,
  turn,
  values,
  within,
} from "../_helpers.ts";
import { addAll } from "./_helpers.ts";

Deno.test("the timer starts with the first metric of a batch, and only then", async () => {
  using timers = new HandTimers();
  const transport = new Recorder();
  const batcher = new Batcher(transport, { maxBatchSize: 3 });
  batcher.start();
  assertEquals(timers.running.length, 0);
  addAll(batcher, 0, 2);
  assertEquals(timers.running.map(({ delay }) => delay), [5000]);
  addAll(batcher, 2, 3);
  await turn();
  assertEquals(transport.sizes, [3]);
  assertEquals(timers.running.length, 0);
  addAll(batcher, 3, 4);
  assertEquals(timers.running.length, 1);
  await batcher.flush();
  assertEquals(transport.sizes, [3, 1]);
  assertEquals(timers.running.length, 0);
});

Deno.test("without start there is no timer, but size and flush() work", async () => {
  using timers = new HandTimers();
  const transport = new Recorder();
  const batcher = new Batcher(transport, { maxBatchSize: 2 });
  addAll(batcher, 0, 3);
  await turn();
  assertEquals(transport.sizes, [2]);
  assertEquals(timers.running.length, 0);
  await batcher.flush();
  assertEquals(transport.sizes, [2, 1]);
});

Deno.test("start() takes care of what was added before it", async () => {
  using timers = new HandTimers();
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 2);
  assertEquals(timers.running.length, 0);
  batcher.start();
  batcher.start();
  assertEquals(timers.running.length, 1);
  timers.running[0]!.fire();
  await turn();
  assertEquals(transport.sizes, [2]);
});

Deno.test("what has waited long enough goes with the next free send, ahead of its size", async () => {
  using timers = new HandTimers();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 10, maxInFlight: 1 });
  batcher.start();
  addAll(batcher, 0, 10);
  const first = await transport.next();
  addAll(batcher, 10, 12);
  timers.running[0]!.fire();
  await turn();
  assertEquals(transport.sizes, [10]);
  // Still the same batch, which can grow while it waits for its turn.
  addAll(batcher, 12, 15);
  first.resolve();
  const second = await transport.next();
  assertEquals(values(second.batch), range(10, 15));
  second.resolve();
  await batcher.stop();
  assertEquals(transport.sizes, [10, 5]);
  assertEquals(timers.running.length, 0);
});

Deno.test("a batch that is due while all sends are taken still ends at maxBatchSize", async () => {
  using timers = new HandTimers();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 4, maxInFlight: 1 });
  batcher.start();
  addAll(batcher, 0, 4);
  const first = await transport.next();
  addAll(batcher, 4, 6);
  timers.running[0]!.fire();
  addAll(batcher, 6, 15);
  first.resolve();
  for (let i = 0; i < 2; i++) (await transport.next()).resolve();
  await turn();
  // The last three did not wait long enough: they have a timer of their own.
  assertEquals(transport.sizes, [4, 4, 4]);
  assertEquals(timers.running.length, 1);
  timers.running[0]!.fire();
  (await transport.next()).resolve();
  assertEquals(transport.sizes, [4, 4, 4, 3]);
  await batcher.stop();
});

Deno.test("a batch keeps the order in which its metrics were added", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport, { maxBatchSize: 7 });
  addAll(batcher, 0, 40);
  await batcher.stop();
  assertEquals(values(transport.metrics), range(0, 40));
  assertEquals(transport.sizes, [7, 7, 7, 7, 7, 5]);
});

Deno.test("no batch exceeds maxBatchSize while a slow network and a fast timer meet", async () => {
  const heldBack: PromiseWithResolvers<void> = Promise.withResolvers();
  await using server = startIngestServer({
    port: 0,
    delay: 300,
    // The third is what the timer sent while two others were under way.
    onRequest: () => server.stats.requests >= 3 && heldBack.resolve(),
  });
  const batcher = new Batcher(fetchTransport(server.url), {
    maxBatchSize: 100,
    flushEvery: 50,
  });
  batcher.start();
  addAll(batcher, 0, 250);
  await within(heldBack.promise, "the third request");
  addAll(batcher, 250, 1010);
  const { failed } = await batcher.stop();
  assertEquals(failed, 0);
  assertEquals(server.stats.largestRequest, 100);
  assertEquals(server.stats.received, 1010);
  assertEquals(server.stats.metrics, 1010);
  const stored = server.query("test_metric").map(({ value }) => value);
  assertEquals(stored.sort((a, b) => a - b), range(0, 1010));
});

Deno.test("maxInFlight bounds the sends at the same time", async () => {
  for (const [maxInFlight, most] of [[1, 1], [3, 3], [undefined, 4]]) {
    const transport = new HandTransport();
    const batcher = new Batcher(transport, { maxBatchSize: 2, maxInFlight });
    addAll(batcher, 0, 40);
    const stopped = batcher.stop();
    await turn();
    assertEquals(transport.sends.length, most);
    for (let i = 0; i < 20; i++) {
      (await transport.next()).resolve();
      await turn();
    }
    assertEquals((await stopped).sent, 40);
    assertEquals(transport.maxOpen, most);
  }
});
