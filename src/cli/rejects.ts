// The rejects: every input line that was not delivered. One that is invalid stands
// there byte for byte; one that is valid as it would have been sent, its timestamp
// included, so that sending it again stores the same sample.

import type { Line } from "../ndjson/line.ts";
import type { OutputFile } from "./io.ts";
import { Outlet } from "./outlet.ts";

const LF = 0x0a;
const LINE_FEED = new Uint8Array([LF]);
/**
 * So many bytes may wait for a pipe that nobody reads, or a disk that is full. Then a
 * pipe is waited for, and for a disk the lines are lost.
 */
const MAX_PENDING = 16 * 1024 * 1024;
/** How long to wait for a reader before that is worth a word, in ms. */
const WORTH_A_WORD = 2000;

/** What a {@linkcode RejectsFile} tells its owner. */
export interface RejectsEvents {
  /** The first write has failed, or the first one after a success. */
  onError(error: unknown): void;
  /** The run waits for whoever reads the file. */
  onWait(): void;
}

/** Writes lines as they are rejected. */
export class RejectsFile {
  readonly #file: OutputFile;
  readonly #outlet: Outlet;
  readonly #events: RejectsEvents;
  /** Lines that have to wait while an overlong one is written in parts. */
  #held: [bytes: Uint8Array, count: number][] | undefined;
  #heldBytes = 0;
  /** Of an overlong line that is being written, some parts were lost. */
  #torn = false;

  constructor(file: OutputFile, events: RejectsEvents) {
    this.#file = file;
    this.#events = events;
    let said = false;
    this.#outlet = new Outlet(file, {
      onWritten: () => said = false,
      onError: (error) => {
        if (!said) events.onError(error);
        return said = true;
      },
    });
  }

  /** How many lines are there in full. */
  get lines(): number {
    const { done, partial } = this.#outlet;
    return partial === undefined ? done : done + countLineFeeds(partial);
  }

  /** Whether more waits than memory should hold, so that reading has to stop. */
  get full(): boolean {
    return !this.#outlet.failing && this.#pending > MAX_PENDING;
  }

  /** Resolves when less waits, or `stop` is aborted. */
  async ready(stop: AbortSignal): Promise<void> {
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    stop.addEventListener("abort", onAbort);
    await this.#sayIfSlow(async () => {
      while (this.full && !stop.aborted) {
        await Promise.race([this.#outlet.progress(), stopped]);
      }
    });
    stop.removeEventListener("abort", onAbort);
  }

  /** Writes lines as they would have been sent. */
  writeLines(lines: readonly Line[]): void {
    this.write(toNdjson(lines), lines.length);
  }

  /** Writes so many whole lines, each with its line feed. Their bytes must not change. */
  write(bytes: Uint8Array, count: number): void {
    if (this.#held === undefined) {
      this.#push(bytes, count);
    } else {
      this.#held.push([bytes, count]);
      this.#heldBytes += bytes.length;
    }
  }

  /**
   * Writes a line, or a part of one: `more` says that it goes on. The bytes are the
   * caller's again afterwards.
   */
  writePart(bytes: Uint8Array, more: boolean): void {
    if (!more && this.#held === undefined) {
      this.#push(join(bytes), 1);
      return;
    }
    this.#torn = !this.#push(bytes.slice(), 0) || this.#torn;
    if (more) {
      this.#held ??= [];
      return;
    }
    // Also after a torn one, so that the next line does not run into it.
    this.#outlet.push(LINE_FEED, this.#torn ? 0 : 1);
    this.#torn = false;
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldBytes = 0;
    for (const [lines, count] of held) this.#push(lines, count);
  }

  /**
   * Resolves when all of it is written, or cannot be.
   *
   * @param hurry When aborted, nobody waits any longer for a pipe that is not read.
   */
  async finish(hurry: AbortSignal): Promise<void> {
    await this.#sayIfSlow(() => this.#outlet.flush(hurry));
  }

  /** Closes the file. */
  close(): void {
    this.#outlet.close();
    this.#file.close();
  }

  async #sayIfSlow(wait: () => Promise<void>): Promise<void> {
    const timer = setTimeout(() => this.#events.onWait(), WORTH_A_WORD);
    await wait();
    clearTimeout(timer);
  }

  get #pending(): number {
    return this.#outlet.pending + this.#heldBytes;
  }

  /** Whether there was room for it. */
  #push(bytes: Uint8Array, count: number): boolean {
    if (this.#outlet.failing && this.#pending + bytes.length > MAX_PENDING) {
      return false;
    }
    this.#outlet.push(bytes, count);
    return true;
  }
}

/** The line with its line feed. */
function join(line: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(line.length + 1);
  bytes.set(line);
  bytes[line.length] = LF;
  return bytes;
}

/** Lines as they would have been sent, each with a line feed. */
function toNdjson(lines: readonly Line[]): Uint8Array {
  let size = 0;
  for (const line of lines) size += line.maxBody + 1;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const line of lines) {
    bytes.set(line.chunk.subarray(line.start, line.cut), at);
    at = line.writeRest(bytes, at + line.cut - line.start);
    bytes[at++] = LF;
  }
  return bytes.subarray(0, at);
}

function countLineFeeds(bytes: Uint8Array): number {
  let n = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) n++;
  return n;
}
