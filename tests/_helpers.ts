// What the tests of the library share: metrics, transports driven by hand or that
// write down what they get, timers driven by hand, and child processes.

import type {
  Batch,
  BatcherOptions,
  Logger,
  Metric,
  SendOptions,
  Transport,
} from "../mod.ts";

// Real ones, also while `HandTimers` has taken their place.
const { setTimeout, clearTimeout } = globalThis;

/**
 * Waits for an event; that it never comes is an error and no hang. What it waits
 * for takes milliseconds, so that only a machine that stands still is too slow.
 */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`Waited in vain for ${what}`)),
    30_000,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The metric number `i`; its value tells it from all others. */
export function metric(i: number): Metric {
  return { name: "test_metric", type: "counter", value: i };
}

/** The metrics from `start` to `end`, `end` not included. */
export function metrics(start: number, end: number): Metric[] {
  return Array.from({ length: end - start }, (_, i) => metric(start + i));
}

/** What tells metrics made by {@linkcode metric} apart. */
export function values(batch: Iterable<Metric>): number[] {
  return Array.from(batch, ({ value }) => value);
}

/** The numbers from `start` to `end`, `end` not included. */
export function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** For a Batcher that sends each batch once, as it is, and reports what happens. */
export const bare = {
  retry: false,
  quarantine: false,
} as const satisfies BatcherOptions;

/** A send that has begun and ends when the test says so. */
export interface HandSend<T = Metric> {
  readonly batch: readonly T[];
  readonly signal: AbortSignal;
  /** Delivers the batch. */
  resolve(): void;
  /** Fails the send. */
  reject(reason: unknown): void;
}

/** A transport whose sends end when the test says so, and never by themselves. */
export class HandTransport<T = Metric> implements Transport<T> {
  maxInFlight: number | undefined;
  /** Every send so far. */
  readonly sends: HandSend<T>[] = [];
  /** How many sends are open, and how many were at most. */
  open = 0;
  maxOpen = 0;
  /** What is called inside `send`, before it returns. */
  onSend: (batch: readonly T[]) => void = () => {};
  #taken = 0;
  #waiting: (() => void)[] = [];

  send(items: Batch<T>, { signal }: SendOptions): Promise<void> {
    const batch = [...items];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.maxOpen = Math.max(this.maxOpen, ++this.open);
    const end = () => this.open--;
    promise.then(end, end);
    this.sends.push({ batch, signal, resolve, reject });
    this.onSend(batch);
    for (const wake of this.#waiting.splice(0)) wake();
    return promise;
  }

  /** The next send, once there is one. */
  async next(): Promise<HandSend<T>> {
    const at = this.#taken++;
    while (this.sends.length <= at) {
      const woken = new Promise<void>((wake) => this.#waiting.push(wake));
      await within(woken, `send number ${at + 1}`);
    }
    return this.sends[at]!;
  }

  /** How many items each send had. */
  get sizes(): number[] {
    return this.sends.map(({ batch }) => batch.length);
  }
}

/** A transport that delivers at once and keeps what it got. */
export class Recorder implements Transport<Metric> {
  readonly batches: (readonly Metric[])[] = [];

  send(batch: Batch<Metric>): Promise<void> {
    this.batches.push([...batch]);
    return Promise.resolve();
  }

  get metrics(): Metric[] {
    return this.batches.flat();
  }

  get sizes(): number[] {
    return this.batches.map(({ length }) => length);
  }
}

/** A logger that keeps what it got, as `level message`. */
export class Lines implements Logger {
  readonly lines: string[] = [];
  debug(message: string): void {
    this.lines.push(`debug ${message}`);
  }
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
  /** The lines of one level. */
  of(level: keyof Logger): string[] {
    return this.lines.filter((line) => line.startsWith(`${level} `));
  }
}

/** Says nothing. */
export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * One turn of the event loop, after which every microtask has run: what has not
 * happened by then waits for something else than its turn.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Whether a promise still waits after one turn of the event loop. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol();
  return await Promise.race([promise, turn().then(() => waiting)]) === waiting;
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A timer that was set and not cleared. */
export interface HandTimer {
  readonly delay: number;
  /** Ends the wait now. */
  fire(): void;
}

/**
 * Puts the Batcher's timers into the test's hands until it is disposed: they end
 * when the test says so.
 */
export class HandTimers implements Disposable {
  readonly #timers = new Map<number, HandTimer>();
  #last = 1e9;

  constructor() {
    const set = (callback: () => void, delay = 0) => {
      const id = ++this.#last;
      const fire = () => {
        if (this.#timers.delete(id)) callback();
      };
      this.#timers.set(id, { delay, fire });
      return id;
    };
    const clear = (id?: number) => {
      if (id !== undefined && !this.#timers.delete(id)) clearTimeout(id);
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = clear as unknown as typeof clearTimeout;
  }

  /** The timers that run. */
  get running(): HandTimer[] {
    return [...this.#timers.values()];
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = setTimeout;
    globalThis.clearTimeout = clearTimeout;
  }
}

/** How a child process ended, and what it wrote. */
export interface ChildResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a script in a process of its own, with `Batcher`, `fetchTransport`,
 * `SendError` and `metric` imported. A process that does not end is killed and has
 * a code other than 0.
 */
export async function runScript(source: string): Promise<ChildResult> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/script.ts`;
    const mod = new URL("../mod.ts", import.meta.url).href;
    const helpers = import.meta.url;
    await Deno.writeTextFile(
      path,
      `import { Batcher, fetchTransport, SendError } from "${mod}";
       import { metric } from "${helpers}";
       ${source}`,
    );
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-check", "--allow-net", path],
      env: { NO_COLOR: "1" },
      stdin: "null",
      // Only a hang takes that long: the scripts end by themselves.
      signal: AbortSignal.timeout(30_000),
    });
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return {
      code,
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
