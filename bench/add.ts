// (a) What one `add` costs the program that calls it.

import {
  answer,
  child,
  type Effort,
  fmtSpread,
  interleave,
  type Section,
  type SinkAddress,
  spread,
  verdict,
} from "./lib.ts";
import { type LabelKind, type PeerName, PEERS } from "./peers.ts";

interface Input {
  peer: PeerName;
  labels: LabelKind;
  sink: SinkAddress;
  ms: number;
}

/** Nanoseconds a call. */
interface Cost {
  steady: number;
  burst: number;
}

const SLICE = 1000;
const BURST = 100_000;

async function measure({ peer, labels, sink, ms }: Input): Promise<Cost> {
  const { add, drain } = await PEERS[peer]({
    sink,
    labels,
    room: BURST,
    nowhere: true,
  });
  const time = (n: number) => {
    const begin = performance.now();
    for (let i = 0; i < n; i++) add(i);
    return (performance.now() - begin) * 1e6 / n;
  };
  const steady = async (ms: number) => {
    const costs: number[] = [];
    const end = performance.now() + ms;
    while (performance.now() < end) {
      costs.push(time(SLICE));
      await drain();
    }
    // The mean, as garbage collection is a part of the price.
    return costs.reduce((a, b) => a + b) / costs.length;
  };
  await steady(ms / 2); // warm-up
  const steadyCost = await steady(ms);
  const bursts: number[] = [];
  for (let i = 0; i < 4; i++) {
    bursts.push(time(BURST));
    await drain();
  }
  return { steady: steadyCost, burst: spread(bursts.slice(1)).median };
}

const VARIANTS = {
  "array push, no labels (a floor: no check, no copy)": ["array push", "none"],
  "Batcher.add, no labels": ["Batcher", "none"],
  "Batcher.add, 4 labels, a new literal": ["Batcher", "literal"],
  "Batcher.add, 4 labels, reused": ["Batcher", "reused"],
  "OpenTelemetry processor.onEmit, a record made beforehand": [
    "OpenTelemetry processor.onEmit",
    "none",
  ],
  "OpenTelemetry logger.emit, no attributes": [
    "OpenTelemetry, in memory",
    "none",
  ],
  "OpenTelemetry logger.emit, 4 attributes": [
    "OpenTelemetry, in memory",
    "literal",
  ],
  "InfluxDB writeRecord, text made beforehand": [
    "InfluxDB writeRecord (text made beforehand)",
    "literal",
  ],
  "InfluxDB writePoint, 4 tags": ["InfluxDB writePoint", "literal"],
  "posthog-node capture, 4 properties": ["posthog-node capture", "literal"],
  "hot-shots increment, 4 tags (sends its packets meanwhile)": [
    "hot-shots increment (UDP)",
    "literal",
  ],
} satisfies Record<string, [PeerName, LabelKind]>;

export async function run({ sink, rounds, scale }: Effort): Promise<Section> {
  const names = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];
  const results = await interleave(names, rounds, (name) => {
    const [peer, labels] = VARIANTS[name];
    const input: Input = { peer, labels, sink: sink.address, ms: 600 * scale };
    return child<Cost>(import.meta.url, input);
  });
  const steady = (name: keyof typeof VARIANTS) =>
    spread(results[name].map((r) => r.steady));
  const none = steady("Batcher.add, no labels").median;
  const literal = steady("Batcher.add, 4 labels, a new literal").median;
  const reused = steady("Batcher.add, 4 labels, reused").median;
  const ns = (value: number) => `${value.toFixed(0)} ns`;
  return {
    title: "(a) One add",
    method:
      `Nanoseconds a call, in a process of its own each: ${SLICE} at a time with everything delivered in between (the time of that not counted), and ${BURST} in one go. "4 labels" are made as a new object for each call, or once and reused. Nothing is sent by the first seven; the others hold back what they can.`,
    tables: [{
      columns: ["", "ns, 1000 at a time", "ns, 100,000 in one go"],
      rows: names.map((name) => [
        name,
        fmtSpread(steady(name)),
        fmtSpread(spread(results[name].map((r) => r.burst))),
      ]),
    }],
    reading: [
      `No labels: ${ns(none)}, target 25: ${verdict(none, 25)}.`,
      `4 labels: ${ns(literal)} for a new literal (making it included), ${
        ns(reused)
      } reused, target 120: ${verdict(Math.max(literal, reused), 120)}.`,
      "posthog-node returns before its work is done: the rest runs after the measured call.",
      "OpenTelemetry's onEmit puts a record that exists already into an array; it neither checks, copies nor stamps.",
    ],
  };
}

if (import.meta.main) await answer(measure);
