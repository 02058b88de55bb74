// Ideas for taking a metric: the clock, the copy, the shape of objects.

import { stamp, tick } from "../src/core/clock.ts";
import { Engine } from "../src/core/engine.ts";
import { acceptMetric, checkLabels, finishMetric } from "../src/core/metric.ts";
import type { Idea, Ideas } from "./ideas.ts";
import { line } from "./inputs.ts";

const N = 1000;

/** Calls `f` for each of 1000 items, and keeps what it gives, as a batch would. */
function each(f: (i: number) => unknown): Idea {
  return () => ({
    per: N,
    run() {
      const kept: unknown[] = [];
      for (let i = 0; i < N; i++) kept.push(f(i));
      return kept;
    },
  });
}

/** The same, with a turn of the microtask queue before each: a producer that awaits `ready`. */
function eachAwaiting(f: (i: number) => unknown): Idea {
  return () => ({
    per: N,
    async run() {
      const kept: unknown[] = [];
      for (let i = 0; i < N; i++) {
        await resolved;
        kept.push(f(i));
      }
      return kept;
    },
  });
}

const resolved = Promise.resolve();

// One read of the clock until the current turn of the event loop is over, ended
// by a task instead of a microtask.
let channel: MessageChannel | undefined;
let now = 0;
function nowPerTask(): number {
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => now = 0;
  }
  if (now === 0) {
    now = Date.now();
    channel.port2.postMessage(0);
  }
  return now;
}

let uses = 0;
let cached = Date.now();

export const CLOCK: Ideas = {
  "nothing": each((i) => i),
  "Date.now()": each(() => Date.now()),
  "performance.now()": each(() => performance.now()),
  "Date.now() at every 32nd": each(() =>
    (++uses & 31) === 0 ? cached = Date.now() : cached
  ),
  "tick() of src/clock.ts": each(() => tick().nanos++),
  "stamp() of src/clock.ts (text)": each(() => stamp()),
  "new Date().toISOString()": each(() => new Date().toISOString()),
  "await: nothing": eachAwaiting((i) => i),
  "await: Date.now()": eachAwaiting(() => Date.now()),
  "await: tick() of src/clock.ts": eachAwaiting(() => tick().nanos++),
  "await: read per task (MessageChannel)": eachAwaiting(() => nowPerTask()),
};

const ZONES = ["eu-1a", "eu-1b", "us-1a", "us-1b"];
const labelsOf = (i: number) => ({
  method: "GET",
  path: "/users",
  code: "200",
  zone: ZONES[i & 3]!,
});
const bare = (i: number) =>
  ({ name: "http_requests_total", type: "counter", value: i }) as const;
const labelled = (i: number) =>
  ({
    name: "http_requests_total",
    type: "counter",
    value: i,
    labels: labelsOf(i),
  }) as const;

/** Into an engine that sends to nowhere, emptied in between. */
function engineOf<T>(make: (i: number) => T): Idea {
  return () => {
    const engine = new Engine<T>(
      "Bench",
      { send: () => Promise.resolve() },
      (items) => items,
      {},
    );
    return {
      per: N,
      async run() {
        for (let i = 0; i < N; i++) engine.push(make(i));
        await engine.flush();
        return engine.sent;
      },
    };
  };
}

const accepted = Array.from({ length: N }, (_, i) => acceptMetric(labelled(i)));

export const PARTS: Ideas = {
  "making { name, type, value }": each(bare),
  "and its 4 labels": each(labelled),
  "acceptMetric, no labels": each((i) => acceptMetric(bare(i))),
  "acceptMetric, 4 labels": each((i) => acceptMetric(labelled(i))),
  "Engine.push and its flush, an integer": engineOf((i) => i),
  "Engine.push and its flush, no labels": engineOf((i) =>
    acceptMetric(bare(i))
  ),
  "finishMetric": each((i) => {
    const metric = accepted[i]!;
    return typeof metric === "string" ? metric : finishMetric(metric);
  }),
};

type Labels = Record<string, string>;
const fresh = Array.from({ length: N }, (_, i) => labelsOf(i));

function forIn(labels: Labels): Labels {
  const copy: Labels = {};
  for (const key in labels) copy[key] = labels[key]!;
  return copy;
}

function forInChecked(labels: Labels): Labels | undefined {
  const copy: Labels = {};
  let n = 0;
  for (const key in labels) {
    const value = labels[key];
    if (typeof value !== "string" || ++n > 20) return undefined;
    if (key.length > 85 || value.length > 341) return undefined;
    copy[key] = value;
  }
  return copy;
}

function fine(labels: Labels): boolean {
  let n = 0;
  for (const key in labels) {
    const value = labels[key];
    if (typeof value !== "string" || ++n > 20) return false;
    if (key.length > 85 || value.length > 341) return false;
  }
  return true;
}

function flat(labels: Labels): string[] | undefined {
  const pairs: string[] = [];
  for (const key in labels) {
    const value = labels[key];
    if (typeof value !== "string" || key.length > 85 || value.length > 341) {
      return undefined;
    }
    pairs.push(key, value);
  }
  return pairs;
}

