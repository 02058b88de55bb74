import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { BaseHandler } from "@std/log/base-handler";
import { Logger as StdLogger } from "@std/log/logger";
import { startIngestServer } from "../../examples/ingest_server.ts";
import {
  Batcher,
  type BatcherOptions,
  fetchTransport,
  type Logger,
  type Metric,
  SendError,
} from "../../mod.ts";
import {
  HandTimers,
  HandTransport,
  isPending,
  Lines,
  metric,
  metrics,
  quiet,
  random,
  range,
  Recorder,
  runScript,
  turn,
  values,
  within,
} from "../_helpers.ts";

/** Adds metrics, all of which must be accepted. */
function addAll(batcher: Batcher, from: number, to: number): void {
  for (let i = from; i < to; i++) assert(batcher.add(metric(i)), `number ${i}`);
}

/** Asserts that every accepted metric is in one place, and gives the totals. */
function balance(batcher: Batcher) {
  const { added, sent, failed, buffered, inFlight, refused } = batcher.stats;
  assertEquals(added, sent + failed + buffered + inFlight);
  return { added, sent, failed, buffered, inFlight, refused };
}

/** An `onFailure` that keeps what it got. */
function failures() {
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

// The four cases of the Go package's README.

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

// Triggers and the timer.

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

// What add() accepts, and what it keeps.

Deno.test("add() refuses what the server would not take, and counts it", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport, { logger: quiet });
  const bad: unknown[] = [
    null,
    undefined,
    "up 1",
    { name: "", type: "gauge", value: 1 },
    { name: "up", type: "gauge", value: NaN },
    { name: "up", type: "gauge", value: "1" },
    { name: "up", type: "gauge", value: 1, labels: { k: 5 } },
    { name: "up", type: "gauge", value: 1, timestamp: 5 },
    {
      get name(): never {
        throw new Error("bang");
      },
    },
  ];
  for (const one of bad) assertEquals(batcher.add(one as Metric), false);
  assertEquals(batcher.add(metric(1)), true);
  const { added, refused } = balance(batcher);
  assertEquals(added, 1);
  assertEquals(refused, { invalid: bad.length, full: 0, stopped: 0 });
  await batcher.stop();
  assertEquals(values(transport.metrics), [1]);
});

Deno.test("what was added is what is sent, whatever the caller changes afterwards", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  const labels: Record<string, string> = { method: "GET" };
  const mine = { ...metric(1), labels, timestamp: "2026-11-23T07:00:00Z" };
  batcher.add(mine);
  mine.name = "";
  mine.value = NaN;
  mine.timestamp = "never";
  labels.method = "POST";
  labels.more = "x";
  await batcher.stop();
  assertEquals(transport.metrics, [{
    ...metric(1),
    labels: { method: "GET" },
    timestamp: "2026-11-23T07:00:00Z",
  }]);
});

Deno.test("one object can be added again and again with other values", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  const labels = { turn: "" };
  const mine = { name: "up", type: "gauge" as const, value: 0, labels };
  for (let i = 0; i < 5; i++) {
    mine.value = i;
    labels.turn = `${i}`;
    batcher.add(mine);
  }
  await batcher.stop();
  assertEquals(
    transport.metrics.map(({ value, labels }) => [value, labels?.turn]),
    range(0, 5).map((i) => [i, `${i}`]),
  );
});

Deno.test("only the five fields of a metric are sent", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  batcher.add({ ...metric(1), NAME: 5, unit: "s" } as Metric);
  batcher.add({ ...metric(2), labels: null, timestamp: null } as never);
  await batcher.stop();
  for (const one of transport.metrics) {
    assertEquals(Object.keys(one), ["name", "type", "value", "timestamp"]);
  }
});

Deno.test("a label named __proto__ arrives", async () => {
  await using server = startIngestServer({ port: 0 });
  const batcher = new Batcher(fetchTransport(server.url));
  const labels = JSON.parse('{"__proto__": "kept", "k": "v"}');
  assert(batcher.add({ ...metric(1), labels }));
  await batcher.stop();
  const [stored] = server.query("test_metric");
  assertEquals(Object.entries(stored!.labels).sort(), [
    ["__proto__", "kept"],
    ["k", "v"],
  ]);
});

Deno.test("a metric without a timestamp is stamped when it is added, not when it is sent", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  await turn();
  const before = Date.now();
  batcher.add(metric(1));
  const after = Date.now();
  // A sleep, as nothing but time moves the clock.
  while (Date.now() <= after + 1) await turn();
  await batcher.flush();
  const stamp = transport.metrics[0]!.timestamp!;
  assertMatch(stamp, /\.\d{9}Z$/);
  const at = Date.parse(stamp.slice(0, 23) + "Z");
  assert(before <= at && at <= after, `${before} <= ${at} <= ${after}`);
});

