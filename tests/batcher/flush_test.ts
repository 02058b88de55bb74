// flush(): what it sends, what it waits for, and what it reports.

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { Batcher, type Metric, SendError } from "../../mod.ts";
import {
  bare,
  HandTransport,
  isPending,
  quiet,
  Recorder,
  runScript,
  turn,
  values,
} from "../_helpers.ts";
import { addAll, balance, failures } from "./_helpers.ts";

Deno.test("flush() sends what waits and reports on it", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 3);
  const flushed = batcher.flush();
  const { batch, resolve } = await transport.next();
  assertEquals(values(batch), [0, 1, 2]);
  assert(await isPending(flushed));
  resolve();
  assertEquals(await flushed, { sent: 3, failed: 0, errors: [] });
});

Deno.test("flush() with nothing to send resolves at once", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  assertEquals(await batcher.flush(), { sent: 0, failed: 0, errors: [] });
  assertEquals(transport.sizes, []);
});

Deno.test("flush() waits for sends in flight", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 2 });
  addAll(batcher, 0, 4);
  const sends = [await transport.next(), await transport.next()];
  const flushed = batcher.flush();
  sends[1]!.resolve();
  assert(await isPending(flushed));
  sends[0]!.resolve();
  assertEquals(await flushed, { sent: 4, failed: 0, errors: [] });
});

Deno.test("flush() waits for the queue behind the sends in flight", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 2, maxInFlight: 1 });
  addAll(batcher, 0, 5);
  const flushed = batcher.flush();
  for (let i = 0; i < 3; i++) {
    assert(await isPending(flushed));
    (await transport.next()).resolve();
  }
  assertEquals(await flushed, { sent: 5, failed: 0, errors: [] });
  assertEquals(transport.sizes, [2, 2, 1]);
});

Deno.test("flush() waits for retries inside the transport", async () => {
  const server = new HandTransport();
  const batcher = new Batcher({
    async send(batch, options) {
      for (let tries = 0; tries < 2; tries++) {
        const ok = await server.send(batch, options).then(
          () => true,
          () => false,
        );
        if (ok) return;
      }
      throw new Error("gave up");
    },
  });
  addAll(batcher, 0, 3);
  const flushed = batcher.flush();
  (await server.next()).reject(new Error("busy"));
  const again = await server.next();
  assert(await isPending(flushed));
  assertEquals(balance(batcher).inFlight, 3);
  again.resolve();
  assertEquals(await flushed, { sent: 3, failed: 0, errors: [] });
});

Deno.test("flush() does not wait for what is added after the call", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 10 });
  addAll(batcher, 0, 3);
  const flushed = batcher.flush();
  addAll(batcher, 3, 20);
  const first = await transport.next();
  const second = await transport.next();
  assertEquals(values(first.batch), [0, 1, 2]);
  first.resolve();
  assertEquals(await flushed, { sent: 3, failed: 0, errors: [] });
  assertEquals(second.batch.length, 10);
  assertEquals(balance(batcher).inFlight, 10);
  const stopped = batcher.stop();
  second.resolve();
  (await transport.next()).resolve();
  assertEquals((await stopped).sent, 17);
});

Deno.test("flush() reports on what was outstanding at the call, and on nothing else", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 10,
    ...bare,
    maxInFlight: 2,
    logger: quiet,
  });
  // Delivered and failed before: part of the totals, not of the report.
  addAll(batcher, 0, 20);
  (await transport.next()).resolve();
  (await transport.next()).reject(new Error("old"));
  await turn();
  assertEquals(balance(batcher).failed, 10);

  addAll(batcher, 20, 45); // two in flight, five that wait
  const early = batcher.flush();
  addAll(batcher, 45, 55); // a batch behind them
  const late = batcher.flush();
  const inFlight = [await transport.next(), await transport.next()];
  const partly = new SendError<Metric>("partly", {
    kind: "rejected",
    undelivered: inFlight[0]!.batch.slice(0, 4),
  });
  inFlight[0]!.reject(partly);
  inFlight[1]!.resolve();
  const rest = [await transport.next(), await transport.next()];
  rest[0]!.resolve();
  assertEquals(await early, { sent: 21, failed: 4, errors: [partly] });
  rest[1]!.reject(new TypeError("no network"));
  const { sent, failed, errors } = await late;
  assertEquals([sent, failed, errors.length], [21, 14, 2]);
  assertStrictEquals(errors[0], partly);
  assertEquals(errors[1]!.message, "no network");
  const totals = balance(batcher);
  assertEquals([totals.sent, totals.failed], [31, 24]);
});

Deno.test("flush() twice resolves both, with the same report", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 3);
  const both = [batcher.flush(), batcher.flush()];
  (await transport.next()).resolve();
  for (const report of await Promise.all(both)) {
    assertEquals(report, { sent: 3, failed: 0, errors: [] });
  }
  assertEquals(transport.sizes, [3]);
});

Deno.test("flush() and stop() do not reject because a send failed", async () => {
  const { got, onFailure } = failures();
  const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) }, {
    ...bare,
    logger: quiet,
    onFailure,
  });
  addAll(batcher, 0, 2);
  const flushed = await batcher.flush();
  addAll(batcher, 2, 5);
  const stopped = await batcher.stop();
  assertEquals([flushed.sent, flushed.failed], [0, 2]);
  assertEquals([stopped.sent, stopped.failed], [0, 3]);
  assertStrictEquals(got[0]!.error, flushed.errors[0]);
  assertStrictEquals(got[1]!.error, stopped.errors[0]);
  assertEquals(balance(batcher).failed, 5);
});

Deno.test("a flush() that nobody awaits does not crash the program when it fails", async () => {
  const { code, stdout, stderr } = await runScript(`
    const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) }, { retry: false });
    batcher.add(metric(1));
    batcher.flush();
    batcher.add(metric(2));
    batcher.stop();
  `);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "");
  assertStringIncludes(stderr, "Failed to send metrics: no");
});
