// A connection that has gone silent: over HTTP/2, which keeps a connection whose
// requests are aborted.

import { assert, assertEquals } from "@std/assert";
import { within } from "../_helpers.ts";

const here = new URL("./tls/", import.meta.url).pathname;

/** An HTTPS server that speaks HTTP/2, on Node; prints its port, then how many it took. */
const SERVER = `
  import { createSecureServer } from "node:http2";
  import { readFileSync } from "node:fs";
  const read = (name) => readFileSync(${JSON.stringify(here)} + name);
  const server = createSecureServer(
    { key: read("key.pem"), cert: read("cert.pem") },
    (request, response) => {
      let body = "";
      request.on("data", (data) => body += data);
      request.on("end", () => {
        const { metrics } = JSON.parse(body);
        console.log(request.httpVersion, metrics.length);
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ count: metrics.length }));
      });
    },
  );
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/** Sends one batch a line of stdin, and prints what became of it. */
const CLIENT = `
  import { fetchTransport, withRetry } from "${
  new URL("../../mod.ts", import.meta.url).href
}";
  const transport = withRetry(
    fetchTransport(Deno.args[0], { timeout: 500 }),
    { attempts: 3, baseDelay: 0, maxDelay: 0 },
  );
  const { signal } = new AbortController();
  for await (const _ of Deno.stdin.readable) {
    const metric = { name: "m", type: "gauge", value: 1 };
    await transport.send([metric], { signal })
      .then(() => console.log("sent"), (error) => console.log(error.message));
  }
`;

/** The lines of a stream, one at a time. */
function lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  return {
    async next(): Promise<string> {
      while (!rest.includes("\n")) {
        const { done, value } = await within(reader.read(), "a line");
        if (done) throw new Error("The stream has ended");
        rest += value;
      }
      const end = rest.indexOf("\n");
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      return line;
    },
    cancel: () => reader.cancel(),
  };
}

/** Forwards connections, until it is told to drop what comes over those it has. */
class Path implements AsyncDisposable {
  readonly #listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  readonly #open: Deno.Conn[] = [];
  readonly #done: Promise<unknown>[] = [];
  readonly #dropped = new Set<Deno.Conn>();
  connections = 0;

  constructor(port: number) {
    this.#done.push(
      (async () => {
        for await (const client of this.#listener) {
          this.connections++;
          const server = await Deno.connect({ port, hostname: "127.0.0.1" });
          this.#open.push(client, server);
          this.#done.push(
            this.#copy(client, server, client),
            this.#copy(server, client, client),
          );
        }
      })().catch(() => {}),
    );
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** From now on, nothing gets through the connections that there are. */
  goSilent(): void {
    for (const connection of this.#open) this.#dropped.add(connection);
  }

  async #copy(from: Deno.Conn, to: Deno.Conn, client: Deno.Conn) {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const n = await from.read(buffer);
        if (n === null) break;
        if (this.#dropped.has(client)) continue;
        for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
      }
    } catch {
      // Closed by the other side, or by the end of the test.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) {
      try {
        connection.close();
      } catch {
        // It is closed already.
      }
    }
    await Promise.all(this.#done);
  }
}

Deno.test("after a timeout the next attempt takes another connection, over HTTP/2 too", async () => {
  const server = new Deno.Command("node", {
    args: ["--input-type=module", "-e", SERVER],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const served = lines(server.stdout);
  await using path = new Path(Number(await served.next()));
  const client = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      "--no-check",
      "--allow-net",
      `data:application/typescript,${encodeURIComponent(CLIENT)}`,
      `https://localhost:${path.port}/v1/ingest`,
    ],
    env: { DENO_CERT: `${here}ca.pem`, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const said = lines(client.stdout);
  const writer = client.stdin.getWriter();
  const send = async () => {
    await writer.write(new Uint8Array([0x0a]));
    return await said.next();
  };
  try {
    assertEquals(await send(), "sent");
    assertEquals(await served.next(), "2.0 1", "it speaks HTTP/2");
    assertEquals(path.connections, 1);
    path.goSilent();
    assertEquals(await send(), "sent");
    assert(path.connections > 1, "another connection");
  } finally {
    await writer.close().catch(() => {});
    await client.status;
    server.kill();
    await server.status;
    await Promise.all([served.cancel(), said.cancel()]);
  }
});
