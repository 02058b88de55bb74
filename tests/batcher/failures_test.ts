// What failed sends, transports and callbacks do, also where nobody expects it.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import {
  Batcher,
  fetchTransport,
  type Logger,
  type Metric,
  SendError,
} from "../../mod.ts";
import {
  bare,
  HandTransport,
  Lines,
  metric,
  quiet,
  range,
  turn,
  values,
} from "../_helpers.ts";
import { addAll, balance, failures } from "./_helpers.ts";

Deno.test("onFailure hands back what was lost, with the error", async () => {
  const lost = failures();
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    ...bare,
    maxBatchSize: 2,
    logger: quiet,
    onFailure: lost.onFailure,
  });
  addAll(batcher, 0, 6);
  const sends = [
    await transport.next(),
    await transport.next(),
    await transport.next(),
  ];
  const error = new SendError<Metric>("full", {
    kind: "refused",
    undelivered: sends[0]!.batch,
    status: 507,
  });
  sends[0]!.reject(error);
  sends[1]!.resolve();
  const cause = new Error("reset by peer");
  sends[2]!.reject(cause);
  await batcher.stop();
  assertEquals(lost.values, [0, 1, 4, 5]);
  assertStrictEquals(lost.got[0]!.error, error);
  const foreign = lost.got[1]!.error;
  assertInstanceOf(foreign, SendError);
  assertEquals(foreign.message, "reset by peer");
  assertEquals(foreign.kind, "transient");
  assertStrictEquals(foreign.cause, cause);
  // Handed back as they would have been sent: ready to be added again.
  assertMatch(lost.got[0]!.undelivered[0]!.timestamp!, /\.\d{9}Z$/);
});

Deno.test("a partial delivery counts each metric once, as sent or failed", async () => {
  const lost = failures();
  const batcher = new Batcher({
    send(items) {
      const batch = [...items];
      return Promise.reject(
        new SendError("three are bad", {
          kind: "rejected",
          undelivered: [batch[1]!, batch[5]!, batch[9]!],
        }),
      );
    },
  }, { ...bare, maxBatchSize: 10, logger: quiet, onFailure: lost.onFailure });
  addAll(batcher, 0, 20);
  const { sent, failed, errors } = await batcher.stop();
  assertEquals([sent, failed, errors.length], [14, 6, 2]);
  assertEquals(lost.values, [1, 5, 9, 11, 15, 19]);
  assertEquals(balance(batcher).sent, 14);
});

Deno.test("a SendError that claims more than the batch counts as the whole batch", async () => {
  const lost = failures();
  const batcher = new Batcher({
    send(batch) {
      return Promise.reject(
        new SendError("lies", {
          kind: "transient",
          undelivered: [...batch, ...batch],
        }),
      );
    },
  }, { ...bare, logger: quiet, onFailure: lost.onFailure });
  addAll(batcher, 0, 3);
  const { sent, failed } = await batcher.stop();
  assertEquals([sent, failed], [0, 3]);
  assertEquals(lost.values, [0, 1, 2]);
  assertEquals(balance(batcher).failed, 3);
});

Deno.test("whatever a transport throws, at once or later, fails the batch and nothing else", async () => {
  const thrown: [unknown, string][] = [
    [new Error("an error"), "an error"],
    [new TypeError(""), "TypeError"],
    [new DOMException("gone", "AbortError"), "gone"],
    ["a string", "a string"],
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    [Symbol("s"), "a symbol"],
    [{ message: "no error" }, "an object"],
    [Object.create(null), "an object"],
    [
      Object.defineProperty(new Error(), "message", {
        get() {
          throw new Error("bang");
        },
      }),
      "an error that cannot be read",
    ],
  ];
  for (const [reason, message] of thrown) {
    for (const atOnce of [true, false]) {
      const lost = failures();
      const lines = new Lines();
      let works = false;
      const batcher = new Batcher({
        send() {
          if (works) return Promise.resolve();
          if (atOnce) throw reason;
          return Promise.reject(reason);
        },
      }, { ...bare, logger: lines, onFailure: lost.onFailure });
      addAll(batcher, 0, 2);
      const report = await batcher.flush();
      assertEquals([report.sent, report.failed], [0, 2]);
      assertEquals(report.errors[0]!.message, message);
      assertStrictEquals(report.errors[0]!.cause, reason);
      assertEquals(lost.values, [0, 1]);
      assertEquals(lines.of("error"), [
        `error Failed to send metrics: ${message} (2 of 2 not delivered)`,
      ]);
      works = true;
      addAll(batcher, 2, 3);
      assertEquals((await batcher.stop()).sent, 1);
      balance(batcher);
    }
  }
});

Deno.test("a callback that throws, at once or later, does not stop the Batcher", async () => {
  for (const later of [false, true]) {
    let calls = 0;
    const batcher = new Batcher(
      { send: () => Promise.reject(new Error("no")) },
      {
        ...bare,
        maxBatchSize: 1,
        logger: quiet,
        onFailure() {
          calls++;
          if (later) return Promise.reject(new Error("callback"));
          throw new Error("callback");
        },
      },
    );
    addAll(batcher, 0, 5);
    const { failed } = await batcher.stop();
    assertEquals(failed, 5);
    assertEquals(calls, 5);
    // An unhandled rejection would fail the test here.
    await turn();
    assertEquals(balance(batcher).failed, 5);
  }
});

Deno.test("what onFailure throws is logged", async () => {
  const lines = new Lines();
  const batcher = new Batcher({ send: () => Promise.reject(new Error("no")) }, {
    ...bare,
    logger: lines,
    onFailure() {
      throw new Error("disk full");
    },
  });
  addAll(batcher, 0, 1);
  await batcher.stop();
  assertEquals(lines.of("error"), [
    "error Failed to send metrics: no (1 of 1 not delivered)",
    "error The callback 'onFailure' failed: disk full",
  ]);
});

