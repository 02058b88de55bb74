// Stamps for metrics that come without a timestamp: strictly increasing, with
// nanosecond digits, unique within one instance of this module.
//
// TinyObs stores by name, labels and nanosecond, and the last write wins: two
// samples of one series in the same JavaScript millisecond would overwrite each
// other. So each millisecond hands out its nanoseconds one by one, and all
// Batchers share the one clock.

const NANOS = 1_000_000;

/**
 * Where a millisecond's first stamp lies. It differs from process to process, as
 * two that send the same series would otherwise both begin at .000000.
 */
const FIRST = Math.floor(Math.random() * (NANOS / 2));

/** 000 to 999. */
const DIGITS = Array.from(
  { length: 1000 },
  (_, i) => String(i).padStart(3, "0"),
);

/** One millisecond, and the next of its nanoseconds that is free. */
export class Tick {
  readonly ms: number;
  nanos: number = FIRST;
  #prefix = "";

  constructor(ms: number) {
    this.ms = ms;
  }

  /** What the stamps of the millisecond begin with: `2026-11-23T07:00:00.123`. */
  get prefix(): string {
    return this.#prefix ||= new Date(this.ms).toISOString().slice(0, -1);
  }

  /** RFC 3339 in UTC, such as `2026-11-23T07:00:00.123456789Z`. */
  format(nanos: number): string {
    // Joined and not concatenated: JSON.stringify takes twice as long for a metric
    // whose timestamp is a rope (`bench/ideas.ts`).
    return [
      this.prefix,
      DIGITS[Math.floor(nanos / 1000)],
      DIGITS[nanos % 1000] + "Z",
    ].join("");
  }
}

let current = new Tick(0);
let fresh = false;
let uses = 0;

/**
 * The current millisecond. The caller takes its `nanos` and counts it up.
 *
 * `Date.now()` is read once per turn of the event loop and at every 32nd use:
 * it costs more than all the rest of adding a metric (`bench/add.ts`). A clock
 * that is set back leaves the stamps where they are until it has caught up.
 */
export function tick(): Tick {
  if (!fresh || (++uses & 31) === 0) read();
  if (current.nanos >= NANOS) current = new Tick(current.ms + 1);
  return current;
}

/** A stamp as text. */
export function stamp(): string {
  const now = tick();
  return now.format(now.nanos++);
}

function read(): void {
  const now = Date.now();
  if (now > current.ms) current = new Tick(now);
  if (!fresh) {
    fresh = true;
    queueMicrotask(expire);
  }
}

function expire(): void {
  fresh = false;
}
