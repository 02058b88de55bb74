// The command line's options: from arguments to what they mean.

import { parseArgs } from "@std/cli/parse-args";
import { checkLabels } from "../core/metric.ts";
import {
  type CliOptions,
  emptyOptions,
  FLAGS,
  type Switch,
  type ValueFlag,
} from "./flags.ts";
import { TINYOBS } from "./targets.ts";
import {
  checkHeaderValue,
  checkUrl,
  optionName,
  UsageError,
} from "./values.ts";

const VALUE_FLAGS = FLAGS.filter((flag): flag is ValueFlag =>
  flag.value !== undefined
);
const SWITCHES = FLAGS.filter((flag): flag is Switch =>
  flag.value === undefined
);

/**
 * Reads the arguments. `env` is asked only for what they do not say.
 *
 * @throws {UsageError} If one is unknown, or its value is missing or bad.
 */
export function parseOptions(
  args: readonly string[],
  env: (name: string) => string | undefined,
): CliOptions | "help" | "version" {
  for (const { long } of SWITCHES) {
    if (args.some((arg) => arg.startsWith(`--${long}=`))) {
      throw new UsageError(`Option --${long} takes no value`);
    }
  }
  const unknown: string[] = [];
  const values: Record<string, unknown> = parseArgs(joinValues(args), {
    string: [...VALUE_FLAGS.map(({ long }) => long), "_"] as [string],
    boolean: SWITCHES.map(({ long }) => long) as [string],
    collect: VALUE_FLAGS.map(({ long }) => long) as [string],
    alias: Object.fromEntries(
      FLAGS.flatMap(({ short, long }) =>
        short === undefined ? [] : [[short, long]]
      ),
    ),
    unknown: (arg, key) => {
      if (key === undefined) return true;
      unknown.push(arg);
      return false;
    },
  });
  const options = emptyOptions();
  for (const { long, set } of SWITCHES) {
    if (values[long] === true) set(options);
  }
  if (options.ask !== undefined) return options.ask;
  if (unknown[0] !== undefined) {
    throw new UsageError(`Unknown option: ${optionName(unknown[0])}`);
  }
  for (const { long, preset, repeatable, set } of VALUE_FLAGS) {
    const name = `--${long}`;
    const given = (values[long] as string[] | undefined) ?? [];
    if (given.includes("")) {
      throw new UsageError(`Option ${name} needs a value`);
    }
    // The last one counts, as everywhere.
    for (const text of repeatable ? given : given.slice(-1)) {
      set(options, text, name);
    }
    if (given.length === 0 && preset !== undefined) set(options, preset, name);
  }
  const badLabel = checkLabels(options.labels, TINYOBS.rules);
  if (badLabel !== undefined) {
    throw new UsageError(`Option --label: ${badLabel}`);
  }
  options.url = readUrl((values._ as unknown[]).map(String), env);
  if (options.apiKeyFile === undefined) options.apiKey = readKey(env);
  return options;
}

/** Joins values that begin with a dash to their options, as `parseArgs` does not. */
function joinValues(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [arg, next] = [args[i]!, args[i + 1]];
    const flag = VALUE_FLAGS.find(({ long, short }) =>
      arg === `--${long}` || arg === `-${short}`
    );
    if (flag !== undefined && next !== undefined && /^-(\d|$)/.test(next)) {
      joined.push(`--${flag.long}=${next}`);
      i++;
    } else joined.push(arg);
  }
  return joined;
}

function readUrl(
  positional: readonly string[],
  env: (name: string) => string | undefined,
): string {
  if (positional.length > 1) {
    // They are not shown, as one may be a secret that lost its quotes.
    throw new UsageError(
      `One URL can be given, but there are ${positional.length} arguments: is a value with spaces not in quotes?`,
    );
  }
  const path = new URL(TINYOBS.url).pathname;
  const [argument] = positional;
  if (argument !== undefined) return checkUrl("The URL", argument, path);
  const variable = TINYOBS.urlVariable;
  const text = env(variable);
  // A variable that is set to nothing is as good as none.
  return text ? checkUrl(`$${variable}`, text, path) : TINYOBS.url;
}

function readKey(
  env: (name: string) => string | undefined,
): string | undefined {
  const variable = TINYOBS.keyVariable;
  const key = env(variable);
  return key ? checkHeaderValue(`$${variable}`, key) : undefined;
}
