// What a Batcher says about use that looks like a mistake.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  Batcher,
  fetchTransport,
  type Metric,
  type Transport,
  withRetry,
} from "../../mod.ts";
import { Lines, metric, Recorder, runScript } from "../_helpers.ts";

Deno.test("a Batcher that nobody starts says so once, after a moment", async () => {
  const logger = new Lines();
  const { promise, resolve } = Promise.withResolvers<void>();
  const warn = logger.warn.bind(logger);
  logger.warn = (message) => {
    warn(message);
    resolve();
  };
  const batcher = new Batcher(new Recorder(), { flushEvery: 5, logger });
  // What counts down keeps no process alive, so something else has to.
  const alive = setInterval(() => {}, 1000);
  batcher.add(metric(1));
  await promise;
  clearInterval(alive);
  batcher.add(metric(2));
  assertEquals(logger.of("warn").length, 1);
  assertStringIncludes(logger.lines[0]!, "call start(), or flush() or stop()");
  await batcher.stop();
});

Deno.test("a Batcher that is started, flushed or stopped says nothing", async () => {
  for (const use of ["start", "flush", "stop"] as const) {
    const logger = new Lines();
    const batcher = new Batcher(new Recorder(), { flushEvery: 1, logger });
    batcher.add(metric(1));
    batcher[use]();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(logger.of("warn"), [], use);
    await batcher.stop();
  }
});

Deno.test("a program that only adds ends all the same, without a word", async () => {
  const { code, stderr } = await runScript(`
    const batcher = new Batcher({ send: () => Promise.resolve() });
    batcher.add(metric(1));
  `);
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("a field that a metric does not have is told of once, with the one that is meant", async () => {
  const logger = new Lines();
  const batcher = new Batcher(new Recorder(), { logger });
  batcher.start();
  for (let i = 0; i < 3; i++) {
    batcher.add({ ...metric(i), tags: { a: "b" }, host: "x" } as Metric);
  }
  assertEquals(logger.of("warn"), [
    'warn Field "tags" is not sent, as a metric has no such field: did you mean "labels"?',
    'warn Field "host" is not sent, as a metric has no such field',
  ]);
  await batcher.stop();
});

Deno.test("an option that does not exist is a TypeError with the one that is meant", () => {
  const transport: Transport<Metric> = new Recorder();
  const url = "http://localhost:8080/v1/ingest";
  for (
    const [make, message] of [
      [
        () => new Batcher(transport, { flushInterval: 1 } as object),
        'Cannot create Batcher as there is no option "flushInterval": did you mean "flushEvery"?',
      ],
      [
        () => new Batcher(transport, { maxBatchsize: 1 } as object),
        'Cannot create Batcher as there is no option "maxBatchsize": did you mean "maxBatchSize"?',
      ],
      [
        () => new Batcher(transport, { colour: "red" } as object),
        'Cannot create Batcher as there is no option "colour"',
      ],
      [
        () => fetchTransport(url, { apikey: "k" } as object),
        'Cannot create fetchTransport as there is no option "apikey": did you mean "apiKey"?',
      ],
      [
        () => withRetry(transport, { maxRetries: 3 } as object),
        'Cannot retry as there is no option "maxRetries": did you mean "attempts"?',
      ],
      [
        () => new Batcher(transport, { retry: { delay: 3 } as object }),
        'Cannot retry as there is no option "delay": did you mean "baseDelay"?',
      ],
    ] as const
  ) {
    const error = assertThrows(make, TypeError);
    assertEquals(error.message, message);
  }
});

Deno.test("a Date as timestamp is answered with the way to write it", () => {
  const logger = new Lines();
  const batcher = new Batcher(new Recorder(), { logger });
  const timestamp = new Date() as unknown as string;
  assertEquals(batcher.add({ ...metric(1), timestamp }), false);
  assertStringIncludes(logger.lines[0]!, "use toISOString() of the Date");
});