Deno.test("samples of one series within a millisecond are all stored", async () => {
  await using server = startIngestServer({ port: 0 });
  const batcher = new Batcher(fetchTransport(server.url));
  for (let i = 0; i < 5000; i++) {
    batcher.add({ name: "one_series", type: "gauge", value: 1 });
  }
  await batcher.stop();
  assertEquals(server.stats.metrics, 5000);
  assertEquals(server.stats.series, 1);
});

Deno.test("a timestamp of the caller's own is sent as it is", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  const timestamp = "2026-11-23T07:00:00.123456789+02:00";
  batcher.add({ ...metric(1), timestamp });
  await batcher.stop();
  assertEquals(transport.metrics, [{ ...metric(1), timestamp }]);
});

Deno.test("add() returns before anything is sent, also when it fills a batch", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 1 });
  batcher.add(metric(1));
  assertEquals(transport.sends.length, 0);
  (await transport.next()).resolve();
  await batcher.stop();
});

Deno.test("add() is false after stop(), and counted so", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport, { logger: quiet });
  batcher.add(metric(1));
  const stopped = batcher.stop();
  assertEquals(batcher.add(metric(2)), false);
  await stopped;
  assertEquals(batcher.add(metric(3)), false);
  assertEquals(batcher.add({ ...metric(4), value: NaN }), false);
  assertEquals(balance(batcher).refused, { invalid: 0, full: 0, stopped: 3 });
  assertEquals(values(transport.metrics), [1]);
});

// Bounds.

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

