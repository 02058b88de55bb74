// The command line as a process of its own, and the world that it is given where it
// runs in the test's process.

import type { Input, Io, OutputFile, Sink, StopSignal } from "../src/cli/io.ts";
import type { Figures, Log } from "../src/cli/log.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the command line is started with, besides its arguments. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A file or folder to read instead of a pipe, by the shell's `<`. */
  readonly stdinFrom?: string;
  /** The permissions it gets; all by default. */
  readonly allow?: readonly string[];
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

const MODULE = new URL("../cli.ts", import.meta.url).pathname;

/** The arguments of `deno` that start the command line. */
export const CLI: readonly string[] = ["run", "-q", "-A", MODULE];

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
    const { env, stdinFrom, allow } = options;
    const deno = allow === undefined ? CLI : ["run", "-q", ...allow, MODULE];
    const command = [Deno.execPath(), ...deno, ...args];
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

/** The world of a command line that runs in this process. */
export class FakeIo implements Io {
  readonly #chunks: Uint8Array[];
  readonly #onRead: (left: number) => void;
  #listener: ((signal: StopSignal) => void) | undefined;
  output = "";
  messages = "";
  /** What the rejects file holds. */
  rejects = "";
  open = 0;

  constructor(
    chunks: Uint8Array[] = [],
    onRead: (left: number) => void = () => {},
  ) {
    this.#chunks = chunks;
    this.#onRead = onRead;
  }

  readonly stdin = {
    isTerminal: () => false,
    close() {},
    read: (buffer: Uint8Array): Promise<number | null> => {
      this.#onRead(this.#chunks.length);
      const chunk = this.#chunks.shift();
      if (chunk === undefined) return Promise.resolve(null);
      const n = Math.min(chunk.length, buffer.length);
      buffer.set(chunk.subarray(0, n));
      if (n < chunk.length) this.#chunks.unshift(chunk.subarray(n));
      return Promise.resolve(n);
    },
  };
  stdout: Sink = {
    write: (content: Uint8Array): Promise<number> => {
      this.output += decoder.decode(content);
      return Promise.resolve(content.length);
    },
  };
  stderr: Io["stderr"] = {
    isAnimated: () => false,
    columns: () => 80,
    writeSync: (content: Uint8Array): number => {
      this.messages += decoder.decode(content);
      return content.length;
    },
    write: (content: Uint8Array): Promise<number> =>
      Promise.resolve(this.stderr.writeSync!(content)),
  };

  env(): undefined {}

  peekEnv(): undefined {}

  readTextFile(path: string): Promise<string> {
    throw new Error(`Nobody reads ${path}`);
  }

  openInput(path: string): Promise<Input> {
    throw new Error(`Nobody opens ${path}`);
  }

  missing(): [] {
    return [];
  }

  openAppend(): Promise<OutputFile> {
    this.open++;
    const writeSync = (content: Uint8Array) => {
      // A file may take less than it is given.
      const n = Math.min(content.length, 1000);
      this.rejects += decoder.decode(content.subarray(0, n));
      return n;
    };
    return Promise.resolve({
      isInput: false,
      writeSync,
      write: (content) => Promise.resolve(writeSync(content)),
      close: () => void this.open--,
    });
  }

  onSignal(callback: (signal: StopSignal) => void): () => void {
    this.#listener = callback;
    return () => this.#listener = undefined;
  }

  /** Whether it still listens to signals. */
  get listens(): boolean {
    return this.#listener !== undefined;
  }

  signal(signal: StopSignal): void {
    this.#listener?.(signal);
  }

  exit(code: number): void {
    throw new Error(`Nobody exits with ${code}`);
  }
}

/** A log that keeps its lines. */
export class FakeLog implements Log {
  readonly lines: string[] = [];
  readonly figures: (Figures | undefined)[] = [];

  debug = (message: string, figures?: Figures): void =>
    this.#add("debug", message, figures);
  info = (message: string, figures?: Figures): void =>
    this.#add("info", message, figures);
  warn = (message: string, figures?: Figures): void =>
    this.#add("warn", message, figures);
  error = (message: string, figures?: Figures): void =>
    this.#add("error", message, figures);

  #add(level: string, message: string, figures: Figures | undefined): void {
    this.lines.push(`${level} ${message}`);
    this.figures.push(figures);
  }

  /** The lines since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }
}

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

/** Time that passes when the test says so, for timers and `performance.now`. */
export class HandClock implements Disposable {
  readonly #originals = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
  };
  readonly #alarms = new Map<number, Alarm>();
  #now = 1_000_000;
  #last = 0;

  constructor() {
    const set = (callback: () => void, delay = 0) => {
      this.#alarms.set(++this.#last, { at: this.#now + delay, callback });
      return this.#last;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout =
      ((id?: number) =>
        void this.#alarms.delete(id ?? 0)) as typeof clearTimeout;
    performance.now = () => this.#now;
  }

  /** Lets time pass, and the timers that are due then ring in their order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#alarms].filter(([, { at }]) => at <= end)
        .toSorted(([, a], [, b]) => a.at - b.at);
      if (next === undefined) break;
      const [id, { at, callback }] = next;
      this.#alarms.delete(id);
      this.#now = at;
      callback();
    }
    this.#now = end;
  }

  /** How many timers run. */
  get running(): number {
    return this.#alarms.size;
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#originals);
    // The one of the prototype is back.
    Reflect.deleteProperty(performance, "now");
  }
}
