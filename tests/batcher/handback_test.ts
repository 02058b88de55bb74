// What onFailure hands back equals what was added, whatever went wrong on the way:
// random metrics through the real transport, against a real server that answers as
// told.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  Batcher,
  type BatcherOptions,
  fetchTransport,
  type FetchTransportOptions,
  type Metric,
} from "../../mod.ts";
import { parseJson } from "../../src/core/json.ts";
import { quiet, random, range, within } from "../_helpers.ts";

/** A stream of random choices. */
class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  /** An integer from 0 to `n`, `n` not included. */
  below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  /** Whether something happens that does so once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** What texts are made of: plain, quoted, beyond ASCII and the BMP, halves of pairs. */
const PIECES = [
  ..."abcXYZ019 _-./:",
  ...'\\"\n\r\t\b\f\0\x1f\x7f',
  ..."äßéЖ中\u2028\u2029\ufeff\ufffd\ue000",
  "😀",
  "👩‍👩‍👧",
  "\ud83d",
  "\ude00",
  '{"metrics":[',
  "\\u0041",
  "\\\\",
];

const KEYS = [
  "",
  "__proto__",
  "constructor",
  "toJSON",
  "length",
  "\\",
  '"',
  "\n",
  "\\n",
  "1",
  "01",
  "4294967295",
  "-1",
  "a",
  "ü",
  "\ud800",
];

const VALUES = [
  0,
  -0,
  1,
  -1,
  0.1,
  1e308,
  -1e308,
  Number.MAX_VALUE,
  5e-324,
  -5e-324,
  1e21,
  1e-7,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 31),
];

const TIMESTAMPS = [
  "2026-11-23T07:00:00Z",
  "2026-11-23T07:00:00.1Z",
  "2026-11-23T07:00:00.123456789+02:00",
  "1678-01-01T00:00:00.000000000-23:59",
  "2261-12-31T23:59:59.999999999999Z",
];

function randomText(dice: Dice, most: number): string {
  return Array.from({ length: dice.below(most) }, () => dice.pick(PIECES))
    .join("");
}

/** A random metric whose number stands at the end of its name. */
function randomMetric(dice: Dice, i: number): Metric {
  const metric: { -readonly [K in keyof Metric]: Metric[K] } = {
    name: `${randomText(dice, 12)}#${i}`,
    type: dice.pick(["counter", "gauge", "histogram"] as const),
    value: dice.once(2)
      ? dice.pick(VALUES)
      : (dice.below(2 ** 31) - 2 ** 30) / dice.pick([1, 3, 1e9]),
  };
  if (!dice.once(4)) {
    // `fromEntries` defines the key `__proto__`, which an assignment would not.
    metric.labels = Object.fromEntries(
      Array.from({ length: dice.below(21) }, () => [
        dice.once(2) ? dice.pick(KEYS) : randomText(dice, 6),
        randomText(dice, 10),
      ]),
    );
  }
  if (dice.once(3)) metric.timestamp = dice.pick(TIMESTAMPS);
  return metric;
}

/** The number of a random metric. */
function numberOf({ name }: Metric): number {
  return Number(name.slice(name.lastIndexOf("#") + 1));
}

interface Server extends AsyncDisposable {
  readonly url: string;
  /** The bodies of all requests. */
  readonly bodies: Uint8Array[];
  /** The metrics of the requests that were answered with 200. */
  readonly stored: Metric[];
  /** The stamp under which each metric was seen, by its number. */
  readonly stamps: Map<number, string>;
}

