// Checks the library on a runtime that is not Deno:
//
//     node tests/_runtime_check.mjs BUNDLE         a fixed set of checks, against a server on loopback
//     node tests/_runtime_check.mjs BUNDLE tests   tests written for Deno, as far as they need none
//
// BUNDLE is mod.ts, or the tests, as one JavaScript file; runtimes_test.ts makes both. Prints a
// line for each check or what failed of the tests, then the numbers, and exits with 1 if one
// failed. Plain JavaScript without a test runner, so that every runtime runs this file as it is.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";

const [, , bundle, role, address] = process.argv;
const load = () => import(pathToFileURL(bundle).href);
const {
  Batcher,
  checkMetric,
  fetchTransport,
  SendError,
  withQuarantine,
  withRetry,
} = role === "tests" ? {} : await load();

const metric = (value) => ({ name: "m", type: "counter", value });
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const never = new AbortController().signal;

// The parts of checks that need a process of their own, as its end is what they are about.
if (role === "ends") {
  const batcher = new Batcher(fetchTransport(address), { flushEvery: 20 });
  batcher.start();
  batcher.add(metric(1));
  // Neither flush nor stop: the timer sends, and then nothing keeps the process alive.
} else if (role === "idles") {
  new Batcher(fetchTransport(address)).start();
} else if (role === "logs") {
  const batcher = new Batcher(fetchTransport(address));
  batcher.add(metric(NaN));
  batcher.add(metric(1));
  await batcher.stop();
} else if (role === "tests") {
  await runTests();
} else {
  await runChecks();
}

