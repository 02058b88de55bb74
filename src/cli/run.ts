// The command line: a front on the same engine and transport that the library
// offers.

import denoJson from "../../deno.json" with { type: "json" };
import { Engine } from "../core/engine.ts";
import { fetchTransport } from "../transports/tinyobs.ts";
import { type Logger, ThrottledLog } from "../core/logger.ts";
import { encodeLines, type Line } from "../ndjson/line.ts";
import { type BadLine, NdjsonReader } from "../ndjson/reader.ts";
import { withQuarantine } from "../delivery/quarantine.ts";
import { withRetry } from "../delivery/retry.ts";
import { count, excerpt, messageOf, show } from "../core/text.ts";
import type { Transport } from "../core/transport.ts";
import { withBreaker } from "../delivery/breaker.ts";
import { completions } from "./completions.ts";
import { HELP } from "./help.ts";
import { withHints } from "./hints.ts";
import { readLines } from "./input.ts";
import {
  type Input,
  type InputFile,
  type Io,
  type Need,
  STOP_SIGNALS,
  type StopSignal,
} from "./io.ts";
import { makeLogger } from "./log.ts";
import { type CliOptions, parseOptions, UsageError } from "./options.ts";
import { LiveLine } from "./progress.ts";
import { RejectsFile } from "./rejects.ts";

/** How many bad lines are explained; the others are counted. */
const MAX_EXPLAINED = 10;
/** How many bytes of input may wait or be in flight; lines of usual length never do. */
const MAX_WAITING = 32 * 1024 * 1024;

const encoder = new TextEncoder();

/**
 * Runs the command line.
 *
 * @param args The arguments, without the program's name.
 * @param io Streams, environment and files.
 * @returns The exit code.
 */
export async function run(args: string[], io: Io): Promise<number> {
  try {
    if (args[0] === "completions") return await printCompletions(args, io);
    const needs: Need[] = [];
    const options = parseOptions(args, (variable) => {
      const need = { name: "env", variable } as const;
      if (io.missing([need]).length === 0) return io.env(variable);
      needs.push(need);
      return undefined;
    });
    if (options === "help" || options === "version") {
      return await print(
        options === "help" ? HELP : `tinyobs-batch ${denoJson.version}\n`,
        io,
      );
    }
    const readsStdin = options.files.length === 0 ||
      options.files.includes("-");
    if (readsStdin && io.stdin.isTerminal()) {
      writeStderr(io, HELP);
      return 2;
    }
    requirePermissions([...needs, ...permissionsFor(options)], io);
    return await new Run(options, io).run();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    writeStderr(
      io,
      `tinyobs-batch: ${error.message}\nTry 'tinyobs-batch --help'.\n`,
    );
    return 2;
  }
}

/** One run: from the input to the summary. */
class Run {
  readonly #options: CliOptions;
  readonly #io: Io;
  readonly #logger: Logger;
  readonly #retryLog: ThrottledLog;
  readonly #begin = performance.now();
  /** Aborted by the first signal: no more is read. */
  readonly #stop = new AbortController();
  #stopSignal: StopSignal | undefined;
  #signals = 0;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;
  #live: LiveLine | undefined;

  /** The input being read, with its name if it is not the only one. */
  #source = "";
  #file: InputFile | undefined;
  /** Lines that were read and could not be sent anymore, after a signal. */
  readonly #unsent: Line[] = [];
  #readFailed = false;
  #stdoutClosed = false;
  #stdoutFailed = false;
  /** Bytes of lines that wait or are in flight. */
  #waiting = 0;
  #bytes = 0;
  #retries = 0;

