import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  type Batch,
  SendError,
  type SendErrorKind,
  type Transport,
  withQuarantine,
} from "../../mod.ts";
import { random, range } from "../_helpers.ts";

/** A server that refuses a whole request for one bad item, as TinyObs does. */
class Strict implements Transport<number> {
  /** What it holds, as often as it was sent. */
  readonly held: number[] = [];
  readonly requests: (readonly number[])[] = [];
  /** Which items it does not take. */
  bad: (item: number) => boolean = () => false;
  /** Whether it names the index of the first of them. */
  named = false;
  status = 400;
  /** What to throw at a request instead of answering it. */
  fault: (n: number, batch: readonly number[]) => unknown = () => undefined;

  send(items: Batch<number>): Promise<void> {
    const batch = [...items];
    this.requests.push(batch);
    const fault = this.fault(this.requests.length, batch);
    if (fault !== undefined) return Promise.reject(fault);
    const index = batch.findIndex(this.bad);
    if (index < 0) {
      this.held.push(...batch);
      return Promise.resolve();
    }
    const words = this.named
      ? `invalid metric at index ${index}: no ${batch[index]}`
      : `no ${batch[index]}`;
    return Promise.reject(
      new SendError(words, {
        kind: "rejected",
        undelivered: batch,
        status: this.status,
        index: this.named ? index : undefined,
      }),
    );
  }
}

const { signal } = new AbortController();

/** Sends `n` items, and checks that each of them was delivered once or came back. */
async function deliver(
  server: Strict,
  n: number,
  transport = withQuarantine(server),
): Promise<SendError<number> | undefined> {
  const batch = range(0, n);
  const before = server.held.length;
  let error: SendError<number> | undefined;
  try {
    await transport.send(batch, { signal });
  } catch (thrown) {
    assertInstanceOf(thrown, SendError);
    error = thrown as SendError<number>;
  }
  const back = error?.undelivered ?? [];
  assertEquals(back, back.toSorted((a, b) => a - b), "in the batch's order");
  assertEquals(
    [...server.held.slice(before), ...back].toSorted((a, b) => a - b),
    batch,
    "each item once",
  );
  return error;
}

Deno.test("a batch that is taken is sent once, as it is", async () => {
  const server = new Strict();
  assertEquals(await deliver(server, 1000), undefined);
  assertEquals(server.requests.length, 1);
});

const SPREADS: Record<string, (k: number, n: number) => Set<number>> = {
  "evenly spread": (k, n) =>
    new Set(range(0, k).map((i) => Math.floor((i * n) / k))),
  "side by side": (k, n) => new Set(range(0, k).map((i) => n - k + i)),
  "anywhere": (k, n) => {
    const next = random(1000 * k + n);
    const culprits = new Set<number>();
    while (culprits.size < k) culprits.add(Math.floor(next() * n));
    return culprits;
  },
};

for (const [where, spread] of Object.entries(SPREADS)) {
  for (const named of [false, true]) {
    const how = named ? "with an index in the answer" : "by halving";
    Deno.test(`culprits ${where} are found ${how}, in the order of k log2(n) requests`, async () => {
      for (const n of [1, 2, 3, 10, 100, 1000]) {
        for (const k of [1, 2, 5, 10, 37, 60, 100]) {
          if (k > n) continue;
          const culprits = spread(k, n);
          const server = new Strict();
          server.named = named;
          server.bad = (item) => culprits.has(item);
          const error = await deliver(server, n);
          const what = `${k} in ${n}: ${server.requests.length} requests`;
          assertEquals(new Set(error?.undelivered), culprits, what);
          assertEquals(error?.kind, "rejected");
          const most = named
            ? Math.ceil(1.5 * k) + 2
            : 2 * k * Math.ceil(Math.log2(n)) + 1;
          assert(server.requests.length <= most, what);
          // One error for each culprit, in the server's words.
          assertEquals(
            new Set(error!.errors.flatMap((cause) => cause.undelivered)),
            culprits,
          );
          for (const cause of error!.errors) {
            assertEquals([cause.kind, cause.status], ["rejected", 400]);
            assertEquals(cause.undelivered?.length, 1);
            assertStringIncludes(cause.message, `no ${cause.undelivered![0]}`);
          }
        }
      }
    });
  }
}

Deno.test("one culprit: the error is the server's word about it", async () => {
  const server = new Strict();
  server.named = true;
  server.bad = (item) => item === 700;
  const error = await deliver(server, 1000);
  assertEquals(error!.message, "invalid metric at index 700: no 700");
  assertEquals(error!.status, 400);
  assertEquals(server.requests.length, 2);
});

