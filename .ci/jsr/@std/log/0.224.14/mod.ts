// Stands in for jsr:@std/log@0.224.14 where jsr.io does not answer. The real one is not on npm, so
// this is a small implementation of our own of the part that a command line program uses: levels,
// loggers, the base of handlers and the JSON formatter. There is no console handler, no file handler
// and no setup(), so getLogger() needs a name.
export * from "./base_handler.ts";
export * from "./formatters.ts";
export * from "./get_logger.ts";
export * from "./levels.ts";
export * from "./logger.ts";
