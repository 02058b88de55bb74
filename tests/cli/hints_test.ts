// What is advised when a send fails: by the error's code and status.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Route, withHints } from "../../src/cli/hints.ts";
import { proxyFor } from "../../src/cli/proxy.ts";
import { TINYOBS } from "../../src/cli/targets.ts";
import {
  SendError,
  type SendErrorCode,
  type SendErrorOptions,
} from "../../src/core/send_error.ts";

const ROUTE: Route = {
  url: "https://host/v1/ingest",
  target: TINYOBS,
  proxy: undefined,
};

/** What is added to the message. */
async function hint(
  options: Partial<SendErrorOptions<number>> & { code: SendErrorCode },
  route: Partial<Route> = {},
): Promise<string> {
  const error = new SendError<number>("It failed", {
    kind: "refused",
    ...options,
  });
  const transport = withHints<number>(
    { send: () => Promise.reject(error) },
    { ...ROUTE, ...route },
  );
  try {
    await transport.send([1], { signal: new AbortController().signal });
  } catch (thrown) {
    const { message, code, kind, status } = thrown as SendError<number>;
    assertEquals([code, kind, status], [error.code, error.kind, error.status]);
    return message.slice("It failed".length);
  }
  throw new Error("It did not fail");
}

Deno.test("a certificate of a private CA names DENO_CERT", async () => {
  assertStringIncludes(await hint({ code: "certificate" }), "DENO_CERT=");
});

Deno.test("TLS where there is none, and none where there is, name the other scheme", async () => {
  assertStringIncludes(await hint({ code: "tls" }), "try http://");
  assertStringIncludes(
    await hint({ code: "tls" }, { url: "HTTP://host/" }),
    "use https://",
  );
});

Deno.test("the advice goes by code and status, whatever the words are", async () => {
  const cases: [Parameters<typeof hint>[0], string][] = [
    [{ code: "connection_refused", kind: "transient" }, "server running"],
    [{ code: "timeout", kind: "transient" }, "--timeout"],
    [{ code: "dns", kind: "transient" }, "host's name"],
    [{ code: "redirect", status: 302 }, "that address"],
    [{ code: "not_metrics_server", status: 200 }, "/v1/ingest"],
    [{ code: "series_limit", status: 429, kind: "rejected" }, "series"],
    [{ code: "status", status: 401 }, "--api-key-file"],
    [{ code: "status", status: 404 }, "/v1/ingest"],
    [{ code: "status", status: 413, kind: "rejected" }, "--batch-size"],
    [{ code: "status", status: 507 }, "storage"],
  ];
  for (const [error, words] of cases) {
    assertStringIncludes(await hint(error), words);
  }
});

Deno.test("what may pass by itself needs no advice", async () => {
  assertEquals(
    await hint({ code: "status", status: 503, kind: "transient" }),
    "",
  );
  assertEquals(await hint({ code: "connection", kind: "transient" }), "");
});

Deno.test("a proxy is named in every failure, as it may be the one that fails", async () => {
  const proxy = { name: "http://proxy:3128", variable: "$HTTPS_PROXY" };
  const named = " (through the proxy http://proxy:3128 of $HTTPS_PROXY)";
  assertEquals(
    await hint({ code: "status", status: 502, kind: "transient" }, { proxy }),
    named,
  );
  assertEquals(
    await hint({ code: "connection_refused", kind: "transient" }, { proxy }),
    `${named}; is the proxy running? NO_PROXY=host bypasses it`,
  );
  assertStringIncludes(
    await hint({ code: "status", status: 407 }, { proxy }),
    "the proxy wants a user and a password",
  );
});

Deno.test("the proxy is the one that Deno goes through", () => {
  const find = (url: string, env: Record<string, string>) =>
    proxyFor(url, (name) => env[name]);
  const [http, https] = ["http://host.example/v1", "https://host.example/v1"];
  const proxy = "http://user:secret@proxy:3128/";
  assertEquals(find(http, { HTTP_PROXY: proxy }), {
    name: "http://proxy:3128",
    variable: "$HTTP_PROXY",
  });
  assertEquals(find(https, { https_proxy: "proxy:3128" }), {
    name: "http://proxy:3128",
    variable: "$https_proxy",
  });
  assertEquals(find(https, { ALL_PROXY: "socks5://proxy:1080" }), {
    name: "socks5://proxy:1080",
    variable: "$ALL_PROXY",
  });
  assertEquals(find(https, { HTTP_PROXY: proxy }), undefined);
  assertEquals(find(http, {}), undefined);
  const except = (host: string, noProxy: string) =>
    find(`http://${host}/`, { HTTP_PROXY: proxy, NO_PROXY: noProxy }) ===
      undefined;
  assertEquals(
    [
      except("host.example", "host.example"),
      except("host.example", "other, .example"),
      except("host.example", "*"),
      except("10.1.2.3", "10.0.0.0/8"),
      except("10.1.2.3", "10.1.2.3"),
    ],
    Array(5).fill(true),
  );
  assertEquals(
    [
      except("host.example", "st.example"),
      except("host.example", ""),
      except("11.1.2.3", "10.0.0.0/8"),
    ],
    Array(3).fill(false),
  );
});