Deno.test("several culprits: the error says how many more there are", async () => {
  const server = new Strict();
  server.bad = (item) => item % 100 === 0;
  const error = await deliver(server, 1000);
  assertStringIncludes(error!.message, "(and 9 more rejections)");
});

Deno.test("a server that names the wrong index: what it named comes back, most of the others arrive", async () => {
  // It names the item before the culprit.
  const server = new Strict();
  server.fault = (_, batch) =>
    batch.includes(50)
      ? new SendError("at index", {
        kind: "rejected",
        undelivered: batch,
        index: Math.max(0, batch.indexOf(50) - 1),
      })
      : undefined;
  const error = await deliver(server, 100);
  assert(error!.undelivered!.includes(50));
  assert(error!.undelivered!.length < 50, `${error!.undelivered!.length} lost`);
});

Deno.test("a request that is too large is cut until its parts pass", async () => {
  const server = new Strict();
  server.fault = (_, batch) =>
    batch.length > 10
      ? new SendError("request too large", {
        kind: "rejected",
        undelivered: batch,
        status: 413,
      })
      : undefined;
  assertEquals(await deliver(server, 1000), undefined);
  assert(server.requests.length <= 300, `${server.requests.length} requests`);
});

Deno.test("a server at its cardinality limit: known series pass, new ones come back", async () => {
  const server = new Strict();
  server.status = 429;
  server.bad = (item) => item % 25 === 7;
  const error = await deliver(server, 1000);
  assertEquals(error!.undelivered, range(0, 40).map((i) => 25 * i + 7));
  assertEquals([error!.kind, error!.status], ["rejected", 429]);
});

Deno.test("an item alone that is rejected is not sent again", async () => {
  const server = new Strict();
  server.bad = () => true;
  const error = await deliver(server, 1);
  assertEquals(error!.undelivered, [0]);
  assertEquals(server.requests.length, 1);
  assertEquals(error!.errors.length, 1);
});

Deno.test("a transport that delivers parts itself is searched only where it failed", async () => {
  const server = new Strict();
  server.bad = (item) => item === 17;
  // As fetchTransport does with more than a request holds.
  const splitting: Transport<number> = {
    async send(items) {
      const batch = [...items];
      const undelivered: number[] = [];
      for (let at = 0; at < batch.length; at += 10) {
        const part = batch.slice(at, at + 10);
        await server.send(part).catch(() => undelivered.push(...part));
      }
      if (undelivered.length > 0) {
        throw new SendError("no", { kind: "rejected", undelivered });
      }
    },
  };
  const error = await deliver(server, 100, withQuarantine(splitting));
  assertEquals(error!.undelivered, [17]);
});

for (const kind of ["transient", "refused"] as SendErrorKind[]) {
  Deno.test(`a ${kind} failure at any moment of a search ends it, and the accounting is exact`, async () => {
    const culprits = SPREADS["anywhere"]!(7, 200);
    const whole = new Strict();
    whole.bad = (item) => culprits.has(item);
    await deliver(whole, 200);
    for (let at = 1; at <= whole.requests.length; at++) {
      const server = new Strict();
      server.bad = whole.bad;
      server.fault = (n, batch) =>
        n === at
          ? new SendError("down", {
            kind,
            undelivered: batch.slice(batch.length >> 1),
            status: 503,
            retryAfter: 1000,
          })
          : undefined;
      // The half that the failing request did deliver.
      const { send } = server;
      server.send = (items) => {
        const batch = [...items];
        if (server.requests.length + 1 === at) {
          server.held.push(...batch.slice(0, batch.length >> 1));
        }
        return send.call(server, batch);
      };
      const error = await deliver(server, 200);
      assertEquals(error!.kind, kind);
      assertEquals([error!.status, error!.retryAfter], [503, 1000]);
      assertStringIncludes(error!.message, "down");
      assertEquals(server.requests.length, at, "nothing is sent after it");
    }
  });
}

Deno.test("a failure that does not pass is handed on as it is", async () => {
  for (const kind of ["transient", "refused"] as const) {
    const failure = new SendError("down", { kind, undelivered: range(0, 10) });
    const server = new Strict();
    server.fault = () => failure;
    assertStrictEquals(await deliver(server, 10), failure);
    assertEquals(server.requests.length, 1);
  }
});

Deno.test("an error that is no SendError is the whole part failed", async () => {
  const server = new Strict();
  server.bad = (item) => item === 3;
  server.fault = (n) => n === 3 ? new Error("lost") : undefined;
  const error = await deliver(server, 8);
  assertEquals(error!.kind, "transient");
  assertStringIncludes(error!.message, "lost");
});

