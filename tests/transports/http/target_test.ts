// What is said of an address: enough to find it, and nothing secret.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  fetchTransport,
  type FetchTransportOptions,
  type Metric,
  SendError,
} from "../../../mod.ts";
import { metric } from "../../_helpers.ts";

type Options = FetchTransportOptions<Metric>;

function failure(url: string, options: Options = {}): Promise<SendError> {
  const { signal } = new AbortController();
  const transport = fetchTransport<Metric>(url, options);
  return assertRejects(
    () => transport.send([metric(1)], { signal }),
    SendError,
  );
}

function serve(
  answer: (request: Request) => Response,
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      await request.text();
      return answer(request);
    },
  );
}

/** The message of a refusal by a server that repeats all it was told. */
async function echo(
  url: (host: string) => string,
  options?: Options,
  padding = 0,
) {
  await using server = serve((request) => {
    const authorization = request.headers.get("authorization") ?? "";
    const user = /^Basic (.*)/.exec(authorization)?.[1];
    const words = [
      "x".repeat(padding) + authorization.replace(/^\w+ /, ""),
      user === undefined ? "" : atob(user),
      request.headers.get("x-key"),
      new URL(request.url).search,
    ];
    return Response.json({ message: words.join(" ") }, { status: 403 });
  });
  return (await failure(url(`127.0.0.1:${server.addr.port}`), options)).message;
}

const plain = (host: string) => `http://${host}/`;
const key = "T0PSECRETT0PSECRET";
const secrets: [string, (host: string) => string, Options, string, number?][] =
  [
    [
      "an encoded query value",
      (h) => `http://${h}/?token=s3cr%2Fet%20x`,
      {},
      "s3cr",
    ],
    [
      "a query that is nothing but a key",
      (h) => `http://${h}/?S3CRETKEY`,
      {},
      "S3CRET",
    ],
    ["the user of the URL", (h) => `http://T0KENUSER@${h}/`, {}, "T0KENUSER"],
    ["the password of the URL", (h) => `http://me:pw%2F1@${h}/`, {}, "pw/1"],
    ["a key in a header", plain, {
      headers: { authorization: `Bearer ${key}` },
    }, key],
    ["a header's value with spaces around", plain, {
      headers: { "x-key": ` ${key} ` },
    }, key],
    ["a key with a line feed at its end", plain, { apiKey: `${key}\n` }, key],
    ["a key that the cut splits", plain, { apiKey: key }, "T0PSECRET", 285],
    ["a short key", plain, { apiKey: "q7x" }, "q7x"],
  ];
for (const [name, url, options, secret, padding] of secrets) {
  Deno.test(`${name} is not shown when the server repeats it`, async () => {
    const message = await echo(url, options, padding);
    assertEquals(message.includes(secret), false, message);
  });
}

Deno.test("a key that the server repeats in other JSON is not shown", async () => {
  await using server = serve((request) =>
    Response.json([request.headers.get("authorization")], { status: 403 })
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const { message } = await failure(url, { apiKey: 'T0P"SECRET' });
  assertEquals(message.includes("SECRET"), false, message);
});

Deno.test("an address is shown as it is, even where a word of it is also in the query", async () => {
  const message = await echo((host) => `http://${host}/v1/ingest?mode=ingest`);
  assert(message.includes("/v1/ingest answered 403"), message);
});

Deno.test("a password that is not percent-encoded works", async () => {
  await using server = serve((request) => {
    assertEquals(
      request.headers.get("authorization"),
      `Basic ${btoa("u:50%off")}`,
    );
    return new Response();
  });
  const transport = fetchTransport(
    `http://u:50%off@127.0.0.1:${server.addr.port}/`,
  );
  await transport.send([metric(1)], { signal: new AbortController().signal });
});

for (
  const url of ["htp://u:s3cret#x@host/", "u:s3cret?x@host/", "//u:s3cret@host"]
) {
  Deno.test(`no part of a password is in the error of ${url.replace("s3cret", "…")}`, () => {
    const { message } = assertThrows(() => fetchTransport(url), TypeError);
    assertEquals(message.includes("s3cret"), false, message);
  });
}
