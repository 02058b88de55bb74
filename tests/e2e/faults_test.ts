// What the owner of a metric sees when the server or the network misbehaves, with
// everything in place: Batcher, quarantine, retry and fetch, against a bare socket.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  Batcher,
  type BatcherOptions,
  fetchTransport,
  type FetchTransportOptions,
  type FlushReport,
  type Metric,
  type RetryEvent,
  type RetryOptions,
  type SendError,
  withQuarantine,
  withRetry,
} from "../../mod.ts";
import { type Answer, type Fault, FaultServer } from "../_fault_server.ts";
import { metrics, quiet, range, values } from "../_helpers.ts";

/** What the owner of some metrics has seen of their delivery. */
interface Seen {
  readonly report: FlushReport;
  /** The values that `onFailure` gave back, in order. */
  readonly lost: number[];
  readonly errors: SendError<Metric>[];
  readonly retries: RetryEvent<Metric>[];
}

interface Options {
  readonly n?: number;
  readonly timeout?: number;
  readonly retry?: RetryOptions<Metric>;
  readonly fetch?: FetchTransportOptions<Metric>;
  readonly batcher?: BatcherOptions;
}

/** Sends `n` metrics in batches of 10, one at a time, and checks the accounting. */
async function deliver(server: FaultServer, options: Options = {}) {
  const { n = 30, retry, fetch, batcher: more } = options;
  const lost: number[] = [];
  const errors: SendError<Metric>[] = [];
  const retries: RetryEvent<Metric>[] = [];
  const transport = withQuarantine(
    withRetry(fetchTransport(server.url, fetch), {
      baseDelay: 1,
      onRetry: (event) => retries.push(event),
      ...retry,
    }),
  );
  const batcher = new Batcher(transport, {
    maxBatchSize: 10,
    maxInFlight: 1,
    logger: quiet,
    onFailure(undelivered, error) {
      lost.push(...values(undelivered));
      errors.push(error);
    },
    ...more,
  });
  for (const metric of metrics(0, n)) assert(batcher.add(metric));
  const report = await batcher.stop();
  const { sent, failed, buffered, inFlight } = batcher.stats;
  assertEquals([sent, failed], [report.sent, report.failed]);
  assertEquals([buffered, inFlight], [0, 0]);
  assertEquals(sent + failed, n);
  assertEquals(lost.length, failed, "onFailure gives back what failed");
  assertEquals(report.errors, errors);
  // What counts as sent is on the server. What failed is not, where the server knows.
  const held = new Set(server.stored);
  const isLost = new Set(lost);
  for (const value of range(0, n)) {
    if (!isLost.has(value)) {
      assert(held.has(value), `${value} is on the server`);
    } else if (!server.hidden.has(value)) assert(!held.has(value), `${value}`);
  }
  const seen: Seen = { report, lost, errors, retries };
  return seen;
}

/** Misbehaves at the first request, or the first `times`, and then no more. */
function first(fault: Fault, times = 1): FaultServer {
  return new FaultServer(({ n }) => n <= times ? fault : "none");
}

/** Every metric is on the server once, though the first answer was bad. */
function assertRecovered(server: FaultServer, seen: Seen): void {
  assertEquals(seen.report, { sent: 30, failed: 0, errors: [] });
  assertEquals(server.stored.length, new Set(server.stored).size);
  assertEquals(seen.lost, []);
}

const text = (status: number, more: Partial<Answer> = {}): Answer => ({
  status,
  ...more,
});

Deno.test("a server that is down: all metrics come back, as transient failures that say so", async () => {
  await using server = new FaultServer();
  server.down();
  const { report, lost, errors, retries } = await deliver(server, {
    retry: { attempts: 3 },
  });
  assertEquals([report.sent, report.failed], [0, 30]);
  assertEquals(lost, range(0, 30));
  assertEquals(retries.map(({ attempt }) => attempt), [1, 2, 1, 2, 1, 2]);
  for (const { kind, status, message } of errors) {
    assertEquals([kind, status], ["transient", undefined]);
    assertStringIncludes(message, `Cannot send to ${server.url}: `);
    assertStringIncludes(message, "refused");
  }
});

Deno.test("a server that is restarted in the middle of a run gets every metric", async () => {
  await using server = new FaultServer();
  let begun = 0;
  server.fault = ({ n }) => {
    // It breaks the connection of the request that is being read, too.
    if (n === 2) server.down();
    return "none";
  };
  const seen = await deliver(server, {
    retry: {
      attempts: 10,
      onRetry() {
        // It comes up after some attempts met a closed port.
        if (++begun === 4) server.up();
      },
    },
  });
  assertRecovered(server, seen);
  assert(begun >= 4, `${begun} retries`);
});

