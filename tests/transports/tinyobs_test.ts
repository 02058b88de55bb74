import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import {
  fetchTransport,
  type FetchTransportOptions,
  type Metric,
  SendError,
  type SendErrorKind,
} from "../../mod.ts";
import { metric, metrics, range, turn, values, within } from "../_helpers.ts";

const never = new AbortController().signal;

interface Server extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
}

/** A real server on loopback. */
function serve(
  handler: (
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ) => Response | Promise<Response>,
): Server {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request, info) => {
      // Left unread, a body costs the client its connection.
      const body = await request.text();
      const { url, method, headers } = request;
      return await handler(new Request(url, { method, headers, body }), info);
    },
  );
  const host = `127.0.0.1:${server.addr.port}`;
  return {
    host,
    url: `http://${host}/v1/ingest`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A server that answers the text as it is, whatever it is asked, and hangs up. */
function serveRaw(answer: string): Server {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const finished = (async () => {
    for await (const connection of listener) {
      try {
        await connection.read(new Uint8Array(65536));
        await connection.write(new TextEncoder().encode(answer));
      } finally {
        connection.close();
      }
    }
  })();
  const host = `127.0.0.1:${listener.addr.port}`;
  return {
    host,
    url: `http://${host}/v1/ingest`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await finished;
    },
  };
}

/** A server that answers when the test is over. */
function serveNothing(onRequest: () => void = () => {}): Server {
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = serve(async () => {
    onRequest();
    await promise;
    return new Response();
  });
  return {
    ...server,
    [Symbol.asyncDispose]() {
      resolve();
      return server[Symbol.asyncDispose]();
    },
  };
}

/** What a failed send throws. */
async function failure(
  url: string | URL,
  options: FetchTransportOptions<Metric> = {},
  batch: readonly Metric[] = metrics(0, 3),
  signal: AbortSignal = never,
): Promise<SendError<Metric>> {
  const sent = fetchTransport(url, options).send(batch, { signal });
  const error = await within(assertRejects(() => sent), "the failure");
  assertInstanceOf(error, SendError);
  return error as SendError<Metric>;
}

/** Sends one metric. */
function sendOne(
  url: string | URL,
  options: FetchTransportOptions<Metric> = {},
): Promise<void> {
  return fetchTransport(url, options).send([metric(1)], { signal: never });
}

// The request.

Deno.test("a batch is one POST of JSON, as TinyObs reads it", async () => {
  const seen: unknown[] = [];
  await using server = serve(async (request) => {
    const { method, url, headers } = request;
    seen.push([
      method,
      new URL(url).pathname,
      headers.get("content-type"),
      headers.get("authorization"),
      await request.json(),
    ]);
    return Response.json({ status: "success", count: 3 });
  });
  const batch = [
    metric(0),
    { ...metric(1), labels: { k: "ü" } },
    { ...metric(2), timestamp: "2026-11-23T07:00:00Z" },
  ];
  await fetchTransport(server.url).send(batch, { signal: never });
  assertEquals(seen, [
    ["POST", "/v1/ingest", "application/json", null, { metrics: batch }],
  ]);
});

Deno.test("the real handler takes a batch, and an API key goes as a bearer token", async () => {
  await using server = startIngestServer({ port: 0, apiKey: "the-key" });
  await sendOne(server.url, { apiKey: "the-key" });
  assertEquals(server.stats.received, 1);
  for (const options of [{}, { apiKey: "wrong-key" }]) {
    const error = await failure(server.url, options);
    assertEquals([error.kind, error.status], ["refused", 401]);
    assertEquals(
      error.message,
      `${server.url} answered 401 Unauthorized: missing or invalid API key`,
    );
  }
});

/** The headers that arrive. */
async function headersOf(
  address: (host: string) => string | URL,
  options: FetchTransportOptions<Metric> = {},
): Promise<Headers> {
  let seen = new Headers();
  await using server = serve(({ headers }) => {
    seen = headers;
    return new Response(null, { status: 204 });
  });
  await sendOne(address(server.host), options);
  return seen;
}

Deno.test("user and password of the URL become Basic authorization", async () => {
  const decode = (value: string | null) => {
    const token = /^Basic (.+)$/.exec(value ?? "")?.[1] ?? "";
    const bytes = Uint8Array.from(atob(token), (c) => c.charCodeAt(0));
    return new TextDecoder().decode(bytes);
  };
  const table = [
    ["user:pass", "user:pass"],
    ["us%40er:p%C3%A4ss%3A%2F", "us@er:päss:/"],
    ["user", "user:"],
    [":pass", ":pass"],
  ];
  for (const [given, expected] of table) {
    const headers = await headersOf((host) => `http://${given}@${host}/`);
    assertEquals(decode(headers.get("authorization")), expected);
  }
});

Deno.test("a URL object stays as it was", async () => {
  await headersOf((host) => {
    const url = new URL(`http://user:pass@${host}/a?b=c#d`);
    const { href } = url;
    fetchTransport(url);
    assertEquals(url.href, href);
    return url;
  });
});

