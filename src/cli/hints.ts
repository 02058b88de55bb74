// What to try when a send has failed: by the error's code and status, never by its
// words.

import {
  type SendError,
  type SendErrorCode,
  toSendError,
} from "../core/send_error.ts";
import type { Transport } from "../core/transport.ts";
import { wrapTransport } from "../delivery/wrap.ts";
import type { Proxy } from "./proxy.ts";
import type { CliTarget } from "./targets.ts";

/** What helps with any server that speaks HTTP. */
const HINTS: Readonly<Partial<Record<SendErrorCode | number, string>>> = {
  timeout: "a longer --timeout or a smaller --batch-size may help",
  connection_refused: "is the server running there?",
  dns: "check the host's name",
  certificate:
    "if the server's certificate is signed by a CA of your own, DENO_CERT=ca.pem makes Deno trust it",
  address: "check the URL",
  redirect: "give that address instead",
  407: "the proxy wants a user and a password in its URL",
  413: "a smaller --batch-size may help",
};

/** Where requests go. */
export interface Route {
  readonly url: string;
  readonly target: CliTarget;
  readonly proxy: Proxy | undefined;
}

/** Adds to each failure's message which way it went, and what to try. */
export function withHints<T>(
  transport: Transport<T>,
  route: Route,
): Transport<T> {
  return wrapTransport(transport, async (batch, options) => {
    try {
      await transport.send(batch, options);
    } catch (thrown) {
      const error = toSendError(thrown, batch);
      const { proxy } = route;
      // A proxy answers in the server's place, and refuses in its place too.
      const message = proxy === undefined
        ? error.message
        : `${error.message} (through the proxy ${proxy.name} of ${proxy.variable})`;
      const hint = hintFor(error, route);
      throw error.with({
        message: hint === undefined ? message : `${message}; ${hint}`,
      });
    }
  });
}

function hintFor(
  { code, status, kind }: SendError,
  { url, target, proxy }: Route,
): string | undefined {
  // What may pass by itself needs no advice but patience.
  if (status !== undefined && kind === "transient") return undefined;
  if (proxy !== undefined && code === "connection_refused") {
    return `is the proxy running? NO_PROXY=${
      new URL(url).hostname
    } bypasses it`;
  }
  if (code === "tls") {
    return /^https:/i.test(url)
      ? "the server does not speak https there: try http://"
      : "the server speaks https there: use https://";
  }
  return target.hints[code] ?? HINTS[code] ??
    (status === undefined ? undefined : target.hints[status] ?? HINTS[status]);
}
