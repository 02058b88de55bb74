// What a run comes to: totals in, text and exit code out.

import { count, show } from "../core/text.ts";
import { safeUrl } from "../transports/http/target.ts";
import { STOP_SIGNALS, type StopSignal } from "./io.ts";

/** The totals of a run, as `--json` prints them. */
export interface Totals {
  /** Lines read, blank ones not counted. */
  readonly read: number;
  readonly sent: number;
  readonly invalid: number;
  readonly undelivered: number;
  readonly batches: number;
  readonly retries: number;
  /** Bytes of all request bodies. */
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** How a run went. */
export interface Outcome {
  readonly totals: Totals;
  readonly url: string;
  readonly dryRun: boolean;
  /** Where rejected lines went, and how many of them are there. */
  readonly rejects:
    | { readonly path: string; readonly lines: number }
    | undefined;
  /** An input could not be read to its end, or stdout not be written. */
  readonly failed: boolean;
  readonly signal: StopSignal | undefined;
}

/** The last line of the log. */
export function summarize({ totals, url, dryRun, rejects }: Outcome): string {
  const { read, sent, invalid, undelivered, batches, elapsedMs } = totals;
  const lost = invalid + undelivered;
  const parts = [
    `${read} read`,
    dryRun
      ? "nothing sent (dry run)"
      : `${sent} sent in ${count(batches, "batch", "batches")}`,
  ];
  if (invalid > 0) parts.push(`${invalid} invalid`);
  if (undelivered > 0) parts.push(`${undelivered} not delivered`);
  let advice = "";
  if (lost > 0 && rejects === undefined) {
    parts.push(`${lost} lost: --rejects FILE keeps such lines`);
  } else if (lost > 0 && rejects !== undefined) {
    parts.push(`${rejects.lines} written to ${show(rejects.path)}`);
    if (undelivered > 0 && rejects.lines > 0) {
      advice = `; to send them again: tinyobs-batch --file ${
        quote(rejects.path)
      } ${quote(safeUrl(url))}`;
    }
  }
  return `${parts.join(", ")} (${(elapsedMs / 1000).toFixed(2)} s)${advice}`;
}

/** A word as a shell reads it. */
function quote(word: string): string {
  return /^[\w./:@%+-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * A daemon that is told to end by SIGTERM or SIGHUP, and has delivered everything,
 * has done what it should. Ctrl-C is somebody's wish to break off, whatever became
 * of it.
 */
export function exitCode({ totals, failed, signal }: Outcome): number {
  const lost = totals.invalid + totals.undelivered > 0 || failed;
  if (signal !== undefined && (lost || signal === "SIGINT")) {
    return STOP_SIGNALS[signal];
  }
  return lost ? 1 : 0;
}
