// (h) How long a metric takes from add to acknowledged, when there are few of them.

import {
  answer,
  child,
  type Effort,
  fmt,
  quantile,
  type Section,
  type SinkAddress,
} from "./lib.ts";
import { type PeerName, PEERS } from "./peers.ts";

interface Input {
  peer: PeerName;
  rate: number;
  ms: number;
  sink: SinkAddress;
}

const FLUSH_EVERY = 100;

async function measure(
  { peer, rate, ms, sink }: Input,
): Promise<number[]> {
  const latencies: number[] = [];
  const waiting: number[] = [];
  const { add, drain } = await PEERS[peer]({
    sink,
    labels: "literal",
    wait: FLUSH_EVERY,
    onAck(n) {
      const now = performance.now();
      for (const begin of waiting.splice(0, n)) latencies.push(now - begin);
    },
  });
  const begin = performance.now();
  for (let i = 0; performance.now() - begin < ms; i++) {
    waiting.push(performance.now());
    add(i);
    // At random moments, as a fixed beat could fall into step with the timer.
    const pause = -Math.log(1 - Math.random()) * 1000 / rate;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  await drain();
  // Without the first few, which connect and compile.
  return latencies.slice(10).map((ms) => Math.round(ms * 100) / 100);
}

const PEER_NAMES = [
  "Batcher",
  "OpenTelemetry, OTLP/HTTP",
  "InfluxDB writePoint",
  "posthog-node capture",
] satisfies PeerName[];
const RATES = [10, 200];

export async function run({ sink, scale }: Effort): Promise<Section> {
  const rows: string[][] = [];
  const ours: string[] = [];
  const histograms: string[][] = [];
  for (const rate of RATES) {
    const results = await Promise.all(PEER_NAMES.map(async (peer) => {
      const input: Input = {
        peer,
        rate,
        ms: 15_000 * scale,
        sink: sink.address,
      };
      return [peer, await child<number[]>(import.meta.url, input)] as const;
    }));
    for (const [peer, latencies] of results) {
      const sorted = latencies.toSorted((a, b) => a - b);
      const [p50, p99, max] = [0.5, 0.99, 1].map((q) => quantile(sorted, q));
      rows.push([
        `${peer}, ${rate} a second`,
        String(sorted.length),
        fmt(p50!),
        fmt(p99!),
        fmt(max!),
      ]);
      if (peer !== "Batcher") continue;
      ours.push(
        `${fmt(p50!)} ms p50 and ${fmt(p99!)} ms p99 at ${rate} a second`,
      );
      histograms.push([`${rate} a second`, histogram(sorted)]);
    }
  }
  return {
    title: "(h) Latency at a low rate",
    method:
      `Milliseconds from add to the acknowledgement, at random moments and two mean rates, with batches sent after ${FLUSH_EVERY} ms (\`flushEvery: ${FLUSH_EVERY}\`, and the same option of each peer). The peers run at the same time, as none of them is busy. The histogram shows the Batcher, with one column for every 10 ms from 0.`,
    tables: [
      { columns: ["", "samples", "p50", "p99", "max"], rows },
      { columns: ["Batcher", "0 ms, 10 ms, …"], rows: histograms },
    ],
    reading: [
      `The Batcher: ${ours.join(", ")}.`,
      `The first metric of a batch waits the full ${FLUSH_EVERY} ms, and those that join it wait for what is left of them. The request takes the rest.`,
    ],
  };
}

function histogram(sorted: readonly number[]): string {
  const columns: number[] = [];
  for (const ms of sorted) {
    const at = Math.floor(ms / 10);
    columns[at] = (columns[at] ?? 0) + 1;
  }
  const filled = Array.from(columns, (n) => n ?? 0);
  const max = Math.max(...filled);
  const LEVELS = "▁▂▃▄▅▆▇█";
  return "`" +
    filled.map((n) =>
      n === 0 ? "·" : LEVELS[Math.ceil(n / max * LEVELS.length) - 1]
    ).join("") + "`";
}

if (import.meta.main) await answer(measure);
