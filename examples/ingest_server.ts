// A TinyObs-compatible ingest endpoint that keeps everything in memory, with the checks, limits,
// messages and status codes of the real server, for tests, benchmarks and trying things out:
//
//     deno run --allow-net examples/ingest_server.ts [--port 8080] [--delay MS] [--api-key-env NAME]
//
// Known differences from the real server (Go, encoding/json):
// - the wording after "invalid JSON:", invisible characters in quoted names, and which of several
//   faults a message names;
// - a field or label given twice in one spelling: only the last one is looked at;
// - invalid UTF-8 may become fewer replacement characters, an escape inside a timestamp is
//   understood (Go refuses it), and nesting deeper than 10,000 levels passes;
// - a zone offset of 24 hours is a 400 (the real server takes it, then answers 500 as it stores);
// - labels that begin with an underscore make a series like any other (the real limits skip them);
// - there is no storage limit (507), and no series is ever forgotten (the real one does after a day).

type Bytes = Uint8Array<ArrayBuffer>;
type Labels = Record<string, string>;

/** A metric as the server holds it; `timestamp` is UTC with nine digits of a second. */
export interface StoredMetric {
  name: string;
  type: string;
  value: number;
  labels: Labels;
  timestamp: string;
}

/** What the server has seen so far; reading `/v1/stats` and `/v1/query` does not count. */
export interface IngestStats {
  metrics: number; // distinct samples held, by name, labels and nanosecond
  received: number; // metrics accepted, those that overwrote a sample included
  requests: number; // requests that arrived
  refused: number; // requests answered with anything but 200
  largestRequest: number; // the most metrics in one request, refused or not
  series: number;
  statuses: Record<number, number>; // how often each status was answered
}

/** Options of {@linkcode startIngestServer}. */
export interface IngestServerOptions {
  port?: number; // 8080; 0 takes any free port
  hostname?: string; // "127.0.0.1"
  apiKey?: string; // refuse ingest requests without this bearer key
  maxSeries?: number; // 100,000
  maxSeriesPerMetric?: number; // 10,000
  delay?: number; // ms that an answer is held back, after the metrics are stored
  /** Called when an answer is decided, before `delay`. */
  onRequest?: (r: { metrics: number; status: number; bytes: number }) => void;
  /** Answers request `n` (from 1) in the server's place; then nothing is stored. */
  intercept?: (
    request: Request,
    n: number,
  ) => Response | undefined | Promise<Response | undefined>;
  /** A stricter server: a reason refuses the request, as a bad metric does. */
  validate?: (metric: StoredMetric) => string | undefined;
}

/** A running server. */
export interface IngestServer extends AsyncDisposable {
  readonly url: string; // where to send metrics: http://127.0.0.1:PORT/v1/ingest
  readonly origin: string;
  readonly stats: IngestStats; // a snapshot, new at each access
  query(name: string): StoredMetric[];
  names(): string[];
  readonly finished: Promise<void>;
  /** Answers at once what `delay` or `intercept` holds back, then closes. */
  shutdown(): Promise<void>;
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  405: "Method Not Allowed",
  429: "Too Many Requests",
};

class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

