// stop(): the drain, its deadline, and the signals that stop a Batcher.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Batcher, SendError } from "../../mod.ts";
import {
  HandTimers,
  HandTransport,
  isPending,
  Lines,
  metric,
  quiet,
  range,
  Recorder,
  turn,
  values,
} from "../_helpers.ts";
import { addAll, balance, failures } from "./_helpers.ts";

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
            undelivered: [...batch].slice(2),
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
