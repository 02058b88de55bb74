// (f) What memory the command line takes, and what a buffered metric takes.

import {
  answer,
  child,
  count,
  type Effort,
  fmt,
  fmtSpread,
  interleave,
  peakRss,
  type Section,
  spread,
} from "./lib.ts";
import { lines } from "./inputs.ts";
import { type LabelKind, type PeerName, PEERS } from "./peers.ts";

const CLI = new URL("../cli.ts", import.meta.url).href;
const CHUNK = 5000;

/** Feeds the command line `n` lines; its peak RSS in MB and the seconds it took. */
async function feed(
  n: number,
  url: string,
): Promise<{ rss: number; seconds: number }> {
  const chunk = new TextEncoder().encode(
    lines("176 bytes, 4 labels", 0, CHUNK),
  );
  const begin = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, "-q", "--timeout", "1m", url],
    stdin: "piped",
  }).spawn();
  let rss = 0;
  // The kernel keeps the peak, so that the last look tells.
  const look = () => rss = Math.max(rss, peakRss(process.pid) || 0);
  const timer = setInterval(look, 5);
  const writer = process.stdin.getWriter();
  for (let i = 0; i < n; i += CHUNK) await writer.write(chunk);
  look();
  await writer.close();
  const { success } = await process.status;
  clearInterval(timer);
  if (!success) console.error("The command line failed");
  return { rss: rss || NaN, seconds: (performance.now() - begin) / 1000 };
}

interface Input {
  peer: PeerName;
  labels: LabelKind;
}

const BUFFERED = 50_000;

/** The heap's bytes for each metric that waits. */
async function measure({ peer, labels }: Input): Promise<number> {
  const { add } = await PEERS[peer]({
    sink: { http: 9, udp: 9 },
    labels,
    room: 2 * BUFFERED,
    wait: 1e9,
    nowhere: true,
  });
  const collect = (globalThis as unknown as { gc(): void }).gc;
  const used = () => {
    collect();
    collect();
    return Deno.memoryUsage().heapUsed;
  };
  // So that code is compiled and arrays have grown.
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
  const sizes = [1e6, 5e6, 10e6].map((n) => n * scale);
  await sink.reset();
  const rows: string[][] = [];
  const runs: { rss: number; seconds: number }[] = [];
  for (const n of sizes) {
    await sink.reset();
    const result = await feed(n, sink.url);
    const { items } = await sink.counts();
    runs.push(result);
    rows.push([
      `${count(n)} lines`,
      fmt(result.rss),
      fmt(result.seconds),
      count(items),
    ]);
  }
  // Four requests of 1000 are in flight: the delay that makes ten times the time.
  const n = sizes[0]!;
  const delay = Math.round(10 * runs[0]!.seconds / (n / 4000) * 1000);
  await sink.reset(delay);
  const slow = await feed(n, sink.url);
  const { items } = await sink.counts();
  await sink.reset();
  rows.push([
    `${count(n)} lines, every answer takes ${delay} ms`,
    fmt(slow.rss),
    fmt(slow.seconds),
    count(items),
  ]);

  const names = Object.keys(WAITING) as (keyof typeof WAITING)[];
  const bytes = await interleave(names, Math.min(rounds, 3), (name) => {
    const [peer, labels] = WAITING[name];
    const input: Input = { peer, labels };
    return child<number>(import.meta.url, input, ["--v8-flags=--expose-gc"]);
  });
  const [first, , last] = runs.map((run) => run.rss);
  return {
    title: "(f) Memory",
    method:
      `The peak resident memory of the command line, fed through a pipe as fast as it reads, and with a server ten times slower than that (the seconds include whoever feeds it). The second table: how much V8's heap grows with each of ${
        count(BUFFERED)
      } metrics that wait to be sent, after a full collection.`,
    tables: [
      {
        columns: ["command line", "peak RSS, MB", "seconds", "delivered"],
        rows,
      },
      {
        columns: ["", "bytes a waiting metric"],
        rows: names.map((name) => [name, fmtSpread(spread(bytes[name]))]),
      },
    ],
    reading: [
      `Target 150 MB: ${
        Math.max(...runs.map((run) => run.rss), slow.rss) <= 150
          ? "met"
          : "missed"
      }; ten times the lines take ${
        (last! / first!).toFixed(2)
      } times the memory.`,
      "One run each: the peak of a process that collects its garbage when it likes differs by some MB from run to run.",
    ],
  };
}

if (import.meta.main) await answer(measure);
