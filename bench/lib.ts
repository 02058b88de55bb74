// What the sections share: child processes, the sink, spreads and ratios.

/** What a section returns to `main.ts`. */
export interface Section {
  readonly title: string;
  /** What the section measures and how, in a paragraph. */
  readonly method: string;
  readonly tables: readonly Table[];
  /** What the numbers say, the unwelcome ones included. */
  readonly reading: readonly string[];
  /** A group of bars for the chart in the README. */
  readonly bars?: BarGroup;
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface BarGroup {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly { name: string; value: number; ours: boolean }[];
}

/** How much to measure. */
export interface Effort {
  readonly sink: Sink;
  readonly rounds: number;
  /** 1, or less for a quick look. */
  readonly scale: number;
}

/** The middle of several rounds, with the lowest and the highest. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    min: sorted[0] ?? NaN,
    max: sorted.at(-1) ?? NaN,
  };
}

/** Of values in ascending order. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** Three significant digits, with thousands set apart. */
export function fmt(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = value === 0
    ? 0
    : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = digits > 0 ? value : Number(value.toPrecision(3));
  return rounded.toLocaleString("en-US", {
    maximumFractionDigits: Math.min(digits, 3),
  });
}

export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function fmtSpread({ median, min, max }: Spread): string {
  return `${fmt(median)} (${fmt(min)}–${fmt(max)})`;
}

/** How a figure compares with the most it may be: `target 85: met`. */
export function atMost(target: number, value: number): string {
  return `target ${target}: ${value <= target ? "met" : "missed"}`;
}

/** How a figure compares with the least it must be: `target 0.7: met`. */
export function atLeast(target: number, value: number): string {
  return `target ${target}: ${value >= target ? "met" : "missed"}`;
}

/**
 * The ratio of two variants, round by round. Each pair ran one soon after the other,
 * so a machine that slows down halfway through changes both figures of a pair and
 * hardly their ratio.
 */
export function ratio(
  values: readonly number[],
  bases: readonly number[],
): Spread {
  return spread(values.map((value, round) => value / (bases[round] ?? NaN)));
}

/** Runs every variant once per round, so that noise affects all of them alike. */
export async function interleave<V extends string, R>(
  variants: readonly V[],
  rounds: number,
  measure: (variant: V) => Promise<R>,
): Promise<Record<V, R[]>> {
  const results = Object.fromEntries(
    variants.map((variant) => [variant, [] as R[]]),
  ) as Record<V, R[]>;
  for (let round = 0; round < rounds; round++) {
    // Every other round runs backwards, as what runs first may warm up or slow down
    // what runs next.
    const order = round % 2 === 0 ? variants : variants.toReversed();
    for (const variant of order) {
      results[variant].push(await measure(variant));
    }
  }
  return results;
}

/**
 * Runs a module of this folder in its own process, so that variants share neither a
 * heap nor compiled code, and parses the line of JSON that it prints last.
 */
export async function child<R>(
  module: string,
  input: unknown,
  flags: readonly string[] = [],
): Promise<R> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...flags, module, JSON.stringify(input)],
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(output.stdout).trim();
  if (!output.success) throw new Error(`${module} failed: ${text}`);
  return JSON.parse(text.slice(text.lastIndexOf("\n") + 1));
}

/** The other end of `child`. */
export async function answer<I, R>(
  measure: (input: I) => Promise<R>,
): Promise<never> {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0] ?? "{}"))));
  // A peer's timers must not keep the process alive.
  Deno.exit(0);
}

export interface SinkAddress {
  readonly http: number;
  readonly udp: number;
}

export interface Counts {
  readonly items: number;
  readonly requests: number;
  readonly bytes: number;
}

/** The server of `sink.ts`, in its own process. */
export class Sink implements AsyncDisposable {
  readonly address: SinkAddress;
  readonly url: string;
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess, address: SinkAddress) {
    this.#process = process;
    this.address = address;
    this.url = `http://127.0.0.1:${address.http}/v1/ingest`;
  }

  static async start(): Promise<Sink> {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--unstable-net",
        new URL("sink.ts", import.meta.url).href,
      ],
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    const { value } = await reader.read();
    return new Sink(process, JSON.parse(new TextDecoder().decode(value)));
  }

  async reset(delay = 0): Promise<void> {
    const reset = new URL(`/reset?delay=${delay}`, this.url);
    await (await fetch(reset, { method: "POST" })).text();
  }

  async counts(): Promise<Counts> {
    return await (await fetch(new URL("/counts", this.url))).json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.status;
  }
}

/** A process's peak resident memory, in MB; NaN where there is no /proc. */
export function peakRss(pid: number | "self" = "self"): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) / 1024;
  } catch {
    return NaN;
  }
}

/** The commit that the benchmarks measure, and whether src/ differs from it. */
export async function revision(): Promise<string> {
  const git = async (...args: string[]) => {
    const cwd = new URL("..", import.meta.url).pathname;
    const { stdout } = await new Deno.Command("git", { args, cwd }).output();
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    const commit = await git("rev-parse", "--short", "HEAD");
    const changes = await git(
      "status",
      "--porcelain",
      "src",
      "mod.ts",
      "cli.ts",
    );
    return changes === "" ? commit : `${commit} with changes`;
  } catch {
    return "unknown";
  }
}

/** The version that an external command prints, or `undefined` if it is absent. */
export async function versionOf(
  command: string,
): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(command, { args: ["--version"] })
      .output();
    // Up to the first number, as curl goes on to list its libraries.
    return /^.*?\d\S*/.exec(new TextDecoder().decode(stdout))?.[0] ?? command;
  } catch {
    return undefined;
  }
}
