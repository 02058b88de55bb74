// The options: defaults, bounds, and what is refused.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Batcher, type BatcherOptions } from "../../mod.ts";
import {
  HandTimers,
  HandTransport,
  metric,
  Recorder,
  turn,
} from "../_helpers.ts";
import { addAll, balance } from "./_helpers.ts";

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
