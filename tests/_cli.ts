// The command line as a process of its own, for tests.

const encoder = new TextEncoder();

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