/** A server that answers as `answer` says, and keeps what it got. */
async function startServer(answer = accept) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = "";
    request.setEncoding("utf8");
    for await (const chunk of request) body += chunk;
    const { method, headers } = request;
    const got = { method, headers, body, n: requests.length + 1 };
    requests.push(got);
    const own = answer(got);
    if (own === undefined) return; // never answers
    const { status = 200, headers: own_headers = {}, text = "" } = own;
    response.writeHead(status, own_headers).end(text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}/v1/ingest`,
    requests,
    /** All metrics of the requests that came, refused ones included. */
    get metrics() {
      return requests.flatMap(({ body }) => JSON.parse(body).metrics);
    },
    close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      return closed;
    },
  };
}

function accept({ body }) {
  return json(200, { count: JSON.parse(body).metrics.length });
}

function json(status, value, headers = {}) {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    text: JSON.stringify(value),
  };
}

/** Calls `use` with a server that is closed afterwards. */
async function withServer(answer, use) {
  const server = await startServer(answer);
  try {
    return await use(server);
  } finally {
    await server.close();
  }
}

/** What a send fails with. */
async function failure(transport, batch = [metric(1)], signal = never) {
  try {
    await transport.send(batch, { signal });
  } catch (error) {
    assert(error instanceof SendError, `${error} is no SendError`);
    return error;
  }
  throw new Error("It was delivered");
}

/** Runs this file in one of its other roles until it ends by itself. */
async function runRole(name, url) {
  const child = spawn(process.execPath, [
    fileURLToPath(import.meta.url),
    bundle,
    name,
    url,
  ], { stdio: ["ignore", "pipe", "pipe"] });
  const hang = setTimeout(() => child.kill("SIGKILL"), 20_000);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => stdout += chunk);
  child.stderr.on("data", (chunk) => stderr += chunk);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(hang);
  return { code, stdout, stderr };
}

async function runChecks() {
  const checks = {
    "add, flush and stop deliver, and the accounting holds": () =>
      withServer(accept, async (server) => {
        const batcher = new Batcher(
          fetchTransport(server.url, {
            apiKey: "key",
            headers: { "x-a": "b" },
          }),
          { maxBatchSize: 10, logger: quiet },
        );
        for (let i = 0; i < 25; i++) assert(batcher.add(metric(i)));
        const report = await batcher.flush();
        assert.deepEqual(report, { sent: 25, failed: 0, errors: [] });
        batcher.add({ ...metric(25), labels: { größe: "ß😀" } });
        await batcher.stop();
        assert.equal(batcher.add(metric(26)), false);
        const sizes = server.requests.map(({ body }) =>
          JSON.parse(body).metrics.length
        );
        assert.deepEqual(sizes.sort(), [1, 10, 10, 5]);
        const values = server.metrics.map(({ value }) => value);
        assert.deepEqual(
          values.sort((a, b) => a - b),
          Array.from({ length: 26 }, (_, i) => i),
        );
        assert.deepEqual(
          server.metrics.find(({ value }) => value === 25).labels,
          { größe: "ß😀" },
        );
        for (const { method, headers } of server.requests) {
          assert.equal(method, "POST");
          assert.equal(headers["content-type"], "application/json");
          assert.equal(headers.authorization, "Bearer key");
          assert.equal(headers["x-a"], "b");
        }
        const { added, sent, failed, buffered, inFlight, refused } =
          batcher.stats;
        assert.deepEqual([added, sent, failed, buffered, inFlight], [
          26,
          26,
          0,
          0,
          0,
        ]);
        assert.equal(refused.stopped, 1);
      }),

    "a full batch and a full buffer do not wait for the timer": () =>
      withServer(accept, async (server) => {
        const batcher = new Batcher(fetchTransport(server.url), {
          maxBatchSize: 50,
          maxBuffered: 100,
        });
        for (let i = 0; i < 2000; i++) {
          await batcher.ready;
          assert(batcher.add(metric(i)));
        }
        await batcher.stop();
        assert.equal(server.metrics.length, 2000);
        assert(server.requests.length >= 40);
      }),

    "NaN and what else is no metric is refused": async () => {
      const lines = [];
      const batcher = new Batcher({ send: () => Promise.resolve() }, {
        logger: { ...quiet, warn: (line) => lines.push(line) },
      });
      for (const value of [NaN, Infinity, "1", null, 1n]) {
        assert.equal(batcher.add(metric(value)), false);
      }
      assert.equal(batcher.add({ ...metric(1), labels: { a: 1 } }), false);
      assert.equal(batcher.stats.refused.invalid, 6);
      assert.match(lines[0], /'value' must be a finite number.* NaN/);
      assert.equal(checkMetric(metric(1)), undefined);
      await batcher.stop();
    },

    "stamps have nanoseconds and increase strictly": () =>
      withServer(accept, async (server) => {
        const batcher = new Batcher(fetchTransport(server.url));
        for (let i = 0; i < 1000; i++) batcher.add(metric(i));
        await batcher.stop();
        const stamps = server.metrics.map(({ timestamp }) => timestamp);
        assert.match(stamps[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
        assert.equal(new Set(stamps).size, 1000);
        assert.deepEqual(stamps, [...stamps].sort());
      }),

    "the lazy timer delivers and lets the process end": () =>
      withServer(accept, async (server) => {
        const { code, stderr } = await runRole("ends", server.url);
        assert.deepEqual([code, stderr], [0, ""]);
        assert.equal(server.metrics.length, 1);
      }),

    "an idle Batcher lets the process end": async () => {
      const { code, stderr } = await runRole("idles", "http://127.0.0.1:9/");
      assert.deepEqual([code, stderr], [0, ""]);
    },

    "warnings and errors go to stderr, nothing to stdout": () =>
      withServer(() => json(401, { message: "no key" }), async (server) => {
        const { code, stdout, stderr } = await runRole("logs", server.url);
        assert.deepEqual([code, stdout], [0, ""]);
        assert.match(stderr, /^Cannot add metric: .*NaN$/m);
        assert.match(stderr, /^Failed to send metrics: .* 401 .*: no key \(/m);
      }),

    "a 503 is retried with the same bytes": () =>
      withServer(
        (request) =>
          request.n < 3
            ? json(503, {}, { "retry-after": "0" })
            : accept(request),
        async (server) => {
          const events = [];
          const batcher = new Batcher(
            withRetry(fetchTransport(server.url), {
              baseDelay: 5,
              onRetry: (event) => events.push(event),
            }),
          );
          batcher.add(metric(1));
          assert.equal((await batcher.stop()).sent, 1);
          assert.equal(server.requests.length, 3);
          assert.equal(
            new Set(server.requests.map(({ body }) => body)).size,
            1,
          );
          assert.deepEqual(events.map(({ attempt }) => attempt), [1, 2]);
          assert.equal(events[0].error.retryAfter, 0);
        },
      ),

    "a connection that is refused is transient, and the message says why":
      async () => {
        const server = await startServer();
        const { port } = new URL(server.url);
        await server.close();
        for (const host of ["127.0.0.1", "localhost"]) {
          const error = await failure(
            fetchTransport(`http://${host}:${port}/`),
          );
          assert.equal(error.kind, "transient");
          assert.match(error.message, /refused|unable to connect/i);
        }
      },

    "a connection that breaks is transient": () =>
      withServer(() => undefined, async (server) => {
        const sending = failure(fetchTransport(server.url));
        while (server.requests.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        await server.close();
        assert.equal((await sending).kind, "transient");
      }),

    "the one bad metric of a batch is found, the others are delivered": () =>
      withServer((request) => {
        const { metrics } = JSON.parse(request.body);
        const at = metrics.findIndex(({ value }) => value === 37);
        return at < 0
          ? accept(request)
          : json(400, { message: `invalid metric at index ${at}: bad` });
      }, async (server) => {
        const lost = [];
        const batcher = new Batcher(
          withQuarantine(withRetry(fetchTransport(server.url))),
          { logger: quiet, onFailure: (metrics) => lost.push(...metrics) },
        );
        for (let i = 0; i < 100; i++) batcher.add(metric(i));
        const { sent, failed } = await batcher.stop();
        assert.deepEqual([sent, failed], [99, 1]);
        assert.deepEqual(lost.map(({ value }) => value), [37]);
      }),

    "no answer in time is transient": () =>
      withServer(() => undefined, async (server) => {
        const error = await failure(
          fetchTransport(server.url, { timeout: 50 }),
        );
        assert.equal(error.kind, "transient");
        assert.match(error.message, /^No answer from .* within 50 ms$/);
      }),

    "stop() aborts at its deadline and hands back what was left": () =>
      withServer(() => undefined, async (server) => {
        const lost = [];
        const batcher = new Batcher(withRetry(fetchTransport(server.url)), {
          maxBatchSize: 2,
          maxInFlight: 1,
          logger: quiet,
          onFailure: (metrics) => lost.push(...metrics),
        });
        for (let i = 0; i < 5; i++) batcher.add(metric(i));
        const { sent, failed, errors } = await batcher.stop({ timeout: 50 });
        assert.deepEqual([sent, failed, errors.length], [0, 5, 3]);
        assert.deepEqual(
          lost.map(({ value }) => value).sort(),
          [0, 1, 2, 3, 4],
        );
      }),

    "a signal given to start() stops, and one given to send() aborts": () =>
      withServer(
        (request) => request.n === 1 ? accept(request) : undefined,
        async (server) => {
          const controller = new AbortController();
          const batcher = new Batcher(fetchTransport(server.url));
          batcher.start(controller.signal);
          batcher.add(metric(1));
          controller.abort();
          assert.equal((await batcher.stop()).sent, 1);

          const error = await failure(
            fetchTransport(server.url),
            [metric(2)],
            AbortSignal.timeout(50),
          );
          assert.equal(error.kind, "transient");
          assert.match(error.message, /aborted/);
        },
      ),

    "a redirect is not followed": () =>
      withServer(
        ({ method }) =>
          method === "POST"
            ? {
              status: 302,
              headers: { location: "http://user:pw@127.0.0.1:9/x?key=secret" },
            }
            : json(200, {}),
        async (server) => {
          const error = await failure(fetchTransport(server.url));
          assert.deepEqual([error.kind, error.status], ["refused", 302]);
          assert.match(error.message, /redirect to http:\/\/127.0.0.1:9\/x$/);
          assert.equal(server.requests.length, 1);
        },
      ),

    "a count that is too small is a failure, and so is a page of HTML": () =>
      withServer(
        ({ n }) =>
          n === 1 ? json(200, { count: 1 }) : {
            headers: { "content-type": "text/html" },
            text: "<html>Welcome",
          },
        async (server) => {
          const transport = fetchTransport(server.url);
          const batch = [metric(1), metric(2)];
          const small = await failure(transport, batch);
          assert.equal(small.kind, "refused");
          assert.match(small.message, /took 1 of 2 metrics/);
          const html = await failure(transport, batch);
          assert.equal(html.kind, "refused");
          assert.match(html.message, /HTML/);
        },
      ),

    "a huge answer is not read to its end": () =>
      withServer(
        () => ({ text: "x".repeat(8 * 1024 * 1024) }),
        async (server) => {
          const error = await failure(fetchTransport(server.url));
          assert.match(error.message, /more text/);
        },
      ),

    "secrets stay out of messages": () =>
      withServer(
        ({ headers }) =>
          json(403, { message: `${headers.authorization} is wrong` }),
        async (server) => {
          const url = server.url.replace("//", "//user:password@");
          const error = await failure(fetchTransport(`${url}?token=s3cret`));
          assert.equal(
            server.requests[0].headers.authorization,
            `Basic ${btoa("user:password")}`,
          );
          assert.doesNotMatch(
            `${error.message} ${error.stack}`,
            /password|s3cret|dXNlc/,
          );
          for (const apiKey of ["s3cret\nx", "s3cret\0", "s3cret😀"]) {
            assert.throws(
              () => fetchTransport(url, { apiKey }),
              (error) =>
                error instanceof TypeError && !error.message.includes("s3cret"),
            );
          }
        },
      ),

    "the end of an await using scope delivers": () =>
      withServer(accept, async (server) => {
        const transport = fetchTransport(server.url);
        assert.equal(typeof Symbol.asyncDispose, "symbol");
        let scope;
        try {
          // Where this is no syntax yet, the file must be read all the same.
          scope = new Function(
            "Batcher",
            "transport",
            "metric",
            `return (async () => {
              await using batcher = new Batcher(transport);
              batcher.add(metric);
            })()`,
          );
        } catch (error) {
          assert(error instanceof SyntaxError);
          scope = async () => {
            const batcher = new Batcher(transport);
            batcher.add(metric(1));
            await batcher[Symbol.asyncDispose]();
          };
        }
        await scope(Batcher, transport, metric(1));
        assert.equal(server.metrics.length, 1);
      }),
  };

  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok      ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED  ${name}\n${error?.stack ?? error}`);
    }
  }
  end(Object.keys(checks).length - failed, failed, 0);
}

function end(passed, failed, skipped) {
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/**
 * Runs the tests of a bundle in the place of `deno test`. One that fails where it asks for
 * something of Deno, such as a server, is skipped.
 */
async function runTests() {
  // What the tests use, and not the library, and Node 20 lacks.
  Promise.withResolvers ??= function () {
    let resolve, reject;
    const promise = new Promise((a, b) => [resolve, reject] = [a, b]);
    return { promise, resolve, reject };
  };
  Response.prototype.bytes ??= async function () {
    return new Uint8Array(await this.arrayBuffer());
  };
  Set.prototype.symmetricDifference ??= function (other) {
    return new Set([
      ...[...this].filter((item) => !other.has(item)),
      ...[...other].filter((item) => !this.has(item)),
    ]);
  };

  const tests = [];
  let running = false;
  let needed = "";
  const known = {
    test(...args) {
      const options = args.find((arg) => typeof arg === "object") ?? {};
      const name = args.find((arg) => typeof arg === "string");
      const fn = args.find((arg) => typeof arg === "function");
      tests.push({ name, fn, ...options });
    },
    inspect,
    noColor: true,
  };
  globalThis.Deno = new Proxy(known, {
    get(target, key) {
      if (key in target || !running) return target[key];
      needed = `Deno.${String(key)}`;
      throw new Error(`This test needs ${needed}`);
    },
  });
  await load();

  let failed = 0;
  let skipped = 0;
  running = true;
  for (const { name, fn, ignore, permissions } of tests) {
    needed = "";
    try {
      if (ignore || permissions) skipped++;
      else await fn({});
    } catch (error) {
      if (needed === "") {
        failed++;
        console.log(`FAILED  ${name}\n${error?.stack ?? error}`);
      } else {
        skipped++;
      }
    }
  }
  end(tests.length - failed - skipped, failed, skipped);
}