Deno.test("an API key goes over the URL's user, and own headers go over both", async () => {
  const address = (host: string) => `http://user:pass@${host}/`;
  const apiKey = "the-key";
  const keyed = await headersOf(address, { apiKey });
  assertEquals(keyed.get("authorization"), "Bearer the-key");
  const own = await headersOf(address, {
    apiKey,
    headers: { Authorization: "Token mine", "Content-Type": "text/plain" },
  });
  assertEquals(own.get("authorization"), "Token mine");
  assertEquals(own.get("content-type"), "text/plain");
});

Deno.test("headers may be an object, a list or Headers", async () => {
  for (
    const headers of [
      { "X-Tenant": "blue" },
      [["X-Tenant", "blue"]] as [string, string][],
      new Headers({ "X-Tenant": "blue" }),
    ]
  ) {
    const seen = await headersOf((host) => `http://${host}/`, { headers });
    assertEquals(seen.get("x-tenant"), "blue");
    assertEquals(seen.get("content-type"), "application/json");
  }
});

Deno.test("the query of the URL is sent, and its fragment is not", async () => {
  let seen = "";
  await using server = serve((request) => {
    seen = request.url;
    return new Response();
  });
  await sendOne(`${server.url}?tenant=blue#top`);
  assertEquals(seen, `${server.url}?tenant=blue`);
});

Deno.test("explicit undefined options mean the defaults", async () => {
  await using server = startIngestServer({ port: 0 });
  const transport = fetchTransport<Metric>(server.url, {
    apiKey: undefined,
    headers: undefined,
    timeout: undefined,
    maxPerRequest: undefined,
    encode: undefined,
    fetch: undefined,
  });
  await transport.send(metrics(0, 1001), { signal: never });
  assertEquals(server.stats.requests, 2);
  assertEquals(server.stats.received, 1001);
});

Deno.test("encode makes the body, of text or of bytes", async () => {
  const bodies: string[] = [];
  await using server = serve(async (request) => {
    bodies.push(await request.text());
    return new Response();
  });
  const encoder = new TextEncoder();
  for (
    const encode of [
      (items: readonly string[]) => items.join("\n"),
      (items: readonly string[]) => encoder.encode(items.join("\n")),
    ]
  ) {
    const transport = fetchTransport(server.url, { encode });
    await transport.send(["a", "ü"], { signal: never });
  }
  assertEquals(bodies, ["a\nü", "a\nü"]);
});

Deno.test("an encode that throws is a rejected batch, and nothing is sent", async () => {
  await using server = startIngestServer({ port: 0 });
  const batch = metrics(0, 2);
  const error = await failure(server.url, {
    encode() {
      throw new Error("no such type");
    },
  }, batch);
  assertEquals(error.kind, "rejected");
  assertEquals(error.message, "Cannot encode 2 metrics: no such type");
  assertEquals(error.undelivered ?? batch, batch);
  assertEquals(server.stats.requests, 0);
});

Deno.test("a fetch of the caller's own makes the requests", async () => {
  const calls: [string, RequestInit][] = [];
  await sendOne("http://host.test/in?a=b", {
    fetch(url, init) {
      calls.push([url, init]);
      return Promise.resolve(new Response());
    },
  });
  const [[url, init]] = calls as [[string, RequestInit]];
  assertEquals(url, "http://host.test/in?a=b");
  assertEquals([init.method, init.redirect], ["POST", "manual"]);
  assertEquals(JSON.parse(init.body as string), { metrics: [metric(1)] });
  assertInstanceOf(init.signal, AbortSignal);
});

Deno.test("a fetch that is patched later is used, and one that throws is a failed send", async () => {
  const transport = fetchTransport("http://host.test/");
  const { fetch } = globalThis;
  globalThis.fetch = () => {
    throw new TypeError("patched");
  };
  try {
    const error = await assertRejects(
      () => transport.send([metric(1)], { signal: never }),
      SendError,
    );
    assertEquals(error.message, "Cannot send to http://host.test/: patched");
    assertEquals(error.kind, "transient");
  } finally {
    globalThis.fetch = fetch;
  }
});

// The answer.

Deno.test("a 2xx that does not contradict is delivered", async () => {
  const answers = [
    () => Response.json({ status: "success", count: 1 }),
    () => new Response(null, { status: 204 }),
    () => new Response(),
    () => new Response("", { status: 202 }),
    () => new Response("OK\n"),
    () => Response.json({ status: "success" }),
    () => Response.json({}),
    () => Response.json(null),
    () => Response.json([]),
    () => Response.json("fine"),
    () => Response.json({ count: 1 }, { status: 201 }),
    () => new Response("{broken", { headers: { "content-type": "x/json" } }),
  ];
  let n = 0;
  await using server = serve(() => answers[n++]!());
  for (const _ of answers) await sendOne(server.url);
  assertEquals(n, answers.length);
});

