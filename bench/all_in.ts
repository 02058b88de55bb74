// (b) From add to acknowledged, with a producer that waits when it has to.

import { cpuUsage } from "node:process";
import {
  answer,
  atMost,
  child,
  count,
  type Effort,
  fmtSpread,
  interleave,
  peakRss,
  ratio,
  type Section,
  type SinkAddress,
  spread,
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

const EACH = "Batcher, `await ready` before every add";
const BATCH = "Batcher, `await ready` every 1000";
const NAIVE = "naive: array, JSON.stringify, fetch";
/** What the Batcher's time may be of the naive loop's, and its peak RSS in MB. */
const MAX_RATIO = 0.65;
const MAX_RSS = 85;

const VARIANTS = {
  [EACH]: ["Batcher", "each"],
  [BATCH]: ["Batcher", "batch"],
  [NAIVE]: ["naive: array, JSON.stringify, fetch", "batch"],
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
  type Name = keyof typeof VARIANTS;
  const all = (name: Name, what: "ns" | "cpu" | "rss") =>
    results[name].map((r) => r[what]);
  const ofNaive = (name: Name) => ratio(all(name, "ns"), all(NAIVE, "ns"));
  const median = (name: Name) => spread(all(name, "ns")).median;
  const ours = (name: Name, how: string) => {
    const time = ofNaive(name);
    const rss = spread(all(name, "rss"));
    return `Waiting for room ${how}, the Batcher takes ${
      fmtSpread(time)
    } of the naive loop's time, ${
      atMost(MAX_RATIO, time.median)
    }; its peak RSS is ${fmtSpread(rss)} MB, ${atMost(MAX_RSS, rss.median)}.`;
  };
  const floor = median("floor: the same body again, 4 in flight");
  return {
    title: "(b) All-in: add, encode, send, acknowledged",
    method: `${
      count(n)
    } metrics with 4 labels (a new literal each), in batches of 1000 to the local sink, after a warm-up of ${
      count(WARM_UP)
    }; the time until the last one is acknowledged. The producer waits as each peer allows: for the Batcher's \`ready\`, for InfluxDB until at most 4 batches are outstanding, for the others by a flush after every 1000. "Of naive" compares the times of the same round. CPU time is that of all the process's threads. "Delivered" is what the sink counts.`,
    tables: [{
      columns: [
        "",
        "ns a metric",
        "of naive",
        "CPU ns a metric",
        "delivered",
        "peak RSS, MB",
      ],
      rows: names.map((name) => [
        name,
        fmtSpread(spread(all(name, "ns"))),
        name === NAIVE ? "1" : fmtSpread(ofNaive(name)),
        fmtSpread(spread(all(name, "cpu"))),
        name.includes("in memory")
          ? "–"
          : (spread(results[name].map((r) => r.delivered)).min * 100)
            .toFixed(1) + " %",
        fmtSpread(spread(all(name, "rss"))),
      ]),
    }],
    reading: [
      ours(EACH, "before every add"),
      ours(BATCH, "every 1000"),
      `The floor, ${
        floor.toFixed(0)
      } ns, is what fetch, the loopback and the sink take for such a body that is made once: nothing that sends this JSON by fetch can be faster here.`,
      "Under Deno, InfluxDB's client is its build for browsers, which sends by fetch. Its prebuilt text is half as long as the JSON, and making it is not counted.",
    ],
    bars: {
      title: "From add to acknowledged, 4 labels",
      unit: "ns a metric, less is better",
      bars: ([
        ["tinyobs-batch", BATCH],
        [
          "InfluxDB, text made beforehand",
          "InfluxDB writeRecord (text made beforehand)",
        ],
        ["naive loop", NAIVE],
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
