// (f) How much memory the command line takes, and a metric that waits.

import {
  answer,
  atMost,
  child,
  count,
  type Effort,
  fmtSpread,
  interleave,
  peakRss,
  type Section,
  spread,
} from "./lib.ts";
import { lines, type Shape, writeLines } from "./inputs.ts";
import { type LabelKind, type PeerName, PEERS } from "./peers.ts";

const CLI = new URL("../cli.ts", import.meta.url).pathname;
const USUAL: Shape = "176 bytes, 4 labels";
const CHUNK = 5000;
/** How much the command line may take at its peak, in MB, however long the input. */
const MAX_RSS = 110;

interface Run {
  rss: number;
  seconds: number;
  items: number;
}

/** Runs the command line on `n` lines, from a file if there is one, else from a pipe. */
async function feed(n: number, url: string, file?: string): Promise<Run> {
  const begin = performance.now();
  // `exec`, so that the process we look at is the command line and not the shell.
  const process = new Deno.Command("sh", {
    args: [
      "-c",
      'exec "$DENO" run -A "$CLI" -q --timeout 1m "$URL"' +
      (file === undefined ? "" : ' < "$FILE"'),
    ],
    env: { DENO: Deno.execPath(), CLI, URL: url, FILE: file ?? "" },
    stdin: "piped",
  }).spawn();
  let rss = 0;
  // The kernel keeps the peak, so the last look is the one that counts.
  const look = () => rss = Math.max(rss, peakRss(process.pid) || 0);
  const timer = setInterval(look, 5);
  const writer = process.stdin.getWriter();
  if (file === undefined) {
    const chunk = new TextEncoder().encode(lines(USUAL, 0, CHUNK));
    for (let i = 0; i < n; i += CHUNK) await writer.write(chunk);
    look();
  }
  await writer.close();
  const { success } = await process.status;
  clearInterval(timer);
  if (!success) console.error("The command line failed");
  const seconds = (performance.now() - begin) / 1000;
  return { rss: rss || NaN, seconds, items: 0 };
}

interface Input {
  peer: PeerName;
  labels: LabelKind;
}

const BUFFERED = 50_000;

/** The bytes that each waiting metric takes, in the heap and in buffers outside it. */
async function measure({ peer, labels }: Input): Promise<number> {
  const { add } = await PEERS[peer]({
    sink: { http: 9, udp: 9 },
    labels,
    room: 2 * BUFFERED,
    wait: 1e9,
    nowhere: true,
    encode: true,
  });
  const collect = (globalThis as unknown as { gc(): void }).gc;
  const used = () => {
    collect();
    collect();
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  // This compiles the code and lets arrays grow.
  for (let i = 0; i < 10_000; i++) add(i);
  const before = used();
  for (let i = 0; i < BUFFERED; i++) add(i);
  return (used() - before) / BUFFERED;
}

const WAITING = {
  "a plain object in an array, no labels": ["array push", "none"],
  "Batcher, no labels": ["Batcher", "none"],
  "a plain object in an array, 4 labels": ["array push", "literal"],
  "Batcher, 4 labels, a new literal": ["Batcher", "literal"],
  "Batcher, 4 labels, reused": ["Batcher", "reused"],
  "OpenTelemetry, 4 attributes": ["OpenTelemetry, in memory", "literal"],
  "InfluxDB writePoint, 4 tags": ["InfluxDB writePoint", "literal"],
} satisfies Record<string, [PeerName, LabelKind]>;

export async function run({ sink, rounds, scale }: Effort): Promise<Section> {
  const few = Math.min(rounds, 3);
  const short = 1e6 * scale;
  const long = 10 * short;
  const dir = await Deno.makeTempDir({ prefix: "tinyobs_bench_" });
  const shortFile = `${dir}/short`;
  const longFile = `${dir}/long`;
  const inputs = {
    [`${count(short)} lines from a file`]: [short, shortFile],
    [`${count(long)} lines from a file`]: [long, longFile],
    [`${count(short)} lines from a pipe`]: [short, undefined],
    [`${count(long)} lines from a pipe`]: [long, undefined],
  } satisfies Record<string, [number, string | undefined]>;
  const names = Object.keys(inputs);
  const measureCli = async (n: number, delay: number, file?: string) => {
    await sink.reset(delay);
    const result = await feed(n, sink.url, file);
    return { ...result, items: (await sink.counts()).items };
  };
  const runs: Record<string, Run[]> = {};
  try {
    await writeLines(shortFile, USUAL, short);
    await writeLines(longFile, USUAL, long);
    Object.assign(
      runs,
      await interleave(names, few, (name) => {
        const [n, file] = inputs[name]!;
        return measureCli(n, 0, file);
      }),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  // Four requests of 1000 are in flight: with this delay, the run takes ten times as
  // long.
  const usual = spread(runs[names[2]!]!.map((r) => r.seconds)).median;
  const delay = Math.round(10 * usual / (short / 4000) * 1000);
  const slow = `${
    count(short)
  } lines from a pipe, every answer takes ${delay} ms`;
  Object.assign(
    runs,
    await interleave([slow], few, () => measureCli(short, delay)),
  );
  await sink.reset();

  const waiting = Object.keys(WAITING) as (keyof typeof WAITING)[];
  const bytes = await interleave(waiting, few, (name) => {
    const [peer, labels] = WAITING[name];
    const input: Input = { peer, labels };
    return child<number>(import.meta.url, input, ["--v8-flags=--expose-gc"]);
  });
  const of = (name: string, what: keyof Run) =>
    spread(runs[name]!.map((r) => r[what]));
  return {
    title: "(f) Memory",
    method:
      `The command line's peak resident memory: on a file, on a pipe that is fed as fast as it reads, and with a server so slow that the run takes ten times as long. The second table shows how much memory each of ${
        count(BUFFERED)
      } metrics takes that wait to be sent, in V8's heap and in buffers outside it, after a full collection. Every 1000 of the Batcher's are bytes by then.`,
    tables: [
      {
        columns: ["command line", "peak RSS, MB", "seconds", "delivered"],
        rows: Object.keys(runs).map((name) => [
          name,
          fmtSpread(of(name, "rss")),
          fmtSpread(of(name, "seconds")),
          count(of(name, "items").min),
        ]),
      },
      {
        columns: ["", "bytes a waiting metric"],
        rows: waiting.map((name) => [name, fmtSpread(spread(bytes[name]))]),
      },
    ],
    reading: Object.keys(runs).map((name) => {
      const rss = of(name, "rss");
      return `${name}: ${fmtSpread(rss)} MB, ${atMost(MAX_RSS, rss.median)}.`;
    }),
  };
}

if (import.meta.main) await answer(measure);