export const COPY: Ideas = {
  "nothing": each((i) => fresh[i]),
  "{ ...labels }": each((i) => ({ ...fresh[i]! })),
  "Object.assign": each((i) => Object.assign({}, fresh[i]!)),
  "for-in copy": each((i) => forIn(fresh[i]!)),
  "structuredClone": each((i) => structuredClone(fresh[i]!)),
  "{ ...labels }, then a check by for-in": each((i) => {
    const copy = { ...fresh[i]! };
    return fine(copy) ? copy : undefined;
  }),
  "{ ...labels }, then checkLabels of src/metric.ts": each((i) => {
    const copy = { ...fresh[i]! };
    return checkLabels(copy) ?? copy;
  }),
  "for-in copy that checks": each((i) => forInChecked(fresh[i]!)),
  "for-in into an array of pairs that checks": each((i) => flat(fresh[i]!)),
};

/** The metric with fields that differ from one to the next, if `mixed`. */
function batch(mixed: boolean) {
  const timestamp = "2026-11-23T07:00:00.123456789Z";
  return Array.from({ length: N }, (_, i) => {
    const { name, type, value, labels } = labelled(i);
    if (!mixed) return { name, type, value, labels, timestamp };
    switch (i % 4) {
      case 0:
        return { timestamp, name, type, value, labels };
      case 1:
        return { type, name, labels, timestamp, value };
      case 2:
        return { value, name, type, timestamp, labels };
      default:
        return { name, type, value, labels, timestamp };
    }
  });
}

function stringifyOf(mixed: boolean): Idea {
  return () => {
    const metrics = batch(mixed);
    return { per: N, run: () => JSON.stringify({ metrics }).length };
  };
}

function readOf(mixed: boolean): Idea {
  return () => {
    const metrics = batch(mixed);
    return {
      per: N,
      run() {
        let sum = 0;
        for (const { name, value, timestamp } of metrics) {
          sum += name.length + value + timestamp.length;
        }
        return sum;
      },
    };
  };
}

export const SHAPE: Ideas = {
  "one shape": stringifyOf(false),
  "four shapes": stringifyOf(true),
  "one shape, only reading 3 fields": readOf(false),
  "four shapes, only reading 3 fields": readOf(true),
};

const encoder = new TextEncoder();

function joinOf(join: (lines: string[], text: string) => Uint8Array): Idea {
  return ({ shape }) => {
    const lines = Array.from({ length: N }, (_, i) => line(shape, i));
    // Slices of one text, as a reader makes them.
    const text = decoder.decode(encoder.encode(lines.join("\n")));
    const cut = text.split("\n");
    same(
      join(cut, text),
      encoder.encode(`{"metrics":[${lines.join(",")}]}`),
    );
    return { per: N, run: () => join(cut, text).length };
  };
}

const decoder = new TextDecoder();

/** Throws unless the two hold the same bytes. */
export function same(a: Uint8Array, b: Uint8Array): void {
  if (a.length !== b.length || a.some((byte, i) => byte !== b[i])) {
    throw new Error("Not the same bytes");
  }
}

const HEAD = encoder.encode('{"metrics":[');

export const JOIN: Ideas = {
  "lines.join": joinOf((lines) =>
    encoder.encode(`{"metrics":[${lines.join(",")}]}`)
  ),
  "objects { raw, body }, map and join": joinOf((lines) => {
    const objects = lines.map((body) => ({ raw: body, body }));
    return encoder.encode(
      `{"metrics":[${objects.map((o) => o.body).join(",")}]}`,
    );
  }),
  "+=": joinOf((lines) => {
    let text = '{"metrics":[' + lines[0];
    for (let i = 1; i < lines.length; i++) text += "," + lines[i];
    return encoder.encode(text + "]}");
  }),
  "encodeInto, line by line": joinOf((lines) => {
    const bytes = new Uint8Array(N * 600);
    bytes.set(HEAD);
    let at = HEAD.length;
    for (const line of lines) {
      at += encoder.encodeInto(line, bytes.subarray(at)).written;
      bytes[at++] = 0x2c;
    }
    bytes[at - 1] = 0x5d;
    bytes[at++] = 0x7d;
    return bytes.slice(0, at);
  }),
  "text.replaceAll on a stretch of lines": joinOf((_, text) =>
    encoder.encode(`{"metrics":[${text.replaceAll("\n", ",")}]}`)
  ),
  "bytes: a copy, line feeds to commas": (context) => {
    const lines = Array.from({ length: N }, (_, i) => line(context.shape, i));
    const bytes = encoder.encode(lines.join("\n"));
    // Where the lines end is known to whoever read them.
    const ends: number[] = [];
    for (let i = bytes.indexOf(10); i >= 0; i = bytes.indexOf(10, i + 1)) {
      ends.push(i);
    }
    const join = () => {
      const body = new Uint8Array(HEAD.length + bytes.length + 2);
      body.set(HEAD);
      body.set(bytes, HEAD.length);
      for (const end of ends) body[HEAD.length + end] = 0x2c;
      body[body.length - 2] = 0x5d;
      body[body.length - 1] = 0x7d;
      return body;
    };
    same(join(), encoder.encode(`{"metrics":[${lines.join(",")}]}`));
    return { per: N, run: () => join().length };
  },
};