function mismatch(value: unknown, target: string): Refusal {
  const kind = Array.isArray(value) ? "array" : typeof value;
  const text = `json: cannot unmarshal ${kind} into Go ${target}`;
  return new Refusal(400, `invalid JSON: ${text}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Go reads one value and leaves what follows it alone; V8 says where that begins. */
function parseFirst(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const end = /after JSON at position (\d+)/.exec(message)?.[1];
    if (end !== undefined) return JSON.parse(text.slice(0, Number(end)));
    throw new Refusal(400, `invalid JSON: ${message}`);
  }
}

/** The field that Go takes a key for, by simple case folding: `ſ` is an s, but `ı` is no i. */
function fieldOf(key: string): string {
  const known = /^(?:metrics|name|type|value|labels|timestamp)$/iu.test(key);
  return known ? key.toLowerCase().replaceAll("ſ", "s") : "";
}

function decode(body: Uint8Array): StoredMetric[] {
  // A byte order mark has to stay, as Go refuses it.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const request = parseFirst(decoder.decode(body)) ?? {};
  if (!isObject(request)) throw mismatch(request, "IngestRequest");
  let metrics: StoredMetric[] = [];
  for (const key in request) {
    if (fieldOf(key) !== "metrics") continue;
    const value = request[key] ?? [];
    if (!Array.isArray(value)) throw mismatch(value, "[]Metric");
    metrics = value.map(toMetric);
  }
  return metrics;
}

function toMetric(raw: unknown): StoredMetric {
  const metric = { name: "", type: "", value: 0, labels: {}, timestamp: "" };
  if (raw === null) return metric;
  if (!isObject(raw)) throw mismatch(raw, "Metric");
  let labels: Labels | undefined;
  for (const key in raw) {
    const value = raw[key];
    const field = key in metric ? key : fieldOf(key);
    if (field === "labels") {
      // A second spelling of the field adds to the same map, and null empties it.
      const more = value === null ? undefined : toLabels(value);
      labels = labels && more ? { ...labels, ...more } : more;
    } else if (value === null) {
      continue;
    } else if (field === "name" || field === "type") {
      metric[field] = toText(value, field);
    } else if (field === "value") {
      // JSON.parse makes Infinity of 1e400, which Go refuses.
      if (!Number.isFinite(value)) throw mismatch(value, "float64 value");
      metric.value = value as number;
    } else if (field === "timestamp") {
      metric.timestamp = toTimestamp(value);
    }
  }
  if (labels !== undefined) metric.labels = labels;
  return metric;
}

function toText(value: unknown, field: string): string {
  if (typeof value !== "string") throw mismatch(value, `string ${field}`);
  return value.toWellFormed();
}

function toLabels(value: unknown): Labels {
  if (!isObject(value)) throw mismatch(value, "labels");
  for (const key in value) {
    const text = value[key];
    if (typeof text === "string" && (key + text).isWellFormed()) continue;
    // Rare, and slow: labels mostly stay the object that was parsed.
    return Object.fromEntries(
      Object.entries(value).map(
        ([k, v]) => [k.toWellFormed(), toText(v ?? "", "labels")],
      ),
    );
  }
  return value as Labels;
}

const TIMESTAMP =
  /^((\d{4})-(\d\d)-(\d\d)T)(\d\d?)(:[0-5]\d:[0-5]\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):([0-5]\d|60))$/;
const ZERO_TIME = "0001-01-01T00:00:00.000000000Z";

function isDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = year % (year % 100 === 0 ? 400 : 4) === 0;
  if (month === 2) return day <= (leap ? 29 : 28);
  return day <= ([4, 6, 9, 11].includes(month) ? 30 : 31);
}

/** Normalises what Go takes for RFC 3339, a one-digit hour and a decimal comma included. */
function toTimestamp(value: unknown): string {
  const parts = typeof value === "string" ? TIMESTAMP.exec(value) : null;
  const [, date, , , , hour = "", rest, fraction = "", sign] = parts ?? [];
  const [year, month, day] = (parts ?? []).slice(2, 5).map(Number);
  const minutes = Number(parts?.[9] ?? 0) * 60 + Number(parts?.[10] ?? 0);
  if (
    parts === null || !isDay(year!, month!, day!) || Number(hour) > 23 ||
    minutes >= 24 * 60
  ) {
    const text = `parsing time ${JSON.stringify(value)}: no RFC 3339 time`;
    throw new Refusal(400, `invalid JSON: ${text}`);
  }
  let time = `${date}${hour.padStart(2, "0")}${rest}`;
  if (sign !== undefined) {
    const offset = (sign === "+" ? minutes : -minutes) * 60_000;
    const utc = new Date(Date.parse(`${time}Z`) - offset);
    time = utc.toISOString().slice(0, -".000Z".length);
  }
  const stamp = `${time}.${fraction.slice(0, 9).padEnd(9, "0")}Z`;
  // To Go, the zero time means that none was given.
  return stamp === ZERO_TIME ? "" : stamp;
}

const utf8 = new TextEncoder();

/** The size in bytes where it is above the limit, else 0; few texts need to be encoded for it. */
function excess(text: string, limit: number): number {
  if (text.length * 3 <= limit) return 0;
  const size = utf8.encode(text).length;
  return size > limit ? size : 0;
}

function faultOf({ name, labels }: StoredMetric): string | undefined {
  if (name === "") return "metric name cannot be empty";
  const size = excess(name, 256);
  const metric = () => JSON.stringify(name);
  if (size > 0) {
    return `metric name too long (max 256 chars): ${metric()} has ${size} chars`;
  }
  const keys = Object.keys(labels);
  if (keys.length > 20) {
    return `too many labels (max 20): metric ${metric()} has ${keys.length} labels`;
  }
  for (const key of keys) {
    const where = () => `key ${JSON.stringify(key)} in metric ${metric()}`;
    if (excess(key, 256) > 0) {
      return `label key too long (max 256 chars): ${where()}`;
    }
    if (excess(labels[key]!, 1024) > 0) {
      return `label value too long (max 1024 chars): value for ${where()}`;
    }
  }
}

interface Series {
  name: string;
  labels: Labels;
  samples: Map<string, { type: string; value: number }>;
}

/** Samples by series and nanosecond: the last write wins. */
class Store {
  readonly series = new Map<string, Series>();
  readonly seriesPerName = new Map<string, number>();
  size = 0;
  #lastMs = 0;
  #ticks = 0;

  constructor(private readonly options: IngestServerOptions) {}

  /** Checks everything before anything is stored. */
  write(metrics: StoredMetric[]): void {
    if (metrics.length > 1000) {
      throw new Refusal(400, "too many metrics in request (max 1000)");
    }
    const now = this.#now();
    const keys = metrics.map((metric, index) => {
      metric.timestamp ||= now;
      const fault = faultOf(metric) ?? this.options.validate?.(metric);
      if (fault !== undefined) {
        throw new Refusal(400, `invalid metric at index ${index}: ${fault}`);
      }
      const key = keyOf(metric);
      const full = this.series.has(key) ? undefined : this.#full(metric.name);
      if (full === undefined) return key;
      const what = `metric ${JSON.stringify(metric.name)}: ${full}`;
      throw new Refusal(429, `cardinality limit exceeded for ${what}`);
    });
    metrics.forEach((metric, i) => this.#put(keys[i]!, metric));
  }

  #full(name: string): string | undefined {
    const { maxSeries = 100_000, maxSeriesPerMetric = 10_000 } = this.options;
    if (this.series.size >= maxSeries) {
      return `cardinality limit exceeded (max ${maxSeries} unique series)`;
    }
    if ((this.seriesPerName.get(name) ?? 0) >= maxSeriesPerMetric) {
      return `metric cardinality limit exceeded (max ${maxSeriesPerMetric} series per metric)`;
    }
  }

  #put(key: string, metric: StoredMetric): void {
    const { name, type, value, labels, timestamp } = metric;
    let series = this.series.get(key);
    if (series === undefined) {
      series = { name, labels, samples: new Map() };
      this.series.set(key, series);
      this.seriesPerName.set(name, (this.seriesPerName.get(name) ?? 0) + 1);
    }
    const before = series.samples.size;
    this.size += series.samples.set(timestamp, { type, value }).size - before;
  }

  /** One stamp for a whole request, as in the real server, and never the same for two. */
  #now(): string {
    const ms = Date.now();
    this.#ticks = ms === this.#lastMs ? this.#ticks + 1 : 0;
    this.#lastMs = ms;
    const ticks = String(this.#ticks).padStart(6, "0");
    return new Date(ms).toISOString().replace("Z", `${ticks}Z`);
  }

  query(name: string): StoredMetric[] {
    const found: StoredMetric[] = [];
    for (const series of this.series.values()) {
      if (series.name !== name) continue;
      for (const [timestamp, { type, value }] of series.samples) {
        const labels = { ...series.labels };
        found.push({ name, type, value, labels, timestamp });
      }
    }
    return found;
  }
}

/** Unambiguous, whatever a name or label holds. */
function keyOf({ name, labels }: StoredMetric): string {
  let key = `${name.length}:${name}`;
  for (const label of Object.keys(labels).sort()) {
    const value = labels[label]!;
    key += `${label.length}:${label}${value.length}:${value}`;
  }
  return key;
}

/** Starts a server, which listens when this returns. */
export function startIngestServer(
  options: IngestServerOptions = {},
): IngestServer {
  const { port = 8080, hostname = "127.0.0.1", apiKey, delay = 0 } = options;
  const store = new Store(options);
  const statuses: Record<number, number> = {};
  const counts = { received: 0, requests: 0, refused: 0, largestRequest: 0 };
  const closing = Promise.withResolvers<void>();

  function stats(): IngestStats {
    const held = { metrics: store.size, series: store.series.size };
    return { ...held, ...counts, statuses: { ...statuses } };
  }

  function ingest(
    request: Request,
    metrics: StoredMetric[],
    fault: unknown,
  ): Response {
    if (new URL(request.url).pathname !== "/v1/ingest") {
      return new Response("404 page not found\n", { status: 404 });
    }
    const key = request.headers.get("authorization");
    try {
      if (apiKey !== undefined && key !== `Bearer ${apiKey}`) {
        throw new Refusal(401, "missing or invalid API key");
      }
      if (request.method !== "POST") {
        throw new Refusal(405, "Method not allowed");
      }
      if (fault !== undefined) throw fault;
      store.write(metrics);
      counts.received += metrics.length;
      return Response.json({ status: "success", count: metrics.length });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, message } = error;
      return Response.json({ error: TITLES[status], message }, { status });
    }
  }

  async function handle(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === "GET" && pathname === "/v1/stats") {
      return Response.json(stats());
    }
    if (request.method === "GET" && pathname === "/v1/query") {
      const metrics = store.query(searchParams.get("metric") ?? "");
      return Response.json({ metrics, count: metrics.length });
    }
    const n = ++counts.requests;
    // A client that went away leaves a body that cannot be read.
    const body = await request.bytes().catch(() => new Uint8Array());
    let metrics: StoredMetric[] = [];
    let fault: unknown;
    try {
      metrics = decode(body);
    } catch (error) {
      fault = error;
    }
    const own = await intercepted(request, body, n);
    const response = own ?? ingest(request, metrics, fault);
    const { status } = response;
    const { length } = metrics;
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status !== 200) counts.refused++;
    counts.largestRequest = Math.max(counts.largestRequest, length);
    options.onRequest?.({ metrics: length, status, bytes: body.length });
    if (own === undefined && delay > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, delay);
      await Promise.race([promise, closing.promise]);
      clearTimeout(timer);
    }
    return response;
  }

  function intercepted(
    { url, method, headers }: Request,
    body: Bytes,
    n: number,
  ) {
    // The body was read already: left unread, it costs the client its connection.
    const copy = { method, headers, body: body.length > 0 ? body : null };
    const own = options.intercept?.(new Request(url, copy), n);
    const late = () => new Response("shutting down\n", { status: 503 });
    return own && Promise.race([own, closing.promise.then(late)]);
  }

  const server = Deno.serve({ port, hostname, onListen() {} }, handle);
  const origin = `http://${hostname}:${server.addr.port}`;

  function shutdown(): Promise<void> {
    closing.resolve();
    return server.shutdown();
  }

  return {
    url: `${origin}/v1/ingest`,
    origin,
    get stats() {
      return stats();
    },
    query: (name) => store.query(name),
    names: () => [...store.seriesPerName.keys()],
    finished: server.finished,
    shutdown,
    [Symbol.asyncDispose]: shutdown,
  };
}

function fail(message: string): never {
  const usage = "[--port 8080] [--delay MS] [--api-key-env NAME]";
  console.error(`ingest_server: ${message}\nUsage: ingest_server.ts ${usage}`);
  Deno.exit(2);
}

function parseOptions(args: string[]): IngestServerOptions {
  const options: IngestServerOptions = {};
  const rest = args.flatMap((arg) =>
    /^(--[^=]+)=(.*)$/s.exec(arg)?.slice(1) ?? arg
  );
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    const value = rest.shift() ?? fail(`${flag} is unknown or lacks its value`);
    const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
    if (flag === "--port") {
      if (!(number <= 65535)) fail(`--port takes 0 to 65535, not '${value}'`);
      options.port = number;
    } else if (flag === "--delay") {
      if (!(number >= 0)) fail(`--delay takes milliseconds, not '${value}'`);
      options.delay = number;
    } else if (flag === "--api-key-env") {
      const { state } = Deno.permissions.querySync({
        name: "env",
        variable: value,
      });
      if (state !== "granted") fail(`--api-key-env needs --allow-env=${value}`);
      options.apiKey = Deno.env.get(value) || fail(`$${value} is not set`);
    } else {
      fail(`unknown option '${flag}'`);
    }
  }
  return options;
}

if (import.meta.main) {
  const options = parseOptions(Deno.args);
  let server: IngestServer;
  try {
    server = startIngestServer(options);
  } catch (error) {
    console.error(`ingest_server: cannot listen: ${(error as Error).message}`);
    Deno.exit(1);
  }
  console.error(`Listening on ${server.url}`);
  // Windows has no SIGTERM to listen to.
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const stop = () => {
    // A second signal ends the process as usual.
    signals.forEach((signal) => Deno.removeSignalListener(signal, stop));
    server.shutdown();
  };
  signals.forEach((signal) => Deno.addSignalListener(signal, stop));
  await server.finished;
  const { metrics, series, requests, refused } = server.stats;
  console.error(
    `Held ${metrics} metrics in ${series} series, from ${requests} requests (${refused} refused)`,
  );
}
