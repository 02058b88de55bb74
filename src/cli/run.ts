// One run: reads lines, pushes them into the engine, drains it, and sums up.

import { ReleasableBatch } from "../core/batch.ts";
import { Engine, type EngineOptions } from "../core/engine.ts";
import { countUndelivered, undeliveredOf } from "../core/send_error.ts";
import { messageOf } from "../core/text.ts";
import type { Line } from "../ndjson/line.ts";
import { NdjsonReader } from "../ndjson/reader.ts";
import { safeUrl } from "../transports/http/target.ts";
import { readApiKey } from "./api_key.ts";
import { BadLineLog } from "./bad_lines.ts";
import type { Console } from "./console.ts";
import { makeDelivery } from "./delivery.ts";
import type { CliOptions } from "./flags.ts";
import { readLines } from "./input.ts";
import type { Input, Io } from "./io.ts";
import { makeLog } from "./log.ts";
import { openInputs, openRejects } from "./open.ts";
import { Outage } from "./outage.ts";
import { LiveLine } from "./progress.ts";
import { proxyFor } from "./proxy.ts";
import { Shutdown } from "./shutdown.ts";
import { exitCode, type Outcome, summarize } from "./summary.ts";
import { TINYOBS } from "./targets.ts";

/**
 * The bounds on memory: how many bytes of lines a batch holds and how many may wait.
 * Lines of usual length reach the bounds on their number first.
 */
export const ENGINE_BOUNDS = {
  weigh: (line: Line) => line.size,
  maxBatchBytes: 4 * 1024 * 1024,
  maxBufferedBytes: 16 * 1024 * 1024,
} satisfies Partial<EngineOptions<Line, Line>>;

/**
 * Runs the command line with these options.
 *
 * @returns The exit code.
 */
export async function run(
  options: CliOptions,
  io: Io,
  console: Console,
): Promise<number> {
  const begin = performance.now();
  const { dryRun, quiet, verbose } = options;
  const level = quiet ? "WARN" : verbose ? "DEBUG" : "INFO";
  const log = makeLog(level, options.logFormat, console);
  const bad = new BadLineLog(log);
  const outage = new Outage(log, options.retries);
  let [retries, bytes, unsent] = [0, 0, 0];
  let failed = false;
  let stdoutClosed = false;

  await using opened = new AsyncDisposableStack();
  const inputs = await openInputs(options, io, opened);
  const transport = makeDelivery(options, {
    apiKey: await readApiKey(options, io),
    proxy: proxyFor(options.url, io.peekEnv),
    print,
    onRetry(event) {
      retries++;
      outage.retry(event);
    },
    onRequest: (length) => bytes += length,
  });
  const rejects = await openRejects(options, io, log, opened);
  const shutdown = opened.use(new Shutdown(io, log, options.drainTimeout));
  const { stopReading, giveUp } = shutdown;

  /** Writes to stdout. Nobody reading it any longer ends the run. */
  async function print(content: string | Uint8Array): Promise<void> {
    const error = await console.print(content, giveUp);
    if (error === undefined || stdoutClosed) return;
    stdoutClosed = true;
    shutdown.stop();
    // `-n | head -1` has what it wants; anything else is worth a word.
    if (error instanceof Deno.errors.BrokenPipe) return;
    failed = true;
    log.error(`Cannot write to stdout: ${messageOf(error)}`);
  }

  function reject(lines: readonly Line[]): void {
    rejects?.writeLines(lines);
  }

  const reader = new NdjsonReader({
    rules: TINYOBS.rules,
    labels: options.labels,
    onBadLine(line) {
      rejects?.writePart(line.raw, line.more);
      if (!line.continued) bad.add(line);
    },
    onUnknownField: (name, meant, number) =>
      bad.unknownField(name, meant, number),
  });
  const engine = new Engine<Line>(transport, {
    noun: { engine: "tinyobs-batch", item: "metric", items: "metrics" },
    seal: (lines) => new ReleasableBatch(lines),
    ...ENGINE_BOUNDS,
    maxBatchSize: options.batchSize,
    flushEvery: options.flushEvery,
    // Enough to fill every free request while one chunk of input is read.
    maxBuffered: options.batchSize * (options.concurrency + 2),
    maxInFlight: options.concurrency,
    // Failures are the outage's to log, with their figures.
    logger: {
      debug: (message) => log.debug(message),
      info() {},
      warn() {},
      error() {},
    },
    onSettled(batch, error) {
      const lost = error === undefined ? 0 : countUndelivered(error, batch);
      // Making the lines again costs as much as reading them.
      if (error !== undefined && rejects !== undefined) {
        reject(undeliveredOf(error, batch));
      }
      outage.settled(batch.length, lost, error);
    },
  });
  giveUp.addEventListener("abort", () => void engine.stop(0, giveUp.reason));

  let current: Input | undefined;
  if (options.progress && !quiet && console.animated) {
    opened.use(
      new LiveLine(console, () => ({
        read: reader.lines,
        sent: engine.sent,
        waiting: engine.buffered + engine.inFlight,
        failed: reader.invalid + engine.failed,
        fraction: current?.size
          ? (current.position ?? 0) / current.size
          : undefined,
      })),
    );
  } else if (!dryRun) {
    const what = inputs.length === 1 ? inputs[0]![0] : `${inputs.length} files`;
    log.info(`Reading ${what}, sending to ${safeUrl(options.url)}`);
  }

  async function send(input: Input): Promise<void> {
    for await (const lines of readLines(input, reader, stopReading)) {
      for (const line of lines) {
        // Waiting here is what slows a pipe down to what the server takes.
        if (engine.full) await outage.waitFor(engine.ready);
        if (engine.closed) {
          unsent++;
          reject([line]);
        } else engine.push(line);
      }
      if (rejects?.full) await rejects.ready(stopReading);
    }
  }

  engine.start();
  for (const [name, input] of inputs) {
    if (stopReading.aborted) break;
    current = input;
    bad.source = inputs.length > 1 ? name : "";
    try {
      await send(input);
    } catch (error) {
      failed = true;
      log.error(`Cannot read ${name}: ${messageOf(error)}`);
    }
  }
  await engine.stop(Infinity);
  outage.close();
  bad.close();
  await rejects?.finish(giveUp);

  const totals = {
    read: reader.lines,
    sent: dryRun ? 0 : engine.sent,
    invalid: reader.invalid,
    undelivered: engine.failed + unsent,
    batches: engine.batches,
    retries,
    bytes,
    elapsedMs: Math.round(performance.now() - begin),
  };
  if (options.json) await print(JSON.stringify(totals) + "\n");
  const outcome: Outcome = {
    totals,
    url: options.url,
    dryRun,
    rejects: rejects && { path: options.rejects!, lines: rejects.lines },
    failed,
    signal: shutdown.received,
  };
  if (!(dryRun && stdoutClosed)) {
    log.info(summarize(outcome), { ...totals, rejected: rejects?.lines });
  }
  return exitCode(outcome);
}
