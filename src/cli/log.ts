// The command line's log: @std/log, to stderr.

import { BaseHandler } from "@std/log/base-handler";
import { Logger } from "@std/log/logger";
import type { LevelName } from "@std/log/levels";

/** Writes each record as a line. `ConsoleHandler` of @std/log would write to stdout. */
class StderrHandler extends BaseHandler {
  readonly #write: (text: string) => void;

  constructor(level: LevelName, write: (text: string) => void) {
    super(level, { formatter: ({ msg }) => `tinyobs-batch: ${msg}\n` });
    this.#write = write;
  }

  override log(message: string): void {
    this.#write(message);
  }
}

/** A logger that passes every line of `level` and above to `write`. */
export function makeLogger(
  level: LevelName,
  write: (text: string) => void,
): Logger {
  return new Logger("tinyobs-batch", level, {
    handlers: [new StderrHandler(level, write)],
  });
}
