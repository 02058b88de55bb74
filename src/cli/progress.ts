// The live line on a terminal: what was read, sent and lost so far, and how fast.

/** What the line shows. */
export interface Progress {
  read: number;
  sent: number;
  waiting: number;
  failed: number;
  /** How much of the input has been read, from 0 to 1, where its size is known. */
  fraction: number | undefined;
}

const INTERVAL = 200;
const CLEAR = "\r\x1b[K";
const BAR = 10;

/**
 * Draws the line five times a second, until it is stopped. Whatever else is
 * written to the terminal has to `clear` it first.
 */
export class LiveLine {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  readonly #progress: () => Progress;
  readonly #begin = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #drawn = false;

  constructor(
    write: (text: string) => void,
    columns: () => number,
    progress: () => Progress,
  ) {
    this.#write = write;
    this.#columns = columns;
    this.#progress = progress;
    this.#timer = setInterval(() => this.#draw(), INTERVAL);
  }

  /** Makes room for another line; the next draw brings this one back. */
  clear(): void {
    if (this.#drawn) this.#write(CLEAR);
    this.#drawn = false;
  }

  /** Takes the line away for good. */
  stop(): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #draw(): void {
    const line = formatProgress(
      this.#progress(),
      performance.now() - this.#begin,
    );
    // The last column is left free: some terminals wrap as soon as it is used.
    this.#write(CLEAR + line.slice(0, this.#columns() - 1));
    this.#drawn = true;
  }
}

/** The line's text. */
export function formatProgress(progress: Progress, elapsedMs: number): string {
  const { read, sent, waiting, failed, fraction } = progress;
  const rate = Math.round(sent / Math.max(elapsedMs / 1000, 0.001));
  const seconds = Math.floor(elapsedMs / 1000);
  // What matters most comes first, as a narrow terminal cuts the end off.
  return [
    ...(fraction === undefined ? [] : [formatBar(fraction)]),
    `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`,
    `${format(read)} read`,
    `${format(sent)} sent`,
    ...(failed > 0 ? [`${format(failed)} failed`] : []),
    `${format(waiting)} waiting`,
    `${format(rate)}/s`,
  ].join("  ");
}

function formatBar(fraction: number): string {
  const full = Math.round(Math.min(fraction, 1) * BAR);
  const percent = Math.floor(Math.min(fraction, 1) * 100);
  return `[${"#".repeat(full)}${"-".repeat(BAR - full)}] ${
    String(percent).padStart(3)
  }%`;
}

function format(n: number): string {
  return n.toLocaleString("en-US");
}
