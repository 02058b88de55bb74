// (e) What the whole idea rests on: one request for 1000 metrics, or 1000 requests.

import type { Metric } from "../mod.ts";
import {
  answer,
  child,
  type Effort,
  fmt,
  fmtSpread,
  interleave,
  type Section,
  spread,
} from "./lib.ts";

interface Input {
  url: string;
  size: number;
  concurrency: number;
}

const TOTAL = 1000;

async function measure({ url, size, concurrency }: Input): Promise<number> {
  const metrics: Metric[] = Array.from({ length: TOTAL }, (_, i) => ({
    name: "http_requests_total",
    type: "counter",
    value: i,
    labels: { method: "GET", path: "/api/users", status: "200", region: "eu" },
    timestamp: "2026-11-23T07:00:00.123456789Z",
  }));
  const deliver = async (total: number) => {
    let next = 0;
    const worker = async () => {
      while (next < total) {
        const batch = metrics.slice(next, next += size);
        const response = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ metrics: batch }),
        });
        await response.text();
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
  await deliver(Math.min(TOTAL, 100 * size)); // warm-up
  const begin = performance.now();
  await deliver(TOTAL);
  return performance.now() - begin;
}

const VARIANTS = {
  "1 request of 1000": [1000, 1],
  "10 requests of 100, one by one": [100, 1],
  "1000 requests of 1, one by one": [1, 1],
  "1000 requests of 1, 4 at a time": [1, 4],
  "1000 requests of 1, all at once": [1, 1000],
} satisfies Record<string, [size: number, concurrency: number]>;

export async function run({ sink, rounds }: Effort): Promise<Section> {
  const names = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];
  const measureWith = (delay: number) =>
    interleave(names, rounds, async (name) => {
      await sink.reset(delay);
      const [size, concurrency] = VARIANTS[name];
      const input: Input = { url: sink.url, size, concurrency };
      return await child<number>(import.meta.url, input);
    });
  const direct = await measureWith(0);
  const slow = await measureWith(5);
  await sink.reset();
  const times = (results: typeof direct, name: keyof typeof VARIANTS) =>
    spread(results[name]);
  const ratio = (results: typeof direct, name: keyof typeof VARIANTS) =>
    fmt(
      times(results, name).median / times(results, names[0]!).median,
    );
  return {
    title: "(e) One request against a thousand",
    method:
      "1000 metrics with 4 labels to the sink, in ms until the last answer, by plain fetch and without this package, after a warm-up: with a server that answers at once, and with one that takes 5 ms for each request.",
    tables: [{
      columns: ["", "ms, direct", "times", "ms, server takes 5 ms", "times"],
      rows: names.map((name) => [
        name,
        fmtSpread(times(direct, name)),
        ratio(direct, name),
        fmtSpread(times(slow, name)),
        ratio(slow, name),
      ]),
    }],
    reading: [
      `A thousand requests one by one take ${
        ratio(direct, "1000 requests of 1, one by one")
      } times as long as one, ${
        ratio(slow, "1000 requests of 1, one by one")
      } times with 5 ms each.`,
      `All at once they still take ${
        ratio(direct, "1000 requests of 1, all at once")
      } times as long (${
        ratio(slow, "1000 requests of 1, all at once")
      } with 5 ms).`,
    ],
  };
}

if (import.meta.main) await answer(measure);
