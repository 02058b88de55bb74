// Ideas for writing a batch as JSON.

import type { Metric } from "../mod.ts";
import { Tick } from "../src/core/clock.ts";
import { same } from "./ideas_add.ts";
import type { Idea, Ideas } from "./ideas.ts";

const N = 1000;
const encoder = new TextEncoder();
const ZONES = ["eu-1a", "eu-1b", "us-1a", "us-1b"];

/** Label objects of their own, or four that come again and again. */
function batch(reused: boolean): Metric[] {
  const labelsOf = (i: number) => ({
    method: "GET",
    path: "/users",
    code: "200",
    zone: ZONES[i & 3]!,
  });
  const shared = [0, 1, 2, 3].map(labelsOf);
  return Array.from({ length: N }, (_, i) => ({
    name: "http_requests_total",
    type: "counter",
    value: 10_000 + i,
    labels: reused ? shared[i & 3]! : labelsOf(i),
    timestamp: `2026-11-23T07:00:00.${String(i).padStart(9, "0")}Z`,
  }));
}

function encodeOf(
  encode: (metrics: readonly Metric[]) => string,
  reused = false,
): Idea {
  return () => {
    const metrics = batch(reused);
    same(
      encoder.encode(encode(metrics)),
      encoder.encode(JSON.stringify({ metrics })),
    );
    return {
      per: N,
      run: () => encoder.encode(encode(metrics)).length,
    };
  };
}

/** What JSON.stringify would write otherwise than between plain quotes. */
// deno-lint-ignore no-control-regex
const UNSAFE = /["\\\x00-\x1f\ud800-\udfff]/;

function quoteByTest(text: string): string {
  return UNSAFE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

function quoteByLoop(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c || unit > 0x7e) {
      return JSON.stringify(text);
    }
  }
  return `"${text}"`;
}

const quoted = new Map<string, string>();

function quoteByCache(text: string): string {
  let result = quoted.get(text);
  if (result === undefined) {
    result = JSON.stringify(text);
    if (quoted.size > 10_000) quoted.clear();
    quoted.set(text, result);
  }
  return result;
}

type Quote = (text: string) => string;

function labelsBy(quote: Quote) {
  return (labels: Readonly<Record<string, string>>) => {
    let text = "";
    for (const key in labels) {
      text += `${text === "" ? "{" : ","}${quote(key)}:${quote(labels[key]!)}`;
    }
    return text === "" ? "{}" : text + "}";
  };
}

type LabelsText = (labels: Readonly<Record<string, string>>) => string;

function pieces(quote: Quote, labelsText: LabelsText) {
  return (metrics: readonly Metric[]) => {
    let text = '{"metrics":[';
    for (let i = 0; i < metrics.length; i++) {
      const { name, type, value, labels, timestamp } = metrics[i]!;
      text += `${i === 0 ? "" : ","}{"name":${
        quote(name)
      },"type":"${type}","value":${value}`;
      if (labels !== undefined) text += `,"labels":${labelsText(labels)}`;
      text += `,"timestamp":"${timestamp}"}`;
    }
    return text + "]}";
  };
}

const byObject = new WeakMap<Readonly<Record<string, string>>, string>();

/** Right only for objects that nobody changes afterwards. */
const labelsByObject: LabelsText = (labels) => {
  let text = byObject.get(labels);
  if (text === undefined) byObject.set(labels, text = JSON.stringify(labels));
  return text;
};

const byContent = new Map<string, string>();

const labelsByContent: LabelsText = (labels) => {
  let key = "";
  for (const name in labels) key += `${name}\0${labels[name]}\0`;
  let text = byContent.get(key);
  if (text === undefined) {
    if (byContent.size > 10_000) byContent.clear();
    byContent.set(key, text = JSON.stringify(labels));
  }
  return text;
};

/** A tree of caches: from each value to those of the next key. */
class Node {
  text: string | undefined;
  readonly next = new Map<string, Node>();
}
const root = new Node();

const labelsByTree: LabelsText = (labels) => {
  let node = root;
  for (const key in labels) {
    node = step(step(node, key), labels[key]!);
  }
  return node.text ??= JSON.stringify(labels);
};

function step(node: Node, word: string): Node {
  let next = node.next.get(word);
  if (next === undefined) node.next.set(word, next = new Node());
  return next;
}

const stringify = (metrics: readonly Metric[]) => JSON.stringify({ metrics });

export const ENCODE: Ideas = {
  "JSON.stringify of the batch": encodeOf(stringify),
  "JSON.stringify of the batch, and no encoder": () => {
    const metrics = batch(false);
    return { per: N, run: () => stringify(metrics).length };
  },
  "JSON.stringify of each metric, joined": encodeOf((metrics) =>
    `{"metrics":[${metrics.map((metric) => JSON.stringify(metric)).join(",")}]}`
  ),
  "pieces, JSON.stringify of each string": encodeOf(
    pieces(JSON.stringify, labelsBy(JSON.stringify)),
  ),
  "pieces, JSON.stringify of the labels": encodeOf(
    pieces(quoteByTest, JSON.stringify),
  ),
  "pieces, quotes after a regular expression": encodeOf(
    pieces(quoteByTest, labelsBy(quoteByTest)),
  ),
  "pieces, quotes after a loop": encodeOf(
    pieces(quoteByLoop, labelsBy(quoteByLoop)),
  ),
  "pieces, a cache of quoted strings": encodeOf(
    pieces(quoteByCache, labelsBy(quoteByCache)),
  ),
  "pieces, a cache of labels by their content": encodeOf(
    pieces(quoteByCache, labelsByContent),
  ),
  "pieces, a tree of labels": encodeOf(pieces(quoteByCache, labelsByTree)),
  "pieces, a cache by the label object (reused)": encodeOf(
    pieces(quoteByCache, labelsByObject),
    true,
  ),
  "pieces, everything cached but value and time (the limit)": encodeOf(
    pieces(() => '"http_requests_total"', labelsByObject),
    true,
  ),
};

const tick = new Tick(Date.now());

/** Makes the 1000 timestamps anew each time: a string that was put together just now is dearer to write. */
function stampOf(stamps: () => readonly string[]): Idea {
  return () => {
    const metrics = batch(false);
    return {
      per: N,
      run() {
        const texts = stamps();
        const stamped = metrics.map((
          { name, type, value, labels },
          i,
        ) => ({ name, type, value, labels, timestamp: texts[i]! }));
        return encoder.encode(JSON.stringify({ metrics: stamped })).length;
      },
    };
  };
}

const nanos = Array.from({ length: N }, (_, i) => 400_000 + i);
const ready = nanos.map((n) => JSON.parse(JSON.stringify(tick.format(n))));
const prefix = new Date(tick.ms).toISOString().slice(0, -1);

export const STAMP: Ideas = {
  "texts made beforehand (the limit)": stampOf(() => ready),
  "Tick.format of src/clock.ts": stampOf(() =>
    nanos.map((n) => tick.format(n))
  ),
  "prefix + digits, no padStart": stampOf(() =>
    nanos.map((n) => `${prefix}${String(1_000_000 + n).slice(1)}Z`)
  ),
  "array join": stampOf(() =>
    nanos.map((n) => [prefix, String(1_000_000 + n).slice(1), "Z"].join(""))
  ),
  "slices of one text": stampOf(() => {
    let all = "";
    for (const n of nanos) all += `${prefix}${1_000_000 + n}Z`;
    const { length } = prefix;
    const size = length + 8;
    // A search makes the text one piece, so that slices of it are cheap to read.
    all.indexOf("?");
    return nanos.map((_, i) => all.slice(i * size, i * size + size));
  }),
};