Deno.test("a logger that throws, at once or later, does not stop the Batcher", async () => {
  const bad = () => {
    throw new Error("logger");
  };
  const worse = () => Promise.reject(new Error("logger"));
  for (
    const logger of [
      { debug: bad, info: bad, warn: bad, error: bad },
      { debug: worse, info: worse, warn: worse, error: worse },
      {} as Logger,
    ]
  ) {
    const transport = new HandTransport();
    const batcher = new Batcher(transport, { ...bare, logger });
    assertEquals(batcher.add({ ...metric(1), value: NaN }), false);
    addAll(batcher, 0, 2);
    const flushed = batcher.flush();
    (await transport.next()).reject(new Error("no"));
    assertEquals((await flushed).failed, 2);
    addAll(batcher, 2, 3);
    const stopped = batcher.stop();
    (await transport.next()).resolve();
    assertEquals((await stopped).sent, 1);
    await turn();
    balance(batcher);
  }
});

Deno.test("onFailure can add what it got back", async () => {
  const transport = new HandTransport();
  const batcher: Batcher = new Batcher(transport, {
    ...bare,
    logger: quiet,
    onFailure(undelivered) {
      for (const one of undelivered) assert(batcher.add(one));
    },
  });
  addAll(batcher, 0, 3);
  const flushed = batcher.flush();
  const first = await transport.next();
  first.reject(new Error("no"));
  assertEquals((await flushed).failed, 3);
  const stopped = batcher.stop();
  const second = await transport.next();
  // Stamps included: the server sees the same samples.
  assertEquals(second.batch, first.batch);
  second.resolve();
  assertEquals((await stopped).sent, 3);
  assertEquals(balance(batcher).added, 6);
});

Deno.test("a transport can add to the Batcher that it sends for", async () => {
  const transport = new HandTransport();
  const batcher = new Batcher(transport, {
    maxBatchSize: 2,
    maxInFlight: 1,
    logger: quiet,
  });
  let own = 100;
  transport.onSend = (batch) => {
    balance(batcher);
    if (own < 104) {
      for (const _ of batch) {
        assert(batcher.add(metric(own++)));
      }
    }
  };
  addAll(batcher, 0, 2);
  for (let i = 0; i < 3; i++) (await transport.next()).resolve();
  await batcher.stop();
  const sent = transport.sends.flatMap(({ batch }) => values(batch));
  assertEquals(sent, [0, 1, 100, 101, 102, 103]);
  assertEquals(transport.maxOpen, 1);
  assertEquals(balance(batcher).sent, 6);
});

for (
  const [name, thrown] of [
    [
      "a SendError that does not say what is undelivered",
      new SendError("x", { kind: "transient" }),
    ],
    [
      "an Error whose message is no string",
      Object.assign(new Error(), { message: Symbol("x") }),
    ],
    ["a revoked Proxy", revoked()],
  ] as const
) {
  Deno.test(`${name} fails the whole batch and nothing else`, async () => {
    const lost = failures();
    const batcher = new Batcher({ send: () => Promise.reject(thrown) }, {
      ...bare,
      logger: quiet,
      onFailure: lost.onFailure,
    });
    batcher.add(metric(1));
    const { failed, errors } = await batcher.flush();
    assertEquals(failed, 1);
    assertEquals(errors[0]!.undelivered, undefined);
    assertEquals(lost.values, [1]);
    assertEquals(batcher.stats.inFlight, 0);
    await batcher.stop();
  });
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

Deno.test("a SendError with nothing undelivered is a success", async () => {
  const batcher = new Batcher({
    send: () =>
      Promise.reject(
        new SendError("x", { kind: "transient", undelivered: [] }),
      ),
  }, { ...bare, logger: quiet, onFailure: () => assert(false) });
  batcher.add(metric(1));
  const report = await batcher.stop();
  assertEquals(report, { sent: 1, failed: 0, errors: [] });
});

Deno.test("what an async onFailure rejects with is logged", async () => {
  const log = new Lines();
  const batcher = new Batcher(
    { send: () => Promise.reject(new Error("net")) },
    {
      ...bare,
      logger: log,
      onFailure: () =>
        turn().then(() => Promise.reject(new Error("disk full"))),
    },
  );
  batcher.add(metric(1));
  await batcher.flush();
  await turn();
  await turn();
  await batcher.stop();
  assertStringIncludes(log.lines.join("\n"), "disk full");
});

Deno.test("a transport may send a batch twice and look at it afterwards", async () => {
  await using server = startIngestServer({ port: 0 });
  const http = fetchTransport(server.url);
  const seen: number[] = [];
  const batcher = new Batcher({
    prepare: http.prepare,
    async send(batch, options) {
      await http.send(batch, options);
      await http.send(batch, options);
      seen.push(...values(batch));
    },
  }, { logger: quiet });
  for (let i = 0; i < 10; i++) batcher.add(metric(i));
  assertEquals(await batcher.stop(), { sent: 10, failed: 0, errors: [] });
  assertEquals(seen, range(0, 10));
  assertEquals(server.stats.received, 20);
});

Deno.test("a transport that adds while it encodes keeps the accounts exact", async () => {
  let more = 3;
  const batcher: Batcher = new Batcher({
    prepare() {
      if (more-- > 0) batcher.add(metric(100));
    },
    send: () => Promise.resolve(),
  }, { maxBatchSize: 10, logger: quiet });
  for (let i = 0; i < 25; i++) batcher.add(metric(i));
  await batcher.stop();
  const { added, sent, buffered, inFlight } = batcher.stats;
  assertEquals([added, sent, buffered, inFlight], [added, added, 0, 0]);
});
