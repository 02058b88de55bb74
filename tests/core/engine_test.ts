// The engine on numbers: what it does is the same whatever it carries.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { type Batch, ReleasableBatch } from "../../src/core/batch.ts";
import { Engine, type EngineOptions } from "../../src/core/engine.ts";
import { SendError } from "../../src/core/send_error.ts";
import type { Transport } from "../../src/core/transport.ts";
import {
  HandTransport,
  isPending,
  Lines,
  quiet,
  random,
  range,
  turn,
} from "../_helpers.ts";

type Options = EngineOptions<number, number>;

/** An engine for numbers, each of which weighs as much as it says. */
function numbers(
  transport: Transport<number>,
  options: Partial<Options> = {},
): Engine<number> {
  return new Engine(transport, {
    noun: { engine: "Engine", item: "number", items: "numbers" },
    seal: (items) => new ReleasableBatch(items),
    logger: quiet,
    ...options,
  });
}

const weigh = (item: number) => item;

function pushAll(engine: Engine<number>, items: Iterable<number>): void {
  for (const item of items) engine.push(item);
}

/** A transport that delivers at once and keeps what it got. */
function recorder() {
  const batches: number[][] = [];
  return {
    batches,
    send(batch: Batch<number>): Promise<void> {
      batches.push([...batch]);
      return Promise.resolve();
    },
  };
}

// Cutting.

Deno.test("a batch is cut at maxBatchSize, and flush() sends the rest", async () => {
  const transport = recorder();
  const engine = numbers(transport, { maxBatchSize: 3 });
  pushAll(engine, range(0, 7));
  await turn();
  assertEquals(transport.batches, [[0, 1, 2], [3, 4, 5]]);
  assertEquals(await engine.flush(), { sent: 7 - 6, failed: 0, errors: [] });
  assertEquals(transport.batches[2], [6]);
});

Deno.test("an item that would exceed maxBatchBytes begins a batch of its own", async () => {
  const transport = recorder();
  const engine = numbers(transport, { weigh, maxBatchBytes: 10 });
  pushAll(engine, [4, 4, 4, 1]);
  await turn();
  assertEquals(transport.batches, [[4, 4]]);
  await engine.flush();
  assertEquals(transport.batches, [[4, 4], [4, 1]]);
});

Deno.test("a batch that reaches maxBatchBytes exactly goes at once", async () => {
  const transport = recorder();
  const engine = numbers(transport, { weigh, maxBatchBytes: 10 });
  pushAll(engine, [5, 5]);
  await turn();
  assertEquals(transport.batches, [[5, 5]]);
  await engine.stop();
});

Deno.test("an item heavier than maxBatchBytes goes alone", async () => {
  const transport = recorder();
  const engine = numbers(transport, { weigh, maxBatchBytes: 10 });
  pushAll(engine, [1, 30, 2, 10, 3]);
  await engine.stop();
  assertEquals(transport.batches, [[1], [30], [2], [10], [3]]);
});

Deno.test("whichever bound is reached first cuts the batch", async () => {
  const transport = recorder();
  const engine = numbers(transport, {
    weigh,
    maxBatchSize: 3,
    maxBatchBytes: 10,
  });
  pushAll(engine, [1, 1, 1, 6, 6, 1]);
  await engine.stop();
  assertEquals(transport.batches, [[1, 1, 1], [6], [6, 1]]);
});

Deno.test("without weigh, bytes are not counted", async () => {
  const transport = recorder();
  const engine = numbers(transport, { maxBatchBytes: 1, maxBufferedBytes: 1 });
  pushAll(engine, [100, 200]);
  assertEquals([engine.full, engine.bufferedBytes], [false, 0]);
  await engine.stop();
  assertEquals(transport.batches, [[100, 200]]);
});

// Room.

Deno.test("maxBufferedBytes is full with the item that reaches it, and ready waits", async () => {
  const transport = new HandTransport<number>();
  const engine = numbers(transport, {
    weigh,
    maxInFlight: 1,
    maxBatchBytes: 10,
    maxBufferedBytes: 20,
  });
  pushAll(engine, [10]);
  const first = await transport.next();
  // What is in flight takes no room.
  assertEquals(engine.bufferedBytes, 0);
  pushAll(engine, [10, 9]);
  assertEquals([engine.full, engine.bufferedBytes], [false, 19]);
  await engine.ready;
  pushAll(engine, [100]);
  assertEquals([engine.full, engine.bufferedBytes], [true, 119]);
  const ready = engine.ready;
  assert(await isPending(ready));
  first.resolve();
  (await transport.next()).resolve();
  // 109 bytes still wait.
  assert(await isPending(ready));
  (await transport.next()).resolve();
  await transport.next();
  await ready;
  assertEquals([engine.full, engine.bufferedBytes], [false, 0]);
  const stopped = engine.stop();
  transport.sends[3]!.resolve();
  assertEquals((await stopped).failed, 0);
});