Deno.test("a 2xx with another count is not delivered", async () => {
  const counts: [unknown, string][] = [
    [2, "2"],
    [4, "4"],
    [0, "0"],
    ["many", '"many"'],
    [null, "null"],
  ];
  for (const [count, shown] of counts) {
    await using server = serve(() => Response.json({ count }));
    const batch = metrics(0, 3);
    const error = await failure(server.url, {}, batch);
    assertEquals(
      error.message,
      `${server.url} answered 200 OK, but says that it took ${shown} of 3 metrics`,
    );
    assertEquals([error.kind, error.status], ["refused", 200]);
    assertEquals(error.undelivered ?? batch, batch);
  }
});

Deno.test("a 200 of HTML is something else answering", async () => {
  const html = "<!doctype html><title>Log in</title>";
  for (
    const [type, text] of [
      ["text/html; charset=utf-8", html],
      ["TEXT/HTML", ""],
      ["application/xhtml+xml", "Log in"],
      ["text/plain", `\n  ${html}`],
      ["application/json", html],
    ] as const
  ) {
    await using server = serve(() =>
      new Response(text, { headers: { "content-type": type } })
    );
    const error = await failure(server.url);
    assertEquals([error.kind, error.status], ["refused", 200]);
    assertEquals(
      error.message,
      `${server.url} answered 200 OK, but with HTML: it is not a metrics server`,
    );
  }
});

const CARDINALITY =
  'cardinality limit exceeded for metric "a": cardinality limit exceeded (max 2 unique series)';

const STATUSES: [number, SendErrorKind, Record<string, string>?, string?][] = [
  [400, "rejected"],
  [413, "rejected"],
  [422, "rejected"],
  [429, "rejected", {}, CARDINALITY],
  [429, "transient", { "retry-after": "1" }],
  [429, "transient", { "retry-after": "1" }, CARDINALITY],
  [429, "transient"],
  [408, "transient"],
  [500, "transient"],
  [502, "transient"],
  [503, "transient"],
  [504, "transient"],
  [300, "refused"],
  [301, "refused"],
  [302, "refused"],
  [303, "refused"],
  [304, "refused"],
  [307, "refused"],
  [308, "refused"],
  [401, "refused"],
  [402, "refused"],
  [403, "refused"],
  [404, "refused"],
  [405, "refused"],
  [409, "refused"],
  [410, "refused"],
  [501, "refused"],
  [505, "refused"],
  [507, "refused"],
  [511, "refused"],
  [599, "refused"],
];

for (const [status, kind, headers = {}, words = "the reason"] of STATUSES) {
  const what = [
    status,
    ...Object.keys(headers),
    ...(words === CARDINALITY ? ["of the cardinality limit"] : []),
  ].join(" ");
  Deno.test(`an answer ${what} is ${kind}`, async () => {
    await using server = serve(() => {
      if (status === 304) return new Response(null, { status });
      return Response.json({ error: "Title", message: words }, {
        status,
        headers,
      });
    });
    const batch = metrics(0, 3);
    const error = await failure(server.url, {}, batch);
    assertEquals([error.kind, error.status], [kind, status]);
    assertEquals(error.undelivered ?? batch, batch);
    assertEquals(error.name, "SendError");
    assertStringIncludes(error.message, `${server.url} answered ${status}`);
    if (status !== 304) assertStringIncludes(error.message, words);
  });
}

Deno.test("the cardinality limit of the real handler is rejected", async () => {
  await using server = startIngestServer({ port: 0, maxSeries: 2 });
  const [a, b, c] = ["a", "b", "c"].map((name) => ({ ...metric(1), name }));
  await fetchTransport(server.url).send([a!, b!], { signal: never });
  const error = await failure(server.url, {}, [a!, c!]);
  assertEquals([error.kind, error.status], ["rejected", 429]);
  assertStringIncludes(error.message, 'metric "c"');
  assertEquals(server.stats.received, 2);
});

Deno.test("retryAfter is in milliseconds, from seconds or an HTTP date", async () => {
  const past = "Wed, 21 Oct 2015 07:28:00 GMT";
  const table: [string | null, number | undefined][] = [
    ["3", 3000],
    ["0", 0],
    [" 120 ", 120_000],
    [past, 0],
    ["soon", undefined],
    ["", undefined],
    [null, undefined],
  ];
  for (const status of [429, 503]) {
    for (const [value, expected] of table) {
      const headers: Record<string, string> = value === null
        ? {}
        : { "retry-after": value };
      await using server = serve(() => new Response("", { status, headers }));
      const error = await failure(server.url);
      assertEquals(error.retryAfter, expected, `${status} ${value}`);
    }
  }
  await using server = serve(() => {
    const at = new Date(Date.now() + 3_600_000).toUTCString();
    return new Response("", { status: 503, headers: { "retry-after": at } });
  });
  const { retryAfter = 0 } = await failure(server.url);
  // A date has whole seconds, and an hour is more than any machine is slow.
  assert(retryAfter > 0 && retryAfter <= 3_600_000, `${retryAfter}`);
});

