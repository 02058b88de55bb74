// Stands in for jsr:@std/cli@1.0.32 where jsr.io does not answer: the real code, from npm. Only
// parseArgs is here; the npm package lacks the data file of unicodeWidth.
export * from "./parse_args.ts";
