// The address that requests go to: with its headers, and with all that messages
// must not show of it.

import { excerpt, show } from "../../core/text.ts";

const encoder = new TextEncoder();

/** Where requests go, with which headers, and what of it must stay unsaid. */
export class Target {
  readonly href: string;
  /** The URL as messages show it. */
  readonly name: string;
  readonly headers: Headers;
  readonly #secrets: string[];

  constructor(
    input: string | URL,
    options: { apiKey?: string | undefined; headers?: HeadersInit | undefined },
  ) {
    let url: URL;
    try {
      url = new URL(input);
      if (url.protocol !== "http:" && url.protocol !== "https:") throw url;
    } catch {
      throw new TypeError(
        `Cannot create fetchTransport as 'url' must be an http: or https: URL: current value is "${
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
    this.headers = new Headers({ "content-type": "application/json" });
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
      // A shorter value would tear words apart that have nothing to do with it.
      ...secrets.filter((secret) => secret.trim().length >= 4),
      ...[apiKey ?? "", password].filter((secret) => secret.trim() !== ""),
    ].map((secret) => secret.trim())
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
      .sort((a, b) => b.length - a.length);
  }

  /**
   * What somebody else said, fit for a message: an error of `fetch` or a server may
   * repeat a secret. Those are blotted out first, so that the cut spares none.
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
        `Cannot create fetchTransport as ${what} holds a character that an HTTP header cannot carry`,
      );
    }
  }
}

/** The entries of any `HeadersInit`, unchecked: `Headers` would name a bad value. */
function headerEntries(
  init: HeadersInit | undefined,
): Iterable<[string, string]> {
  if (init === undefined) return [];
  if (Symbol.iterator in init) return init as Iterable<[string, string]>;
  return Object.entries(init);
}

/** A URL without credentials, query and fragment, also of a text that is no URL. */
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

/** Percent-decodes, and leaves a text alone that is not encoded so. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