  constructor(options: CliOptions, io: Io) {
    this.#options = options;
    this.#io = io;
    this.#logger = makeLogger(
      options.verbose ? "DEBUG" : "INFO",
      options.logFormat,
      (text) => {
        this.#live?.clear();
        writeStderr(io, text);
      },
    );
    this.#retryLog = new ThrottledLog((message) => this.#logger.warn(message));
  }

  async run(): Promise<number> {
    const options = this.#options;
    const inputs = await this.#openInputs();
    const transport = this.#makeTransport(await readApiKey(options, this.#io));
    const rejects = await this.#openRejects();
    const engine = new Engine<Line>(
      "tinyobs-batch",
      transport,
      (lines) => lines,
      {
        maxBatchSize: options.batchSize,
        flushEvery: options.flushEvery,
        // Enough to fill every free request while one chunk of input is read.
        maxBuffered: options.batchSize * (options.concurrency + 2),
        // What is printed instead of sent is to keep its order.
        maxInFlight: options.dryRun ? 1 : options.concurrency,
        logger: {
          debug: (message) => this.#logger.debug(message),
          info: (message) => this.#logger.info(message),
          warn: (message) => this.#logger.warn(message),
          error: (message) => {
            // The retries come before what they led to.
            this.#retryLog.flush();
            this.#logger.error(message);
          },
        },
        onFailure: (lines) =>
          rejects?.writeLines(lines.map((line) => line.bytes)),
      },
    );
    const reader = new NdjsonReader({
      labels: options.labels,
      onBadLine: (line) => {
        rejects?.writePart(line.raw, line.more);
        if (!line.continued && reader.invalid <= MAX_EXPLAINED) {
          this.#explain(line);
        }
      },
    });
    const forget = this.#io.onSignal((signal) =>
      this.#onSignal(signal, engine)
    );
    this.#startLiveLine(reader, engine);

    engine.start();
    for (const [name, input] of inputs) {
      if (this.#stop.signal.aborted) break;
      await this.#send(name, input, reader, engine);
    }
    await engine.stop(Infinity);
    forget();
    clearTimeout(this.#drainTimer);
    for (const [, input] of inputs) if ("close" in input) input.close();
    this.#retryLog.flush();
    rejects?.writeLines(this.#unsent.map((line) => line.bytes));
    rejects?.close();
    this.#live?.stop();
    return await this.#summarize(reader, engine, rejects);
  }

  /** Sends the lines of one input. */
  async #send(
    name: string,
    input: Input | InputFile,
    reader: NdjsonReader,
    engine: Engine<Line>,
  ): Promise<void> {
    this.#source = this.#options.files.length > 1 ? name : "";
    this.#file = "size" in input ? input : undefined;
    try {
      for await (const lines of readLines(input, reader, this.#stop.signal)) {
        for (const line of lines) {
          // Waiting here is what slows a pipe down to what the server takes.
          if (engine.full) await engine.ready;
          if (this.#waiting > MAX_WAITING) await engine.flush();
          if (engine.closed) {
            this.#unsent.push(line);
          } else {
            this.#waiting += line.size;
            engine.push(line);
          }
        }
      }
    } catch (error) {
      this.#readFailed = true;
      this.#logger.error(
        `Cannot read ${name}: ${excerpt(messageOf(error), 200)}` +
          (name.endsWith(".gz") ? "; try gzip -t" : ""),
      );
    }
  }

  #onSignal(signal: StopSignal, engine: Engine<Line>): void {
    if (++this.#signals > 2) return this.#io.exit(STOP_SIGNALS[signal]);
    if (this.#signals === 2) {
      // At once, but for what is to be written to the rejects.
      engine.stop(0, `a second ${signal} came`);
      return;
    }
    this.#stopSignal = signal;
    this.#logger.warn(
      `${signal}: reading no more, sending what was read (again to stop at once)`,
    );
    this.#stop.abort();
    const { drainTimeout } = this.#options;
    this.#drainTimer = setTimeout(
      () =>
        engine.stop(
          0,
          `the --drain-timeout of ${drainTimeout / 1000} s is over`,
        ),
      drainTimeout,
    );
  }

  /** `-n | head -1` has what it wants; anything else that breaks stdout is worth a word. */
  #onClosedStdout(error: unknown): void {
    this.#stop.abort();
    this.#stdoutClosed = true;
    if (error instanceof Deno.errors.BrokenPipe) return;
    this.#stdoutFailed = true;
    this.#logger.error(`Cannot write to stdout: ${messageOf(error)}`);
  }

  /** All of them before anything is read, so that a wrong name costs nothing. */
  async #openInputs(): Promise<[name: string, input: Input | InputFile][]> {
    const { files } = this.#options;
    if (files.length === 0) return [["stdin", this.#io.stdin]];
    const inputs: [string, Input | InputFile][] = [];
    for (const path of files) {
      try {
        inputs.push(
          path === "-"
            ? ["stdin", this.#io.stdin]
            : [path, await this.#io.openInput(path)],
        );
      } catch (error) {
        throw new UsageError(
          `Cannot read --file ${show(path)}: ${messageOf(error)}`,
        );
      }
    }
    return inputs;
  }

  async #openRejects(): Promise<RejectsFile | undefined> {
    const path = this.#options.rejects;
    if (path === undefined) return undefined;
    const inputs = this.#options.files.filter((file) => file !== "-");
    let file: Awaited<ReturnType<Io["openAppend"]>>;
    try {
      file = await this.#io.openAppend(path, inputs);
    } catch (error) {
      throw new UsageError(
        `Cannot open --rejects ${show(path)}: ${messageOf(error)}`,
      );
    }
    if (file.isInput) {
      file.close();
      // It would read what it writes, and never end.
      throw new UsageError(
        `Option --rejects must not name the input itself: ${show(path)}`,
      );
    }
    let failed = false;
    return new RejectsFile(file, (error) => {
      if (!failed) {
        this.#logger.error(
          `Cannot write to --rejects ${show(path)}: ${messageOf(error)}`,
        );
      }
      failed = true;
    });
  }

  #makeTransport(apiKey: string | undefined): Transport<Line> {
    const { url, headers, timeout, dryRun, retries } = this.#options;
    const printInstead = async (_url: string, init: RequestInit) => {
      const body = init.body as Uint8Array;
      const line = new Uint8Array(body.length + 1);
      line.set(body);
      line[body.length] = 0x0a;
      try {
        await writeStdout(this.#io, line);
      } catch (error) {
        this.#onClosedStdout(error);
      }
      return new Response();
    };
    let transport: Transport<Line>;
    try {
      transport = fetchTransport<Line>(url, {
        apiKey,
        headers,
        timeout,
        encode: (lines) => {
          const body = encodeLines(lines);
          this.#bytes += body.length;
          return body;
        },
        fetch: dryRun ? printInstead : undefined,
      });
    } catch (error) {
      throw new UsageError(messageOf(error));
    }
    const hinting = withHints(transport);
    const retrying = withRetry(hinting, {
      attempts: retries + 1,
      onRetry: ({ attempt, delay, error }) => {
        this.#retries++;
        this.#retryLog.say(() =>
          `Retry ${attempt} of ${retries} in ${
            (delay / 1000).toFixed(1)
          } s: ${error.message}`
        );
      },
    });
    const delivering = withQuarantine(withBreaker(hinting, retrying));
    return {
      send: (lines, sendOptions) =>
        delivering.send(lines, sendOptions).finally(() => {
          for (const line of lines) this.#waiting -= line.size;
        }),
    };
  }

  #explain({ number, reason, raw }: BadLine): void {
    const start = new TextDecoder().decode(raw.subarray(0, 200));
    const source = this.#source === "" ? "" : `${excerpt(this.#source)}: `;
    this.#logger.warn(
      `${source}Line ${number}: ${reason}: ${excerpt(start.trim(), 80)}`,
    );
  }

  #startLiveLine(reader: NdjsonReader, engine: Engine<Line>): void {
    const { progress, quiet } = this.#options;
    const { stderr } = this.#io;
    if (!progress || quiet || !stderr.isAnimated()) return;
    this.#live = new LiveLine(
      (text) => writeStderr(this.#io, text),
      () => stderr.columns(),
      () => ({
        read: reader.lines,
        sent: engine.sent,
        waiting: engine.buffered + engine.inFlight,
        failed: reader.invalid + engine.failed,
        fraction: this.#file && this.#file.size > 0
          ? this.#file.position / this.#file.size
          : undefined,
      }),
    );
  }

  async #summarize(
    reader: NdjsonReader,
    engine: Engine<Line>,
    rejects: RejectsFile | undefined,
  ): Promise<number> {
    const { dryRun, json, quiet } = this.#options;
    const { lines: read, invalid } = reader;
    const { batches } = engine;
    const sent = dryRun ? 0 : engine.sent;
    const undelivered = engine.failed + this.#unsent.length;
    const lost = invalid + undelivered;
    const elapsedMs = Math.round(performance.now() - this.#begin);
    if (invalid > MAX_EXPLAINED) {
      this.#logger.warn(
        `${invalid - MAX_EXPLAINED} more invalid lines are not shown`,
      );
    }
    if (json) {
      const [bytes, retries] = [this.#bytes, this.#retries];
      const summary = {
        read,
        sent,
        invalid,
        undelivered,
        batches,
        retries,
        bytes,
        elapsedMs,
      };
      await writeStdout(this.#io, JSON.stringify(summary) + "\n").catch(
        (error) => this.#onClosedStdout(error),
      );
    }
    if (!quiet && !(dryRun && this.#stdoutClosed)) {
      const parts = [
        `${read} read`,
        dryRun
          ? "nothing sent (dry run)"
          : `${sent} sent in ${count(batches, "batch", "batches")}`,
        ...(invalid > 0 ? [`${invalid} invalid`] : []),
        ...(undelivered > 0 ? [`${undelivered} not delivered`] : []),
        ...(lost === 0
          ? []
          : rejects === undefined
          ? [`${lost} lost: --rejects FILE keeps such lines`]
          : [`${rejects.lines} written to ${show(this.#options.rejects)}`]),
      ];
      this.#logger.info(
        `${parts.join(", ")} (${(elapsedMs / 1000).toFixed(2)} s)`,
      );
    }
    if (this.#stopSignal !== undefined) return STOP_SIGNALS[this.#stopSignal];
    return lost > 0 || this.#readFailed || this.#stdoutFailed ? 1 : 0;
  }
}

async function printCompletions(args: string[], io: Io): Promise<number> {
  const text = args.length === 2 ? completions(args[1]) : undefined;
  if (text === undefined) {
    throw new UsageError("Completions are there for one of: bash, zsh, fish");
  }
  return await print(text, io);
}

/** Prints a text, as far as somebody reads it. */
async function print(text: string, io: Io): Promise<number> {
  await writeStdout(io, text).catch(() => {});
  return 0;
}

/** What Deno has to allow for a run, but for the environment. */
function permissionsFor(options: CliOptions): Need[] {
  const { url, files, rejects, apiKeyFile, dryRun } = options;
  const { hostname, port, protocol } = new URL(url);
  const host = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
  const read = [...files.filter((path) => path !== "-"), apiKeyFile];
  return [
    ...(dryRun ? [] : [{ name: "net", host } as const]),
    ...read.flatMap((path) =>
      path === undefined ? [] : [{ name: "read", path } as const]
    ),
    ...(rejects === undefined
      ? []
      : [{ name: "write", path: rejects } as const]),
  ];
}

/** Says which flags are missing, all at once and before anything is read. */
function requirePermissions(needs: readonly Need[], io: Io): void {
  const values: Record<string, string[]> = {};
  for (const need of io.missing(needs)) {
    const value = need.name === "net"
      ? need.host
      : need.name === "env"
      ? need.variable
      : need.path;
    (values[need.name] ??= []).push(value);
  }
  const flags = Object.entries(values).map(([name, list]) =>
    `--allow-${name}=${list.join(",")}`
  );
  if (flags.length > 0) {
    throw new UsageError(
      `Deno does not allow this: run or install again with ${flags.join(" ")}`,
    );
  }
}

async function readApiKey(
  { apiKey, apiKeyFile: path }: CliOptions,
  io: Io,
): Promise<string | undefined> {
  if (path === undefined) return apiKey;
  let text: string;
  try {
    text = await io.readTextFile(path);
  } catch (error) {
    throw new UsageError(
      `Cannot read the file of --api-key-file: ${(error as Error).name}`,
    );
  }
  const key = text.trim();
  if (key === "") {
    throw new UsageError(`There is no key in the file of --api-key-file`);
  }
  return key;
}

async function writeStdout(
  io: Io,
  content: string | Uint8Array,
): Promise<void> {
  let bytes = typeof content === "string" ? encoder.encode(content) : content;
  while (bytes.length > 0) bytes = bytes.subarray(await io.stdout.write(bytes));
}

/** A log that nobody reads anymore (a closed pipe, a full disk) must not stop the sending. */
function writeStderr(io: Io, text: string): void {
  try {
    let bytes = encoder.encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(io.stderr.writeSync(bytes));
  } catch {
    // There is nowhere left to say so.
  }
}
