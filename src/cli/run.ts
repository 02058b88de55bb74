// The command line: a front on the same engine and transport that the library
// offers.

import denoJson from "../../deno.json" with { type: "json" };
import { Engine } from "../engine.ts";
import { fetchTransport } from "../fetch_transport.ts";
import { type Logger, ThrottledLog } from "../logger.ts";
import { type BadLine, type Line, NdjsonReader } from "../ndjson.ts";
import { count, excerpt, messageOf, show } from "../text.ts";
import type { Transport } from "../transport.ts";
import { withQuarantine } from "../quarantine.ts";
import { withRetry } from "../retry.ts";
import { withBreaker } from "./breaker.ts";
import { HELP } from "./help.ts";
import { makeLogger } from "./log.ts";
import { type CliOptions, parseOptions, UsageError } from "./options.ts";
import { type OutputFile, RejectsFile } from "./rejects.ts";

/** What the command line needs of the world around it. */
export interface Io {
  stdin: {
    read(buffer: Uint8Array): Promise<number | null>;
    isTerminal(): boolean;
  };
  stdout: { write(bytes: Uint8Array): Promise<number> };
  stderr: { writeSync(bytes: Uint8Array): number };
  env(name: string): string | undefined;
  readTextFile(path: string): Promise<string>;
  /** Opens a file to write at its end, and makes it if need be. */
  openAppend(path: string): Promise<AppendedFile>;
  /** Calls back at each SIGINT or SIGTERM, until the returned function is called. */
  onSignal(callback: (signal: StopSignal) => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** A file to write to. */
export interface AppendedFile extends OutputFile {
  /** Whether it is the very file that stdin reads. */
  readonly isStdin: boolean;
}

/** The signals that end a run, with the exit codes that a shell expects. */
export const STOP_SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
/** The name of one of them. */
export type StopSignal = keyof typeof STOP_SIGNALS;

/** How many bad lines are explained; the others are counted. */
const MAX_EXPLAINED = 10;
const READ_SIZE = 262144;
/** How long to wait, after a signal, for the end of a line that is half read, in ms. */
const LINE_GRACE = 250;

const encoder = new TextEncoder();

/**
 * Runs the command line.
 *
 * @param args The arguments, without the program's name.
 * @param io Streams, environment and files.
 * @returns The exit code.
 */
export async function run(args: string[], io: Io): Promise<number> {
  const say = (text: string) => writeStderr(io, text);
  try {
    const options = parseOptions(args, io.env);
    if (options === "help" || options === "version") {
      await writeStdout(
        io,
        options === "help" ? HELP : `tinyobs-batch ${denoJson.version}\n`,
      );
      return 0;
    }
    if (io.stdin.isTerminal()) {
      say(HELP);
      return 2;
    }
    return await batchStdin(options, io, say);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`tinyobs-batch: ${error.message}\nTry 'tinyobs-batch --help'.\n`);
    return 2;
  }
}

/** Reads stdin to its end, or to a signal, and sends what it holds. */
async function batchStdin(
  options: CliOptions,
  io: Io,
  say: (text: string) => void,
): Promise<number> {
  const begin = performance.now();
  const logger = makeLogger(options.verbose ? "DEBUG" : "INFO", say);
  const counters = { bytes: 0, retries: 0 };
  const retryLog = new ThrottledLog((message) => logger.warn(message));
  const transport = makeTransport(
    options,
    await readApiKey(options, io),
    io,
    counters,
    retryLog,
  );
  const rejects = await openRejects(options, io, logger);
  const engine = new Engine<Line>(
    "tinyobs-batch",
    transport,
    (lines) => lines,
    {
      maxBatchSize: options.batchSize,
      flushEvery: options.flushEvery,
      // Enough to fill every free request while one chunk of input is read.
      maxBuffered: options.batchSize * (options.concurrency + 2),
      maxInFlight: options.concurrency,
      logger,
      onFailure: (lines) => rejects?.writeLines(lines.map((line) => line.raw)),
    },
  );
  const reader = new NdjsonReader({
    labels: options.labels,
    onBadLine(line) {
      rejects?.writePart(line.raw, line.more);
      if (!line.continued && reader.invalid <= MAX_EXPLAINED) {
        logger.warn(explain(line));
      }
    },
  });

  const stop = new AbortController();
  let stopSignal: StopSignal | undefined;
  let drainTimer: ReturnType<typeof setTimeout> | undefined;
  const forget = io.onSignal((signal) => {
    if (stopSignal !== undefined) return io.exit(STOP_SIGNALS[signal]);
    stopSignal = signal;
    logger.warn(
      `${signal}: reading no more, sending what was read (again to exit at once)`,
    );
    stop.abort();
    drainTimer = setTimeout(() => engine.stop(0), options.drainTimeout);
  });

  engine.start();
  const unsent: Line[] = [];
  let readError: unknown;
  for await (
    const lines of readLines(
      io,
      reader,
      stop.signal,
      (error) => readError = error,
    )
  ) {
    for (const line of lines) {
      // Waiting here is what slows a pipe down to what the server takes.
      if (engine.full) await engine.ready;
      if (engine.closed) unsent.push(line);
      else engine.push(line);
    }
  }
  if (readError !== undefined) {
    logger.error(`Cannot read stdin: ${excerpt(messageOf(readError), 200)}`);
  }
  await engine.stop(Infinity);
  retryLog.flush();
  clearTimeout(drainTimer);
  forget();
  rejects?.writeLines(unsent.map((line) => line.raw));
  rejects?.close();

  const { lines: read, invalid } = reader;
  const { batches } = engine;
  const sent = options.dryRun ? 0 : engine.sent;
  const undelivered = engine.failed + unsent.length;
  const elapsedMs = Math.round(performance.now() - begin);
  if (invalid > MAX_EXPLAINED) {
    logger.warn(`${invalid - MAX_EXPLAINED} more invalid lines are not shown`);
  }
  if (options.json) {
    const { bytes, retries } = counters;
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
    await writeStdout(io, JSON.stringify(summary) + "\n");
  }
  if (!options.quiet) {
    const lost = invalid + undelivered;
    const parts = [
      `${read} read`,
      options.dryRun
        ? "nothing sent (dry run)"
        : `${sent} sent in ${count(batches, "batch", "batches")}`,
      ...(invalid > 0 ? [`${invalid} invalid`] : []),
      ...(undelivered > 0 ? [`${undelivered} not delivered`] : []),
      ...(lost === 0
        ? []
        : rejects === undefined
        ? [`${lost} lost: --rejects FILE keeps such lines`]
        : [`${rejects.lines} written to ${show(options.rejects)}`]),
    ];
    say(
      `tinyobs-batch: ${parts.join(", ")} (${
        (elapsedMs / 1000).toFixed(2)
      } s)\n`,
    );
  }
  if (stopSignal !== undefined) return STOP_SIGNALS[stopSignal];
  return invalid > 0 || undelivered > 0 || readError !== undefined ? 1 : 0;
}

/**
 * The good lines of stdin, chunk by chunk. When the signal is aborted, it still
 * reads to the end of the line that it is in, so that no line is cut in two.
 */
async function* readLines(
  io: Io,
  reader: NdjsonReader,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): AsyncGenerator<Line[]> {
  let wake = () => {};
  signal.addEventListener("abort", () => wake());
  // Not Promise.race: a promise that stays pending for the whole run would keep
  // every read that was ever raced with it.
  const orAborted = (read: Promise<number | null>) =>
    new Promise<number | null | undefined>((resolve, reject) => {
      wake = () => resolve(undefined);
      read.then(resolve, reject);
    });
  const buffer = new Uint8Array(READ_SIZE);
  try {
    let pending: Promise<number | null>;
    for (;;) {
      pending = io.stdin.read(buffer);
      const n = await orAborted(pending);
      if (n === undefined) break;
      if (n === null) {
        yield reader.end();
        return;
      }
      yield reader.push(buffer.subarray(0, n));
      if (signal.aborted) {
        pending = Promise.resolve(0);
        break;
      }
    }
    const grace = new Promise<null>((resolve) =>
      setTimeout(resolve, LINE_GRACE, null)
    );
    const byte = new Uint8Array(1);
    for (
      let from = buffer;
      reader.midLine;
      from = byte, pending = io.stdin.read(byte)
    ) {
      const n = await Promise.race([pending, grace]);
      if (n === null) break;
      yield reader.push(from.subarray(0, n));
    }
  } catch (error) {
    onError(error);
  }
  yield reader.end();
}

function makeTransport(
  options: CliOptions,
  apiKey: string | undefined,
  io: Io,
  counters: { bytes: number; retries: number },
  retryLog: ThrottledLog,
): Transport<Line> {
  const encode = (lines: readonly Line[]) => {
    const body = encodeLines(lines);
    counters.bytes += body.length;
    return body;
  };
  const printInstead = async (_url: string, init: RequestInit) => {
    await writeStdout(io, init.body as Uint8Array);
    await writeStdout(io, "\n");
    return new Response();
  };
  try {
    const transport = fetchTransport<Line>(options.url, {
      apiKey,
      headers: options.headers,
      timeout: options.timeout,
      encode,
      fetch: options.dryRun ? printInstead : undefined,
    });
    const retrying = withRetry(transport, {
      attempts: options.retries + 1,
      onRetry({ attempt, delay, error }) {
        counters.retries++;
        retryLog.say(() =>
          `Retry ${attempt} of ${options.retries} in ${
            (delay / 1000).toFixed(1)
          } s: ${error.message}`
        );
      },
    });
    return withQuarantine(withBreaker(retrying));
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

function encodeLines(lines: readonly Line[]): Uint8Array<ArrayBuffer> {
  return encoder.encode(
    `{"metrics":[${lines.map((line) => line.body).join(",")}]}`,
  );
}

function explain({ number, reason, raw }: BadLine): string {
  const start = new TextDecoder().decode(raw.subarray(0, 200));
  return `Line ${number}: ${reason}: ${excerpt(start.trim(), 80)}`;
}

async function openRejects(
  options: CliOptions,
  io: Io,
  logger: Logger,
): Promise<RejectsFile | undefined> {
  const path = options.rejects;
  if (path === undefined) return undefined;
  let file: AppendedFile;
  try {
    file = await io.openAppend(path);
  } catch (error) {
    throw new UsageError(
      `Cannot open --rejects ${show(path)}: ${messageOf(error)}`,
    );
  }
  if (file.isStdin) {
    file.close();
    // It would read what it writes, and never end.
    throw new UsageError(
      `Option --rejects must not name the input itself: ${show(path)}`,
    );
  }
  let failed = false;
  return new RejectsFile(file, (error) => {
    if (!failed) {
      logger.error(
        `Cannot write to --rejects ${show(path)}: ${messageOf(error)}`,
      );
    }
    failed = true;
  });
}

async function readApiKey(
  options: CliOptions,
  io: Io,
): Promise<string | undefined> {
  const path = options.apiKeyFile;
  if (path === undefined) return io.env("TINYOBS_API_KEY") || undefined;
  let text: string;
  try {
    text = await io.readTextFile(path);
  } catch (error) {
    throw new UsageError(
      `Cannot read --api-key-file ${show(path)}: ${messageOf(error)}`,
    );
  }
  const key = text.trim();
  if (key === "") {
    throw new UsageError(`There is no key in --api-key-file ${show(path)}`);
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