Deno.test("a reset in the middle of the request is retried, and nothing is stored twice", async () => {
  await using server = first("reset", 3);
  assertRecovered(server, await deliver(server));
});

Deno.test("a server that resets every connection: all metrics come back", async () => {
  await using server = first("reset", Infinity);
  const { report, lost, errors } = await deliver(server, {
    retry: { attempts: 2 },
  });
  assertEquals([report.sent, report.failed], [0, 30]);
  assertEquals(lost, range(0, 30));
  for (const error of errors) {
    assertEquals(error.kind, "transient");
    assertStringIncludes(error.message, `Cannot send to ${server.url}: `);
  }
});

for (const fault of ["cut", "half"] as const) {
  const what = fault === "cut" ? "no answer" : "half an answer";
  Deno.test(`${what} and a close: the metrics are sent again, as nobody knows`, async () => {
    await using server = first(fault);
    const { report, lost } = await deliver(server);
    assertEquals(report, { sent: 30, failed: 0, errors: [] });
    assertEquals(lost, []);
    assertEquals(server.bodies[0], server.bodies[1], "byte for byte the same");
    // At least once: what the server got twice has the same stamps, and counts once.
    assertEquals(new Set(server.stored).size, 30);
    assertEquals(server.stored.length, 40);
  });

  Deno.test(`${what} and a close, always: the metrics count as failed`, async () => {
    await using server = first(fault, Infinity);
    const { report, lost, errors } = await deliver(server, {
      retry: { attempts: 2 },
    });
    assertEquals([report.sent, report.failed], [0, 30]);
    assertEquals(lost, range(0, 30));
    assertEquals(errors.map(({ kind }) => kind), Array(3).fill("transient"));
  });
}

Deno.test("an answer after the timeout counts as none, and the metrics are sent again", async () => {
  await using server = first("late");
  const { report, retries } = await deliver(server, {
    n: 10,
    fetch: { timeout: 500 },
  });
  assertEquals(report, { sent: 10, failed: 0, errors: [] });
  assertEquals(
    retries[0]!.error.message,
    `No answer from ${server.url} within 500 ms`,
  );
  assertEquals(server.bodies[0], server.bodies[1]);
  assertEquals(new Set(server.stored).size, 10);
});

Deno.test("a server that never answers: stop() resolves at its deadline and says what was left", async () => {
  await using server = first("never", Infinity);
  const lost: number[] = [];
  const batcher = new Batcher(
    withQuarantine(withRetry(fetchTransport(server.url))),
    {
      maxBatchSize: 10,
      maxInFlight: 2,
      logger: quiet,
      onFailure: (undelivered) => lost.push(...values(undelivered)),
    },
  );
  for (const metric of metrics(0, 50)) batcher.add(metric);
  const report = await batcher.stop({ timeout: 100 });
  assertEquals([report.sent, report.failed], [0, 50]);
  assertEquals(lost.toSorted((a, b) => a - b), range(0, 50));
  for (const { kind, message } of report.errors) {
    assertEquals(kind, "transient");
    assertStringIncludes(message, "stop() has reached its deadline of 100 ms");
  }
  assertEquals(server.stored, []);
});

Deno.test("a server that never answers, with retries that run out: the message names the timeout", async () => {
  await using server = first("never", Infinity);
  const { report, errors } = await deliver(server, {
    n: 10,
    fetch: { timeout: 100 },
    retry: { attempts: 2 },
  });
  assertEquals([report.sent, report.failed], [0, 10]);
  assertEquals(server.requests, 2);
  assertEquals(
    errors[0]!.message,
    `No answer from ${server.url} within 100 ms`,
  );
});

for (const status of [408, 500, 502, 503, 504]) {
  Deno.test(`a ${status} is retried until it passes`, async () => {
    await using server = first(
      text(status, { body: '{"message":"have a\\u001b[31m break"}' }),
      2,
    );
    const seen = await deliver(server);
    assertRecovered(server, seen);
    assertEquals(seen.retries.map((r) => r.error.status), [status, status]);
    const { message, kind } = seen.retries[0]!.error;
    assertEquals(kind, "transient");
    assert(message.startsWith(`${server.url} answered ${status}`), message);
    // The server's words, and none of its terminal escapes.
    assert(message.endsWith(": have a\\u001b[31m break"), message);
    assertEquals(server.bodies[0], server.bodies[2], "byte for byte the same");
  });
}

