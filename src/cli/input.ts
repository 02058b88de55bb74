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
    while (!ended) {
      if (!signal.aborted) pending ??= input.read(buffer);
      if (pending === undefined) break;
      let n = signal.aborted ? undefined : await orAborted(pending);
      // What had come when the signal did is not to be lost.
      if (n === undefined) n = await thisTurn(pending);
      if (n === undefined) break;
      pending = undefined;
      ended = n === null;
      if (n === null) break;
      const chunk = buffer.slice(0, n);
      if (!signal.aborted) {
        // The next chunk comes in while this one is taken care of.
        pending = input.read(buffer);
        pending.catch(() => {});
      }
      yield reader.push(chunk);
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

/** What a read gives within this turn of the event loop, or `undefined`. */
function thisTurn(
  read: Promise<number | null>,
): Promise<number | null | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), 0);
    read.then(resolve, reject).finally(() => clearTimeout(timer));
  });
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
