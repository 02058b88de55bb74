import { assert, assertEquals, assertMatch } from "@std/assert";
import { Batcher } from "../../mod.ts";
import { stamp } from "../../src/core/clock.ts";
import { metric, Recorder, turn } from "../_helpers.ts";

const SHAPE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;

/** Asserts that the texts strictly increase, and thereby that each is unique. */
function assertIncreasing(stamps: readonly string[]): void {
  for (let i = 1; i < stamps.length; i++) {
    if (!(stamps[i - 1]! < stamps[i]!)) {
      throw new Error(`number ${i}: ${stamps[i - 1]} then ${stamps[i]}`);
    }
  }
}

let clocks = 0;

/**
 * Runs with a time that the test sets, and a clock module of its own: stamps never
 * come back from the future, so the one that all share must not go there.
 */
async function withClock(
  run: (
    set: (ms: number) => void,
    stamp: () => string,
  ) => void | Promise<void>,
): Promise<void> {
  const path = `../../src/core/clock.ts?${++clocks}`;
  const own: { stamp: () => string } = await import(path);
  const real = Date.now;
  let now = real();
  Date.now = () => now;
  try {
    await run((ms) => now = ms, own.stamp);
  } finally {
    Date.now = real;
  }
}

/** The milliseconds of a stamp. */
function ms(stamp: string): number {
  return Date.parse(stamp.slice(0, 23) + "Z");
}

Deno.test("a stamp is RFC 3339 in UTC with nine digits of a second", () => {
  for (let i = 0; i < 100; i++) assertMatch(stamp(), SHAPE);
});

Deno.test("a stamp tells the time at which it was taken", async () => {
  await turn();
  const before = Date.now();
  const taken = ms(stamp());
  const after = Date.now();
  assert(before <= taken && taken <= after, `${before} ${taken} ${after}`);
});

Deno.test("300,000 stamps of one turn strictly increase as text", () => {
  const stamps = Array.from({ length: 300_000 }, stamp);
  assertIncreasing(stamps);
  assertEquals(new Set(stamps).size, 300_000);
  for (const text of stamps) {
    if (!SHAPE.test(text)) throw new Error(text);
  }
});

Deno.test("stamps of many turns strictly increase as text", async () => {
  const stamps: string[] = [];
  for (let i = 0; i < 300; i++) {
    for (let j = i % 40; j >= 0; j--) stamps.push(stamp());
    await (i % 10 === 0 ? turn() : Promise.resolve());
  }
  assertIncreasing(stamps);
});

Deno.test("two Batchers of a process never share a stamp", async () => {
  const transport = new Recorder();
  const batchers = [new Batcher(transport), new Batcher(transport)];
  for (let i = 0; i < 20_000; i++) assert(batchers[i % 2]!.add(metric(i)));
  for (const batcher of batchers) await batcher.stop();
  const sent = transport.metrics.sort((a, b) => a.value - b.value);
  assertEquals(sent.length, 20_000);
  assertIncreasing(sent.map(({ timestamp }) => timestamp!));
});

Deno.test("a clock that is set back does not break the order", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now() + 60_000;
    const stamps: string[] = [];
    for (const now of [start, start - 1, start - 3_600_000, start, start + 1]) {
      set(now);
      await Promise.resolve();
      for (let i = 0; i < 100; i++) stamps.push(stamp());
    }
    assertIncreasing(stamps);
    assertEquals(ms(stamps[0]!), start);
    // Once the clock has caught up, the stamps follow it again.
    assertEquals(ms(stamps.at(-1)!), start + 1);
  });
});

Deno.test("a clock that stands still runs into the next millisecond, in order", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now() + 120_000;
    set(start);
    await Promise.resolve();
    const stamps = Array.from({ length: 1_100_000 }, stamp);
    assertIncreasing(stamps);
    assertEquals(ms(stamps[0]!), start);
    assert(ms(stamps.at(-1)!) > start);
    set(start + 1);
    await Promise.resolve();
    const next = stamp();
    assert(next > stamps.at(-1)!, `${stamps.at(-1)} then ${next}`);
  });
});

Deno.test("a clock that moves within one turn is noticed", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now() + 180_000;
    set(start);
    await Promise.resolve();
    stamp();
    set(start + 1000);
    const stamps = Array.from({ length: 100 }, stamp);
    assertIncreasing(stamps);
    assertEquals(ms(stamps.at(-1)!), start + 1000);
  });
});

Deno.test("a new year keeps the order of the text", async () => {
  await withClock(async (set, stamp) => {
    const stamps: string[] = [];
    const newYear = Date.UTC(2099, 11, 31, 23, 59, 59, 999);
    for (const now of [newYear, newYear + 1]) {
      set(now);
      await Promise.resolve();
      stamps.push(stamp());
    }
    assertIncreasing(stamps);
    assertMatch(stamps[0]!, /^2099-12-31T23:59:59\.999\d{6}Z$/);
    assertMatch(stamps[1]!, /^2100-01-01T00:00:00\.000\d{6}Z$/);
  });
});
