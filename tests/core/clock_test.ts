import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { Batcher } from "../../mod.ts";
import { stamp, STAMP_LENGTH, Tick } from "../../src/core/clock.ts";
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
 * Runs with a time that the test sets, and a clock module of its own, so that the
 * one that all others share keeps to the real time.
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

Deno.test("a clock that steps back by less than a second does not break the order", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now() + 60_000;
    const stamps: string[] = [];
    for (const now of [start, start - 1, start - 999, start, start + 1]) {
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

Deno.test("a clock that steps back by a second or more is followed, and no stamp comes twice", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now();
    const stamps: string[] = [];
    const run = async (now: number) => {
      set(now);
      await Promise.resolve();
      for (let i = 0; i < 100; i++) stamps.push(stamp());
      assertEquals(ms(stamps.at(-1)!), now);
    };
    const eras = [
      [3_600_000, 3_600_005],
      [0, 5], // An hour back,
      [-1000, 3], // a second, into time that was not used before and time that was,
      [3_600_000, 3_600_010], // and through all of it again.
      [0, 5],
    ];
    for (const [from, to] of eras as [number, number][]) {
      const before = stamps.length;
      for (let at = from; at <= to; at += to - from > 20 ? 200 : 1) {
        await run(start + at);
      }
      assertIncreasing(stamps.slice(before));
    }
    assertEquals(new Set(stamps).size, stamps.length);
  });
});

Deno.test("beyond the latest millisecond, stamps begin where they usually do", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now();
    const nanos: number[] = [];
    for (
      const now of [start, start + 5000, start, start + 5000, start + 5001]
    ) {
      set(now);
      await Promise.resolve();
      nanos.push(Number(stamp().slice(23, 29)));
    }
    const [first] = nanos;
    assertEquals(nanos, [first, first, first! + 1, first! + 1, first]);
  });
});

Deno.test("a clock that is where nothing is left is not followed, rather than repeating a stamp", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now();
    const stamps: string[] = [];
    set(start);
    await Promise.resolve();
    // At most this many fit into a millisecond.
    for (let i = 0; i < 1_000_000; i++) stamps.push(stamp());
    set(start + 10_000);
    await Promise.resolve();
    stamps.push(stamp());
    set(start);
    await Promise.resolve();
    for (let i = 0; i < 1000; i++) stamps.push(stamp());
    assertEquals(ms(stamps.at(-1)!), start + 10_000);
    assertEquals(new Set(stamps).size, stamps.length);
    // What lies before it was not used, and is followed.
    set(start - 1);
    await Promise.resolve();
    assertEquals(ms(stamp()), start - 1);
  });
});

Deno.test("stamps are unique and follow the clock within a second, however it jumps", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.oneof(
            fc.integer({ min: -3000, max: 3000 }),
            fc.constantFrom(0, 1, 1, 1, -1, -999, -1000, -3_600_000, 3_600_000),
          ),
          fc.constantFrom(1, 5, 40, 1000),
        ),
        { maxLength: 80 },
      ),
      (jumps) =>
        withClock(async (set, stamp) => {
          const seen = new Set<string>();
          let now = Date.now();
          for (const [jump, n] of jumps) {
            set(now += jump);
            await Promise.resolve();
            let last = "";
            for (let i = 0; i < n; i++) {
              last = stamp();
              if (seen.has(last)) throw new Error(`twice: ${last}`);
              seen.add(last);
            }
            const ahead = ms(last) - now;
            assert(ahead >= 0 && ahead < 1000, `${ahead} ms ahead`);
          }
        }),
    ),
    { numRuns: 100 },
  );
});

Deno.test("a clock with fractions of a millisecond does not repeat a stamp", async () => {
  await withClock(async (set, stamp) => {
    const start = Date.now();
    const stamps: string[] = [];
    for (let i = 0; i < 30; i++) {
      set(start + i / 10);
      await Promise.resolve();
      stamps.push(stamp());
    }
    assertIncreasing(stamps);
  });
});

Deno.test("stamps follow the clock where queueMicrotask is faked", async () => {
  const real = globalThis.queueMicrotask;
  globalThis.queueMicrotask = () => {};
  try {
    await withClock(async (set, stamp) => {
      const start = Date.now();
      for (const now of [start, start + 10, start + 20]) {
        set(now);
        assertEquals(ms(stamp()), now);
        await Promise.resolve();
      }
    });
  } finally {
    globalThis.queueMicrotask = real;
  }
});

Deno.test("a tick writes the bytes of what it formats", () => {
  for (const nanos of [0, 1, 999, 1000, 123_456, 999_999]) {
    const now = new Tick(Date.UTC(2026, 10, 23, 7, 0, 0, 123));
    const bytes = new Uint8Array(STAMP_LENGTH + 4).fill(0x2e);
    now.write(bytes, 2, nanos);
    const text = now.format(nanos);
    assertEquals(text.length, STAMP_LENGTH);
    assertEquals(new TextDecoder().decode(bytes), `..${text}..`);
    assertEquals(
      text,
      `2026-11-23T07:00:00.123${String(nanos).padStart(6, "0")}Z`,
    );
  }
});

Deno.test("a tick hands out each nanosecond once", () => {
  const now = new Tick(0);
  const first = now.take();
  assertEquals([now.take(), now.take(), now.free], [
    first + 1,
    first + 2,
    first + 3,
  ]);
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
