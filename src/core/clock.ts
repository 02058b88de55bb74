// Stamps for metrics that come without a timestamp: what one looks like, and which
// one is next.
//
// A server that stores by name, labels and nanosecond keeps the last write: two
// samples of one series in the same JavaScript millisecond would overwrite each
// other. So each millisecond hands out its nanoseconds one by one, and everything
// in the process shares this one clock: no two of its stamps are the same.
//
// Stamps increase for as long as the clock does. Where the system clock steps back
// by a second or more, they go back with it: what is stamped afterwards sorts
// before what was stamped in the future. A smaller step is not followed; stamps
// keep increasing from where they are until the clock has caught up.

/** How many characters a stamp has. */
export const STAMP_LENGTH = "2026-11-23T07:00:00.123456789Z".length;

const NANOS = 1_000_000;
const ZERO = 0x30;
const Z = 0x5a;

/**
 * Where a millisecond's first stamp lies. It differs from process to process, as
 * two that send the same series would otherwise both begin at .000000.
 */
const FIRST = Math.floor(Math.random() * (NANOS / 2));

/** A step back that is smaller is not followed, in ms. */
const MIN_STEP = 1000;

/** 000 to 999. */
const DIGITS = Array.from(
  { length: 1000 },
  (_, i) => String(i).padStart(3, "0"),
);

/** 000Z to 999Z. */
const ENDS = DIGITS.map((digits) => `${digits}Z`);

/** One millisecond, and which of its nanoseconds are free. */
export class Tick {
  /** Milliseconds since 1970. */
  readonly ms: number;
  #free: number;
  #prefix = "";
  /** The microsecond of the last text, and what all stamps in it begin with. */
  #micros = -1;
  #start = "";
  #bytes: Uint8Array | undefined;

  constructor(ms: number, free: number = FIRST) {
    this.ms = ms;
    this.#free = free;
  }

  /** The first nanosecond that {@linkcode take} did not hand out. */
  get free(): number {
    return this.#free;
  }

  /** Takes the next free nanosecond. */
  take(): number {
    return this.#free++;
  }

  /** RFC 3339 in UTC, such as `2026-11-23T07:00:00.123456789Z`. */
  format(nanos: number): string {
    // Joined and not concatenated: JSON.stringify takes twice as long for a metric
    // whose timestamp is a rope. Neighbours mostly share a microsecond.
    const micros = Math.floor(nanos / 1000);
    if (micros !== this.#micros) {
      this.#micros = micros;
      this.#start = [this.#millisecond(), DIGITS[micros]].join("");
    }
    return [this.#start, ENDS[nanos - micros * 1000]].join("");
  }

  /** Writes what {@linkcode format} returns, without the string in between. */
  write(bytes: Uint8Array, at: number, nanos: number): void {
    const start = this.#bytes ??= new TextEncoder().encode(this.#millisecond());
    // For so few bytes, a call of set() takes longer.
    for (let i = 0; i < start.length; i++) bytes[at + i] = start[i]!;
    for (let i = at + STAMP_LENGTH - 2, rest = nanos, n = 0; n < 6; i--, n++) {
      const tenth = (rest / 10) | 0;
      bytes[i] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    bytes[at + STAMP_LENGTH - 1] = Z;
  }

  /** What all its stamps begin with: `2026-11-23T07:00:00.123`. */
  #millisecond(): string {
    return this.#prefix ||= new Date(this.ms).toISOString().slice(0, -1);
  }
}

/** Milliseconds that were used, and a nanosecond from which on all of them are free. */
interface Era {
  from: number;
  to: number;
  free: number;
}

/** How many eras are told apart; beyond that, the oldest two become one. */
const MAX_ERAS = 32;

let current = new Tick(-Infinity);
let fresh = false;
let uses = 0;
/** Which milliseconds may come up a second time, as the clock has stepped back. */
const past: Era[] = [];
/** The first millisecond since then, and what is free in all but `current`. */
let eraFrom = Infinity;
let eraFree = FIRST;

const settled = Promise.resolve();

/**
 * The current millisecond, which has room for one {@linkcode Tick.take}.
 *
 * `Date.now()` is read once per turn of the event loop and at every 32nd use:
 * it costs more than all the rest of adding a metric.
 */
export function tick(): Tick {
  if (!fresh || (++uses & 31) === 0) read();
  if (current.free >= NANOS) {
    let ms = current.ms;
    do ms++; while (firstFree(ms) >= NANOS);
    enter(ms, firstFree(ms));
  }
  return current;
}

/** A stamp as text. */
export function stamp(): string {
  const now = tick();
  return now.format(now.take());
}

function read(): void {
  // A faked clock may have fractions, and two ticks of one millisecond would repeat.
  const now = Math.floor(Date.now());
  if (now > current.ms) {
    const free = firstFree(now);
    // Better late than twice.
    if (free < NANOS) enter(now, free);
  } else if (now <= current.ms - MIN_STEP) {
    stepBack(now);
  }
  if (!fresh) {
    fresh = true;
    // Not queueMicrotask, which test libraries replace along with the timers.
    settled.then(expire);
  }
}

function expire(): void {
  fresh = false;
}

function enter(ms: number, free: number): void {
  leave();
  eraFrom = Math.min(eraFrom, ms);
  current = new Tick(ms, free);
}

/** Begins a new era, unless the clock is in milliseconds that have nothing left. */
function stepBack(ms: number): void {
  if (current.free >= NANOS) return;
  leave();
  const within = eraFrom <= ms ? eraFree : FIRST;
  const free = Math.max(within, firstFree(ms));
  if (free >= NANOS) return;
  remember({ from: eraFrom, to: current.ms, free: eraFree });
  eraFrom = ms;
  eraFree = FIRST;
  current = new Tick(ms, free);
}

/** Notes what `current` has used up, before another takes its place. */
function leave(): void {
  const { ms, free } = current;
  // One that is full must not make its whole era count as full.
  if (free >= NANOS) remember({ from: ms, to: ms, free });
  else eraFree = Math.max(eraFree, free);
}

/** The first nanosecond of a millisecond that no earlier era can have used. */
function firstFree(ms: number): number {
  let first = FIRST;
  for (const { from, to, free } of past) {
    if (from <= ms && ms <= to) first = Math.max(first, free);
  }
  return first;
}

function remember(era: Era): void {
  past.push(era);
  if (past.length <= MAX_ERAS) return;
  const [a, b] = past.splice(0, 2) as [Era, Era];
  past.unshift({
    from: Math.min(a.from, b.from),
    to: Math.max(a.to, b.to),
    free: Math.max(a.free, b.free),
  });
}
