import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Batcher, type Metric } from "../../mod.ts";
import {
  metric,
  metrics,
  quiet,
  range,
  Recorder,
  turn,
  values,
} from "../_helpers.ts";

Deno.test("a stream that is piped into a Batcher loses nothing, however little room there is", async () => {
  const got: Metric[] = [];
  const batcher = new Batcher({
    async send(batch) {
      await turn();
      got.push(...batch);
    },
  }, { maxBatchSize: 10, maxBuffered: 20, maxInFlight: 1, logger: quiet });
  batcher.start();
  await ReadableStream.from(metrics(0, 1000)).pipeTo(batcher.writable);
  assertEquals(values(got), range(0, 1000), "closing it flushes");
  assertEquals(batcher.stats.refused.full, 0);
  await batcher.stop();
});

Deno.test("an invalid metric is counted and does not break the stream", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport, { logger: quiet });
  const writer = batcher.writable.getWriter();
  await writer.write({ ...metric(1), value: NaN });
  await writer.write(metric(2));
  await writer.close();
  assertEquals(values(transport.metrics), [2]);
  assertEquals(batcher.stats.refused.invalid, 1);
  await batcher.stop();
});

Deno.test("writing to a stopped Batcher is an error, and so is one that is stopped while it waits", async () => {
  const batcher = new Batcher({ send: () => new Promise<void>(() => {}) }, {
    maxBatchSize: 1,
    maxBuffered: 1,
    maxInFlight: 1,
    logger: quiet,
  });
  const { writable } = batcher;
  assertStrictEquals(batcher.writable, writable);
  const writer = writable.getWriter();
  await writer.write(metric(1));
  await writer.write(metric(2));
  const waiting = writer.write(metric(3));
  await turn();
  batcher.stop({ timeout: 0 });
  await assertRejects(() => waiting, Error, "the Batcher is stopped");
  await writer.closed.catch(() => {});
  await batcher.stop();
});
