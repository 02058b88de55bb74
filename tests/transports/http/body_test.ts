// Where many batches wait, their bodies are compressed, and nothing else changes.

import { assert, assertEquals } from "@std/assert";
import { Batcher, fetchTransport, type Metric } from "../../../mod.ts";
import { Body } from "../../../src/transports/http/body.ts";
import { encodeText } from "../../../src/transports/http/buffers.ts";
import { quiet } from "../../_helpers.ts";

const decoder = new TextDecoder();

Deno.test("bodies beyond 16 MiB wait compressed, and are the same when they are sent", () => {
  const text = (i: number) => `${i},`.repeat(500_000).slice(0, 1_000_000);
  const waiting = { bytes: 0 };
  const bodies = Array.from({ length: 40 }, (_, i) => {
    const body = new Body(
      { body: encodeText(text(i)), recyclable: true },
      waiting,
    );
    body.wait();
    return body;
  });
  assertEquals(waiting.bytes, 16_000_000, "16 of them wait as they are");
  for (const [i, body] of bodies.entries()) {
    assertEquals(decoder.decode(body.bytes) === text(i), true, `body ${i}`);
    const again = body.content;
    assertEquals(body.content, again, "the same at each attempt");
    body.recycle();
  }
  assertEquals(waiting.bytes, 0);
});

Deno.test("a burst that waits takes little memory, and comes back as it was", async () => {
  const before = Deno.memoryUsage().external;
  const back: Metric[] = [];
  const n = 300_000;
  const batcher = new Batcher(
    fetchTransport("http://127.0.0.1:9/"), // nothing listens there
    {
      maxBuffered: n,
      retry: false,
      logger: quiet,
      onFailure: (metrics) => void back.push(...metrics),
    },
  );
  batcher.start();
  const metric = (value: number): Metric => ({
    name: "burst",
    type: "counter",
    value,
    labels: { path: `/users/${value % 10}`, region: "eu-west-1" },
    timestamp: "2026-11-23T07:00:00Z",
  });
  for (let i = 0; i < n; i++) assert(batcher.add(metric(i)));
  const taken = Deno.memoryUsage().external - before;
  // 40 MB as they are; how soon V8 frees a buffer is its own affair.
  assert(taken < 32e6, `${taken} bytes`);
  await batcher.stop();
  assertEquals(back.length, n);
  for (let i = 0; i < n; i += 997) assertEquals(back[i], metric(i));
});
