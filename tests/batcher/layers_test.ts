// What a Batcher puts around its transport by itself: retries and quarantine, once
// each, and nothing where the options or the transport say so.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Batch,
  Batcher,
  type BatcherOptions,
  checkMetric,
  fetchTransport,
  type Metric,
  SendError,
  type Transport,
  withQuarantine,
  withRetry,
} from "../../mod.ts";
import { withBreaker } from "../../src/delivery/breaker.ts";
import { TINYOBS_RULES } from "../../src/transports/tinyobs_rules.ts";
import {
  HandTransport,
  metric,
  metrics,
  quiet,
  turn,
  values,
} from "../_helpers.ts";
import { failures } from "./_helpers.ts";

const atOnce = { baseDelay: 0, maxDelay: 0 };

/** Lets the waits before retries take no time. */
function noJitter(): Disposable {
  const { random } = Math;
  Math.random = () => 0;
  return { [Symbol.dispose]: () => void (Math.random = random) };
}

/** A server that answers each request by its metrics and its number. */
function serve(
  answer: (values: readonly number[], n: number) => number,
): AsyncDisposable & { url: string; requests: number[][] } {
  const requests: number[][] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const { metrics } = await request.json();
      requests.push(values(metrics));
      const status = answer(requests.at(-1)!, requests.length);
      return new Response("the reason", { status });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1/ingest`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Sends ten metrics in one batch, and tells what became of them. */
async function sendTen(
  transport: Transport<Metric>,
  options: BatcherOptions = {},
) {
  const lost = failures();
  const batcher = new Batcher(transport, {
    logger: quiet,
    onFailure: lost.onFailure,
    ...options,
  });
  for (const one of metrics(0, 10)) assert(batcher.add(one));
  const { sent, failed } = await batcher.stop();
  return { sent, failed, lost: lost.values };
}

Deno.test("a Batcher retries by itself, five attempts in all", async () => {
  using _ = noJitter();
  for (const [busy, sent] of [[4, 10], [9, 0]] as const) {
    await using server = serve((_, n) => n <= busy ? 503 : 200);
    const result = await sendTen(fetchTransport(server.url));
    assertEquals([result.sent, result.failed], [sent, 10 - sent]);
    assertEquals(server.requests.length, 5);
  }
});

Deno.test("a Batcher isolates bad metrics by itself", async () => {
  await using server = serve((values) => values.includes(7) ? 400 : 200);
  const result = await sendTen(fetchTransport(server.url));
  assertEquals(result, { sent: 9, failed: 1, lost: [7] });
});

Deno.test("a search for bad metrics retries on its way", async () => {
  let busy = 3;
  await using server = serve((values, n) =>
    n > 1 && busy-- > 0 ? 503 : values.includes(7) ? 400 : 200
  );
  const result = await sendTen(fetchTransport(server.url), { retry: atOnce });
  assertEquals(result, { sent: 9, failed: 1, lost: [7] });
});

Deno.test("`retry: false` sends each batch once, and still isolates bad metrics", async () => {
  await using busy = serve(() => 503);
  const none = await sendTen(fetchTransport(busy.url), { retry: false });
  assertEquals(none.failed, 10);
  assertEquals(busy.requests.length, 1);
  await using strict = serve((values) => values.includes(7) ? 400 : 200);
  const some = await sendTen(fetchTransport(strict.url), { retry: false });
  assertEquals(some.lost, [7]);
});

Deno.test("`quarantine: false` fails a rejected batch as a whole, and still retries", async () => {
  await using server = serve((values, n) =>
    n === 1 ? 503 : values.includes(7) ? 400 : 200
  );
  const result = await sendTen(fetchTransport(server.url), {
    quarantine: false,
    retry: atOnce,
  });
  assertEquals([result.sent, result.failed], [0, 10]);
  assertEquals(server.requests.length, 2);
});

Deno.test("the options of `retry` are those of withRetry", async () => {
  await using server = serve(() => 503);
  const attempts: number[] = [];
  await sendTen(fetchTransport(server.url), {
    retry: {
      ...atOnce,
      attempts: 3,
      onRetry: ({ attempt }) => attempts.push(attempt),
    },
  });
  assertEquals(server.requests.length, 3);
  assertEquals(attempts, [1, 2]);
  assertThrows(
    () => new Batcher(fetchTransport(server.url), { retry: { attempts: 0 } }),
    RangeError,
    "'attempts'",
  );
});

Deno.test("an explicit undefined means retries and quarantine", async () => {
  using _ = noJitter();
  await using server = serve((values, n) =>
    n === 1 ? 503 : values.includes(7) ? 400 : 200
  );
  const result = await sendTen(fetchTransport(server.url), {
    retry: undefined,
    quarantine: undefined,
  });
  assertEquals(result.lost, [7]);
});

const WRAPPED: Record<
  string,
  (transport: Transport<Metric>) => Transport<Metric>
> = {
  "withRetry": (transport) => withRetry(transport, { ...atOnce, attempts: 2 }),
  "withQuarantine around withRetry": (transport) =>
    withQuarantine(withRetry(transport, { ...atOnce, attempts: 2 })),
  "withRetry around withQuarantine": (transport) =>
    withRetry(withQuarantine(transport), { ...atOnce, attempts: 2 }),
  "withBreaker around withRetry": (transport) =>
    withBreaker(transport, withRetry(transport, { ...atOnce, attempts: 2 })),
};

for (const [name, wrap] of Object.entries(WRAPPED)) {
  Deno.test(`a transport in ${name} is not retried twice`, async () => {
    await using server = serve(() => 503);
    const result = await sendTen(wrap(fetchTransport(server.url)), {
      retry: { ...atOnce, attempts: 3 },
    });
    assertEquals(result.failed, 10);
    assertEquals(server.requests.length, 2);
  });
}

Deno.test("a transport in withQuarantine is not searched twice", async () => {
  const answer = (values: readonly number[]) => values.includes(7) ? 400 : 200;
  await using alone = serve(answer);
  const transport = withQuarantine(fetchTransport(alone.url));
  await transport.send(metrics(0, 10), { signal: new AbortController().signal })
    .catch(() => {});
  await using server = serve(answer);
  const result = await sendTen(withQuarantine(fetchTransport(server.url)), {
    retry: false,
  });
  assertEquals(result.lost, [7]);
  assertEquals(server.requests, alone.requests);
});

// What the layers pass on.

const LAYERS: Record<
  string,
  (transport: Transport<Metric>) => Transport<Metric>
> = {
  "withRetry": (transport) => withRetry(transport),
  "withQuarantine": (transport) => withQuarantine(transport),
  "withBreaker": (transport) => withBreaker(transport, transport),
  "all of them": (transport) =>
    withQuarantine(withBreaker(transport, withRetry(transport))),
};

for (const [name, wrap] of Object.entries(LAYERS)) {
  Deno.test(`${name} passes on maxInFlight, rules and prepare`, () => {
    class Inner extends HandTransport {
      override maxInFlight = 3;
      readonly rules = TINYOBS_RULES;
      readonly prepared: Batch<Metric>[] = [];
      prepare(batch: Batch<Metric>): void {
        this.prepared.push(batch);
      }
    }
    const inner = new Inner();
    const outer = wrap(inner);
    assertEquals([outer.maxInFlight, outer.rules], [3, TINYOBS_RULES]);
    const batch = metrics(0, 2);
    outer.prepare?.(batch);
    assertEquals(inner.prepared.length, 1);
    assertStrictEquals(inner.prepared[0], batch);
  });

  Deno.test(`${name} adds nothing to a transport that says nothing`, () => {
    const { maxInFlight, rules, prepare } = wrap({
      send: () => Promise.resolve(),
    });
    assertEquals([maxInFlight, rules, prepare], [
      undefined,
      undefined,
      undefined,
    ]);
  });
}

Deno.test("a Batcher obeys the maxInFlight of a transport inside its layers", async () => {
  const transport = new HandTransport();
  transport.maxInFlight = 1;
  const batcher = new Batcher(transport, { maxBatchSize: 2 });
  for (const one of metrics(0, 10)) batcher.add(one);
  const stopped = batcher.stop();
  for (let i = 0; i < 5; i++) {
    (await transport.next()).resolve();
    await turn();
  }
  assertEquals((await stopped).sent, 10);
  assertEquals(transport.maxOpen, 1);
});

Deno.test("a Batcher checks the limits of its transport, and none where it names none", async () => {
  const long = { ...metric(1), name: "n".repeat(257) };
  const strict = new Batcher(
    { send: () => Promise.resolve(), rules: TINYOBS_RULES },
    { logger: quiet },
  );
  assertEquals(strict.add(long), false);
  const free = new Batcher({ send: () => Promise.resolve() });
  assertEquals(free.add(long), true);
  assertEquals(free.add({ ...long, timestamp: "0001-01-01T00:00:00Z" }), true);
  // What is no metric for anybody is none here either.
  const own = new Batcher({ send: () => Promise.resolve() }, { logger: quiet });
  assertEquals(own.add({ ...metric(1), name: "" }), false);
  assertEquals(own.add(metric(NaN)), false);
  assertEquals(checkMetric(long) === undefined, false);
  for (const batcher of [strict, free, own]) await batcher.stop();
});

// Two copies of the package in one program.

/** Loads the package once more, from a folder of its own. */
async function withOtherCopy(
  use: (copy: typeof import("../../mod.ts")) => Promise<void>,
): Promise<void> {
  const root = new URL("../../", import.meta.url);
  const folder = await Deno.makeTempDir();
  try {
    const copy = async (path: string) => {
      for await (
        const { name, isDirectory } of Deno.readDir(new URL(path, root))
      ) {
        if (isDirectory) {
          await Deno.mkdir(`${folder}/${path}${name}`);
          await copy(`${path}${name}/`);
        } else {
          await Deno.copyFile(
            new URL(path + name, root),
            `${folder}/${path}${name}`,
          );
        }
      }
    };
    await Deno.mkdir(`${folder}/src`);
    await copy("src/");
    await Deno.copyFile(new URL("mod.ts", root), `${folder}/mod.ts`);
    const other: typeof import("../../mod.ts") = await import(
      `file://${folder}/mod.ts`
    );
    assertNotStrictEquals(other.SendError, SendError);
    await use(other);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("an error of another copy keeps its details: what it delivered is sent", async () => {
  await withOtherCopy(async (other) => {
    const thrown: unknown[] = [];
    const transport: Transport<Metric> = {
      send(batch) {
        const error = new other.SendError<Metric>("one is bad", {
          kind: "rejected",
          code: "status",
          status: 400,
          undelivered: [...batch].slice(3, 4),
        });
        thrown.push(error);
        return Promise.reject(error);
      },
    };
    const lost = failures();
    const batcher = new Batcher(transport, {
      quarantine: false,
      logger: quiet,
      onFailure: lost.onFailure,
    });
    for (const one of metrics(0, 100)) batcher.add(one);
    const { sent, failed } = await batcher.stop();
    assertEquals([sent, failed], [99, 1]);
    assertEquals(lost.values, [3]);
    const { error } = lost.got[0]!;
    assertInstanceOf(error, SendError);
    assertInstanceOf(error, other.SendError);
    assertEquals([error.code, error.status], ["status", 400]);
    assertEquals(thrown.length, 1);
  });
});

Deno.test("a transport of another copy is retried and searched once", async () => {
  await withOtherCopy(async (other) => {
    // Each copy's transport, and each copy's layers, in the other one's Batcher.
    await using strict = serve((values) => values.includes(7) ? 400 : 200);
    const searched = await sendTen(other.fetchTransport(strict.url));
    assertEquals(searched, { sent: 9, failed: 1, lost: [7] });

    await using busy = serve(() => 503);
    const wrapped = other.withQuarantine(
      other.withRetry(fetchTransport(busy.url), { ...atOnce, attempts: 2 }),
    );
    const result = await sendTen(wrapped, {
      retry: { ...atOnce, attempts: 3 },
    });
    assertEquals(result.failed, 10);
    assertEquals(busy.requests.length, 2);
  });
});
