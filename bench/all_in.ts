// (b) From add to acknowledged, with a producer that waits where it must.

import { cpuUsage } from "node:process";
import {
  answer,
  child,
  count,
  type Effort,
  fmtSpread,
  interleave,
  peakRss,
  type Section,
  type SinkAddress,
  spread,
  verdict,
} from "./lib.ts";
import { type PeerName, PEERS } from "./peers.ts";

/** How a producer waits. */
type Pace = "each" | "batch";

interface Input {
  peer: PeerName;
  pace: Pace;
  sink: SinkAddress;
  n: number;
}

interface Result {
  ms: number;
  cpu: number;
  rss: number;
}

async function measure({ peer, pace, sink, n }: Input): Promise<Result> {
  const { add, drain, pace: waitBatch, ready } = await PEERS[peer]({
    sink,
    labels: "literal",
  });
  const produce = async (n: number) => {
    if (pace === "each" && ready !== undefined) {
      for (let i = 0; i < n; i++) {
        await ready();
        add(i);
      }
    } else {
      for (let i = 0; i < n;) {
        for (const end = Math.min(n, i + 1000); i < end; i++) add(i);
        await waitBatch();
      }
    }
    await drain();
  };
  await produce(WARM_UP);
  const before = cpuUsage();
  const begin = performance.now();
  await produce(n);
  const ms = performance.now() - begin;
  const { user, system } = cpuUsage(before);
  return { ms, cpu: (user + system) / 1000, rss: peakRss() };
}

const WARM_UP = 50_000;

const VARIANTS = {
  "Batcher, `await ready` before every add": ["Batcher", "each"],
  "Batcher, `await ready` every 1000": ["Batcher", "batch"],
  "naive: array, JSON.stringify, fetch": [
    "naive: array, JSON.stringify, fetch",
    "batch",
  ],
  "OpenTelemetry, in memory (nothing encoded or sent)": [
    "OpenTelemetry, in memory",
    "batch",
  ],
  "OpenTelemetry, OTLP/HTTP": ["OpenTelemetry, OTLP/HTTP", "batch"],
  "InfluxDB writeRecord (text made beforehand)": [
    "InfluxDB writeRecord (text made beforehand)",
    "batch",
  ],
  "InfluxDB writePoint": ["InfluxDB writePoint", "batch"],
  "posthog-node capture": ["posthog-node capture", "batch"],
  "hot-shots increment (UDP)": ["hot-shots increment (UDP)", "batch"],
  "floor: the same body again, 4 in flight": [
    "floor: the same body again, 4 in flight",
    "batch",
  ],
} satisfies Record<string, [PeerName, Pace]>;

export async function run({ sink, rounds, scale }: Effort): Promise<Section> {
  const names = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];
  const n = Math.round(200 * scale) * 1000;
  const results = await interleave(names, rounds, async (name) => {
    const [peer, pace] = VARIANTS[name];
    await sink.reset();
    const input: Input = { peer, pace, sink: sink.address, n };
    const { ms, cpu, rss } = await child<Result>(import.meta.url, input);
    const { items } = await sink.counts();
    return {
      ns: ms * 1e6 / n,
      cpu: cpu * 1e6 / n,
      rss,
      delivered: items / (n + WARM_UP),
    };
  });
  const ns = (name: keyof typeof VARIANTS) =>
    spread(results[name].map((r) => r.ns));
  const median = (name: keyof typeof VARIANTS) => ns(name).median;
  const each = median("Batcher, `await ready` before every add");
  const batch = median("Batcher, `await ready` every 1000");
  const naive = median("naive: array, JSON.stringify, fetch");
  const floor = median("floor: the same body again, 4 in flight");
  return {
    title: "(b) All-in: add, encode, send, acknowledged",
    method: `${
      count(n)
    } metrics with 4 labels (a new literal each), in batches of 1000 to the local sink, after a warm-up of ${
      count(WARM_UP)
    }; the time until the last one is acknowledged. The producer waits where the peer lets it: ours for \`ready\`, InfluxDB until no more than 4 batches are outstanding, the others for a flush after every 1000. CPU is what the process used on all its threads. Delivered is what the sink counted.`,
    tables: [{
      columns: [
        "",
        "ns a metric",
        "CPU ns a metric",
        "delivered",
        "peak RSS, MB",
      ],
      rows: names.map((name) => [
        name,
        fmtSpread(ns(name)),
        fmtSpread(spread(results[name].map((r) => r.cpu))),
        name.includes("in memory")
          ? "–"
          : (spread(results[name].map((r) => r.delivered)).min * 100)
            .toFixed(1) + " %",
        fmtSpread(spread(results[name].map((r) => r.rss))),
      ]),
    }],
    reading: [
      `Ours: ${each.toFixed(0)} ns waiting before every add, ${
        batch.toFixed(0)
      } ns every 1000; target 350: ${verdict(each, 350)} and ${
        verdict(batch, 350)
      }. The naive loop takes ${naive.toFixed(0)} ns.`,
      `The floor, ${
        floor.toFixed(0)
      } ns, is what fetch, the loopback and the sink take for such a body, made once: nothing that sends this JSON by fetch gets below it here.`,
      "Under Deno, InfluxDB's client is its build for browsers, which sends by fetch; its prebuilt text is half the bytes, and making it is not counted.",
    ],
    bars: {
      title: "From add to acknowledged, 4 labels",
      unit: "ns a metric, less is better",
      bars: ([
        ["tinyobs-batch", "Batcher, `await ready` every 1000"],
        [
          "InfluxDB, text made beforehand",
          "InfluxDB writeRecord (text made beforehand)",
        ],
        ["naive loop", "naive: array, JSON.stringify, fetch"],
        ["InfluxDB, points", "InfluxDB writePoint"],
        ["hot-shots, UDP", "hot-shots increment (UDP)"],
        ["OpenTelemetry, OTLP/HTTP", "OpenTelemetry, OTLP/HTTP"],
        ["posthog-node", "posthog-node capture"],
      ] as const).map(([label, name], i) => ({
        name: label,
        value: median(name),
        ours: i === 0,
      })),
    },
  };
}

if (import.meta.main) await answer(measure);
