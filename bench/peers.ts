// What the benchmarks compare: this package, the libraries one would use instead,
// and the loop one would write oneself, all behind one small interface. A process
// uses only one of them, so the interface costs nothing: the compiler sees one shape.
//
// Each peer is used as its documentation says, with batches of 1000 where it lets us
// set that and its own defaults elsewhere, except where an option says otherwise.

import {
  Batcher,
  fetchTransport,
  type Metric,
  type Transport,
} from "../mod.ts";
import type { SinkAddress } from "./lib.ts";

export interface Peer {
  /** Takes sample `i`. */
  readonly add: (i: number) => unknown;
  /** What a producer awaits after every 1000th sample so as to lose nothing. */
  readonly pace: () => unknown;
  /** What a producer can await before every sample, where the peer has such a thing. */
  readonly ready?: () => Promise<void>;
  /** Resolves once everything is delivered or given up. */
  readonly drain: () => Promise<unknown>;
}

export interface PeerOptions {
  readonly sink: SinkAddress;
  readonly labels: LabelKind;
  /** How many samples may wait; the peer's own default if absent. */
  readonly room?: number;
  /** Deliver nowhere, to measure only what taking samples costs. */
  readonly nowhere?: boolean;
  /** Encode batches all the same, where the peer does that while it takes samples. */
  readonly encode?: boolean;
  /** How long a sample waits for others, in ms; the peer's own default if absent. */
  readonly wait?: number;
  /** Called with the number of samples in each acknowledged batch, in order. */
  readonly onAck?: (n: number) => void;
}

export type LabelKind = "none" | "literal" | "reused";

const BATCH = 1000;
const NAME = "http_requests_total";
const PATHS = ["/api/users", "/api/orders", "/api/carts", "/healthz"];
const STATUSES = ["200", "201", "404", "500"];
const REUSED = labelsOf(0);

function labelsOf(i: number): Record<string, string> {
  return {
    method: "GET",
    path: PATHS[i & 3]!,
    status: STATUSES[i & 3]!,
    region: "eu-west-1",
  };
}

function metricOf(i: number, kind: LabelKind): Metric {
  switch (kind) {
    case "none":
      return { name: NAME, type: "counter", value: i };
    case "literal":
      return { name: NAME, type: "counter", value: i, labels: labelsOf(i) };
    case "reused":
      return { name: NAME, type: "counter", value: i, labels: REUSED };
  }
}

const resolved = () => Promise.resolve();

function tinyobs(options: PeerOptions): Peer {
  const { sink, labels, room, nowhere, encode, wait, onAck } = options;
  const http = fetchTransport(`http://127.0.0.1:${sink.http}/v1/ingest`);
  const { rules } = http;
  const transport: Transport<Metric> = nowhere
    ? encode ? { ...http, send: resolved } : { rules, send: resolved }
    : onAck === undefined
    ? http
    : {
      ...http,
      send: (batch, signals) =>
        http.send(batch, signals).then(() => onAck(batch.length)),
    };
  const batcher = new Batcher(transport, {
    maxBatchSize: BATCH,
    maxBuffered: room,
    flushEvery: wait,
  });
  batcher.start();
  return {
    add: (i) => batcher.add(metricOf(i, labels)),
    ready: () => batcher.ready,
    pace: () => batcher.ready,
    drain: () => batcher.flush(),
  };
}

/** Just an array. */
function array({ labels }: PeerOptions): Peer {
  let items: Metric[] = [];
  const drain = () => {
    items = [];
    return Promise.resolve();
  };
  return { add: (i) => items.push(metricOf(i, labels)), pace: drain, drain };
}

/** The first thing one would write: an array, JSON.stringify and fetch, batch by batch. */
function naive({ sink, labels }: PeerOptions): Peer {
  let items: Metric[] = [];
  const post = async (metrics: Metric[]) => {
    const response = await fetch(`http://127.0.0.1:${sink.http}/v1/ingest`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ metrics }),
    });
    await response.text();
  };
  const drain = async () => {
    const all = items;
    items = [];
    for (let at = 0; at < all.length; at += BATCH) {
      await post(all.slice(at, at + BATCH));
    }
  };
  return {
    add: (i) =>
      items.push({
        ...metricOf(i, labels),
        timestamp: new Date().toISOString(),
      }),
    pace: drain,
    drain,
  };
}

