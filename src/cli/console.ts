// The one place that writes to stderr and stdout and asks about the terminal. None
// of it can end a run: a terminal goes away, a pipe is closed or not read, a disk
// fills up, and the sending goes on.

import { excerpt } from "../core/text.ts";
import type { Io } from "./io.ts";
import { Outlet } from "./outlet.ts";

/** So much of the log may wait for its reader, in bytes; the rest is dropped. */
const MAX_PENDING = 64 * 1024;
const CLEAR = "\r\x1b[K";
/** The width of a terminal that does not tell. */
const COLUMNS = 80;

const encoder = new TextEncoder();

/** stderr, stdout and the terminal. */
export class Console {
  readonly #io: Io;
  readonly #stderr: Outlet;
  readonly #stdout: Outlet;
  #stdoutError: unknown;
  #drawn = false;
  #dropped = 0;
  /** Says how many lines of the log were dropped, once there is room again. */
  onDropped: (lines: number) => void = () => {};

  constructor(io: Io) {
    this.#io = io;
    this.#stderr = new Outlet(io.stderr, {
      onIdle: () => this.#reportDropped(),
      // There is nowhere left to say so.
      onError: () => false,
    });
    this.#stdout = new Outlet(io.stdout, {
      onError: (error) => {
        this.#stdoutError = error;
        return false;
      },
    });
  }

  /** Whether a line that changes can be shown. */
  get animated(): boolean {
    try {
      return this.#io.stderr.isAnimated();
    } catch {
      return false;
    }
  }

  /** The width of the terminal. */
  get columns(): number {
    try {
      return this.#io.stderr.columns() || COLUMNS;
    } catch {
      return COLUMNS;
    }
  }

  /** Whether somebody would have to type the input. */
  get stdinIsTerminal(): boolean {
    try {
      return this.#io.stdin.isTerminal();
    } catch {
      return false;
    }
  }

  /** Writes lines to stderr; what they hold cannot move the cursor. */
  write(text: string): void {
    const lines = text.split("\n").map((line) => excerpt(line, Infinity));
    const bytes = encoder.encode((this.#drawn ? CLEAR : "") + lines.join("\n"));
    if (this.#stderr.pending + bytes.length > MAX_PENDING) {
      this.#dropped++;
      return;
    }
    this.#drawn = false;
    this.#stderr.push(bytes);
  }

  /** Shows a line until the next one is drawn or written. */
  draw(line: string): void {
    // Nobody misses one that the terminal has no time for.
    if (this.#stderr.pending > 0) return;
    // The last column is left free: some terminals wrap as soon as it is used.
    this.#stderr.push(
      encoder.encode(CLEAR + line.slice(0, this.columns - 1)),
    );
    this.#drawn = true;
  }

  /** Removes the line that was drawn. */
  clear(): void {
    if (this.#drawn) this.#stderr.push(encoder.encode(CLEAR));
    this.#drawn = false;
  }

  /**
   * Writes to stdout, as fast as it is read.
   *
   * @param hurry When aborted, a stdout that is not read is waited for no longer.
   * @returns What went wrong, if anything did. Never rejects.
   */
  async print(
    content: string | Uint8Array,
    hurry: AbortSignal,
  ): Promise<unknown> {
    this.#stdoutError = undefined;
    this.#stdout.push(
      typeof content === "string" ? encoder.encode(content) : content,
    );
    await this.#stdout.flush(hurry);
    return this.#stdoutError;
  }

  /** Waits a moment for whoever reads the log. */
  async flush(): Promise<void> {
    this.#reportDropped();
    await this.#stderr.flush(AbortSignal.abort());
  }

  #reportDropped(): void {
    const dropped = this.#dropped;
    if (dropped === 0 || this.#stderr.pending > 0) return;
    this.#dropped = 0;
    this.onDropped(dropped);
  }
}
