// A server that misbehaves at the socket as it is told, request by request.

/** An answer in the test's own words. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * What becomes of a request:
 * - `none`: its metrics are stored, and the answer is 200 with their number;
 * - `bye`: the same, then the connection is closed, which no header has announced;
 * - `reset`: the connection breaks while the request is still being read;
 * - `cut`: its metrics are stored, and the connection is closed without an answer;
 * - `half`: the same after the first half of an answer;
 * - `late`: the same, and the answer is written when the client has hung up;
 * - `never`: it is read, and nothing else happens until the client hangs up;
 * - an answer: it is read, not stored, and answered so.
 */
export type Fault =
  | "none"
  | "bye"
  | "reset"
  | "cut"
  | "half"
  | "late"
  | "never"
  | Answer;

/** A request whose head has been read. */
export interface FaultyRequest {
  /** Which request it is, from 1. */
  readonly n: number;
  readonly method: string;
  /** The size of its body in bytes. */
  readonly length: number;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** An HTTP/1.1 server on a bare socket, for POSTs with a `Content-Length`. */
export class FaultServer implements AsyncDisposable {
  /** Decides about each request; called when its head has been read. */
  fault: (request: FaultyRequest) => Fault;
  /** How many requests have come. */
  requests = 0;
  readonly methods: string[] = [];
  /** The bodies that were read to their end. */
  readonly bodies: string[] = [];
  /** The values of the metrics stored, in order, and as often as they were stored. */
  readonly stored: number[] = [];
  /** Those of them whose answer the client has not seen. */
  readonly hidden: Set<number> = new Set();
  readonly #port: number;
  #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(fault: (request: FaultyRequest) => Fault = () => "none") {
    this.fault = fault;
    this.#listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    this.#port = this.#listener.addr.port;
    this.#run(this.#accept());
  }

  /** Where to send metrics. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1/ingest`;
  }

  /** Goes down: from now on connections are refused, and those there are break. */
  down(): void {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
  }

  /** Comes up again at the same address. */
  up(): void {
    this.#listener = Deno.listen({ port: this.#port, hostname: "127.0.0.1" });
    this.#run(this.#accept());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.down();
    } catch {
      // It was down already.
    }
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  #run(task: Promise<void>): void {
    const settled = task.catch(() => {}).then(() => {
      this.#tasks.delete(settled);
    });
    this.#tasks.add(settled);
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#connections.add(connection);
      this.#run(this.#serve(connection));
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    try {
      let rest: Uint8Array = new Uint8Array();
      for (;;) {
        const next = await this.#answer(connection, rest);
        if (next === undefined) return;
        rest = next;
      }
    } finally {
      // What is unread at a close makes it a reset.
      if (this.#connections.delete(connection)) connection.close();
    }
  }

  /** Reads and answers one request; returns what was read of the next one. */
  async #answer(
    connection: Deno.TcpConn,
    rest: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const read = async (size: number) => {
      const buffer = new Uint8Array(size);
      const n = await connection.read(buffer);
      if (n === null) return false;
      rest = concat(rest, buffer.subarray(0, n));
      return true;
    };
    // In small steps, so that a request that is to break is not in our hands yet.
    let end: number;
    while ((end = decoder.decode(rest).indexOf("\r\n\r\n")) < 0) {
      if (!await read(64)) return undefined;
    }
    const head = decoder.decode(rest.subarray(0, end));
    rest = rest.subarray(end + 4);
    const method = head.slice(0, head.indexOf(" "));
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    const n = ++this.requests;
    this.methods.push(method);
    const fault = this.fault({ n, method, length });
    if (fault === "reset") return undefined;

    while (rest.length < length) {
      if (!await read(64 * 1024)) return undefined;
    }
    const body = decoder.decode(rest.subarray(0, length));
    rest = rest.subarray(length);
    this.bodies.push(body);
    if (typeof fault === "object") {
      await writeAll(connection, format(fault));
      return rest;
    }
    if (fault === "never") {
      while (await read(1024));
      return undefined;
    }
    const { metrics } = JSON.parse(body) as { metrics: { value: number }[] };
    for (const { value } of metrics) {
      this.stored.push(value);
      if (fault !== "none" && fault !== "bye") this.hidden.add(value);
    }
    const answer = format({
      status: 200,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ status: "success", count: metrics.length }),
    });
    switch (fault) {
      case "cut":
        return undefined;
      case "half":
        await writeAll(connection, answer.subarray(0, answer.length / 2));
        return undefined;
      case "late":
        while (await read(1024));
        break;
    }
    try {
      await writeAll(connection, answer);
    } catch (error) {
      // The server went down in this moment.
      for (const { value } of metrics) this.hidden.add(value);
      throw error;
    }
    return fault === "none" ? rest : undefined;
  }
}

function format({ status, headers = {}, body = "" }: Answer): Uint8Array {
  const content = encoder.encode(body);
  const lines = [
    `HTTP/1.1 ${status} Whatever`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${content.length}`,
  ];
  return concat(encoder.encode(lines.join("\r\n") + "\r\n\r\n"), content);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

async function writeAll(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await connection.write(rest));
  }
}
