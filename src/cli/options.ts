// The command line's options: what there is, what it means, and what is wrong
// with it.

import { parseArgs } from "@std/cli/parse-args";
import { safeUrl } from "../transports/http/target.ts";
import { checkLabels } from "../core/metric.ts";
import { OPTIONS } from "./completions.ts";
import { excerpt, show } from "../core/text.ts";

/** What the command line was told to do. */
export interface CliOptions {
  url: string;
  files: string[];
  batchSize: number;
  flushEvery: number;
  timeout: number;
  concurrency: number;
  retries: number;
  drainTimeout: number;
  rejects: string | undefined;
  headers: [string, string][];
  labels: Record<string, string>;
  apiKeyFile: string | undefined;
  /** Of the environment; a file's key goes over it. */
  apiKey: string | undefined;
  dryRun: boolean;
  json: boolean;
  logFormat: "text" | "json";
  progress: boolean;
  quiet: boolean;
  verbose: boolean;
}

/** A mistake of whoever wrote the command line: exit code 2. */
export class UsageError extends Error {}

const DEFAULT_URL = "http://localhost:8080/v1/ingest";

/**
 * Reads the arguments. `env` is asked only for what they do not say.
 *
 * @throws {UsageError} If one is unknown, or its value is missing or bad.
 */
export function parseOptions(
  args: string[],
  env: (name: string) => string | undefined,
): CliOptions | "help" | "version" {
  const unknown: string[] = [];
  for (const arg of args) {
    const name = /^--([\w-]+)=/.exec(arg)?.[1];
    if (
      OPTIONS.some(({ long, value }) => long === name && value === undefined)
    ) {
      throw new UsageError(`Option --${name} takes no value`);
    }
  }
  const flags = parseArgs(joinValues(args), {
    string: [
      "batch-size",
      "flush-every",
      "timeout",
      "concurrency",
      "retries",
      "drain-timeout",
      "rejects",
      "header",
      "label",
      "api-key-file",
      "file",
      "log-format",
      "_",
    ],
    boolean: [
      "dry-run",
      "json",
      "no-progress",
      "quiet",
      "verbose",
      "help",
      "version",
    ],
    collect: ["file", "header", "label"],
    alias: {
      f: "file",
      H: "header",
      n: "dry-run",
      q: "quiet",
      v: "verbose",
      h: "help",
      V: "version",
    },
    unknown: (arg, key) => {
      if (key === undefined) return true;
      unknown.push(arg);
      return false;
    },
  });
  if (flags.help === true) return "help";
  if (flags.version === true) return "version";
  if (unknown[0] !== undefined) {
    // What stands behind may be a key that does not belong in a log.
    const [name] = /^--[\w-]+|^-./s.exec(unknown[0]) ?? [unknown[0]];
    throw new UsageError(`Unknown option: ${excerpt(name)}`);
  }
  const text = (name: string): string | undefined => {
    const value: unknown = flags[name];
    if (value === "") throw new UsageError(`Option --${name} needs a value`);
    return typeof value === "string" ? value : undefined;
  };
  const texts = (name: string): string[] => {
    const values: unknown = flags[name];
    if (!Array.isArray(values)) return [];
    if (values.includes("")) {
      throw new UsageError(`Option --${name} needs a value`);
    }
    return values.map(String);
  };
  const positional = flags._.map(String);
  if (positional.length > 1) {
    // They are not shown, as one may be a secret that lost its quotes.
    throw new UsageError(
      `One URL can be given, but there are ${positional.length} arguments: is a value with spaces not in quotes?`,
    );
  }
  const labels: Record<string, string> = Object.fromEntries(
    texts("label").map((label) =>
      splitPair(label, "=", "--label", "key=value")
    ),
  );
  const badLabel = checkLabels(labels);
  if (badLabel !== undefined) {
    throw new UsageError(`Option --label: ${badLabel}`);
  }
  return {
    url: checkUrl(positional[0] ?? (env("TINYOBS_ENDPOINT") || DEFAULT_URL)),
    files: texts("file"),
    batchSize: parseInteger(
      "--batch-size",
      text("batch-size"),
      1000,
      1,
      1_000_000,
    ),
    flushEvery: parseDuration("--flush-every", text("flush-every"), 5000),
    timeout: parseDuration("--timeout", text("timeout"), 5000),
    concurrency: parseInteger("--concurrency", text("concurrency"), 4, 1, 1000),
    retries: parseInteger("--retries", text("retries"), 5, 0, 1000),
    drainTimeout: parseDuration(
      "--drain-timeout",
      text("drain-timeout"),
      10_000,
    ),
    rejects: text("rejects"),
    headers: texts("header").map((header) =>
      splitPair(header, ":", "--header", "'Name: value'")
    ),
    labels,
    apiKeyFile: text("api-key-file"),
    apiKey: text("api-key-file") === undefined
      ? env("TINYOBS_API_KEY") || undefined
      : undefined,
    dryRun: flags["dry-run"] === true,
    json: flags.json === true,
    logFormat: parseLogFormat(text("log-format")),
    progress: flags["no-progress"] !== true,
    quiet: flags.quiet === true,
    verbose: flags.verbose === true,
  };
}

