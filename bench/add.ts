// (a) What one `add` costs the program that calls it.

import {
  answer,
  atMost,
  child,
  type Effort,
  fmtSpread,
  interleave,
  type Section,
  type SinkAddress,
  spread,
} from "./lib.ts";
import { type LabelKind, type PeerName, PEERS } from "./peers.ts";

interface Input {
  peer: PeerName;
  labels: LabelKind;
  encode?: true;
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

async function measure(
  { peer, labels, encode, sink, ms }: Input,
): Promise<Cost> {
  const { add, drain } = await PEERS[peer]({
    sink,
    labels,
    room: BURST,
    nowhere: true,
    ...encode === undefined ? {} : { encode },
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
    // The mean, as garbage collection is part of the price.
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

type Variant = [peer: PeerName, labels: LabelKind, encode?: true];

const VARIANTS = {
  "array push, no labels (a floor: no check, no copy)": ["array push", "none"],
  "Batcher.add, no labels": ["Batcher", "none"],
  "Batcher.add, 4 labels, a new literal": ["Batcher", "literal"],
  "Batcher.add, 4 labels, reused": ["Batcher", "reused"],
  "Batcher.add, 4 labels, a new literal, encoded too": [
    "Batcher",
    "literal",
    true,
  ],
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
} satisfies Record<string, Variant>;

export async function run({ sink, rounds, scale }: Effort): Promise<Section> {
  const names = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];
  const results = await interleave(names, rounds, (name) => {
    const [peer, labels, encode]: Variant = VARIANTS[name];
    const input: Input = {
      peer,
      labels,
      ...encode === undefined ? {} : { encode },
      sink: sink.address,
      ms: 600 * scale,
    };
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
      `Nanoseconds a call, each variant in its own process: ${SLICE} calls at a time, with everything delivered in between (which is not counted), and ${BURST} in one go. The 4 labels are a new object for each call, or one object that is reused. The first eight send nothing; the others hold back what they can. The add that completes a batch also makes its stamps into text and, in the row "encoded too", writes the batch as JSON.`,
    tables: [{
      columns: ["", "ns, 1000 at a time", "ns, 100,000 in one go"],
      rows: names.map((name) => [
        name,
        fmtSpread(steady(name)),
        fmtSpread(spread(results[name].map((r) => r.burst))),
      ]),
    }],
    reading: [
      `No labels: ${ns(none)}, ${atMost(25, none)}.`,
      `4 labels: ${
        ns(literal)
      } for a new literal, which includes making it, and ${
        ns(reused)
      } reused; ${atMost(120, Math.max(literal, reused))}.`,
      "posthog-node returns before its work is done; the rest runs after the measured call.",
      "OpenTelemetry's onEmit puts an existing record into an array; it does not check, copy or stamp it.",
    ],
  };
}

if (import.meta.main) await answer(measure);