Deno.test("a redirect is not followed, and the error says where it would go", async () => {
  const paths: string[] = [];
  let location = "";
  let status = 0;
  await using server = serve(({ url }) => {
    paths.push(new URL(url).pathname);
    return new Response("moved", { status, headers: { location } });
  });
  for (status of [301, 302, 303, 307, 308]) {
    location = "/elsewhere?session=abcdef#x";
    const relative = await failure(server.url);
    assertEquals([relative.kind, relative.status], ["refused", status]);
    assertMatch(
      relative.message,
      new RegExp(
        `answered ${status}.*, a redirect to http://${server.host}/elsewhere$`,
      ),
    );
    location = "https://user:secret@login.test/sso?session=abcdef";
    const absolute = await failure(server.url);
    assertMatch(absolute.message, /, a redirect to https:\/\/login.test\/sso$/);
  }
  assertEquals(new Set(paths), new Set(["/v1/ingest"]));
});

Deno.test("index is what `invalid metric at index N` names", async () => {
  await using server = startIngestServer({ port: 0 });
  const batch = metrics(0, 5);
  batch[3] = { ...metric(3), name: "" };
  const error = await failure(server.url, {}, batch);
  assertEquals([error.kind, error.status, error.index], ["rejected", 400, 3]);
  assertEquals(error.undelivered ?? batch, batch);
  assertEquals(
    error.message,
    `${server.url} answered 400 Bad Request: invalid metric at index 3: metric name cannot be empty`,
  );
  assertEquals(server.stats.received, 0);
});

Deno.test("index is undefined where the answer names none of the batch", async () => {
  let words = "";
  await using server = serve(() =>
    Response.json({ message: words }, { status: 400 })
  );
  for (
    words of [
      "invalid JSON: unexpected end",
      "invalid metric at index 3: too many",
      "invalid metric at index 99999999999999999999: x",
      "invalid metric at index -1: x",
      "",
    ]
  ) {
    assertEquals((await failure(server.url)).index, undefined, words);
  }
  words = "invalid metric at index 0: x";
  assertEquals((await failure(server.url)).index, 0);
});

Deno.test("the server's own words are in the message, short and harmless", async () => {
  const table: [BodyInit, string | RegExp][] = [
    [JSON.stringify({ error: "Bad", message: "too many" }), ": too many"],
    [JSON.stringify({ error: "only a title" }), ": only a title"],
    ["  plain text\n", ": plain text"],
    ["", ""],
    ["<html><h1>Bad Gateway</h1></html>", ": (HTML)"],
    [JSON.stringify({ message: "<b>x</b>" }), ": (HTML)"],
    ["a\x1b[2Jb\u202ec\0", ": a\\u001b[2Jb\\u202ec\\u0000"],
    [JSON.stringify({ message: "a\nb" }), ": a\\u000ab"],
    ["x".repeat(5000), `: ${"x".repeat(300)}…`],
    [new Uint8Array([0xff, 0xfe]), ": \ufffd\ufffd"],
  ];
  for (const [body, shown] of table) {
    await using server = serve(() => new Response(body, { status: 502 }));
    const { message } = await failure(server.url);
    assertEquals(message, `${server.url} answered 502 Bad Gateway${shown}`);
  }
});

// No answer.

Deno.test("half an answer is a transient failure", async () => {
  for (
    const answer of [
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"count":3}',
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
      "HTTP/1.1 200 O",
      "",
      "SSH-2.0-OpenSSH_9.9\r\n",
    ]
  ) {
    await using server = serveRaw(answer);
    const batch = metrics(0, 3);
    const error = await failure(server.url, {}, batch);
    assertEquals([error.kind, error.status], ["transient", undefined]);
    assertEquals(error.undelivered ?? batch, batch);
    assertStringIncludes(error.message, `Cannot send to ${server.url}: `);
  }
});

Deno.test("a refused connection is a transient failure, and says why", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const error = await failure(`http://127.0.0.1:${port}/v1/ingest`);
  assertEquals([error.kind, error.status], ["transient", undefined]);
  assertMatch(
    error.message,
    new RegExp(
      `^Cannot send to http://127.0.0.1:${port}/v1/ingest: .*refused`,
      "i",
    ),
  );
});

Deno.test({
  name: "a missing permission is refused, as waiting does not help",
  permissions: { net: false },
  async fn() {
    const error = await failure("http://127.0.0.1:8080/v1/ingest");
    assertEquals(error.kind, "refused");
    assertStringIncludes(error.message, "Requires net access");
  },
});

Deno.test("a server that never answers is given up after the timeout", async () => {
  await using server = serveNothing();
  const batch = metrics(0, 3);
  const error = await failure(server.url, { timeout: 100 }, batch);
  assertEquals([error.kind, error.status], ["transient", undefined]);
  assertEquals(error.message, `No answer from ${server.url} within 100 ms`);
  assertEquals(error.undelivered ?? batch, batch);
});