// flush()

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
    const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) });
    batcher.add(metric(1));
    batcher.flush();
    batcher.add(metric(2));
    batcher.stop();
  `);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "");
  assertStringIncludes(stderr, "Failed to send metrics: no");
});

// Failures.

Deno.test("onFailure hands back what was lost, with the error", async () => {
  const lost = failures();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 2,
    logger: quiet,
    onFailure: lost.onFailure,
  });
  addAll(batcher, 0, 6);
  const sends = [
    await transport.next(),
    await transport.next(),
    await transport.next(),
  ];
  const error = new SendError<Metric>("full", {
    kind: "refused",
    undelivered: sends[0]!.batch,
    status: 507,
  });
  sends[0]!.reject(error);
  sends[1]!.resolve();
  const cause = new Error("reset by peer");
  sends[2]!.reject(cause);
  await batcher.stop();
  assertEquals(lost.values, [0, 1, 4, 5]);
  assertStrictEquals(lost.got[0]!.error, error);
  const foreign = lost.got[1]!.error;
  assertInstanceOf(foreign, SendError);
  assertEquals(foreign.message, "reset by peer");
  assertEquals(foreign.kind, "transient");
  assertStrictEquals(foreign.cause, cause);
  // Handed back as they would have been sent: ready to be added again.
  assertMatch(lost.got[0]!.undelivered[0]!.timestamp!, /\.\d{9}Z$/);
});

Deno.test("a partial delivery counts each metric once, as sent or failed", async () => {
  const lost = failures();
  const batcher = new Batcher({
    send(batch) {
      return Promise.reject(
        new SendError("three are bad", {
          kind: "rejected",
          undelivered: [batch[1]!, batch[5]!, batch[9]!],
        }),
      );
    },
  }, { maxBatchSize: 10, logger: quiet, onFailure: lost.onFailure });
  addAll(batcher, 0, 20);
  const { sent, failed, errors } = await batcher.stop();
  assertEquals([sent, failed, errors.length], [14, 6, 2]);
  assertEquals(lost.values, [1, 5, 9, 11, 15, 19]);
  assertEquals(balance(batcher).sent, 14);
});

Deno.test("a SendError that claims more than the batch counts as the whole batch", async () => {
  const lost = failures();
  const batcher = new Batcher({
    send(batch) {
      return Promise.reject(
        new SendError("lies", {
          kind: "transient",
          undelivered: [...batch, ...batch],
        }),
      );
    },
  }, { logger: quiet, onFailure: lost.onFailure });
  addAll(batcher, 0, 3);
  const { sent, failed } = await batcher.stop();
  assertEquals([sent, failed], [0, 3]);
  assertEquals(lost.values, [0, 1, 2]);
  assertEquals(balance(batcher).failed, 3);
});

Deno.test("whatever a transport throws, at once or later, fails the batch and nothing else", async () => {
  const thrown: [unknown, string][] = [
    [new Error("an error"), "an error"],
    [new TypeError(""), "TypeError"],
    [new DOMException("gone", "AbortError"), "gone"],
    ["a string", "a string"],
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    [Symbol("s"), "a symbol"],
    [{ message: "no error" }, "an object"],
    [Object.create(null), "an object"],
    [
      Object.defineProperty(new Error(), "message", {
        get() {
          throw new Error("bang");
        },
      }),
      "an error that cannot be read",
    ],
  ];
  for (const [reason, message] of thrown) {
    for (const atOnce of [true, false]) {
      const lost = failures();
      const lines = new Lines();
      let works = false;
      const batcher = new Batcher({
        send() {
          if (works) return Promise.resolve();
          if (atOnce) throw reason;
          return Promise.reject(reason);
        },
      }, { logger: lines, onFailure: lost.onFailure });
      addAll(batcher, 0, 2);
      const report = await batcher.flush();
      assertEquals([report.sent, report.failed], [0, 2]);
      assertEquals(report.errors[0]!.message, message);
      assertStrictEquals(report.errors[0]!.cause, reason);
      assertEquals(lost.values, [0, 1]);
      assertEquals(lines.of("error"), [
        `error Failed to send metrics: ${message} (2 of 2 not delivered)`,
      ]);
      works = true;
      addAll(batcher, 2, 3);
      assertEquals((await batcher.stop()).sent, 1);
      balance(batcher);
    }
  }
});

Deno.test("a callback that throws, at once or later, does not stop the Batcher", async () => {
  for (const later of [false, true]) {
    let calls = 0;
    const batcher = new Batcher(
      { send: () => Promise.reject(new Error("no")) },
      {
        maxBatchSize: 1,
        logger: quiet,
        onFailure() {
          calls++;
          if (later) return Promise.reject(new Error("callback"));
          throw new Error("callback");
        },
      },
    );
    addAll(batcher, 0, 5);
    const { failed } = await batcher.stop();
    assertEquals(failed, 5);
    assertEquals(calls, 5);
    // An unhandled rejection would fail the test here.
    await turn();
    assertEquals(balance(batcher).failed, 5);
  }
});

Deno.test("what onFailure throws is logged", async () => {
  const lines = new Lines();
  const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) }, {
    logger: lines,
    onFailure() {
      throw new Error("disk full");
    },
  });
  addAll(batcher, 0, 1);
  await batcher.stop();
  assertEquals(lines.of("error"), [
    "error Failed to send metrics: no (1 of 1 not delivered)",
    "error The callback 'onFailure' failed: disk full",
  ]);
});

Deno.test("a logger that throws, at once or later, does not stop the Batcher", async () => {
  const bad = () => {
    throw new Error("logger");
  };
  const worse = () => Promise.reject(new Error("logger"));
  for (
    const logger of [
      { debug: bad, info: bad, warn: bad, error: bad },
      { debug: worse, info: worse, warn: worse, error: worse },
      {} as Logger,
    ]
  ) {
    const transport = new HandTransport();
    const batcher = new Batcher(transport, { logger });
    assertEquals(batcher.add({ ...metric(1), value: NaN }), false);
    addAll(batcher, 0, 2);
    const flushed = batcher.flush();
    (await transport.next()).reject(new Error("no"));
    assertEquals((await flushed).failed, 2);
    addAll(batcher, 2, 3);
    const stopped = batcher.stop();
    (await transport.next()).resolve();
    assertEquals((await stopped).sent, 1);
    await turn();
    balance(batcher);
  }
});

Deno.test("onFailure can add what it got back", async () => {
  const transport = new HandTransport();
  const batcher: Batcher = new Batcher(transport, {
    logger: quiet,
    onFailure(undelivered) {
      for (const one of undelivered) assert(batcher.add(one));
    },
  });
  addAll(batcher, 0, 3);
  const flushed = batcher.flush();
  const first = await transport.next();
  first.reject(new Error("no"));
  assertEquals((await flushed).failed, 3);
  const stopped = batcher.stop();
  const second = await transport.next();
  // Stamps included: the server sees the same samples.
  assertEquals(second.batch, first.batch);
  second.resolve();
  assertEquals((await stopped).sent, 3);
  assertEquals(balance(batcher).added, 6);
});

Deno.test("a transport can add to the Batcher that it sends for", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 2,
    maxInFlight: 1,
    logger: quiet,
  });
  let own = 100;
  transport.onSend = (batch) => {
    balance(batcher);
    if (own < 104) {
      for (const _ of batch) {
        assert(batcher.add(metric(own++)));
      }
    }
  };
  addAll(batcher, 0, 2);
  for (let i = 0; i < 3; i++) (await transport.next()).resolve();
  await batcher.stop();
  const sent = transport.sends.flatMap(({ batch }) => values(batch));
  assertEquals(sent, [0, 1, 100, 101, 102, 103]);
  assertEquals(transport.maxOpen, 1);
  assertEquals(balance(batcher).sent, 6);
});

// stop()

Deno.test("stop() with nothing to send resolves at once and leaves no timer", async () => {
  using timers = new HandTimers();
  const batcher = new Batcher(new HandTransport());
  batcher.start();
  assertEquals(await batcher.stop(), { sent: 0, failed: 0, errors: [] });
  assertEquals(timers.running.length, 0);
});

Deno.test("stop() waits for 30 s unless told otherwise, and leaves no timer", async () => {
  using timers = new HandTimers();
  const transport = new HandTransport();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 1);
  const stopped = batcher.stop();
  assertEquals(timers.running.map(({ delay }) => delay), [30_000]);
  (await transport.next()).resolve();
  await stopped;
  await turn();
  assertEquals(timers.running.length, 0);
});

Deno.test("stop() against a transport that never answers resolves at its deadline with what is left", async () => {
  const lost = failures();
  const lines = new Lines();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 10,
    maxInFlight: 2,
    logger: lines,
    onFailure: lost.onFailure,
  });
  batcher.start();
  addAll(batcher, 0, 10);
  (await transport.next()).resolve();
  await turn();
  addAll(batcher, 10, 45);
  const { sent, failed, errors } = await batcher.stop({ timeout: 20 });
  assertEquals([sent, failed], [0, 35]);
  assertEquals(errors.length, 4);
  for (const { message, kind } of errors) {
    assertEquals(kind, "transient");
    assertEquals(
      message,
      "Gave up as stop() has reached its deadline of 20 ms",
    );
  }
  assertEquals(lost.values.sort((a, b) => a - b), range(10, 45));
  assertEquals(balance(batcher), {
    added: 45,
    sent: 10,
    failed: 35,
    buffered: 0,
    inFlight: 0,
    refused: { invalid: 0, full: 0, stopped: 0 },
  });
  // What was in the queue did not go out after the deadline.
  assertEquals(transport.sizes, [10, 10, 10]);
  assertMatch(lines.of("error")[0]!, /^error Failed to send metrics: Gave up/);
});

Deno.test("stop() aborts the sends in flight at its deadline", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { logger: quiet });
  addAll(batcher, 0, 3);
  const stopped = batcher.stop({ timeout: 10 });
  const { signal } = await transport.next();
  assertEquals(signal.aborted, false);
  await stopped;
  assert(signal.aborted);
  assertEquals(
    signal.reason.message,
    "stop() has reached its deadline of 10 ms",
  );
});

Deno.test("a transport that heeds its signal says itself what it had delivered", async () => {
  const lost = failures();
  const batcher = new Batcher({
    send(batch, { signal }) {
      const { promise, reject } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () =>
        reject(
          new SendError("half way", {
            kind: "transient",
            undelivered: batch.slice(2),
          }),
        ));
      return promise;
    },
  }, { maxBatchSize: 5, logger: quiet, onFailure: lost.onFailure });
  addAll(batcher, 0, 5);
  const { sent, failed, errors } = await batcher.stop({ timeout: 10 });
  assertEquals([sent, failed], [2, 3]);
  assertEquals(errors.map(({ message }) => message), ["half way"]);
  assertEquals(lost.values, [2, 3, 4]);
  balance(batcher);
});

Deno.test("an answer after stop() has given up changes nothing", async () => {
  const lost = failures();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 2,
    logger: quiet,
    onFailure: lost.onFailure,
  });
  addAll(batcher, 0, 4);
  const report = await batcher.stop({ timeout: 5 });
  const before = batcher.stats;
  transport.sends[0]!.resolve();
  transport.sends[1]!.reject(new Error("late"));
  await turn();
  assertEquals(batcher.stats, before);
  assertEquals([report.sent, report.failed, report.errors.length], [0, 4, 2]);
  assertEquals(lost.got.length, 2);
});

Deno.test("stop({ timeout: 0 }) gives up at once, and still adds up", async () => {
  const lost = failures();
  const batcher = new Batcher(new HandTransport(), {
    maxBatchSize: 2,
    maxInFlight: 1,
    logger: quiet,
    onFailure: lost.onFailure,
  });
  addAll(batcher, 0, 5);
  const { sent, failed } = await batcher.stop({ timeout: 0 });
  assertEquals([sent, failed], [0, 5]);
  assertEquals(lost.values.sort(), range(0, 5));
  balance(batcher);
});

Deno.test("a flush() under way ends with stop(), at its deadline", async () => {
  const batcher = new Batcher(new HandTransport(), {
    maxBatchSize: 2,
    maxInFlight: 1,
    logger: quiet,
  });
  addAll(batcher, 0, 3);
  const flushed = batcher.flush();
  addAll(batcher, 3, 5);
  const stopped = await batcher.stop({ timeout: 5 });
  const { sent, failed, errors } = await flushed;
  assertEquals([sent, failed, errors.length], [0, 3, 2]);
  assertEquals([stopped.sent, stopped.failed], [0, 5]);
});

Deno.test("stop({ timeout: Infinity }) has no deadline", async () => {
  using timers = new HandTimers();
  const transport = new HandTransport();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 1);
  const stopped = batcher.stop({ timeout: Infinity });
  assertEquals(timers.running.length, 0);
  (await transport.next()).resolve();
  assertEquals((await stopped).sent, 1);
});

Deno.test("stop() twice gives one report, and sends nothing twice", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 3);
  const first = batcher.stop();
  const second = batcher.stop();
  (await transport.next()).resolve();
  assertEquals(await first, { sent: 3, failed: 0, errors: [] });
  assertEquals(await second, await first);
  assertEquals(await batcher.stop(), await first);
  assertEquals(transport.sizes, [3]);
});

Deno.test("a second stop() can bring the deadline forward, but not back", async () => {
  for (const timeouts of [[60_000, 10], [10, 60_000], [Infinity, 10]]) {
    const transport = new HandTransport();
    const batcher = new Batcher(transport, { logger: quiet });
    addAll(batcher, 0, 3);
    // With the deadline of 60 s in force, the test would never end.
    const reports = timeouts.map((timeout) => batcher.stop({ timeout }));
    for (const { failed } of await Promise.all(reports)) {
      assertEquals(failed, 3);
    }
    balance(batcher);
  }
});

Deno.test("stop() of a Batcher that was never started sends what was added", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  addAll(batcher, 0, 3);
  assertEquals((await batcher.stop()).sent, 3);
  assertEquals(transport.sizes, [3]);
});

Deno.test("stop() called by the transport itself drains all the same", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 2, maxInFlight: 1 });
  let stopped: Promise<unknown> | undefined;
  transport.onSend = () => stopped ??= batcher.stop();
  addAll(batcher, 0, 5);
  for (let i = 0; i < 3; i++) (await transport.next()).resolve();
  assertEquals(await stopped, { sent: 5, failed: 0, errors: [] });
});

Deno.test("flush() and start() after stop() do nothing", async () => {
  using timers = new HandTimers();
  const transport = new Recorder();
  const batcher = new Batcher(transport);
  await batcher.stop();
  batcher.start();
  batcher.start(AbortSignal.abort());
  assertEquals(await batcher.flush(), { sent: 0, failed: 0, errors: [] });
  assertEquals(timers.running.length, 0);
});

Deno.test("the signal given to start() stops the Batcher, which drains first", async () => {
  const controller = new AbortController();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { logger: quiet });
  batcher.start(controller.signal);
  addAll(batcher, 0, 3);
  controller.abort();
  assertEquals(batcher.add(metric(4)), false);
  const send = await transport.next();
  assertEquals(send.signal.aborted, false);
  const stopped = batcher.stop();
  assert(await isPending(stopped));
  send.resolve();
  assertEquals((await stopped).sent, 3);
});

Deno.test("start() with a signal that is aborted already stops at once", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { logger: quiet });
  addAll(batcher, 0, 3);
  batcher.start(AbortSignal.abort());
  assertEquals(batcher.add(metric(4)), false);
  (await transport.next()).resolve();
  assertEquals((await batcher.stop()).failed, 0);
});

Deno.test("a signal that outlives the Batcher holds no listener of it", async () => {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ) => {
    listeners.add(listener);
    const own = typeof options === "object" ? options.signal : undefined;
    own?.addEventListener("abort", () => listeners.delete(listener));
    add(type, listener, options);
  };
  signal.removeEventListener = (
    _type: string,
    listener: EventListenerOrEventListenerObject,
  ) => void listeners.delete(listener);
  const batcher = new Batcher(new Recorder());
  batcher.start(signal);
  assertEquals(listeners.size, 1);
  addAll(batcher, 0, 1);
  await batcher.stop();
  assertEquals(listeners.size, 0);
});

Deno.test("the end of an `await using` scope stops the Batcher", async () => {
  const transport = new Recorder();
  let outer: Batcher;
  {
    await using batcher = new Batcher(transport, { logger: quiet });
    batcher.start();
    addAll(batcher, 0, 3);
    outer = batcher;
  }
  assertEquals(values(transport.metrics), [0, 1, 2]);
  assertEquals(outer.add(metric(4)), false);
});

// Accounting.

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
      send(batch, { signal }) {
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

// Options.

Deno.test("an explicit undefined means the default", async () => {
  using timers = new HandTimers();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: undefined,
    flushEvery: undefined,
    maxBuffered: undefined,
    maxInFlight: undefined,
    logger: undefined,
    onFailure: undefined,
  });
  batcher.start(undefined);
  addAll(batcher, 0, 1);
  assertEquals(timers.running[0]?.delay, 5000);
  addAll(batcher, 1, 100_000);
  await turn();
  assertEquals(transport.sizes, [1000, 1000, 1000, 1000]);
  addAll(batcher, 100_000, 104_000);
  assertEquals(balance(batcher).buffered, 100_000);
  const error = console.error;
  const warn = console.warn;
  const said: string[] = [];
  console.error = console.warn = (line: string) => said.push(line);
  try {
    assertEquals(batcher.add(metric(0)), false);
    const stopped = batcher.stop({ timeout: undefined });
    assertEquals(timers.running.map(({ delay }) => delay), [30_000]);
    for (let i = 0; i < 104; i++) (await transport.next()).resolve();
    assertEquals((await stopped).sent, 104_000);
  } finally {
    console.error = error;
    console.warn = warn;
  }
  assertEquals(said, [
    "Cannot add metric as 100000 are waiting already ('maxBuffered')",
  ]);
});

Deno.test("a bad option is a RangeError that names the option, the rule and the value", () => {
  const integers = ["maxBatchSize", "maxBuffered", "maxInFlight"];
  const bad: [unknown, string][] = [
    [0, "0"],
    [-1, "-1"],
    [1.5, "1.5"],
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    ["10", '"10"'],
    [null, "null"],
    [10n, "10n"],
    [{}, "an object"],
  ];
  for (const option of integers) {
    for (const [value, shown] of bad) {
      const error = assertThrows(
        () => new Batcher(new Recorder(), { [option]: value }),
        RangeError,
      );
      assertEquals(
        error.message,
        `Cannot create Batcher as '${option}' must be a positive integer: current value is ${shown}`,
      );
    }
  }
  const times: [unknown, string][] = [
    [0, "0"],
    [-1, "-1"],
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [2 ** 31, "2147483648"],
    [null, "null"],
    ["soon", '"soon"'],
  ];
  for (const [flushEvery, shown] of times) {
    const error = assertThrows(
      () => new Batcher(new Recorder(), { flushEvery } as BatcherOptions),
      RangeError,
    );
    assertEquals(
      error.message,
      `Cannot create Batcher as 'flushEvery' must be more than 0 and at most 2147483647 milliseconds: current value is ${shown}`,
    );
  }
});

Deno.test("options at their bounds are fine", async () => {
  const one = { maxBatchSize: 1, maxBuffered: 1, maxInFlight: 1 };
  for (const flushEvery of [0.5, 2 ** 31 - 1]) {
    const transport = new Recorder();
    const batcher = new Batcher(transport, { ...one, flushEvery });
    batcher.start();
    addAll(batcher, 0, 1);
    await batcher.stop();
    assertEquals(transport.sizes, [1]);
  }
});

Deno.test("a bad timeout of stop() is a RangeError, and the Batcher goes on", async () => {
  const batcher = new Batcher(new Recorder());
  for (const [timeout, shown] of [[-1, "-1"], [NaN, "NaN"]] as const) {
    const error = assertThrows(() => batcher.stop({ timeout }), RangeError);
    assertEquals(
      error.message,
      `Cannot stop Batcher as 'timeout' must be 0 or more milliseconds: current value is ${shown}`,
    );
  }
  addAll(batcher, 0, 1);
  assertEquals((await batcher.stop()).sent, 1);
});

Deno.test("something without a send is no transport", () => {
  for (const transport of [undefined, null, {}, { send: 5 }, "http://x"]) {
    const error = assertThrows(
      () => new Batcher(transport as never),
      TypeError,
    );
    assertStringIncludes(
      error.message,
      "Cannot create Batcher as 'transport' must have a method 'send': current value is ",
    );
  }
});

// Logging.

Deno.test("the logger gets a line per flush and per failure", async () => {
  const lines = new Lines();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, { maxBatchSize: 3, logger: lines });
  addAll(batcher, 0, 4);
  const stopped = batcher.stop();
  (await transport.next()).resolve();
  const { batch, reject } = await transport.next();
  reject(
    new SendError("the server is full", {
      kind: "refused",
      undelivered: batch,
    }),
  );
  await stopped;
  assertEquals(lines.lines, [
    "debug Flushing 3 metrics",
    "debug Flushing 1 metric",
    "error Failed to send metrics: the server is full (1 of 1 not delivered)",
  ]);
});

Deno.test("a metric that is not accepted is a warning with the reason", () => {
  const lines = new Lines();
  const batcher = new Batcher(new Recorder(), { logger: lines });
  batcher.add({ ...metric(1), value: NaN });
  assertEquals(lines.lines, [
    "warn Cannot add metric: 'value' must be a finite number: current value is NaN",
  ]);
});

Deno.test("a metric after stop() is a warning", async () => {
  const lines = new Lines();
  const batcher = new Batcher(new Recorder(), { logger: lines });
  await batcher.stop();
  batcher.add(metric(1));
  assertEquals(lines.lines, [
    "warn Cannot add metric as the Batcher is stopped",
  ]);
});

/** Runs with a monotonic clock that the test sets. */
async function withMonotonicClock(
  run: (advance: (ms: number) => void) => Promise<void>,
): Promise<void> {
  const own = Object.getOwnPropertyDescriptor(performance, "now");
  let now = 1e6;
  const value = () => now;
  Object.defineProperty(performance, "now", { value, configurable: true });
  try {
    await run((ms) => now += ms);
  } finally {
    Reflect.deleteProperty(performance, "now");
    if (own !== undefined) Object.defineProperty(performance, "now", own);
  }
}

Deno.test("a flood of refusals is a line a second with a count, not a line each", async () => {
  await withMonotonicClock(async (advance) => {
    const lines = new Lines();
    const batcher = new Batcher(new Recorder(), { logger: lines });
    const flood = () => {
      for (let i = 0; i < 1000; i++) batcher.add({ ...metric(i), value: NaN });
    };
    const one =
      "warn Cannot add metric: 'value' must be a finite number: current value is NaN";
    flood();
    assertEquals(lines.lines, [one]);
    advance(999);
    flood();
    assertEquals(lines.lines, [one]);
    advance(1);
    batcher.add({ ...metric(0), value: NaN });
    assertEquals(lines.lines, [one, `${one} (and 1998 more like it)`, one]);
    // What was counted since is said at the end.
    flood();
    await batcher.stop();
    assertEquals(lines.of("warn").slice(3), [`${one} (and 999 more like it)`]);
  });
});

Deno.test("a flood of failures is a line a second with a count, not a line each", async () => {
  await withMonotonicClock(async (advance) => {
    const lines = new Lines();
    const lost = failures();
    const batcher = new Batcher({
      send: () => Promise.reject(new Error("no")),
    }, { maxBatchSize: 1, logger: lines, onFailure: lost.onFailure });
    const one = "error Failed to send metrics: no (1 of 1 not delivered)";
    addAll(batcher, 0, 50);
    await batcher.flush();
    assertEquals(lines.of("error"), [one, `${one} (and 48 more like it)`]);
    advance(1000);
    addAll(batcher, 50, 51);
    await batcher.stop();
    assertEquals(lines.of("error").slice(2), [one]);
    // The callback is no log: it gets every one.
    assertEquals(lost.values, range(0, 51));
  });
});

Deno.test("console and a Logger of @std/log work as logger", async () => {
  class Memory extends BaseHandler {
    readonly lines: string[] = [];
    log(line: string): void {
      this.lines.push(line);
    }
  }
  const memory = new Memory("DEBUG", {
    formatter: ({ levelName, msg }) => `${levelName} ${msg}`,
  });
  const std: Logger = new StdLogger("test", "DEBUG", { handlers: [memory] });
  const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) }, {
    logger: std,
  });
  batcher.add({ ...metric(1), value: NaN });
  addAll(batcher, 0, 2);
  await batcher.stop();
  assertEquals(memory.lines, [
    "WARN Cannot add metric: 'value' must be a finite number: current value is NaN",
    "DEBUG Flushing 2 metrics",
    "ERROR Failed to send metrics: no (2 of 2 not delivered)",
  ]);

  const { debug } = console;
  const said: string[] = [];
  console.debug = (line: string) => said.push(line);
  try {
    const logger: Logger = console;
    await using batcher = new Batcher(new Recorder(), { logger });
    addAll(batcher, 0, 2);
  } finally {
    console.debug = debug;
  }
  assertEquals(said, ["Flushing 2 metrics"]);
});

Deno.test("without a logger, warnings and errors go to stderr and nothing to stdout", async () => {
  const { code, stdout, stderr } = await runScript(`
    const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) });
    batcher.add({ ...metric(1), value: NaN });
    batcher.add(metric(1));
    await batcher.stop();
  `);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "");
  assertEquals(stderr.trimEnd().split(/\r?\n/), [
    "Cannot add metric: 'value' must be a finite number: current value is NaN",
    "Failed to send metrics: no (1 of 1 not delivered)",
  ]);
});

// Processes.

Deno.test("a program that just ends delivers what it added, and exits with 0", async () => {
  await using server = startIngestServer({ port: 0, delay: 20 });
  const { code, stdout, stderr } = await runScript(`
    const batcher = new Batcher(fetchTransport("${server.url}"), {
      flushEvery: 30,
    });
    batcher.start();
    for (let i = 0; i < 10; i++) batcher.add(metric(i));
  `);
  assertEquals([code, stdout, stderr], [0, "", ""]);
  const stored = server.query("test_metric").map(({ value }) => value);
  assertEquals(stored.sort((a, b) => a - b), range(0, 10));
});

Deno.test("an idle Batcher does not keep a process alive", async () => {
  const { code, stdout, stderr } = await runScript(`
    const transport = { send: () => Promise.resolve() };
    const options = { flushEvery: 2 ** 31 - 1, maxBatchSize: 2 };
    const fresh = new Batcher(transport, options);
    fresh.start(new AbortController().signal);
    const used = new Batcher(transport, options);
    used.start();
    used.add(metric(1));
    used.add(metric(2)); // goes by size
    used.add(metric(3));
    await used.flush();
    console.log(used.stats.sent);
  `);
  assertEquals([code, stdout, stderr], [0, "3\n", ""]);
});

Deno.test("a stopped Batcher does not keep a process alive until its deadline", async () => {
  const { code, stdout, stderr } = await runScript(`
    const batcher = new Batcher({ send: () => Promise.resolve() });
    batcher.start();
    batcher.add(metric(1));
    const { sent } = await batcher.stop({ timeout: 2 ** 31 - 1 });
    console.log(sent);
  `);
  assertEquals([code, stdout, stderr], [0, "1\n", ""]);
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

Deno.test("the transport's own this is kept", async () => {
  class Counting {
    count = 0;
    send(batch: readonly Metric[]): Promise<void> {
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

// What transports and callers do that nobody expects.

for (
  const [name, thrown] of [
    [
      "a SendError that does not say what is undelivered",
      new SendError("x", { kind: "transient" }),
    ],
    [
      "an Error whose message is no string",
      Object.assign(new Error(), { message: Symbol("x") }),
    ],
    ["a revoked Proxy", revoked()],
  ] as const
) {
  Deno.test(`${name} fails the whole batch and nothing else`, async () => {
    const batcher = new Batcher({ send: () => Promise.reject(thrown) }, {
      logger: quiet,
    });
    batcher.add(metric(1));
    const { failed, errors } = await batcher.flush();
    assertEquals(failed, 1);
    assertEquals(errors[0]!.undelivered.length, 1);
    assertEquals(batcher.stats.inFlight, 0);
    await batcher.stop();
  });
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

Deno.test("a SendError with nothing undelivered is a success", async () => {
  const batcher = new Batcher({
    send: () =>
      Promise.reject(
        new SendError("x", { kind: "transient", undelivered: [] }),
      ),
  }, { logger: quiet, onFailure: () => assert(false) });
  batcher.add(metric(1));
  const report = await batcher.stop();
  assertEquals(report, { sent: 1, failed: 0, errors: [] });
});

Deno.test("what an async onFailure rejects with is logged", async () => {
  const log = new Lines();
  const batcher = new Batcher(
    { send: () => Promise.reject(new Error("net")) },
    {
      logger: log,
      onFailure: () =>
        turn().then(() => Promise.reject(new Error("disk full"))),
    },
  );
  batcher.add(metric(1));
  await batcher.flush();
  await turn();
  await turn();
  await batcher.stop();
  assertStringIncludes(log.lines.join("\n"), "disk full");
});

Deno.test("a flood of refusals for lack of room tells the bound", async () => {
  const log = new Lines();
  const batcher = new Batcher(new Recorder(), {
    logger: log,
    maxBatchSize: 5,
    maxBuffered: 5,
  });
  for (let i = 0; i < 10; i++) batcher.add(metric(i));
  await batcher.stop();
  assertStringIncludes(
    log.lines.at(-1)!,
    "as 5 are waiting already ('maxBuffered') (and 3 more",
  );
});

Deno.test("times that are no numbers are refused", async () => {
  assertThrows(
    () => new Batcher(new Recorder(), { flushEvery: "5000" as never }),
    RangeError,
  );
  const batcher = new Batcher(new Recorder());
  assertThrows(() => batcher.stop({ timeout: "5000" as never }), RangeError);
  assertThrows(() => batcher.stop({ timeout: null as never }), RangeError);
  await batcher.stop();
});