Deno.test("a maxBufferedBytes below maxBatchBytes still drains", async () => {
  const transport = recorder();
  const engine = numbers(transport, {
    weigh,
    maxBatchBytes: 1000,
    maxBufferedBytes: 5,
  });
  for (const item of Array<number>(40).fill(2)) {
    await engine.ready;
    assertEquals(engine.full, false);
    engine.push(item);
  }
  await engine.stop();
  assertEquals(transport.batches.flat().length, 40);
  assert(transport.batches.every(({ length }) => length <= 3));
});

// What the transport says of itself.

Deno.test("maxInFlight of the transport is obeyed, and so is the option", async () => {
  for (
    const [bears, option, most] of [
      [1, undefined, 1],
      [1, 3, 1],
      [3, 2, 2],
      [9, undefined, 4],
      [undefined, 3, 3],
    ]
  ) {
    const transport = new HandTransport<number>();
    transport.maxInFlight = bears;
    const engine = numbers(transport, { maxBatchSize: 1, maxInFlight: option });
    pushAll(engine, range(0, 12));
    const stopped = engine.stop();
    for (let i = 0; i < 12; i++) {
      await turn();
      (await transport.next()).resolve();
    }
    assertEquals((await stopped).sent, 12);
    assertEquals(transport.maxOpen, most);
  }
});

Deno.test("a maxInFlight of the transport that is no positive integer is a RangeError", () => {
  for (const maxInFlight of [0, -1, 1.5, NaN, "2" as unknown as number]) {
    const transport = { ...recorder(), maxInFlight };
    const error = assertThrows(() => numbers(transport), RangeError);
    assert(
      error.message.startsWith(
        "Cannot create Engine as 'transport.maxInFlight' must be a positive integer: current value is ",
      ),
      error.message,
    );
  }
});

Deno.test("a bound in bytes that is no positive number is a RangeError", () => {
  for (const name of ["maxBatchBytes", "maxBufferedBytes"]) {
    for (const value of [0, -1, NaN]) {
      const error = assertThrows(
        () => numbers(recorder(), { [name]: value }),
        RangeError,
      );
      assertEquals(
        error.message,
        `Cannot create Engine as '${name}' must be more than 0: current value is ${value}`,
      );
    }
  }
});

Deno.test("prepare gets each complete batch before its turn, once, and keeps its this", async () => {
  class Preparing extends HandTransport<number> {
    readonly prepared: Batch<number>[] = [];
    readonly got: Batch<number>[] = [];
    prepare(batch: Batch<number>): void {
      this.prepared.push(batch);
      throw new Error("send will say so");
    }
    override send(batch: Batch<number>, options: { signal: AbortSignal }) {
      this.got.push(batch);
      return super.send(batch, options);
    }
  }
  const transport = new Preparing();
  const engine = numbers(transport, { maxBatchSize: 2, maxInFlight: 1 });
  pushAll(engine, range(0, 4));
  assertEquals(transport.prepared.map((batch) => [...batch]), [[0, 1], [2, 3]]);
  assertEquals(transport.sends.length, 0);
  const stopped = engine.stop();
  (await transport.next()).resolve();
  (await transport.next()).resolve();
  assertEquals((await stopped).sent, 4);
  assertEquals(transport.prepared.length, 2);
  for (const [i, batch] of transport.got.entries()) {
    assertStrictEquals(batch, transport.prepared[i]);
  }
});

// Messages.

Deno.test("messages call the items what the options call them", async () => {
  const lines = new Lines();
  const engine = numbers({ send: () => Promise.reject(new Error("no")) }, {
    logger: lines,
  });
  pushAll(engine, [1]);
  await engine.flush();
  pushAll(engine, [1, 2]);
  await engine.stop();
  assertEquals(lines.of("debug"), [
    "debug Flushing 1 number",
    "debug Flushing 2 numbers",
  ]);
  assertEquals(
    lines.of("error")[0],
    "error Failed to send numbers: no (1 of 1 not delivered)",
  );
});

// onSettled.