Deno.test("a 503 for good: the attempts of each batch, and then all metrics come back", async () => {
  await using server = first(text(503), Infinity);
  const { report, lost, errors } = await deliver(server, {
    retry: { attempts: 3 },
  });
  assertEquals([report.sent, report.failed], [0, 30]);
  assertEquals(lost, range(0, 30));
  assertEquals(server.requests, 9);
  assertEquals(errors.map(({ status }) => status), [503, 503, 503]);
});

Deno.test("Retry-After is waited for, in seconds or as a date, and what stands in the past or is no time is not", async () => {
  const soon = new Date(Date.now() + 3_600_000).toUTCString();
  const past = new Date(Date.now() - 3_600_000).toUTCString();
  const asked = ["120", soon, "0", past, "soon", "-5"];
  await using server = new FaultServer(({ n }) =>
    n <= asked.length
      ? text(503, { headers: { "retry-after": asked[n - 1]! } })
      : "none"
  );
  const delays: number[] = [];
  for (const _ of asked) {
    const enough = new AbortController();
    const transport = withRetry(fetchTransport(server.url), {
      baseDelay: 0,
      onRetry({ delay }) {
        delays.push(delay);
        // Nobody waits for an hour here; the last failure stands.
        enough.abort();
      },
    });
    await transport.send(metrics(0, 1), { signal: enough.signal })
      .catch(() => {});
  }
  assertEquals(delays, [120_000, 300_000, 0, 0, 0, 0]);
});

Deno.test("a 429 with Retry-After is a busy server; one without it and no word of cardinality as well", async () => {
  await using server = new FaultServer(({ n }) =>
    n === 1
      ? text(429, { headers: { "retry-after": "0" }, body: "cardinality" })
      : n === 2
      ? text(429, { body: "slow down" })
      : "none"
  );
  const seen = await deliver(server);
  assertRecovered(server, seen);
  assertEquals(seen.retries.map((r) => r.error.status), [429, 429]);
});

Deno.test("a 413 above a size: the batch is cut until its parts pass, and all metrics arrive", async () => {
  await using server = new FaultServer(({ length }) =>
    length > 1000 ? text(413, { body: "request too large" }) : "none"
  );
  const seen = await deliver(server, {
    n: 100,
    batcher: { maxBatchSize: 100 },
  });
  assertEquals(seen.report, { sent: 100, failed: 0, errors: [] });
  assertEquals(server.stored.toSorted((a, b) => a - b), range(0, 100));
  assert(server.requests <= 40, `${server.requests} requests`);
});

Deno.test("a metric that is too large even alone comes back with the server's words, the others arrive", async () => {
  await using server = new FaultServer(({ length }) =>
    length > 2000 ? text(413, { body: "request too large" }) : "none"
  );
  const lost: Metric[] = [];
  const batcher = new Batcher(
    withQuarantine(withRetry(fetchTransport(server.url))),
    {
      maxBatchSize: 64,
      logger: quiet,
      onFailure: (undelivered) => lost.push(...undelivered),
    },
  );
  const labels = { a: "x".repeat(1000), b: "x".repeat(1000) };
  metrics(0, 64).forEach((m, i) =>
    batcher.add(i === 41 ? { ...m, labels } : m)
  );
  const report = await batcher.stop();
  assertEquals([report.sent, report.failed], [63, 1]);
  assertEquals(values(lost), [41]);
  assertEquals(report.errors[0]!.status, 413);
  assertEquals(report.errors[0]!.kind, "rejected");
  assertStringIncludes(report.errors[0]!.message, ": request too large");
  assertEquals(server.stored.length, 63);
});

for (const status of [301, 302, 303, 307, 308]) {
  Deno.test(`a ${status} is not followed: it is refused at once, and says where it points`, async () => {
    await using server = new FaultServer(() =>
      text(status, {
        headers: {
          location: "http://user:hunter22@127.0.0.1:1/new?key=hunter22",
        },
      })
    );
    const { report, lost, errors, retries } = await deliver(server);
    assertEquals([report.sent, report.failed], [0, 30]);
    assertEquals(lost, range(0, 30));
    assertEquals(retries, []);
    assertEquals(server.methods, ["POST", "POST", "POST"]);
    assertEquals([errors[0]!.kind, errors[0]!.status], ["refused", status]);
    assertStringIncludes(
      errors[0]!.message,
      "a redirect to http://127.0.0.1:1/new",
    );
    assert(!errors[0]!.message.includes("hunter22"), errors[0]!.message);
  });
}