/** Answers the requests as told; one that is told nothing hangs. */
function serve(
  answer: (metrics: readonly Metric[], n: number) => Response | undefined,
): Server {
  const bodies: Uint8Array[] = [];
  const stored: Metric[] = [];
  const stamps = new Map<number, string>();
  const over = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const body = await request.bytes();
      bodies.push(body);
      const { metrics } = parseJson(decoder.decode(body)) as {
        metrics: Metric[];
      };
      for (const metric of metrics) {
        const i = numberOf(metric);
        const stamp = metric.timestamp!;
        // The same sample, however often it is sent.
        assertEquals(stamps.get(i) ?? stamp, stamp);
        stamps.set(i, stamp);
      }
      const response = answer(metrics, bodies.length);
      if (response === undefined) await over.promise;
      else if (response.ok) stored.push(...metrics);
      return response ?? new Response();
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1/ingest`,
    bodies,
    stored,
    stamps,
    [Symbol.asyncDispose]() {
      over.resolve();
      return server.shutdown();
    },
  };
}

const ok = () => new Response();
const busy = () => new Response("busy", { status: 503 });
const unauthorized = () => new Response("no key", { status: 401 });
function reject(index?: number): Response {
  const message = index === undefined
    ? "one of them is bad"
    : `invalid metric at index ${index}: bad`;
  return Response.json({ message }, { status: 400 });
}
const atTheLimit = () =>
  Response.json({ message: "cardinality limit exceeded" }, { status: 429 });

/** Asserts that a metric is what was added, under its own stamp or the Batcher's. */
function assertSame(actual: Metric, added: Metric, what: string): void {
  const { timestamp, ...rest } = actual;
  const { timestamp: own, ...expected } = added;
  // JSON has no negative zero that `JSON.stringify` would write; -0 equals 0 here.
  assertEquals(rest, expected, what);
  // Keys such as `__proto__` too, and in their order.
  assertEquals(
    Object.entries(actual.labels ?? {}),
    Object.entries(added.labels ?? {}),
    what,
  );
  if (own === undefined) assertMatch(timestamp!, /\.\d{9}Z$/, what);
  else assertEquals(timestamp, own, what);
}

/** A way on which metrics get lost. */
interface Way {
  readonly answer: (
    dice: Dice,
  ) => (metrics: readonly Metric[], n: number) => Response | undefined;
  readonly batcher?: BatcherOptions;
  readonly transport?: (dice: Dice) => FetchTransportOptions<Metric>;
  /** The deadline of `stop`, in ms. */
  readonly timeout?: number;
  /** How often it is tried with other metrics. */
  readonly seeds?: number;
}

const atOnce = { baseDelay: 0, maxDelay: 0 };

/** Whether a server takes a metric of that number. */
const isCulprit = (metric: Metric) => numberOf(metric) % 17 === 3;

const answerCulprits =
  (named: boolean) => () => (metrics: readonly Metric[]) => {
    const at = metrics.findIndex(isCulprit);
    return at < 0 ? ok() : reject(named ? at : undefined);
  };

const WAYS: Record<string, Way> = {
  "a server refuses the batch": { answer: () => unauthorized },
  "a server stays busy through all retries": {
    answer: () => busy,
    batcher: { retry: { ...atOnce, attempts: 3 } },
  },
  "a server is busy and nothing is retried": {
    answer: () => busy,
    batcher: { retry: false },
  },
  "a server rejects some metrics, and names them": {
    answer: answerCulprits(true),
  },
  "a server rejects some metrics, and does not name them": {
    answer: answerCulprits(false),
  },
  "a server is at its limit of series": {
    answer: () => (metrics) => metrics.some(isCulprit) ? atTheLimit() : ok(),
  },
  "a server rejects batches that nobody searches": {
    answer: answerCulprits(true),
    batcher: { quarantine: false },
  },
  "a server rejects everything": { answer: () => () => reject() },
  "a batch goes out as several requests, some of which fail": {
    answer: (dice) => () =>
      dice.pick([ok, ok, ok, reject, () => reject(1), unauthorized, busy])(),
    batcher: { quarantine: false, retry: { ...atOnce, attempts: 2 } },
    transport: () => ({ maxPerRequest: 7 }),
    seeds: 8,
  },
  "a search goes through batches that go out as several requests": {
    answer: answerCulprits(true),
    transport: () => ({ maxPerRequest: 7 }),
  },
  "anything happens": {
    answer: (dice) => (metrics) => {
      if (metrics.some(isCulprit) && dice.once(2)) return reject();
      return dice.pick([ok, ok, ok, busy, unauthorized, atTheLimit])();
    },
    batcher: { retry: { ...atOnce, attempts: 3 } },
    transport: (dice) => ({ maxPerRequest: 1 + dice.below(40) }),
    seeds: 8,
  },
  "the server hangs until the deadline": {
    answer: () => () => undefined,
    batcher: { maxInFlight: 2, maxBatchSize: 20 },
    timeout: 20,
  },
  "the server begins to hang, in the middle of batches too": {
    answer: (dice) => (_, n) => n < 6 && !dice.once(4) ? ok() : undefined,
    batcher: { maxInFlight: 2, maxBatchSize: 20 },
    transport: () => ({ maxPerRequest: 7 }),
    timeout: 100,
  },
  "the deadline passes between retries": {
    answer: () => busy,
    batcher: { retry: { baseDelay: 2 ** 31 - 1, maxDelay: 2 ** 31 - 1 } },
    timeout: 50,
  },
  "a metric cannot be encoded": {
    answer: () => ok,
    transport: () => ({
      encode(metrics) {
        if (metrics.some(isCulprit)) throw new Error("no such metric");
        return JSON.stringify({ metrics });
      },
    }),
  },
  "the caller's fetch fails": {
    answer: () => ok,
    batcher: { retry: { ...atOnce, attempts: 2 } },
    transport: (dice) => ({
      fetch: (url, init) => {
        if (dice.once(2)) throw new TypeError("no network");
        return fetch(url, init);
      },
    }),
  },
};

for (const [name, way] of Object.entries(WAYS)) {
  Deno.test(`what is handed back is what was added: ${name}`, async () => {
    let handedBack = 0;
    for (const seed of range(1, 1 + (way.seeds ?? 3))) {
      const dice = new Dice(seed);
      const where = `seed ${seed}`;
      await using server = serve(way.answer(dice));
      /** One for each call of `onFailure`. */
      const lost: (readonly Metric[])[] = [];
      const batcher = new Batcher(
        fetchTransport(server.url, way.transport?.(dice)),
        {
          logger: quiet,
          maxBatchSize: 1 + dice.below(60),
          maxInFlight: 1 + dice.below(4),
          maxBuffered: 1000,
          ...way.batcher,
          onFailure: (undelivered) => lost.push(undelivered),
        },
      );
      const added = range(0, 150).map((i) => randomMetric(dice, i));
      for (const metric of added) {
        assert(batcher.add(metric), `${where}: ${Deno.inspect(metric)}`);
        if (dice.once(60)) batcher.flush();
        // Some are on their way, and some delivered, before the last one is added.
        if (dice.once(40)) await new Promise((wake) => setTimeout(wake, 2));
      }
      const { timeout = 30_000 } = way;
      await within(batcher.stop({ timeout }), "the end of the Batcher");

      const { sent, failed } = batcher.stats;
      const back = lost.flat();
      assertEquals([failed, sent], [back.length, server.stored.length], where);
      // Each of them once, either here or there.
      const all = [...server.stored, ...back];
      assertEquals(
        all.map(numberOf).sort((a, b) => a - b),
        range(0, 150),
        where,
      );
      for (const metric of all) {
        const i = numberOf(metric);
        assertSame(metric, added[i]!, `${where}, number ${i}`);
        // To send it again is to send the same sample.
        const { timestamp } = metric;
        assertEquals(server.stamps.get(i) ?? timestamp, timestamp, where);
      }
      for (const batch of lost) {
        const numbers = batch.map(numberOf);
        assertEquals(numbers, numbers.toSorted((a, b) => a - b), where);
      }
      // No two have the same stamp, and the stamps keep the order.
      const stamps = all.toSorted((a, b) => numberOf(a) - numberOf(b))
        .filter((metric) => added[numberOf(metric)]!.timestamp === undefined)
        .map(({ timestamp }) => timestamp!);
      assertEquals(stamps, [...new Set(stamps)].sort(), where);
      handedBack += back.length;
    }
    assert(handedBack > 0, "nothing failed");
  });
}

/** The requests of each batch, told apart by its first metric. */
function byBatch(bodies: readonly Uint8Array[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const body of bodies) {
    const text = new TextDecoder().decode(body);
    const { metrics } = parseJson(text) as { metrics: [Metric] };
    const { name } = metrics[0];
    groups.set(name, [...groups.get(name) ?? [], text]);
  }
  return groups;
}

Deno.test("retries send the very same bytes, however many batches share the buffers", async () => {
  const dice = new Dice(1);
  const attempts = new Map<number, number>();
  await using server = serve((metrics) => {
    const batch = numberOf(metrics[0]!);
    const attempt = (attempts.get(batch) ?? 0) + 1;
    attempts.set(batch, attempt);
    // Some are delivered, and leave their buffers to others, while some are retried.
    return attempt <= batch % 4 ? busy() : ok();
  });
  const batcher = new Batcher(fetchTransport(server.url), {
    maxBatchSize: 10,
    maxInFlight: 4,
    retry: atOnce,
    logger: quiet,
  });
  const added = range(0, 400).map((i) => randomMetric(dice, i));
  for (const metric of added) {
    await batcher.ready;
    assert(batcher.add(metric));
  }
  assertEquals((await batcher.stop()).failed, 0);
  const groups = byBatch(server.bodies);
  assertEquals(groups.size, 40);
  for (const [name, bodies] of groups) {
    const batch = Number(name.slice(name.lastIndexOf("#") + 1));
    assertEquals(bodies.length, 1 + batch % 4, name);
    assertEquals(new Set(bodies).size, 1, name);
  }
  for (const metric of server.stored) {
    assertSame(metric, added[numberOf(metric)]!, metric.name);
  }
});

Deno.test("a batch is encoded once, however often it is sent", async () => {
  for (const [maxPerRequest, requests] of [[100, 1], [4, 3]]) {
    let encoded = 0;
    await using server = serve((_, n) => n < 3 ? busy() : ok());
    const batcher = new Batcher(
      fetchTransport<Metric>(server.url, {
        maxPerRequest,
        encode(metrics) {
          encoded++;
          return JSON.stringify({ metrics });
        },
      }),
      { retry: atOnce, logger: quiet },
    );
    for (const i of range(0, 10)) batcher.add(randomMetric(new Dice(i), i));
    assertEquals((await batcher.stop()).sent, 10);
    assertEquals(encoded, requests);
    assertEquals(server.bodies.length, 2 + requests!);
  }
});

Deno.test("a batch is encoded when it is complete, before its turn to be sent", async () => {
  let encoded = 0;
  await using server = serve(() => undefined);
  const batcher = new Batcher(
    fetchTransport<Metric>(server.url, {
      encode(metrics) {
        encoded++;
        return JSON.stringify({ metrics });
      },
    }),
    { maxBatchSize: 2, maxInFlight: 1, logger: quiet },
  );
  for (const i of range(0, 7)) batcher.add(randomMetric(new Dice(i), i));
  assertEquals(encoded, 3);
  assertEquals((await batcher.stop({ timeout: 0 })).failed, 7);
});
