// The Batcher and the event loop: it never keeps it to itself, and it does without
// the timers that test libraries replace.

import { assert, assertEquals } from "@std/assert";
import { Batcher, fetchTransport, type Metric } from "../../mod.ts";
import { bare, metric, quiet, within } from "../_helpers.ts";

/** So many rounds without a timer that fires are a loop that is not left. */
const FROZEN = 20_000;

/** Resolves to how often `setInterval` fired until it has done so `n` times. */
function ticks(n: number): { count: number; done: Promise<void> } {
  const state = { count: 0, done: Promise.resolve() };
  state.done = new Promise((resolve) => {
    const interval = setInterval(() => {
      if (++state.count < n) return;
      clearInterval(interval);
      resolve();
    }, 1);
  });
  return state;
}

/** What keeps a Batcher busy without ever waiting for I/O. */
const BUSY: Record<
  string,
  (next: (again: () => void) => void) => Batcher
> = {
  "an onFailure that adds again, and a transport that fails at once": (next) =>
    new Batcher({ send: () => Promise.reject(new Error("offline")) }, {
      ...bare,
      maxBatchSize: 1,
      logger: quiet,
      onFailure(undelivered) {
        next(() => add(undelivered));
      },
    }),
  "an onFailure that adds again, and a transport that throws": (next) =>
    new Batcher({
      send() {
        throw new Error("no permission");
      },
    }, {
      ...bare,
      maxBatchSize: 2,
      logger: quiet,
      onFailure(undelivered) {
        next(() => add(undelivered));
      },
    }),
  "an onFailure that adds and flushes": (next) =>
    new Batcher({ send: () => Promise.reject(new Error("offline")) }, {
      ...bare,
      logger: quiet,
      onFailure(undelivered) {
        next(() => {
          add(undelivered);
          batcher.flush();
        });
      },
    }),
  "a transport that adds what it delivers": (next) =>
    new Batcher({
      send(batch) {
        next(() => add([...batch]));
        return Promise.resolve();
      },
    }, { ...bare, maxBatchSize: 1, logger: quiet }),
};

/** The Batcher under test. */
let batcher: Batcher;

function add(undelivered: readonly Metric[]): void {
  for (const one of undelivered) assert(batcher.add(one));
}

for (const [name, make] of Object.entries(BUSY)) {
  Deno.test(`other timers keep firing under ${name}`, async () => {
    const timer = ticks(5);
    let rounds = 0;
    let sinceTick = 0;
    let ticksSeen = 0;
    let frozen = false;
    let over = false;
    batcher = make((again) => {
      rounds++;
      if (ticksSeen !== timer.count) {
        ticksSeen = timer.count;
        sinceTick = 0;
      }
      // A loop of microtasks would never let the test end.
      if (++sinceTick > FROZEN) frozen = true;
      if (!over && !frozen) again();
    });
    batcher.start();
    for (let i = 0; i < 8; i++) batcher.add(metric(i));
    batcher.flush();
    await within(timer.done, "five ticks of an interval");
    over = true;
    await batcher.stop();
    assertEquals(frozen, false, `${rounds} rounds, ${timer.count} ticks`);
    // It was busy all the while.
    assert(rounds > 10, `${rounds} rounds`);
  });
}

/** Replaces what sinon and Jest replace, by fakes that never fire and a clock that stands. */
function fakeTimers(): Disposable {
  const names = [
    "setTimeout",
    "clearTimeout",
    "setInterval",
    "clearInterval",
    "setImmediate",
    "clearImmediate",
    "queueMicrotask",
    "requestAnimationFrame",
    "requestIdleCallback",
    "Date",
  ] as const;
  const scope = globalThis as unknown as Record<string, unknown>;
  const own = names.map((name) => [name, scope[name]] as const);
  const RealDate = Date;
  const now = Date.now();
  for (const name of names) scope[name] = () => 1;
  scope.Date = class extends RealDate {
    constructor(...args: []) {
      super(...(args.length === 0 ? [now] as unknown as [] : args));
    }
    static override now(): number {
      return now;
    }
  };
  const performanceNow = performance.now;
  const at = performance.now();
  performance.now = () => at;
  return {
    [Symbol.dispose]() {
      for (const [name, value] of own) {
        if (value === undefined) delete scope[name];
        else scope[name] = value;
      }
      performance.now = performanceNow;
    },
  };
}

Deno.test("flush() and stop() work against a real server under faked timers", async () => {
  const bodies: string[] = [];
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      bodies.push(await request.text());
      return new Response();
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/v1/ingest`;
  using _fakes = fakeTimers();
  const batcher = new Batcher(fetchTransport(url), { maxBatchSize: 2 });
  batcher.start();
  // More sends than go out in one task of the event loop.
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 5; i++) {
      await within(batcher.ready, "room");
      assert(batcher.add(metric(5 * round + i)));
    }
    const report = await within(batcher.flush(), `flush number ${round}`);
    assertEquals(report, { sent: 5, failed: 0, errors: [] });
  }
  batcher.add(metric(250));
  assertEquals((await within(batcher.stop(), "stop()")).sent, 1);
  assertEquals(bodies.length, 151);
});

Deno.test("flush() works under faked timers with a transport that never waits", async () => {
  using _fakes = fakeTimers();
  const batcher = new Batcher({ send: () => Promise.resolve() }, {
    maxBatchSize: 1,
    maxBuffered: 10,
  });
  for (let i = 0; i < 500; i++) {
    await within(batcher.ready, "room");
    assert(batcher.add(metric(i)));
  }
  await within(batcher.flush(), "flush()");
  assertEquals(batcher.stats.sent, 500);
  await within(batcher.stop(), "stop()");
});