for (const status of [401, 403, 404, 405, 507]) {
  Deno.test(`a ${status} is refused at once, without a retry or a search`, async () => {
    await using server = first(
      text(status, { body: '{"error":"No","message":"that helps nothing"}' }),
      Infinity,
    );
    const { report, lost, errors, retries } = await deliver(server, {
      fetch: { apiKey: "hunter22" },
    });
    assertEquals([report.sent, report.failed], [0, 30]);
    assertEquals(lost, range(0, 30));
    assertEquals(retries, []);
    assertEquals(server.requests, 3);
    for (const error of errors) {
      assertEquals([error.kind, error.status], ["refused", status]);
      assertStringIncludes(error.message, ": that helps nothing");
    }
  });
}

Deno.test("an API key that the server repeats in its answer is in no message", async () => {
  const key = "hunter22-secret-key";
  await using server = first(
    text(401, { body: `{"message":"Bearer ${key} is wrong"}` }),
    Infinity,
  );
  const { errors } = await deliver(server, { fetch: { apiKey: key } });
  for (const error of errors) {
    assert(!Deno.inspect(error).includes("hunter22"), error.message);
    assertStringIncludes(error.message, "is wrong");
  }
});

Deno.test("a 200 of HTML is no acknowledgement", async () => {
  const body = "<html><body>Please log in</body></html>";
  await using server = new FaultServer(({ n }) =>
    text(200, { body, headers: n === 1 ? { "content-type": "text/html" } : {} })
  );
  const { report, lost, errors } = await deliver(server, { n: 20 });
  assertEquals([report.sent, report.failed], [0, 20]);
  assertEquals(lost, range(0, 20));
  for (const { kind, status, message } of errors) {
    assertEquals([kind, status], ["refused", 200]);
    assertStringIncludes(message, "HTML");
  }
});

Deno.test("a count that is too small is no acknowledgement, and says how many were taken", async () => {
  await using server = first(
    text(200, { body: '{"status":"success","count":9}' }),
  );
  const { report, lost, errors } = await deliver(server);
  assertEquals([report.sent, report.failed], [20, 10]);
  assertEquals(lost, range(0, 10));
  assertEquals([errors[0]!.kind, errors[0]!.status], ["refused", 200]);
  assertStringIncludes(errors[0]!.message, "it took 9 of 10 metrics");
});

Deno.test("an answer that never ends is cut off, and is no acknowledgement", async () => {
  await using server = first(text(200, { body: "x".repeat(200_000) }));
  const { report, errors } = await deliver(server);
  assertEquals([report.sent, report.failed], [20, 10]);
  assertEquals(errors[0]!.kind, "refused");
});

Deno.test("a kept connection that is closed between two requests loses nothing", async () => {
  await using server = new FaultServer(() => "bye");
  const seen = await deliver(server, { n: 100 });
  assertEquals(seen.report, { sent: 100, failed: 0, errors: [] });
  assertEquals(new Set(server.stored).size, 100);
});

Deno.test("an answer that is no HTTP is a transient failure", async () => {
  // A status that is no number: what hyper says of it is what the owner sees.
  await using server = new FaultServer(({ n }) =>
    n <= 2 ? { status: NaN } : "none"
  );
  assertRecovered(server, await deliver(server));
});

Deno.test("a transient failure in the middle of a search: what passed has passed, the rest comes back", async () => {
  // One culprit in ten: cut in halves until the fourth request, then the server is down.
  await using server = new FaultServer();
  server.fault = ({ n }) => {
    if (n === 1) return text(400, { body: "invalid JSON: something" });
    if (n === 3) server.down();
    return "none";
  };
  const { report, lost, errors } = await deliver(server, {
    n: 10,
    retry: { attempts: 2 },
  });
  assertEquals([report.sent, report.failed], [5, 5]);
  assertEquals(server.stored, range(0, 5));
  assertEquals(lost, range(5, 10));
  assertEquals(errors[0]!.kind, "transient");
});

Deno.test("four sends at a time and a different fault at each request: the accounting is exact", async () => {
  const menu: Fault[] = [
    "none",
    "reset",
    "bye",
    text(503),
    "cut",
    "none",
    text(500, { body: "oops" }),
    "half",
    text(200, { body: '{"count":1}' }),
    text(401),
  ];
  await using server = new FaultServer(({ n }) => menu[n % menu.length]!);
  const { report } = await deliver(server, {
    n: 1000,
    batcher: { maxBatchSize: 10, maxInFlight: 4 },
  });
  assertEquals(report.sent + report.failed, 1000);
  assert(report.failed > 0, "some are refused for good");
  assert(report.sent > 500, `most arrive: ${report.sent}`);
});
