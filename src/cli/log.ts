// The command line's log: @std/log, to stderr.

import { BaseHandler } from "@std/log/base-handler";
import { jsonFormatter } from "@std/log/formatters";
import type { LevelName } from "@std/log/levels";
import { Logger } from "@std/log/logger";

/** Writes each record as a line. `ConsoleHandler` of @std/log would write to stdout. */
class StderrHandler extends BaseHandler {
  readonly #write: (text: string) => void;

  constructor(
    level: LevelName,
    format: "text" | "json",
    write: (text: string) => void,
  ) {
    super(level, {
      formatter: format === "json"
        ? jsonFormatter
        : ({ msg }) => `tinyobs-batch: ${msg}`,
    });
    this.#write = write;
  }

  override log(message: string): void {
    this.#write(`${message}\n`);
  }
}

/** A logger that passes every line of `level` and above to `write`. */
export function makeLogger(
  level: LevelName,
  format: "text" | "json",
  write: (text: string) => void,
): Logger {
  const handlers = [new StderrHandler(level, format, write)];
  return new Logger("tinyobs-batch", level, { handlers });
}
