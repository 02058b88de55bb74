// What the tests of delivery share: a server that misbehaves at the socket as it is
// told, request by request, and the command line as a process of its own.

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

/** What the command line is started with, besides its arguments. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A file or folder to read instead of a pipe, by the shell's `<`. */
  readonly stdinFrom?: string;
}

/** How a run of the command line ended. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `--json` prints. */
export interface Summary {
  readonly read: number;
  readonly sent: number;
  readonly invalid: number;
  readonly undelivered: number;
  readonly batches: number;
  readonly retries: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** Only what hangs takes that long, in ms. */
const HANG = 60_000;

/** The arguments of `deno` that start the command line. */
export const CLI: readonly string[] = [
  "run",
  "-q",
  "-A",
  new URL("../cli.ts", import.meta.url).pathname,
];

/** The environment of the command line: ours, without what would set it up. */
export const CLI_ENV: Readonly<Record<string, string>> = {
  NO_COLOR: "1",
  TINYOBS_ENDPOINT: "",
  TINYOBS_API_KEY: "",
};

/** The command line as a process, with real pipes; killed if it outlives its test. */
export class Cli implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #outputs: Promise<unknown>;
  readonly #hang: ReturnType<typeof setTimeout>;
  #waiting: (() => void)[] = [];
  #ended = false;
  /** What it has written so far. */
  stdout = "";
  stderr = "";

  constructor(args: readonly string[], options: CliOptions = {}) {
    const { env, stdinFrom } = options;
    const command = [Deno.execPath(), ...CLI, ...args];
    const [program, ...rest] = stdinFrom === undefined
      ? command
      : ["sh", "-c", 'from=$1; shift; exec "$@" < "$from"', "sh", stdinFrom]
        .concat(command);
    this.#child = new Deno.Command(program!, {
      args: rest,
      env: { ...CLI_ENV, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
    // A child that ends early closes its end; what that means is the test's affair.
    this.#stdin.closed.catch(() => {});
    this.#outputs = Promise.all([
      this.#collect(this.#child.stdout, (text) => this.stdout += text),
      this.#collect(this.#child.stderr, (text) => this.stderr += text),
    ]);
    this.#hang = setTimeout(() => this.kill("SIGKILL"), HANG);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when the child's end of the pipe has taken it all; `false` if it never will. */
  async write(input: string | Uint8Array<ArrayBuffer>): Promise<boolean> {
    const bytes = typeof input === "string" ? encoder.encode(input) : input;
    try {
      await this.#stdin.write(bytes);
      return true;
    } catch {
      return false;
    }
  }

  /** Closes its stdin. */
  async end(): Promise<void> {
    await this.#stdin.close().catch(() => {});
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  /** Resolves once `text` stands on its stderr; fails if it ends without. */
  async says(text: string): Promise<void> {
    while (!this.stderr.includes(text)) {
      if (this.#ended) throw new Error(`Never said ${text}: ${this.stderr}`);
      await new Promise<void>((wake) => this.#waiting.push(wake));
    }
  }

  /** Waits for an event of the test; fails if the process ends before. */
  async until<T>(event: Promise<T>): Promise<T> {
    const end = this.result().then(({ code, stderr }) => {
      throw new Error(`It has ended with ${code}: ${stderr}`);
    });
    // After the event, the end is nobody's error.
    end.catch(() => {});
    return await Promise.race([event, end]);
  }

  /** Resolves when it has ended. */
  async result(): Promise<CliResult> {
    const [{ code }] = await Promise.all([this.#child.status, this.#outputs]);
    clearTimeout(this.#hang);
    // Also frees the pipe of a child that did not read to the end.
    await this.#stdin.abort().catch(() => {});
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.result();
  }

  async #collect(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    add: (text: string) => void,
  ): Promise<void> {
    const wake = () => {
      for (const next of this.#waiting.splice(0)) next();
    };
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      add(text);
      wake();
    }
    this.#ended = true;
    wake();
  }
}

/** Runs the command line on `input`, or on nothing. */
export async function runCli(
  args: readonly string[],
  input: string | Uint8Array<ArrayBuffer> = "",
  options: CliOptions = {},
): Promise<CliResult> {
  await using cli = new Cli(args, options);
  await Promise.all([cli.write(input).then(() => cli.end()), cli.result()]);
  return await cli.result();
}

/** The lines of a file or an output, without the empty one at its end. */
export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
