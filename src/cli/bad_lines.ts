// Explains bad lines: enough of them to find the mistake, and not each of a flood.

import { excerpt } from "../core/text.ts";
import type { BadLine } from "../ndjson/reader.ts";
import type { Log } from "./log.ts";

/** So many are explained in a minute. */
const MAX_EXPLAINED = 10;
const MINUTE = 60_000;
/** The others are counted, and that is said after so long at the latest, in ms. */
const COUNT_AFTER = 10_000;

const decoder = new TextDecoder();

/** The log of the lines that cannot be sent. */
export class BadLineLog {
  readonly #log: Log;
  /** The file that is being read, if it is not the only input. */
  source = "";
  /** When the current minute began. */
  #begin = -Infinity;
  #explained = 0;
  #counted = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Explains a bad line, or counts it. */
  add(line: BadLine): void {
    const now = performance.now();
    if (now - this.#begin >= MINUTE) {
      this.#sayCount();
      this.#begin = now;
      this.#explained = 0;
    }
    if (this.#explained < MAX_EXPLAINED) {
      this.#explained++;
      this.#explain(line);
    } else {
      this.#counted++;
      this.#timer ??= setTimeout(() => this.#sayCount(), COUNT_AFTER);
    }
  }

  /** Says that a field is not sent. */
  unknownField(name: string, meant: string | undefined, number: number): void {
    const field = excerpt(JSON.stringify(name), 80);
    this.#log.warn(
      `${
        this.#place(number)
      }Field ${field} is not part of a metric and is not sent${
        meant === undefined ? "" : `: did you mean "${meant}"?`
      } (said once)`,
      { source: this.source || undefined, line: number, field: name },
    );
  }

  /** Says what is left to say. */
  close(): void {
    this.#sayCount();
  }

  #explain({ number, reason, raw, hint }: BadLine): void {
    const start = decoder.decode(raw.subarray(0, 200)).trim();
    this.#log.warn(
      `${this.#place(number)}${reason}: ${excerpt(start, 80)}${
        hint === undefined ? "" : `; ${hint}`
      }`,
      { source: this.source || undefined, line: number, reason },
    );
  }

  #place(number: number): string {
    const source = this.source === "" ? "" : `${excerpt(this.source)}: `;
    return `${source}Line ${number}: `;
  }

  #sayCount(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const more = this.#counted;
    if (more === 0) return;
    this.#counted = 0;
    this.#log.warn(
      more === 1
        ? "1 more invalid line is not shown"
        : `${more} more invalid lines are not shown`,
      { source: this.source || undefined, hidden: more },
    );
  }
}
