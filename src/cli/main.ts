// From the arguments to the exit code.

import denoJson from "../../deno.json" with { type: "json" };
import { COMMAND, completions, SHELLS } from "./completions.ts";
import { Console } from "./console.ts";
import { HELP, NO_INPUT } from "./help.ts";
import type { Io, Need } from "./io.ts";
import { parseOptions } from "./options.ts";
import { needsOf, requirePermissions } from "./permissions.ts";
import { run } from "./run.ts";
import { UsageError } from "./values.ts";

/**
 * Runs the command line.
 *
 * @param args The arguments, without the program's name.
 * @param io Streams, environment and files.
 * @returns The exit code.
 */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const console = new Console(io);
  try {
    return await dispatch(args, io, console);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.write(
      `${COMMAND}: ${error.message}\nTry '${COMMAND} --help'.\n`,
    );
    return 2;
  } finally {
    await console.flush();
  }
}

async function dispatch(
  args: readonly string[],
  io: Io,
  console: Console,
): Promise<number> {
  if (args[0] === "completions") {
    const text = args.length === 2 ? completions(args[1]) : undefined;
    if (text === undefined) {
      throw new UsageError(`Usage: ${COMMAND} completions ${SHELLS.join("|")}`);
    }
    return await print(text, console);
  }
  const needs: Need[] = [];
  const options = parseOptions(args, (variable) => {
    const need = { name: "env", variable } as const;
    if (io.missing([need]).length === 0) return io.env(variable);
    needs.push(need);
    return undefined;
  });
  if (options === "help") return await print(HELP, console);
  if (options === "version") {
    return await print(`${COMMAND} ${denoJson.version}\n`, console);
  }
  const readsStdin = options.files.length === 0 || options.files.includes("-");
  if (readsStdin && console.stdinIsTerminal) {
    console.write(NO_INPUT);
    return 2;
  }
  requirePermissions([...needs, ...needsOf(options)], io);
  return await run(options, io, console);
}

/** Prints a text, as far as somebody reads it. */
async function print(text: string, console: Console): Promise<number> {
  await console.print(text, new AbortController().signal);
  return 0;
}
