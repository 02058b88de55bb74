// The address that requests go to, with its headers and with everything about it that
// messages must not show.

import { excerpt, show } from "../../core/text.ts";

const encoder = new TextEncoder();

/**
 * Header fields: a `Headers`, a list of pairs or an object. Like the `HeadersInit` of
 * the DOM, whose types a program on Node does not have.
 */
export type HeaderFields =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string>>;

/** Where requests go, with which headers, and what of it stays secret. */
export class Target {
  readonly href: string;
  /** The URL as messages show it. */
  readonly name: string;
  readonly headers: Headers;
  readonly #secrets: string[];

  readonly #transport: string;

  /**
   * @param transport The function that makes the transport, as messages name it.
   * @param input The URL, with or without credentials.
   * @param wireHeaders The headers that the wire needs.
   * @param options The key and the headers that the user adds.
   */
  constructor(
    transport: string,
    input: string | URL,
    wireHeaders: Readonly<Record<string, string>>,
    options: {
      apiKey?: string | undefined;
      headers?: HeaderFields | undefined;
    },
  ) {
    this.#transport = transport;
    let url: URL;
    try {
      url = new URL(input);
      if (url.protocol !== "http:" && url.protocol !== "https:") throw url;
    } catch {
      throw new TypeError(
        `Cannot create ${transport} as 'url' must be an http: or https: URL: current value is "${
          safeUrl(String(input))
        }"`,
      );
    }
    // An environment variable that is not set up may well be empty.
    const apiKey = options.apiKey || undefined;
    let password = "";
    const { search, searchParams } = url;
    const secrets = [search, ...searchParams.values()];
    // Also as they stand there, and a query that is nothing but a key.
    for (const pair of search.slice(1).split("&")) {
      secrets.push(pair.slice(pair.indexOf("=") + 1));
    }
    this.headers = new Headers(wireHeaders);
    if (url.username !== "" || url.password !== "") {
      const user = decode(url.username);
      password = decode(url.password);
      const token = btoa(
        String.fromCharCode(...encoder.encode(`${user}:${password}`)),
      );
      secrets.push(user, url.username, url.password, token);
      this.headers.set("authorization", `Basic ${token}`);
      // `fetch` takes no URL with credentials.
      url.username = url.password = "";
    }
    if (apiKey !== undefined) {
      this.#set("authorization", `Bearer ${apiKey}`, "'apiKey'");
    }
    for (const [name, value] of headerEntries(options.headers)) {
      this.#set(name, value, `header ${show(name)}`);
      // The credentials alone too, without the scheme.
      secrets.push(String(value), String(value).trim().replace(/^\S+\s+/, ""));
    }
    url.hash = "";
    this.href = url.href;
    this.name = safeUrl(url.href);
    this.#secrets = [
      // Masking a shorter value would damage words that have nothing to do with it.
      ...secrets.filter((secret) => secret.trim().length >= 4),
      ...[apiKey ?? "", password].filter((secret) => secret.trim() !== ""),
    ].map((secret) => secret.trim())
      .flatMap(spellings)
      .sort((a, b) => b.length - a.length);
  }

  /**
   * What somebody else said, fit for a message: an error of `fetch` or a server may
   * repeat a secret. Secrets are masked before the text is cut, so that no part of
   * one is left at the end.
   */
  quote(words: string, max: number): string {
    let text = words.replaceAll(this.href, this.name);
    for (const secret of this.#secrets) text = text.replaceAll(secret, "***");
    return excerpt(text, max);
  }

  #set(name: string, value: string, what: string): void {
    try {
      this.headers.set(name, value);
    } catch {
      // The error of `Headers` would show the value.
      throw new TypeError(
        `Cannot create ${this.#transport} as ${what} holds a character that an HTTP header cannot carry`,
      );
    }
  }
}

/** A secret as a server may repeat it: in JSON, with or without `\\/`, or in a URL. */
function spellings(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const encoded = encodeURIComponent(secret.toWellFormed?.() ?? secret);
  return [
    secret,
    json,
    json.replaceAll("/", "\\/"),
    encoded,
    encoded.replace(/%[\dA-F]{2}/g, (code) => code.toLowerCase()),
  ];
}

/** The entries of header fields, unchecked: `Headers` would name a bad value. */
function headerEntries(
  init: HeaderFields | undefined,
): Iterable<readonly [string, string]> {
  if (init === undefined) return [];
  return Symbol.iterator in init
    ? init as Iterable<readonly [string, string]>
    : Object.entries(init);
}

/** A URL without credentials, query and fragment, even if the text is not a URL. */
export function safeUrl(text: string, base?: string): string {
  try {
    const url = new URL(text, base);
    if (url.protocol === "http:" || url.protocol === "https:") {
      return excerpt(url.origin + url.pathname, 200);
    }
  } catch {
    // Then by the look of it.
  }
  const bare = text.replace(/^((?:[a-z][\w+.-]*:)?\/\/)?.*@/is, "$1");
  return excerpt(bare.replace(/[?#].*$/s, ""), 200);
}

/** Percent-decodes a text, or leaves it alone if it is not encoded that way. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
