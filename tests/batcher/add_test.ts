// What add() accepts, and what it keeps.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { Batcher, fetchTransport, type Metric } from "../../mod.ts";
import {
  HandTransport,
  metric,
  quiet,
  range,
  Recorder,
  turn,
  values,
} from "../_helpers.ts";
import { balance } from "./_helpers.ts";

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

Deno.test("Go's zero time means that there is no timestamp", async () => {
  const transport = new Recorder();
  const batcher = new Batcher(transport, { logger: quiet });
  for (
    const zero of ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000+00:00"]
  ) {
    assert(batcher.add({ ...metric(1), timestamp: zero }));
  }
  await batcher.stop();
  for (const { timestamp } of transport.metrics) {
    assertMatch(timestamp!, /^2\d\d\d-/);
  }
});
