// A server's answer: reading it within bounds, and what any HTTP server means by it.

import type { SendErrorCode, SendErrorKind } from "../../core/send_error.ts";

/** What a wire judges. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Its text, or `undefined` if there was too much of it. */
  readonly text: string | undefined;
}

/** Why an answer means that the request was not delivered. */
export interface Verdict {
  readonly kind: SendErrorKind;
  readonly code: SendErrorCode;
  /** What to add to "URL answered 400 Bad Request"; the server's own words, mostly. */
  readonly reason: string;
  /** Which item of the request the server blames, from 0. */
  readonly index?: number | undefined;
}

/** An answer that is longer is not read to its end. */
const MAX_ANSWER = 64 * 1024;

/** The answer's text, or `undefined` if it is longer than is worth reading. */
export async function readAnswer(
  response: Response,
): Promise<string | undefined> {
  if (response.body === null) return "";
  // An unread body costs the connection, so the usual answer is read to its end. The
  // length of a compressed one tells nothing.
  const { headers } = response;
  const length = Number(headers.get("content-length") ?? Infinity);
  if (length <= MAX_ANSWER && !headers.has("content-encoding")) {
    return await response.text();
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0; bytes <= MAX_ANSWER;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel().catch(() => {});
  return undefined;
}

/**
 * The verdict on a 2xx that no metrics server sends, such as the login page of a
 * proxy, or `undefined`.
 */
export function judgeForeignAnswer(
  { headers, text }: Answer,
): Verdict | undefined {
  const reason = text === undefined
    ? "with more text than a metrics server sends"
    : /html/i.test(headers.get("content-type") ?? "") || /^\s*</.test(text)
    ? "with HTML: it is not a metrics server"
    : undefined;
  return reason === undefined
    ? undefined
    : { kind: "refused", code: "not_metrics_server", reason };
}

/** The verdict on an answer that is no success, by what its status means in general. */
export function judgeStatus({ status, text }: Answer): Verdict {
  const reason = serverWords(text);
  // As Go's servers, nginx and Apache put it.
  return /HTTP(?: request)?(?: was sent)? to (?:an )?(?:HTTPS|SSL-enabled) (?:server|port)/i
      .test(text ?? "")
    ? {
      kind: "refused",
      code: "tls",
      reason: "the server speaks https at this port",
    }
    : { kind: kindOf(status), code: "status", reason };
}

function kindOf(status: number): SendErrorKind {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return "rejected";
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return "transient";
    default:
      return "refused";
  }
}

/** The server's own explanation: `message` of its JSON, else its text. */
function serverWords(text: string | undefined): string {
  if (text === undefined) return "";
  const { message, error } = parseObject(text) ?? {};
  const words = typeof message === "string"
    ? message
    : typeof error === "string"
    ? error
    : text;
  return /^\s*</.test(words) ? "(HTML)" : words.trim();
}

/** The JSON object that a text is, or `undefined`. */
export function parseObject(
  text: string,
): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

/** `Retry-After` in milliseconds: seconds or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