Deno.test("the timeout covers the answer's body", async () => {
  const cancelled = Promise.withResolvers<void>();
  await using server = serve(() =>
    new Response(
      new ReadableStream({
        start: (body) => body.enqueue(new TextEncoder().encode('{"count":')),
        cancel: () => cancelled.resolve(),
      }),
    )
  );
  const error = await failure(server.url, { timeout: 100 });
  assertEquals(error.kind, "transient");
  assertEquals(error.message, `No answer from ${server.url} within 100 ms`);
  await within(cancelled.promise, "the end of the connection");
});

Deno.test("the caller's signal ends a request", async () => {
  const arrived = Promise.withResolvers<void>();
  await using server = serveNothing(() => arrived.resolve());
  const controller = new AbortController();
  const batch = metrics(0, 3);
  const failed = failure(server.url, {}, batch, controller.signal);
  await within(arrived.promise, "the request");
  controller.abort(new Error("the program ends"));
  const error = await failed;
  assertEquals(error.kind, "transient");
  assertEquals(
    error.message,
    `Sending to ${server.url} was aborted: the program ends`,
  );
  assertEquals(error.undelivered ?? batch, batch);
});

Deno.test("a signal that is aborted already sends nothing", async () => {
  await using server = startIngestServer({ port: 0 });
  const error = await failure(
    server.url,
    {},
    metrics(0, 2500),
    AbortSignal.abort(),
  );
  assertStringIncludes(error.message, `Sending to ${server.url} was aborted`);
  assertEquals(error.undelivered, undefined);
  assertEquals(server.stats.requests, 0);
});

// Bodies and connections.

Deno.test("an answer longer than 64 KiB is not read to its end", async () => {
  for (const status of [200, 500]) {
    const cancelled = Promise.withResolvers<void>();
    await using server = serve(() => {
      const chunk = new Uint8Array(16 * 1024).fill(0x78);
      return new Response(
        new ReadableStream({
          pull: (body) => body.enqueue(chunk),
          cancel: () => cancelled.resolve(),
        }),
        { status },
      );
    });
    const error = await failure(server.url);
    // The server notices that nobody reads on.
    await within(cancelled.promise, "the end of the connection");
    assertEquals(error.status, status);
    assertEquals(
      error.message,
      status === 200
        ? `${server.url} answered 200 OK, but with more text than a metrics server sends`
        : `${server.url} answered 500 Internal Server Error`,
    );
  }
});

Deno.test("an answer that announces more than 64 KiB is not read to its end", async () => {
  const cancelled = Promise.withResolvers<void>();
  await using server = serve(() => {
    const chunk = new Uint8Array(16 * 1024).fill(0x78);
    return new Response(
      new ReadableStream({
        pull: (body) => body.enqueue(chunk),
        cancel: () => cancelled.resolve(),
      }),
      { headers: { "content-length": "1000000000" } },
    );
  });
  const error = await failure(server.url);
  await within(cancelled.promise, "the end of the connection");
  assertStringIncludes(error.message, "with more text than");
});

Deno.test("an answer of exactly 64 KiB is read", async () => {
  const answer = JSON.stringify({ count: 1 }).padEnd(64 * 1024);
  await using server = serve(() => new Response(answer));
  await sendOne(server.url);
});

Deno.test("after a long answer the next send works", async () => {
  let n = 0;
  await using server = serve(() =>
    new Response(n++ % 2 === 0 ? "x".repeat(1_000_000) : "")
  );
  const transport = fetchTransport(server.url);
  for (let i = 0; i < 5; i++) {
    await assertRejects(() => transport.send([metric(1)], { signal: never }));
    await transport.send([metric(1)], { signal: never });
  }
  assertEquals(n, 10);
});

Deno.test("answers are read, so that the connection is kept, whatever they say", async () => {
  const ports = new Set<number>();
  const statuses = [200, 400, 401, 404, 429, 500, 503, 507];
  let n = 0;
  await using server = serve((_, { remoteAddr }) => {
    ports.add(remoteAddr.port);
    const status = statuses[n++ % statuses.length]!;
    return Response.json({ message: "x".repeat(20_000) }, { status });
  });
  const transport = fetchTransport(server.url);
  for (let i = 0; i < 64; i++) {
    const sent = transport.send([metric(1)], { signal: never });
    await (i % statuses.length === 0 ? sent : assertRejects(() => sent));
  }
  assertEquals(n, 64);
  // One is usual; each unread answer would cost one.
  assert(ports.size < 16, `${ports.size} connections`);
});

// Requests of a batch.

/** Sends 2500 metrics, whose requests the test answers by their number. */
async function sendSplit(
  answer: (n: number) => Response | undefined,
): Promise<
  {
    batch: Metric[];
    error: SendError<Metric> | undefined;
    sizes: number[];
    stored: number[];
  }
