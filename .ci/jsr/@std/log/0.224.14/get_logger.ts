// Part of the stand-in for @std/log (see mod.ts): loggers by name, made when first asked for.
import { Logger } from "./logger.ts";

const loggers = new Map<string, Logger>();

export function getLogger(name?: string): Logger {
  if (!name) {
    throw new Error(
      "Cannot get the default logger: the stand-in for @std/log has no setup()",
    );
  }
  let logger = loggers.get(name);
  if (logger === undefined) {
    logger = new Logger(name, "NOTSET");
    loggers.set(name, logger);
  }
  return logger;
}
