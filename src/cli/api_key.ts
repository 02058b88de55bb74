// The API key, from where the options say it is.

import type { CliOptions } from "./flags.ts";
import type { Io } from "./io.ts";
import { checkHeaderValue, UsageError } from "./values.ts";

/** Reads the key's file, if there is one to read. */
export async function readApiKey(
  { apiKey, apiKeyFile: path }: CliOptions,
  io: Io,
): Promise<string | undefined> {
  if (path === undefined) return apiKey;
  let text: string;
  try {
    text = await io.readTextFile(path);
  } catch (error) {
    throw new UsageError(
      `Cannot read the file of --api-key-file: ${(error as Error).name}`,
    );
  }
  const key = text.trim();
  if (key === "") {
    throw new UsageError("The file of --api-key-file holds no key");
  }
  return checkHeaderValue("The key in the file of --api-key-file", key);
}
