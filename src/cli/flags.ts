// The one table of options. The help, the parser and the completions of three shells
// are made from it.

import {
  checkHeaderValue,
  readChoice,
  readDuration,
  readInteger,
  readPair,
} from "./values.ts";

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
  /** What is asked for instead of a run. */
  ask: "help" | "version" | undefined;
}

/** The options that nothing has been said about; the table's presets come on top. */
export function emptyOptions(): CliOptions {
  return {
    url: "",
    files: [],
    batchSize: 0,
    flushEvery: 0,
    timeout: 0,
    concurrency: 0,
    retries: 0,
    drainTimeout: 0,
    rejects: undefined,
    headers: [],
    labels: {},
    apiKeyFile: undefined,
    apiKey: undefined,
    dryRun: false,
    json: false,
    logFormat: "text",
    progress: true,
    quiet: false,
    verbose: false,
    ask: undefined,
  };
}

/** The headings of the help, in their order. */
export const GROUPS = ["Input", "Batching", "Delivery", "Output"] as const;

/** What a flag is called, and what the help says of it. */
interface FlagText {
  readonly group: typeof GROUPS[number];
  /** Without the dashes. */
  readonly long: string;
  /** Without the dash. */
  readonly short?: string;
  readonly help: string;
}

/** An option that is there or not. */
export interface Switch extends FlagText {
  readonly value?: undefined;
  readonly set: (options: CliOptions) => void;
}

/** An option with a value. */
export interface ValueFlag extends FlagText {
  /** What stands for the value in the help. */
  readonly value: string;
  /** What it is if nobody gives one, as the help shows it. */
  readonly preset?: string;
  /** What a shell completes the value with. */
  readonly complete?: "files" | readonly string[];
  readonly repeatable?: true;
  /** Reads the value; `name` is what a message calls the option. */
  readonly set: (options: CliOptions, text: string, name: string) => void;
}

export type Flag = Switch | ValueFlag;

const LOG_FORMATS = ["text", "json"] as const;

export const FLAGS: readonly Flag[] = [
  {
    group: "Input",
    long: "file",
    short: "f",
    value: "FILE",
    complete: "files",
    repeatable: true,
    help:
      "read FILE instead of stdin; repeatable; - is stdin, and FILE.gz is decompressed",
    set: (options, text) => options.files.push(text),
  },
  {
    group: "Input",
    long: "label",
    value: "KEY=VALUE",
    repeatable: true,
    help: "add a label to metrics that lack it; repeatable",
    set(options, text, name) {
      const [key, value] = readPair(name, text, "=", "key=value");
      // Defined and not assigned, as `__proto__` is a key like any other.
      Object.defineProperty(options.labels, key, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    },
  },
  {
    group: "Batching",
    long: "batch-size",
    value: "N",
    preset: "1000",
    help: "put at most N metrics in a request",
    set: (options, text, name) =>
      options.batchSize = readInteger(name, text, 1, 1_000_000),
  },
  {
    group: "Batching",
    long: "flush-every",
    value: "TIME",
    preset: "5s",
    help: "send a batch that is not full after TIME",
    set: (options, text, name) => options.flushEvery = readDuration(name, text),
  },
  {
    group: "Batching",
    long: "concurrency",
    value: "N",
    preset: "4",
    help: "send at most N requests at a time",
    set: (options, text, name) =>
      options.concurrency = readInteger(name, text, 1, 1000),
  },
  {
    group: "Delivery",
    long: "timeout",
    value: "TIME",
    preset: "5s",
    help: "wait at most TIME for an answer",
    set: (options, text, name) => options.timeout = readDuration(name, text),
  },
  {
    group: "Delivery",
    long: "retries",
    value: "N",
    preset: "5",
    help: "send a failed request again, at most N times",
    set: (options, text, name) =>
      options.retries = readInteger(name, text, 0, 1000),
  },
  {
    group: "Delivery",
    long: "drain-timeout",
    value: "TIME",
    preset: "8s",
    help: "keep sending for at most TIME after a signal",
    set: (options, text, name) =>
      options.drainTimeout = readDuration(name, text),
  },
  {
    group: "Delivery",
    long: "rejects",
    value: "FILE",
    complete: "files",
    help: "append every line that is not delivered to FILE",
    set: (options, text) => options.rejects = text,
  },
  {
    group: "Delivery",
    long: "header",
    short: "H",
    value: "'NAME: VALUE'",
    repeatable: true,
    help: "add a header to each request; repeatable",
    set(options, text, name) {
      const [key, value] = readPair(name, text, ":", "'Name: value'");
      options.headers.push([
        key,
        checkHeaderValue(`The value of option ${name}`, value.trim()),
      ]);
    },
  },
  {
    group: "Delivery",
    long: "api-key-file",
    value: "FILE",
    complete: "files",
    help: "read the API key from FILE ($TINYOBS_API_KEY)",
    set: (options, text) => options.apiKeyFile = text,
  },
  {
    group: "Output",
    long: "dry-run",
    short: "n",
    help: "print the request bodies instead of sending them",
    set: (options) => options.dryRun = true,
  },
  {
    group: "Output",
    long: "json",
    help: "print the summary to stdout as JSON",
    set: (options) => options.json = true,
  },
  {
    group: "Output",
    long: "log-format",
    value: "FORMAT",
    preset: "text",
    complete: LOG_FORMATS,
    help: "write the log on stderr as text or json",
    set: (options, text, name) =>
      options.logFormat = readChoice(name, text, LOG_FORMATS),
  },
  {
    group: "Output",
    long: "no-progress",
    help: "show no live line on a terminal (as with $NO_COLOR)",
    set: (options) => options.progress = false,
  },
  {
    group: "Output",
    long: "quiet",
    short: "q",
    help: "log only warnings and errors",
    set: (options) => options.quiet = true,
  },
  {
    group: "Output",
    long: "verbose",
    short: "v",
    help: "log each batch as well",
    set: (options) => options.verbose = true,
  },
  {
    group: "Output",
    long: "help",
    short: "h",
    help: "print this help",
    set: (options) => options.ask = "help",
  },
  {
    group: "Output",
    long: "version",
    short: "V",
    help: "print the version",
    set: (options) => options.ask = "version",
  },
];
