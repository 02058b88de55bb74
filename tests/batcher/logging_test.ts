// What the Batcher says, to whom, and how often.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { BaseHandler } from "@std/log/base-handler";
import { Logger as StdLogger } from "@std/log/logger";
import { Batcher, type Logger, SendError } from "../../mod.ts";
import {
  bare,
  HandTransport,
  Lines,
  metric,
  range,
  Recorder,
  runScript,
} from "../_helpers.ts";
import { addAll, failures } from "./_helpers.ts";

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
    }, { ...bare, maxBatchSize: 1, logger: lines, onFailure: lost.onFailure });
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
    ...bare,
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
    const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) }, { retry: false });
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
