// The command line's log: @std/log, to stderr.

import { BaseHandler } from "@std/log/base-handler";
import type { LevelName } from "@std/log/levels";
import { Logger, type LogRecord } from "@std/log/logger";
import type { Console } from "./console.ts";

/** The figures of a log line, as `--log-format json` has them. */
export type Figures = Readonly<Record<string, string | number | undefined>>;

/** Where the command line says what happens. */
export interface Log {
  debug(message: string, figures?: Figures): void;
  info(message: string, figures?: Figures): void;
  warn(message: string, figures?: Figures): void;
  error(message: string, figures?: Figures): void;
}

/** Writes each record as a line. `ConsoleHandler` of @std/log would write to stdout. */
class StderrHandler extends BaseHandler {
  readonly #console: Console;

  constructor(
    level: LevelName,
    formatter: (record: LogRecord) => string,
    console: Console,
  ) {
    super(level, { formatter });
    this.#console = console;
  }

  override log(message: string): void {
    this.#console.write(`${message}\n`);
  }
}

function formatText({ msg }: LogRecord): string {
  return `tinyobs-batch: ${msg}`;
}

function formatJson({ levelName, datetime, msg, args }: LogRecord): string {
  return JSON.stringify({
    level: levelName,
    datetime: datetime.getTime(),
    message: msg,
    ...(args[0] as Figures | undefined),
  });
}

/** A log of the lines of `level` and above. */
export function makeLog(
  level: LevelName,
  format: "text" | "json",
  console: Console,
): Log {
  const formatter = format === "json" ? formatJson : formatText;
  const handlers = [new StderrHandler(level, formatter, console)];
  const log = new Logger("tinyobs-batch", level, { handlers });
  console.onDropped = (lines) =>
    log.warn(
      `${lines} log lines are missing here, as nobody read stderr in time`,
      { dropped: lines },
    );
  return log;
}
