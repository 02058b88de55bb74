// What `fetch` means when it throws: its errors have no codes, and each runtime words
// them its own way. This is the one place that reads those words.

import type { SendErrorCode, SendErrorKind } from "../../core/send_error.ts";
import { messageOf } from "../../core/text.ts";

/** What broke. */
export interface NetworkFailure {
  readonly code: SendErrorCode;
  readonly kind: SendErrorKind;
  /** The runtime's words, without the URL that they repeat. */
  readonly reason: string;
}

/** As Deno, Node and Bun word them; the first that matches counts. */
const CODES: readonly (readonly [RegExp, SendErrorCode])[] = [
  [/connection refused|ECONNREFUSED|ConnectionRefused/i, "connection_refused"],
  [/dns error|failed to lookup|ENOTFOUND|EAI_AGAIN/i, "dns"],
  [
    /invalid peer certificate|certificate|self.signed|_CERT_|VERIFY_LEAF|CA file/i,
    "certificate",
  ],
  // An https: URL to a port that speaks plain HTTP, and the other way round.
  [
    /InvalidContentType|invalid HTTP version|WRONG_VERSION_NUMBER|packet length too long|HPE_INVALID_CONSTANT/i,
    "tls",
  ],
  [/invalid URL|ports? .*blocked|bad port/i, "address"],
];

/**
 * What does not come by waiting. Not `tls`: what a server says while it restarts may
 * look the same.
 */
const HOPELESS: ReadonlySet<SendErrorCode> = new Set([
  "permission",
  "certificate",
  "address",
]);

/** Reads an error of `fetch`. */
export function readNetworkError(error: unknown): NetworkFailure {
  // "fetch failed" is all that some runtimes say themselves; the cause tells why,
  // or where several addresses were tried, the first of its errors.
  let source = error instanceof Error && error.cause !== undefined
    ? error.cause
    : error;
  if (source instanceof AggregateError) source = source.errors[0] ?? source;
  const reason = messageOf(source)
    .replace(/^error sending request.*?client error \(\w+\): /s, "")
    .replace(/^error sending request.*? \([^)]*\): /s, "").trim();
  // A permission that Deno lacks.
  const denied = error instanceof Error && error.name === "NotCapable";
  const words = `${reason} ${codeOf(source)}`;
  const code = denied
    ? "permission"
    : CODES.find(([pattern]) => pattern.test(words))?.[1] ?? "connection";
  return {
    code,
    kind: HOPELESS.has(code) ? "refused" : "transient",
    reason,
  };
}

/** The `code` of an error of Node's or Bun's network. */
function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "";
}
