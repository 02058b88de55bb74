// (c) A million at once: how long it takes, what arrives, and what memory it costs.

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

const VARIANTS = {
  "Batcher, `await ready` before every add": {
    peer: "Batcher",
    producer: "ready",
  },
  "Batcher, `await ready` every 1000": { peer: "Batcher", producer: "pace" },
  "Batcher, no waiting, room for all": {
    peer: "Batcher",
    producer: "burst",
    roomForAll: true,
  },
  "Batcher, no waiting, default room": { peer: "Batcher", producer: "burst" },
  "naive, awaiting every 1000": {
    peer: "naive: array, JSON.stringify, fetch",
    producer: "pace",
  },
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
  const of = (name: keyof typeof VARIANTS, what: "seconds" | "rss" | "items") =>
    spread(results[name].map((r) => r[what]));
  const ready = "Batcher, `await ready` before every add";
  const pace = "Batcher, `await ready` every 1000";
  const target = (name: keyof typeof VARIANTS) => {
    const [seconds, rss] = [of(name, "seconds").median, of(name, "rss").median];
    return `${seconds.toFixed(2)} s and ${rss.toFixed(0)} MB (${
      verdict(seconds, 0.5)
    }, ${verdict(rss, 100)})`;
  };
  return {
    title: `(c) A burst of ${count(n)}`,
    method:
      "Metrics with 4 labels in one loop, from the first add until everything is acknowledged or given up, in a fresh process (no warm-up). The fewest that the sink counted in any round stand under delivered: what is missing there was lost. Queues as the peers set them, batches of 1000.",
    tables: [{
      columns: ["", "seconds", "delivered", "peak RSS, MB"],
      rows: names.map((name) => [
        name,
        fmtSpread(of(name, "seconds")),
        count(of(name, "items").min),
        fmtSpread(of(name, "rss")),
      ]),
    }],
    reading: [
      `Targets 0.5 s and 100 MB: ${target(ready)} waiting before every add, ${
        target(pace)
      } every 1000.`,
      "A Batcher that nobody waits for takes what it has room for, says `false` to the rest and counts it; it does not lose what it said yes to.",
      "A peer whose queue is shorter than the burst drops the rest: its time is for what arrived.",
      "The UDP sink drops what the kernel's buffer does not hold, as a statsd server would.",
    ],
  };
}

if (import.meta.main) await answer(measure);
