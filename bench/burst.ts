// (c) A million at once: how long it takes, what arrives, and how much memory it costs.

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

/** `ready` and `pace` wait for room, `burst` does not. */
type Producer = "ready" | "pace" | "burst";

interface Input {
  peer: PeerName;
  producer: Producer;
  sink: SinkAddress;
  n: number;
  room?: number;
}

interface Result {
  ms: number;
  rss: number;
}

async function measure(
  { peer, producer, sink, n, room }: Input,
): Promise<Result> {
  const { add, drain, pace, ready } = await PEERS[peer]({
    sink,
    labels: "literal",
    ...room === undefined ? {} : { room },
  });
  const begin = performance.now();
  if (producer === "ready" && ready !== undefined) {
    for (let i = 0; i < n; i++) {
      await ready();
      add(i);
    }
  } else {
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + 1000); i < end; i++) add(i);
      if (producer !== "burst") await pace();
    }
  }
  await drain();
  return { ms: performance.now() - begin, rss: peakRss() };
}

interface Variant {
  peer: PeerName;
  producer: Producer;
  /** Room for the whole burst. */
  roomForAll?: true;
}

const READY = "Batcher, `await ready` before every add";
const PACE = "Batcher, `await ready` every 1000";
const ROOM = "Batcher, no waiting, room for all";
const NAIVE = "naive, awaiting every 1000";
/** What the Batcher's time may be of the naive loop's, and its peak RSS in MB. */
const MAX_RATIO = 0.65;
const MAX_RSS = 100;
/** The same, where nobody waits and there is room for the whole burst. */
const MAX_BURST_RSS = 250;

const VARIANTS = {
  [READY]: { peer: "Batcher", producer: "ready" },
  [PACE]: { peer: "Batcher", producer: "pace" },
  [ROOM]: { peer: "Batcher", producer: "burst", roomForAll: true },
  "Batcher, no waiting, default room": { peer: "Batcher", producer: "burst" },
  [NAIVE]: { peer: "naive: array, JSON.stringify, fetch", producer: "pace" },
  "naive, no waiting": {
    peer: "naive: array, JSON.stringify, fetch",
    producer: "burst",
  },
  "OpenTelemetry, OTLP/HTTP, no waiting": {
    peer: "OpenTelemetry, OTLP/HTTP",
    producer: "burst",
  },
  "InfluxDB writeRecord, no waiting": {
    peer: "InfluxDB writeRecord (text made beforehand)",
    producer: "burst",
  },
  "InfluxDB writePoint, no waiting": {
    peer: "InfluxDB writePoint",
    producer: "burst",
  },
  "posthog-node, no waiting": {
    peer: "posthog-node capture",
    producer: "burst",
  },
  "hot-shots (UDP), no waiting": {
    peer: "hot-shots increment (UDP)",
    producer: "burst",
  },
} satisfies Record<string, Variant>;

export async function run({ sink, rounds, scale }: Effort): Promise<Section> {
  const names = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];
  const n = Math.round(1000 * scale) * 1000;
  const results = await interleave(
    names,
    Math.min(rounds, 3),
    async (name) => {
      const { peer, producer, roomForAll }: Variant = VARIANTS[name];
      await sink.reset();
      const input: Input = { peer, producer, sink: sink.address, n };
      if (roomForAll) input.room = n;
      const { ms, rss } = await child<Result>(import.meta.url, input);
      const { items } = await sink.counts();
      return { seconds: ms / 1000, rss, items };
    },
  );
  type Name = keyof typeof VARIANTS;
  const all = (name: Name, what: "seconds" | "rss" | "items") =>
    results[name].map((r) => r[what]);
  const ofNaive = (name: Name) =>
    ratio(all(name, "seconds"), all(NAIVE, "seconds"));
  const rss = (name: Name) => spread(all(name, "rss"));
  const ours = (name: Name, how: string) =>
    `Waiting for room ${how}, the Batcher takes ${
      fmtSpread(ofNaive(name))
    } of the time of the naive loop that awaits every 1000, ${
      atMost(MAX_RATIO, ofNaive(name).median)
    }; its peak RSS is ${fmtSpread(rss(name))} MB, ${
      atMost(MAX_RSS, rss(name).median)
    }.`;
  return {
    title: `(c) A burst of ${count(n)}`,
    method:
      'Metrics with 4 labels in one loop, from the first add until everything is acknowledged or given up, in a fresh process without a warm-up. "Of naive" compares the times of the same round. "Delivered" is the fewest that the sink counts in any round; what is missing there is lost. Queues are as long as the peers make them, batches hold 1000.',
    tables: [{
      columns: ["", "seconds", "of naive", "delivered", "peak RSS, MB"],
      rows: names.map((name) => [
        name,
        fmtSpread(spread(all(name, "seconds"))),
        name === NAIVE ? "1" : fmtSpread(ofNaive(name)),
        count(spread(all(name, "items")).min),
        fmtSpread(rss(name)),
      ]),
    }],
    reading: [
      ours(READY, "before every add"),
      ours(PACE, "every 1000"),
      `With room for all and nobody waiting, the Batcher's peak RSS is ${
        fmtSpread(rss(ROOM))
      } MB, ${atMost(MAX_BURST_RSS, rss(ROOM).median)}.`,
      "A Batcher that nobody waits for accepts what it has room for, answers `false` to the rest and counts it. It loses nothing that it accepted.",
      "A peer whose queue is shorter than the burst drops the rest: its time is for what arrived.",
      "The UDP sink drops what the kernel's buffer cannot hold, as a StatsD server would.",
    ],
  };
}

if (import.meta.main) await answer(measure);