> {
  const sizes: number[] = [];
  await using server = startIngestServer({
    port: 0,
    intercept: (_request, n) => answer(n),
    onRequest: ({ metrics }) => sizes.push(metrics),
  });
  const batch = range(0, 2500).map((i) => ({
    ...metric(i),
    timestamp: `2026-11-23T07:00:00.${String(i).padStart(9, "0")}Z`,
  }));
  let error: SendError<Metric> | undefined;
  try {
    await fetchTransport(server.url).send(batch, { signal: never });
  } catch (thrown) {
    assertInstanceOf(thrown, SendError);
    error = thrown as SendError<Metric>;
  }
  const stored = values(server.query("test_metric") as Metric[]);
  return { batch, error, sizes, stored: stored.sort((a, b) => a - b) };
}

/** A 400 that names an index. */
function rejectIndex(index: number): Response {
  return Response.json({ message: `invalid metric at index ${index}: bad` }, {
    status: 400,
  });
}

Deno.test("a batch larger than maxPerRequest goes out as several requests", async () => {
  const { error, sizes, stored } = await sendSplit(() => undefined);
  assertEquals(error, undefined);
  assertEquals(sizes, [1000, 1000, 500]);
  assertEquals(stored, range(0, 2500));
});

Deno.test("maxPerRequest is the bound, and what fits goes as one", async () => {
  for (
    const [size, maxPerRequest, expected] of [
      [7, 3, [3, 3, 1]],
      [6, 3, [3, 3]],
      [3, 3, [3]],
      [2, 1, [1, 1]],
      [1000, undefined, [1000]],
      [1001, undefined, [1000, 1]],
    ] as const
  ) {
    const sizes: number[] = [];
    await using server = startIngestServer({
      port: 0,
      onRequest: ({ metrics }) => sizes.push(metrics),
    });
    const transport = fetchTransport(server.url, { maxPerRequest });
    await transport.send(metrics(0, size), { signal: never });
    assertEquals(sizes, [...expected]);
  }
});

Deno.test("a rejected part does not lose the others", async () => {
  const { batch, error, sizes, stored } = await sendSplit((n) =>
    n === 2 ? rejectIndex(7) : undefined
  );
  assertEquals(sizes, [1000, 1000, 500]);
  assertEquals(stored, [...range(0, 1000), ...range(2000, 2500)]);
  assertEquals([error?.kind, error?.status], ["rejected", 400]);
  assertEquals(error?.undelivered, batch.slice(1000, 2000));
  // The index counts in what was not delivered.
  assertEquals(error?.index, 7);
});

Deno.test("two rejected parts are both reported, in the order of the batch", async () => {
  const { batch, error, stored } = await sendSplit((n) =>
    n !== 2 ? rejectIndex(7) : undefined
  );
  assertEquals(stored, range(1000, 2000));
  assertEquals(error?.kind, "rejected");
  assertEquals(error?.undelivered, [
    ...batch.slice(0, 1000),
    ...batch.slice(2000),
  ]);
  // It would name the wrong one.
  assertEquals(error?.index, undefined);
});

Deno.test("a transient failure stops, and reports the rest as not delivered", async () => {
  const { batch, error, sizes, stored } = await sendSplit((n) =>
    n === 2
      ? new Response("busy", { status: 503, headers: { "retry-after": "7" } })
      : undefined
  );
  assertEquals(sizes, [1000, 1000]);
  assertEquals(stored, range(0, 1000));
  assertEquals(
    [error?.kind, error?.status, error?.retryAfter],
    ["transient", 503, 7000],
  );
  assertEquals(error?.undelivered, batch.slice(1000));
});

Deno.test("a refusal stops, and reports the rest as not delivered", async () => {
  const { batch, error, sizes } = await sendSplit((n) =>
    n === 1 ? new Response("", { status: 401 }) : undefined
  );
  assertEquals(sizes, [1000]);
  assertEquals([error?.kind, error?.status], ["refused", 401]);
  assertEquals(error?.undelivered ?? batch, batch);
});

Deno.test("a rejected part and then a transient failure is one transient failure of both", async () => {
  const { batch, error, stored } = await sendSplit((n) =>
    n === 1
      ? rejectIndex(7)
      : n === 3
      ? new Response("", { status: 503 })
      : undefined
  );
  assertEquals(stored, range(1000, 2000));
  assertEquals([error?.kind, error?.status], ["transient", 503]);
  assertEquals(error?.undelivered, [
    ...batch.slice(0, 1000),
    ...batch.slice(2000),
  ]);
  assertEquals(error?.index, undefined);
});

Deno.test("the parts of a batch go one after the other", async () => {
  let open = 0;
  let most = 0;
  await using server = serve(async () => {
    most = Math.max(most, ++open);
    await turn();
    open--;
    return new Response();
  });
  const transport = fetchTransport(server.url, { maxPerRequest: 1 });
  await transport.send(metrics(0, 10), { signal: never });
  assertEquals(most, 1);
});