Deno.test("onSettled is told of every batch once, with the error if something failed", async () => {
  const settled: [number[], SendError<number> | undefined][] = [];
  const transport = new HandTransport<number>();
  const engine = numbers(transport, {
    maxBatchSize: 2,
    maxInFlight: 3,
    onSettled: (batch, error) => settled.push([[...batch], error]),
  });
  pushAll(engine, range(0, 9));
  const sends = [
    await transport.next(),
    await transport.next(),
    await transport.next(),
  ];
  const partly = new SendError<number>("partly", {
    kind: "rejected",
    undelivered: [2],
  });
  sends[1]!.reject(partly);
  sends[0]!.resolve();
  await turn();
  assertEquals(settled, [[[2, 3], partly], [[0, 1], undefined]]);
  // Nothing undelivered is a success.
  sends[2]!.reject(
    new SendError("fine", { kind: "transient", undelivered: [] }),
  );
  await turn();
  assertEquals(settled[2], [[4, 5], undefined]);
  // In flight, and still being filled, at the deadline.
  await engine.stop(0);
  const rest = settled.slice(3);
  assertEquals(rest.map(([items]) => items).sort(), [[6, 7], [8]]);
  for (const [, error] of rest) assertEquals(error?.code, "given_up");
  const { sent, failed } = engine;
  assertEquals([sent, failed], [5, 4]);
});

Deno.test("what was pushed is accounted for before onSettled is told", async () => {
  const seen: number[][] = [];
  const engine = numbers(recorder(), {
    maxBatchSize: 2,
    onSettled: () => seen.push([engine.sent, engine.inFlight]),
  });
  pushAll(engine, range(0, 2));
  await engine.flush();
  assertEquals(seen, [[2, 0]]);
});

// flush()

Deno.test("flush() waits for all that was pushed before it, in whatever order it settles", async () => {
  const transport = new HandTransport<number>();
  const engine = numbers(transport, { maxBatchSize: 1, maxInFlight: 3 });
  pushAll(engine, [0, 1]);
  const flushed = engine.flush();
  pushAll(engine, [2]);
  const sends = [
    await transport.next(),
    await transport.next(),
    await transport.next(),
  ];
  sends[1]!.resolve();
  assert(await isPending(flushed));
  // The third was pushed after the call: it is not waited for.
  sends[0]!.resolve();
  assertEquals(await flushed, { sent: 2, failed: 0, errors: [] });
  const stopped = engine.stop();
  sends[2]!.resolve();
  assertEquals((await stopped).sent, 1);
});

Deno.test("a flush() does not wait for its own items alone, but for all before them", async () => {
  const transport = new HandTransport<number>();
  const engine = numbers(transport, { maxBatchSize: 1 });
  pushAll(engine, [0]);
  const first = engine.flush();
  pushAll(engine, [1]);
  const second = engine.flush();
  const [a, b] = [await transport.next(), await transport.next()];
  b.resolve();
  assert(await isPending(Promise.race([first, second])));
  a.resolve();
  assertEquals((await first).sent, 1);
  assertEquals((await second).sent, 2);
});

Deno.test("a failure in a batch that flushes share counts as the earlier one's first", async () => {
  const transport = new HandTransport<number>();
  const engine = numbers(transport, { maxBatchSize: 100, maxInFlight: 1 });
  const reports = [];
  for (let i = 0; i < 12; i++) {
    engine.push(i);
    reports.push(engine.flush());
    await Promise.resolve();
  }
  // Settle everything but the last batch, which holds several flushes' items.
  let last = await transport.next();
  for (let left = 12 - last.batch.length; left > 0; left -= last.batch.length) {
    last.resolve();
    last = await transport.next();
  }
  const shared = last.batch.length;
  assert(shared > 2, `${shared} in the last batch`);
  const start = 12 - shared;
  const error = new SendError<number>("partly", {
    kind: "rejected",
    undelivered: last.batch.slice(0, 2),
  });
  last.reject(error);
  for (const [i, report] of (await Promise.all(reports)).entries()) {
    // Number i waits for i + 1 items, of which those from `start` are in the last batch.
    const failed = Math.max(0, Math.min(2, i + 1 - start));
    assertEquals(
      report,
      { sent: i + 1 - failed, failed, errors: failed > 0 ? [error] : [] },
      `flush ${i}`,
    );
  }
  assertEquals([engine.sent, engine.failed], [10, 2]);
});

/** What `n` times push and flush against a transport that hangs cost. */
async function pushAndFlush(n: number, end: "deliver" | "fail") {
  /** Each look at a batch is a step of the work that grows with what is outstanding. */
  let looks = 0;
  let batches = 0;
  const transport = new HandTransport<number>();
  const engine = numbers(transport, {
    seal: (items) => {
      batches++;
      const batch = new ReleasableBatch(items);
      return Object.defineProperty(batch, "length", {
        get() {
          looks++;
          return items.length;
        },
      });
    },
  });
  const reports = [];
  for (let i = 0; i < n; i++) {
    engine.push(i);
    reports.push(engine.flush());
    await Promise.resolve();
  }
  const whileHanging = looks;
  const stopped = engine.stop();
  for (let left = n; left > 0;) {
    const send = await transport.next();
    left -= send.batch.length;
    if (end === "deliver") send.resolve();
    else send.reject(new Error("no"));
  }
  await stopped;
  return { reports: await Promise.all(reports), looks, whileHanging, batches };
}

