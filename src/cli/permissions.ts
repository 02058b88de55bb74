// What Deno has to allow for a run: all of it is asked for before anything is read.

import type { Io, Need } from "./io.ts";
import type { CliOptions } from "./flags.ts";
import { UsageError } from "./values.ts";

/** What a run needs, but for the environment. */
export function needsOf(options: CliOptions): Need[] {
  const { url, files, rejects, apiKeyFile, dryRun } = options;
  const { hostname, port, protocol } = new URL(url);
  const host = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
  const needs: Need[] = dryRun ? [] : [{ name: "net", host }];
  for (const path of [...files, apiKeyFile]) {
    if (path !== undefined && path !== "-") needs.push({ name: "read", path });
  }
  if (rejects !== undefined) needs.push({ name: "write", path: rejects });
  return needs;
}

/** Says which flags are missing, all at once. */
export function requirePermissions(needs: readonly Need[], io: Io): void {
  const values: Record<string, string[]> = {};
  for (const need of io.missing(needs)) {
    const value = need.name === "net"
      ? need.host
      : need.name === "env"
      ? need.variable
      : need.path;
    (values[need.name] ??= []).push(value);
  }
  const flags = Object.entries(values).map(([name, list]) =>
    `--allow-${name}=${list.join(",")}`
  );
  if (flags.length > 0) {
    throw new UsageError(
      `Deno does not allow this: run or install again with ${flags.join(" ")}`,
    );
  }
}
