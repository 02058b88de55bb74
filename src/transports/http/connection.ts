// Leaving a connection that has gone silent.

/** What Deno has, and other runtimes do not need. */
interface HttpClient {
  close(): void;
}
const { createHttpClient } = (globalThis as {
  Deno?: { createHttpClient?: (options: object) => HttpClient };
}).Deno ?? {};

/**
 * The pool of connections that a transport uses.
 *
 * Over HTTP/1.1, an aborted request closes its connection. Over HTTP/2 it ends only
 * its stream, and the next request goes into the same connection, even if the path
 * has silently dropped it. So after a timeout, a transport for an `https:` URL on
 * Deno goes on with a pool of its own. Node's and Bun's `fetch` speak HTTP/1.1.
 */
export class Connections {
  readonly #mayBeHttp2: boolean;
  #client: HttpClient | undefined;

  constructor(href: string) {
    this.#mayBeHttp2 = href.startsWith("https:") &&
      createHttpClient !== undefined;
  }

  /** What goes into the `init` of `fetch`. */
  get init(): { client?: HttpClient } {
    return this.#client === undefined ? {} : { client: this.#client };
  }

  /** A request that was made with `init` had no answer in time. */
  abandon(init: { client?: HttpClient }): void {
    if (!this.#mayBeHttp2 || init.client !== this.#client) return;
    // Requests that are still under way keep theirs.
    this.#client?.close();
    this.#client = createHttpClient!({});
  }
}