Deno.test("where everything is rejected the search ends, and the next batches' ends sooner", async () => {
  for (const named of [false, true]) {
    const server = new Strict();
    server.named = named;
    server.bad = () => true;
    const transport = withQuarantine(server);
    const requests: number[] = [];
    for (let i = 0; i < 6; i++) {
      const before = server.requests.length;
      const error = await deliver(server, 1000, transport);
      assertEquals(error!.undelivered!.length, 1000);
      assertEquals(error!.kind, "rejected");
      requests.push(server.requests.length - before);
    }
    assert(requests[0]! <= 300, `${requests}`);
    assert(requests.at(-1)! <= 64, `${requests}`);
    assertEquals(requests, requests.toSorted((a, b) => b - a));
  }
});

Deno.test("however many and wherever the culprits are, everything else is delivered", async () => {
  const shares: [string, (item: number) => boolean][] = [
    ["every second", (item) => item % 2 === 0],
    ["every third", (item) => item % 3 === 0],
    ["all but every third", (item) => item % 3 !== 0],
    ["the first half", (item) => item < 500],
    ["the last half", (item) => item >= 500],
    ["all but one", (item) => item !== 777],
  ];
  for (const named of [false, true]) {
    for (const [name, bad] of shares) {
      const server = new Strict();
      server.named = named;
      server.bad = bad;
      const error = await deliver(server, 1000);
      const lost = error!.undelivered!.filter((item) => !bad(item as number));
      // Where hundreds of requests in a row deliver nothing, what is among them is lost.
      const spared = name === "all but one"
        ? 1
        : name === "the first half"
        ? 8
        : 0;
      assert(lost.length <= spared, `${name}, named: ${named}: ${lost}`);
    }
  }
});

Deno.test("after batches that were rejected to the last item, a few culprits are found again", async () => {
  const server = new Strict();
  server.bad = () => true;
  const transport = withQuarantine(server);
  for (let i = 0; i < 4; i++) await deliver(server, 1000, transport);
  server.bad = (item) => item % 100 === 0;
  const error = await deliver(server, 1000, transport);
  assertEquals(error!.undelivered!.length, 10);
});

Deno.test("undelivered copies of the items are still all undelivered", async () => {
  const transport = withQuarantine<{ id: number }>({
    send: (batch) => {
      const undelivered = [...batch].map((item) => ({ ...item }));
      return Promise.reject(
        new SendError("no", { kind: "rejected", undelivered }),
      );
    },
  });
  const batch = range(0, 4).map((id) => ({ id }));
  const { signal } = new AbortController();
  const error = await assertRejects(
    () => transport.send(batch, { signal }),
    SendError,
  );
  assertEquals(error.undelivered?.length, 4);
});

Deno.test("a batch that is taken restores the patience", async () => {
  const server = new Strict();
  server.bad = () => true;
  const transport = withQuarantine(server);
  for (let i = 0; i < 6; i++) await deliver(server, 1000, transport);
  server.bad = () => false;
  await deliver(server, 10, transport);
  // Found only with patience, as the first part without a culprit comes late.
  const culprits = SPREADS["evenly spread"]!(60, 1000);
  server.bad = (item) => culprits.has(item);
  const error = await deliver(server, 1000, transport);
  assertEquals(new Set(error!.undelivered), culprits);
});

Deno.test("a part that is taken restores the patience", async () => {
  const server = new Strict();
  server.bad = () => true;
  const transport = withQuarantine(server);
  for (let i = 0; i < 6; i++) await deliver(server, 1000, transport);
  const culprits = SPREADS["evenly spread"]!(60, 500);
  // The first half passes, the other one needs patience.
  server.bad = (item) => item >= 500 && culprits.has(item - 500);
  const error = await deliver(server, 1000, transport);
  assertEquals(error!.undelivered!.length, 60);
});

Deno.test("several batches at a time are searched each on its own", async () => {
  const server = new Strict();
  server.bad = (item) => item % 100 === 33;
  const transport = withQuarantine(server);
  const results = await Promise.allSettled(
    range(0, 4).map((i) =>
      transport.send(range(1000 * i, 1000 * (i + 1)), { signal })
    ),
  );
  const back = results.flatMap((result) =>
    result.status === "rejected" ? result.reason.undelivered : []
  );
  assertEquals(back, range(0, 40).map((i) => 100 * i + 33));
  assertEquals(
    [...server.held, ...back].toSorted((a, b) => a - b),
    range(0, 4000),
  );
});
