// The live line on a terminal: what was read, sent and lost so far, and how fast.

import type { Console } from "./console.ts";

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
/** The rate is that of the last five seconds. */
const SAMPLES = 25;
const BAR = 10;

/** Draws the line five times a second, until it is stopped. */
export class LiveLine implements Disposable {
  readonly #console: Console;
  readonly #progress: () => Progress;
  readonly #begin = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #samples: [elapsed: number, sent: number][] = [[0, 0]];

  constructor(console: Console, progress: () => Progress) {
    this.#console = console;
    this.#progress = progress;
    this.#timer = setInterval(() => this.#draw(), INTERVAL);
  }

  /** Removes the line for good. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#console.clear();
  }

  #draw(): void {
    const progress = this.#progress();
    const elapsed = performance.now() - this.#begin;
    const [since, sent] = this.#samples[0]!;
    const rate = (progress.sent - sent) / Math.max(elapsed - since, 1) * 1000;
    this.#samples.push([elapsed, progress.sent]);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#console.draw(
      formatProgress(progress, elapsed, rate, this.#console.columns - 1),
    );
  }
}

/**
 * The line's text.
 *
 * @param progress What to show.
 * @param elapsedMs Since when.
 * @param rate How many are sent in a second.
 * @param width How long it may be: what matters least is left out first.
 */
export function formatProgress(
  progress: Progress,
  elapsedMs: number,
  rate: number,
  width = Infinity,
): string {
  const { read, sent, waiting, failed, fraction } = progress;
  const seconds = Math.floor(elapsedMs / 1000);
  /** In the order of the line, each with its importance. */
  const parts: [text: string, importance: number][] = [
    ...(fraction === undefined
      ? []
      : [[formatBar(fraction), 1] as [string, number]]),
    [
      `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`,
      2,
    ],
    [`${format(read)} read`, 4],
    [`${format(sent)} sent`, 5],
    ...(failed > 0
      ? [[`${format(failed)} failed`, 6] as [string, number]]
      : []),
    [`${format(waiting)} waiting`, 0],
    [`${format(Math.round(rate))}/s`, 3],
  ];
  for (;;) {
    const line = parts.map(([text]) => text).join("  ");
    if (line.length <= width || parts.length === 1) return line;
    const least = Math.min(...parts.map(([, importance]) => importance));
    parts.splice(parts.findIndex(([, own]) => own === least), 1);
  }
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