/** The least that any client can do: send one body again and again, four at a time. */
function floor({ sink, labels }: PeerOptions): Peer {
  const body = JSON.stringify({
    metrics: Array.from({ length: BATCH }, (_, i) => ({
      ...metricOf(i, labels),
      timestamp: "2026-11-23T07:00:00.123456789Z",
    })),
  });
  const sends = new Set<Promise<void>>();
  const post = async () => {
    const response = await fetch(`http://127.0.0.1:${sink.http}/v1/ingest`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    await response.text();
  };
  return {
    add: () => {},
    pace: () => {
      const send: Promise<void> = post().finally(() => sends.delete(send));
      sends.add(send);
      return sends.size < 4 ? undefined : Promise.race(sends);
    },
    drain: () => Promise.all(sends),
  };
}

async function openTelemetry(
  options: PeerOptions & { http: boolean },
): Promise<Peer> {
  const { BatchLogRecordProcessor, LoggerProvider, InMemoryLogRecordExporter } =
    await import("npm:@opentelemetry/sdk-logs@3.1.1");
  const { OTLPLogExporter } = await import(
    "npm:@opentelemetry/exporter-logs-otlp-http@0.301.0"
  );
  const { sink, labels, room, wait, onAck } = options;
  const memory = new InMemoryLogRecordExporter();
  const exporter = options.http
    ? new OTLPLogExporter({ url: `http://127.0.0.1:${sink.http}/v1/logs` })
    : memory;
  if (onAck !== undefined) {
    const { export: send } = exporter;
    exporter.export = (...[logs, done]: Parameters<typeof send>) =>
      send.call(exporter, logs, (result) => {
        onAck(logs.length);
        done(result);
      });
  }
  const processor = new BatchLogRecordProcessor({
    exporter,
    maxExportBatchSize: BATCH,
    ...room === undefined ? {} : { maxQueueSize: room },
    ...wait === undefined ? {} : { scheduledDelayMillis: wait },
  });
  const logger = new LoggerProvider({ processors: [processor] })
    .getLogger("bench");
  const drain = async () => {
    await processor.forceFlush();
    memory.reset();
  };
  return {
    add: (i) =>
      logger.emit(
        labels === "none"
          ? { eventName: NAME, body: i }
          : { eventName: NAME, body: i, attributes: labelsOf(i) },
      ),
    pace: drain,
    drain,
  };
}

/** Just the queue of OpenTelemetry's processor, with one record made beforehand. */
async function onEmit({ room }: PeerOptions): Promise<Peer> {
  const { BatchLogRecordProcessor, LoggerProvider, InMemoryLogRecordExporter } =
    await import("npm:@opentelemetry/sdk-logs@3.1.1");
  const exporter = new InMemoryLogRecordExporter();
  const processor = new BatchLogRecordProcessor({
    exporter,
    maxExportBatchSize: BATCH,
    ...room === undefined ? {} : { maxQueueSize: room },
  });
  let record: Parameters<typeof processor.onEmit>[0] | undefined;
  new LoggerProvider({
    processors: [{
      onEmit: (r) => void (record = r),
      forceFlush: resolved,
      shutdown: resolved,
    }],
  }).getLogger("bench").emit({ eventName: NAME, body: 1 });
  const drain = async () => {
    await processor.forceFlush();
    exporter.reset();
  };
  return { add: () => processor.onEmit(record!), pace: drain, drain };
}

/** Under Deno this is the client's build for browsers, which sends by fetch. */
async function influx(
  options: PeerOptions & { points: boolean },
): Promise<Peer> {
  const { InfluxDB, Point } = await import(
    "npm:@influxdata/influxdb-client@1.35.0"
  );
  const { sink, points, room, wait, onAck } = options;
  // Its flush does not wait for batches that are already on their way.
  let outstanding = 0;
  let wake = () => {};
  const atMost = async (n: number) => {
    while (outstanding > n) await new Promise<void>((r) => wake = r);
  };
  const api = new InfluxDB({ url: `http://127.0.0.1:${sink.http}`, token: "t" })
    .getWriteApi("org", "bucket", "ns", {
      batchSize: room === undefined ? BATCH : room + 1,
      ...room === undefined ? {} : { maxBatchBytes: 1 << 30 },
      ...wait === undefined ? {} : { flushInterval: wait },
      writeSuccess(lines: string[]) {
        outstanding -= lines.length;
        wake();
        onAck?.(lines.length);
      },
    });
  const records = PATHS.map((path, i) =>
    `${NAME},method=GET,path=${path},region=eu-west-1,status=${
      STATUSES[i]
    } value=1 1763881200123456789`
  );
  return {
    add: points
      ? (i) => {
        outstanding++;
        const { method, path, status, region } = labelsOf(i);
        api.writePoint(
          new Point(NAME).tag("method", method!).tag("path", path!)
            .tag("status", status!).tag("region", region!)
            .floatField("value", i),
        );
      }
      : (i) => {
        outstanding++;
        api.writeRecord(records[i & 3]!);
      },
    pace: () => atMost(4 * BATCH),
    drain: async () => {
      await api.flush();
      await atMost(0);
    },
  };
}

async function posthog(options: PeerOptions): Promise<Peer> {
  const { PostHog } = await import("npm:posthog-node@5.70.0");
  const { sink, labels, room, wait, onAck } = options;
  const client = new PostHog("phc_bench", {
    host: `http://127.0.0.1:${sink.http}`,
    flushAt: room ?? BATCH,
    maxBatchSize: BATCH,
    ...room === undefined ? {} : { maxQueueSize: room + 1 },
    ...wait === undefined ? {} : { flushInterval: wait },
  });
  if (onAck !== undefined) {
    client.on("flush", (events: unknown[]) => onAck(events.length));
  }
  return {
    add: (i) =>
      client.capture({
        distinctId: "bench",
        event: NAME,
        properties: labels === "none"
          ? { value: i }
          : { value: i, ...labelsOf(i) },
      }),
    pace: () => client.flush(),
    // What the documentation says to call at the end; it flushes several times.
    drain: () => room === undefined ? client.shutdown() : client.flush(),
  };
}

async function hotShots({ sink, labels }: PeerOptions): Promise<Peer> {
  const { default: StatsD } = await import("npm:hot-shots@17.1.1");
  const client = new StatsD({
    host: "127.0.0.1",
    port: sink.udp,
    // What fits into one Ethernet packet.
    maxBufferSize: 1400,
  });
  const flush = () =>
    new Promise<void>((resolve) => client.flush(() => resolve()));
  return {
    add: (i) =>
      labels === "none"
        ? client.increment(NAME, i)
        : client.increment(NAME, i, labelsOf(i)),
    pace: flush,
    drain: flush,
  };
}

/** Every peer by its name in the tables. */
export const PEERS = {
  "array push": array,
  "Batcher": tinyobs,
  "naive: array, JSON.stringify, fetch": naive,
  "floor: the same body again, 4 in flight": floor,
  "OpenTelemetry processor.onEmit": onEmit,
  "OpenTelemetry, in memory": (o) => openTelemetry({ ...o, http: false }),
  "OpenTelemetry, OTLP/HTTP": (o) => openTelemetry({ ...o, http: true }),
  "InfluxDB writeRecord (text made beforehand)": (o) =>
    influx({ ...o, points: false }),
  "InfluxDB writePoint": (o) => influx({ ...o, points: true }),
  "posthog-node capture": posthog,
  "hot-shots increment (UDP)": hotShots,
} satisfies Record<string, (options: PeerOptions) => Peer | Promise<Peer>>;

export type PeerName = keyof typeof PEERS;

/** The packages behind the names, for the report. */
export const PACKAGES = [
  "@opentelemetry/sdk-logs 3.1.1",
  "@opentelemetry/exporter-logs-otlp-http 0.301.0",
  "@influxdata/influxdb-client 1.35.0",
  "posthog-node 5.70.0",
  "hot-shots 17.1.1",
];
