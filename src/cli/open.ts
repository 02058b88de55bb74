// Opens what a run reads and writes, all of it before anything is read: a wrong name
// costs nothing.

import { messageOf, show } from "../core/text.ts";
import type { CliOptions } from "./flags.ts";
import type { Input, Io, OutputFile } from "./io.ts";
import type { Log } from "./log.ts";
import { RejectsFile } from "./rejects.ts";
import { UsageError } from "./values.ts";

/** What stands for stdin among the files. */
const STDIN = "-";

/** Opens the inputs; the stack closes them. */
export async function openInputs(
  { files }: CliOptions,
  io: Io,
  opened: AsyncDisposableStack,
): Promise<[name: string, input: Input][]> {
  const inputs: [string, Input][] = [];
  for (const path of files.length === 0 ? [STDIN] : files) {
    try {
      const input = path === STDIN ? io.stdin : await io.openInput(path);
      opened.defer(() => input.close());
      inputs.push([path === STDIN ? "stdin" : path, input]);
    } catch (error) {
      throw new UsageError(
        `Cannot read --file ${show(path)}: ${messageOf(error)}`,
      );
    }
  }
  return inputs;
}

/** Opens the rejects, if they are wanted; the stack closes them. */
export async function openRejects(
  { rejects: path, files }: CliOptions,
  io: Io,
  log: Log,
  opened: AsyncDisposableStack,
): Promise<RejectsFile | undefined> {
  if (path === undefined) return undefined;
  const inputs = files.filter((file) => file !== STDIN);
  let file: OutputFile;
  try {
    file = await io.openAppend(path, inputs);
  } catch (error) {
    throw new UsageError(
      `Cannot open --rejects ${show(path)}: ${messageOf(error)}`,
    );
  }
  if (file.isInput) {
    file.close();
    // It would read what it writes, and never end.
    throw new UsageError(
      `Option --rejects must not name the input itself: ${show(path)}`,
    );
  }
  const rejects = new RejectsFile(file, {
    onError: (error) =>
      log.error(`Cannot write to --rejects ${show(path)}: ${messageOf(error)}`),
    onWait: () =>
      log.warn(`Waiting for somebody to read --rejects ${show(path)}`),
  });
  return opened.adopt(rejects, (rejects) => rejects.close());
}