// Secrets.

const KEY = "K3Y-of-the-api";
const PASSWORD = "pa55-w0rd";
const QUERY = "t0ken-in-query";
const HEADER = "s3cret-header";
const SECRETS = [KEY, PASSWORD, QUERY, HEADER];

/** Asserts that an error shows no secret, wherever it is printed. */
function assertNoSecret(error: unknown): void {
  const shown = `${error} ${Deno.inspect(error)} ${JSON.stringify(error)}`;
  for (const secret of [...SECRETS, btoa(`user:${PASSWORD}`)]) {
    assert(!shown.includes(secret), `${secret}: ${shown}`);
  }
}

/** With everything secret in its place. */
function secretive(server: Server): string {
  return `http://user:${PASSWORD}@${server.host}/v1/ingest?token=${QUERY}`;
}

const secretHeaders: FetchTransportOptions<Metric>[] = [
  { headers: { "x-tenant-key": HEADER } },
  { headers: { "x-tenant-key": HEADER }, apiKey: KEY },
];

Deno.test("no secret is in a message, even when the server repeats them all", async () => {
  for (const status of [200, 302, 400, 401, 429, 500]) {
    await using server = serve(({ url, headers }) => {
      const authorization = headers.get("authorization") ?? "";
      const key = authorization.includes(KEY) ? KEY : "";
      const echo = [
        url,
        new URL(url).search,
        PASSWORD,
        QUERY,
        HEADER,
        key,
        ...headers.values(),
        atob(authorization.split("Basic ")[1] ?? ""),
      ].join(" ");
      return Response.json(
        { message: echo, error: echo, count: status === 200 ? echo : 0 },
        {
          status,
          headers: {
            location: `/login/${HEADER}/${key}/${PASSWORD}?token=${QUERY}`,
            "retry-after": echo,
          },
        },
      );
    });
    for (const options of secretHeaders) {
      const error = await failure(secretive(server), options);
      assertEquals(error.status, status);
      assertNoSecret(error);
      // What is no secret is still there.
      assertStringIncludes(error.message, `${server.url} answered ${status}`);
    }
  }
});

Deno.test("no secret is in the message of a connection that breaks", async () => {
  for (const answer of ["", "SSH-2.0\r\n", "HTTP/1.1 200 OK\r\n"]) {
    await using server = serveRaw(answer);
    for (const options of secretHeaders) {
      const error = await failure(secretive(server), options);
      assertEquals(error.kind, "transient");
      assertNoSecret(error);
    }
  }
});

Deno.test("no secret is in the message of a timeout or an abort", async () => {
  await using server = serveNothing();
  const [, options] = secretHeaders;
  assertNoSecret(
    await failure(secretive(server), { ...options, timeout: 50 }),
  );
  assertNoSecret(
    await failure(
      secretive(server),
      options,
      metrics(0, 1),
      AbortSignal.abort(new Error(`gone: ${KEY}`)),
    ),
  );
});

Deno.test("no secret is in what a fetch or an encode of the caller's own throws", async () => {
  const url = `http://user:${PASSWORD}@host.test/?token=${QUERY}`;
  const [, options] = secretHeaders;
  const bang = () => {
    throw new TypeError(`bad ${SECRETS.join(" ")} for ${url}`, {
      cause: new Error(`cause ${SECRETS.join(" ")}`),
    });
  };
  assertNoSecret(await failure(url, { ...options, fetch: bang }));
  assertNoSecret(await failure(url, { ...options, encode: bang }));
});

Deno.test("a header that cannot be sent is a TypeError that does not show its value", () => {
  const table: [FetchTransportOptions<Metric>, string][] = [
    [{ apiKey: `${KEY}\nx` }, "'apiKey'"],
    [{ apiKey: `${KEY}€` }, "'apiKey'"],
    [{ headers: { "x-a": `${HEADER}\r\nx: y` } }, 'header "x-a"'],
    [{ headers: [["x-a", `${HEADER}\0`]] }, 'header "x-a"'],
    [{ headers: { "x a": HEADER } }, 'header "x a"'],
    [{ headers: { "x\na": HEADER } }, 'header "x\\u000aa"'],
  ];
  for (const [options, what] of table) {
    const error = assertThrows(
      () => fetchTransport("http://host.test/", options),
      TypeError,
    );
    assertEquals(
      error.message,
      `Cannot create fetchTransport as ${what} holds a character that an HTTP header cannot carry`,
    );
    assertNoSecret(error);
  }
});

// Options.

