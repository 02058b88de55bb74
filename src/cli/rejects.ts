// The rejects file: every input line that was not acknowledged, byte for byte.

import type { OutputFile } from "./io.ts";

const LF = 0x0a;
const LINE_FEED = new Uint8Array([LF]);

/**
 * Writes lines as they are rejected. At once and synchronously: what was written
 * is in the file whatever happens to the process next.
 */
export class RejectsFile {
  readonly #file: OutputFile;
  readonly #onError: (error: unknown) => void;
  /** Lines that have to wait while an overlong one is written in parts. */
  #waiting: Uint8Array[] | undefined;
  /** How many lines were written in full; after a failed write there may be more. */
  lines = 0;

  constructor(file: OutputFile, onError: (error: unknown) => void) {
    this.#file = file;
    this.#onError = onError;
  }

  /** Writes whole lines, without their line feeds. */
  writeLines(lines: readonly Uint8Array[]): void {
    if (this.#waiting !== undefined) {
      for (const line of lines) this.#waiting.push(line);
    } else if (
      lines.length > 0 && this.#write(join(lines))
    ) {
      this.lines += lines.length;
    }
  }

  /** Writes a line, or a part of one: `more` says that it goes on. */
  writePart(bytes: Uint8Array, more: boolean): void {
    const ok = this.#write(bytes);
    if (more) {
      this.#waiting ??= [];
      return;
    }
    if (this.#write(LINE_FEED) && ok) this.lines++;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    this.writeLines(waiting);
  }

  close(): void {
    this.#file.close();
  }

  #write(bytes: Uint8Array): boolean {
    try {
      for (let rest = bytes; rest.length > 0;) {
        rest = rest.subarray(this.#file.writeSync(rest));
      }
      return true;
    } catch (error) {
      this.#onError(error);
      return false;
    }
  }
}

function join(lines: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    lines.reduce((size, line) => size + line.length + 1, 0),
  );
  let at = 0;
  for (const line of lines) {
    all.set(line, at);
    at += line.length + 1;
    all[at - 1] = LF;
  }
  return all;
}