/** Joins values that begin with a dash to their options, as `parseArgs` does not. */
function joinValues(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [arg, next] = [args[i]!, args[i + 1]];
    const takesValue = OPTIONS.some(({ long, value }) =>
      arg === `--${long}` && value !== undefined
    );
    if (takesValue && next !== undefined && /^-(\d|$)/.test(next)) {
      joined.push(`${arg}=${next}`);
      i++;
    } else joined.push(arg);
  }
  return joined;
}

function checkUrl(text: string): string {
  if (!/^https?:\/\//i.test(text)) {
    const guess = /^[\w.-]+(:\d+)?(\/|$)/.test(text)
      ? `: did you mean ${
        show(`http://${safeUrl(text)}`)
      }, or --file for a file?`
      : "";
    throw new UsageError(
      `The URL must begin with http:// or https://${
        guess || `: current value is ${show(safeUrl(text))}`
      }`,
    );
  }
  if (!URL.canParse(text)) {
    throw new UsageError(
      `The URL cannot be read (is its port a number up to 65535?): current value is ${
        show(safeUrl(text))
      }`,
    );
  }
  return text;
}

function parseLogFormat(text = "text"): "text" | "json" {
  if (text !== "text" && text !== "json") {
    throw new UsageError(
      `Option --log-format must be "text" or "json": current value is ${
        show(text)
      }`,
    );
  }
  return text;
}

function parseInteger(
  option: string,
  text: string | undefined,
  preset: number,
  min: number,
  max: number,
): number {
  if (text === undefined) return preset;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) {
    throw new UsageError(
      `Option ${option} must be an integer from ${min} to ${max}: current value is ${
        show(text)
      }`,
    );
  }
  return value;
}

const UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const DAY = 24 * UNITS.h!;

/** Milliseconds of `500ms`, `5s`, `1m` or `1h`. */
function parseDuration(
  option: string,
  text: string | undefined,
  preset: number,
): number {
  if (text === undefined) return preset;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const value = match === null ? NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (!(value >= 1 && value <= DAY)) {
    throw new UsageError(
      `Option ${option} must be a duration from 1ms to 24h, such as 500ms, 5s or 1m: current value is ${
        show(text)
      }`,
    );
  }
  return value;
}

function splitPair(
  text: string,
  separator: string,
  option: string,
  form: string,
): [string, string] {
  const at = text.indexOf(separator);
  const key = text.slice(0, at).trim();
  // The text is not shown, as a header's may be a secret.
  if (at < 0 || key === "") {
    throw new UsageError(`Option ${option} must have the form ${form}`);
  }
  const value = text.slice(at + 1);
  return [key, separator === ":" ? value.trim() : value];
}