Deno.test("20,000 times push and flush against a transport that hangs share batches, at a cost that is linear", async () => {
  const n = 20_000;
  const small = await pushAndFlush(n / 10, "deliver");
  const { reports, looks, whileHanging, batches } = await pushAndFlush(
    n,
    "deliver",
  );
  // 20 full ones, and those of the flushes that found a send free.
  assert(batches <= 20 + 16, `${batches} batches`);
  // Nothing is done for each batch that is outstanding at each flush.
  assert(whileHanging <= n, `${whileHanging} looks at batches`);
  assert(looks <= 20 * small.looks + 100, `${small.looks}, then ${looks}`);
  for (const [i, report] of reports.entries()) {
    if (report.sent !== i + 1 || report.failed !== 0) {
      assertEquals(report, { sent: i + 1, failed: 0, errors: [] });
    }
  }
});

Deno.test("the reports are exact where all of it fails", async () => {
  const { reports, batches } = await pushAndFlush(5000, "fail");
  for (const [i, { sent, failed, errors }] of reports.entries()) {
    if (sent !== 0 || failed !== i + 1) {
      assertEquals({ sent, failed }, { sent: 0, failed: i + 1 });
    }
    assert(errors.length >= 1 && errors.length <= batches);
  }
});

Deno.test("a report names the first 100 errors, and its numbers count all", async () => {
  const engine = numbers({ send: () => Promise.reject(new Error("no")) }, {
    maxBatchSize: 1,
  });
  pushAll(engine, range(0, 1500));
  const { sent, failed, errors } = await engine.stop();
  assertEquals([sent, failed, errors.length], [0, 1500, 100]);
  for (const error of errors) assertInstanceOf(error, SendError);
});

// Accounting.

Deno.test("items and bytes add up at every step of a random run", async () => {
  for (const seed of range(1, 21)) {
    const next = random(seed);
    const below = (n: number) => Math.floor(next() * n);
    const where = `seed ${seed}`;
    const maxBatchSize = 1 + below(10);
    const maxBatchBytes = 1 + below(60);
    const maxBuffered = 1 + below(50);
    const maxBufferedBytes = 1 + below(200);
    const bears = 1 + below(4);
    const transport = new HandTransport<number>();
    transport.maxInFlight = bears;
    let pushed = 0;
    let bytes = 0;
    const settled: number[] = [];
    const lost: number[] = [];
    const engine: Engine<number> = numbers(transport, {
      weigh,
      maxBatchSize,
      maxBatchBytes,
      maxBuffered,
      maxBufferedBytes,
      onSettled: (batch) => settled.push(...batch),
      onFailure: (undelivered) => lost.push(...undelivered),
    });
    const sum = (items: readonly number[]) => items.reduce((a, b) => a + b, 0);
    const check = () => {
      const { sent, failed, buffered, inFlight, bufferedBytes } = engine;
      assertEquals(pushed, sent + failed + buffered + inFlight, where);
      assertEquals([sent + failed, failed], [settled.length, lost.length]);
      const out = sum(transport.sends.flatMap(({ batch }) => [...batch]));
      assertEquals(bytes, bufferedBytes + out, where);
      assert(transport.open <= bears, where);
    };
    for (let step = 0; step < 200; step++) {
      const action = below(6);
      if (action < 3) {
        for (let i = below(12); i > 0 && !engine.full; i--) {
          const item = below(25);
          engine.push(item);
          pushed++;
          bytes += item;
        }
      } else if (action === 3) {
        engine.flush();
      } else {
        const send = transport.sends[below(transport.sends.length)];
        if (action === 4) send?.resolve();
        else send?.reject(new Error("no"));
      }
      check();
      for (let i = below(4); i > 0; i--) {
        await Promise.resolve();
        check();
      }
    }
    for (const { batch } of transport.sends) {
      assert(batch.length <= maxBatchSize, where);
      assert(batch.length === 1 || sum(batch) <= maxBatchBytes, where);
    }
    // The rest hangs: it is given up.
    await engine.stop(0);
    const { sent, failed, buffered, bufferedBytes, inFlight } = engine;
    assertEquals([buffered, bufferedBytes, inFlight], [0, 0, 0], where);
    assertEquals(sent + failed, pushed, where);
    assertEquals(sum(settled), bytes, where);
  }
});