Deno.test("a bad URL is a TypeError that shows it without credentials and query", () => {
  const table: [string, string][] = [
    ["", ""],
    ["localhost:8080/v1/ingest", "localhost:8080/v1/ingest"],
    ["/v1/ingest", "/v1/ingest"],
    ["http://", "http://"],
    ["ftp://host/x", "ftp://host/x"],
    [`ftp://user:${PASSWORD}@host/x?token=${QUERY}`, "ftp://host/x"],
    [`user:${PASSWORD}@host/x?token=${QUERY}`, "host/x"],
    [`//user:${PASSWORD}@host/x#${QUERY}`, "//host/x"],
    [`http://user:${PASSWORD}@ho st/x`, "http://ho st/x"],
    [`http://user:${PASSWORD}@host:99999/x?${QUERY}`, "http://host:99999/x"],
    ["a\x1b[2J\nb", "a\\u001b[2J\\u000ab"],
    ["x".repeat(1000), "x".repeat(200) + "…"],
  ];
  for (const [url, shown] of table) {
    const error = assertThrows(() => fetchTransport(url), TypeError);
    assertEquals(
      error.message,
      `Cannot create fetchTransport as 'url' must be an http: or https: URL: current value is "${shown}"`,
    );
    assertNoSecret(error);
  }
});

Deno.test("a bad option is a RangeError that names the option, the rule and the value", () => {
  const create = (options: Record<string, unknown>) =>
    assertThrows(
      () => fetchTransport("http://host.test/", options),
      RangeError,
    ).message;
  for (
    const [value, shown] of [
      [0, "0"],
      [-5, "-5"],
      [NaN, "NaN"],
      [Infinity, "Infinity"],
      [2 ** 31, "2147483648"],
      [null, "null"],
      ["soon", '"soon"'],
    ]
  ) {
    assertEquals(
      create({ timeout: value }),
      `Cannot create fetchTransport as 'timeout' must be more than 0 and at most 2147483647 milliseconds: current value is ${shown}`,
    );
  }
  for (
    const [value, shown] of [
      [0, "0"],
      [-1, "-1"],
      [1.5, "1.5"],
      [NaN, "NaN"],
      [Infinity, "Infinity"],
      ["1000", '"1000"'],
      [null, "null"],
    ]
  ) {
    assertEquals(
      create({ maxPerRequest: value }),
      `Cannot create fetchTransport as 'maxPerRequest' must be a positive integer: current value is ${shown}`,
    );
  }
});

Deno.test("fetchTransport() itself asks for nothing", async () => {
  await using server = startIngestServer({ port: 0 });
  fetchTransport(server.url);
  await turn();
  assertEquals(server.stats.requests, 0);
});

Deno.test("a timeout that is no number is refused", () => {
  assertThrows(
    () => fetchTransport("http://h/", { timeout: "5000" as never }),
    RangeError,
  );
});

Deno.test("an answer that is long only when decompressed is not read to its end", async () => {
  const zeros = new Blob([new Uint8Array(5_000_000)]).stream();
  const body = await new Response(
    zeros.pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  await using server = Deno.serve(
    { port: 0, onListen() {} },
    async (request) => {
      await request.text();
      return new Response(body, { headers: { "content-encoding": "gzip" } });
    },
  );
  const transport = fetchTransport(`http://localhost:${server.addr.port}`);
  const { signal } = new AbortController();
  const error = await assertRejects(
    () => transport.send([metric(1)], { signal }),
    SendError,
  );
  assertStringIncludes(error.message, "more text");
});

Deno.test("a broken connection's message says its reason and the URL once", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const hangUp = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(65536));
      connection.close();
    }
  })();
  const transport = fetchTransport(`http://127.0.0.1:${listener.addr.port}/x`);
  const { signal } = new AbortController();
  const error = await assertRejects(
    () => transport.send([metric(1)], { signal }),
    SendError,
  );
  assertEquals(error.message.split("/x").length, 2, error.message);
  listener.close();
  await hangUp;
});

Deno.test("a 200 that reports an error is no success", async () => {
  for (
    const [answer, reason] of [
      [{ status: "error", message: "no space" }, "no space"],
      [{ error: "backend down" }, "backend down"],
      [{ error: { code: 7 } }, '{"error":{"code":7}}'],
      [{ Status: "FAIL", message: "boom" }, "boom"],
      [{ status: 500, message: "boom" }, "boom"],
      [{ success: false, message: "boom" }, "boom"],
      [{ errors: ["x"], message: "boom" }, "boom"],
      [{ status: "success", rejected: 2, message: "boom" }, "boom"],
      [
        { partialSuccess: { rejectedDataPoints: "2" }, message: "boom" },
        "boom",
      ],
    ] as const
  ) {
    await using server = serve(() => Response.json(answer));
    const error = await failure(server.url);
    assertEquals([error.kind, error.code], ["refused", "status"]);
    assertEquals(
      error.message,
      `${server.url} answered 200 OK, but reports an error: ${reason}`,
    );
  }
  // What is not set is no error.
  for (
    const answer of [
      { status: "ok", error: null },
      { status: "success", error: "", errors: [] },
      { error: false, partialSuccess: { rejectedDataPoints: "0" } },
    ]
  ) {
    await using server = serve(() => Response.json(answer));
    await sendOne(server.url);
  }
});
