// Reading: one input after the other, a chunk at a time, until a signal.

import type { Line } from "../ndjson/line.ts";
import type { NdjsonReader } from "../ndjson/reader.ts";
import type { Input } from "./io.ts";

const READ_SIZE = 96 * 1024;
/** How long to wait, after a signal, for the end of a line that is half read, in ms. */
const LINE_GRACE = 250;

/**
 * The good lines of an input, chunk by chunk. When the signal is aborted, it still
 * reads to the end of the line that it is in, so that no line is cut in two.
 *
 * @throws What the input throws, after the lines that were read until then.
 */
export async function* readLines(
  input: Input,
  reader: NdjsonReader,
  signal: AbortSignal,
): AsyncGenerator<Line[]> {
  let wake = () => {};
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort);
  // Not Promise.race: a promise that stays pending for the whole run would keep
  // every read that was ever raced with it.
  const orAborted = (read: Promise<number | null>) =>
    new Promise<number | null | undefined>((resolve, reject) => {
      wake = () => resolve(undefined);
      read.then(resolve, reject);
    });
  const buffer = new Uint8Array(READ_SIZE);
  let failure: { error: unknown } | undefined;
  try {
    let pending: Promise<number | null> | undefined;
    let ended = false;
    while (!signal.aborted && !ended) {
      pending = input.read(buffer);
      let n = await orAborted(pending);
      // What had come when the signal did is not to be lost.
      if (n === undefined) n = await Promise.race([pending, nextTurn()]);
      if (n === undefined) break;
      pending = undefined;
      ended = n === null;
      if (n !== null) yield reader.push(buffer.slice(0, n));
    }
    if (!ended && reader.midLine) {
      yield* readToLineEnd(input, reader, buffer, pending);
    }
  } catch (error) {
    failure = { error };
  }
  signal.removeEventListener("abort", onAbort);
  yield reader.end();
  if (failure !== undefined) throw failure.error;
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), 0));
}

/** Byte by byte, as what is read beyond the line feed would be lost. */
async function* readToLineEnd(
  input: Input,
  reader: NdjsonReader,
  buffer: Uint8Array,
  pending: Promise<number | null> | undefined,
): AsyncGenerator<Line[]> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<null>((resolve) =>
    timer = setTimeout(resolve, LINE_GRACE, null)
  );
  try {
    let into = pending === undefined ? buffer.subarray(0, 1) : buffer;
    let read = pending ?? input.read(into);
    while (reader.midLine) {
      const n = await Promise.race([read, grace]);
      if (n === null) break;
      yield reader.push(into.slice(0, n));
      if (!reader.midLine) break;
      into = buffer.subarray(0, 1);
      read = input.read(into);
    }
  } finally {
    clearTimeout(timer);
  }
}
