// How a Batcher lets its process end.

import { assertEquals } from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { range, runScript } from "../_helpers.ts";

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
