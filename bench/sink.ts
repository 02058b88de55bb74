// The server that every benchmark sends to, in its own process: it reads, counts and
// answers, and stores nothing.
//
//     deno run -A --unstable-net bench/sink.ts     prints {"http":PORT,"udp":PORT}
//
//     GET  /counts                  {"items":N,"requests":N,"bytes":N}
//     POST /reset?delay=MS          sets them to zero; from now on, answers take MS

import { gunzipSync } from "node:zlib";

let items = 0;
let requests = 0;
let bytes = 0;
let delay = 0;

const needle = (text: string) => new TextEncoder().encode(text);
const LINE = needle("\n");

/** What each wire format contains exactly once per item, in this folder's inputs. */
const MARKS: Record<string, Uint8Array> = {
  "/v1/ingest": needle('"value"'),
  "/api/v2/write": LINE,
  "/batch/": needle('"distinct_id"'),
  "/v1/logs": needle('"timeUnixNano"'),
};

const SLACK = 4;

/**
 * How often `mark` occurs in `body`. It first looks where the last distance points,
 * as reading every byte would make the sink slower than its clients. Among items of
 * very different lengths it may count too few, but never too many.
 */
function countMarks(body: Uint8Array, mark: Uint8Array): number {
  let n = 0;
  for (let at = find(body, mark, 0, body.length), last = 0; at >= 0;) {
    n++;
    const guess = 2 * at - last;
    last = at;
    at = n > 1
      ? find(body, mark, Math.max(last + 1, guess - SLACK), guess + SLACK + 1)
      : -1;
    if (at < 0) at = find(body, mark, last + 1, body.length);
  }
  return n;
}

function find(
  body: Uint8Array,
  mark: Uint8Array,
  from: number,
  to: number,
): number {
  for (let i = from; i < to; i++) {
    let k = 0;
    while (k < mark.length && body[i + k] === mark[k]) k++;
    if (k === mark.length) return i;
  }
  return -1;
}

async function ingest(request: Request, path: string): Promise<Response> {
  const mark = MARKS[path];
  if (mark === undefined) return new Response(null, { status: 404 });
  let body: Uint8Array = await request.bytes();
  requests++;
  bytes += body.length;
  if (request.headers.get("content-encoding") === "gzip" || body[0] === 0x1f) {
    body = gunzipSync(body);
  }
  let n = countMarks(body, mark);
  // The last line has no line feed.
  if (mark === LINE && body.length > 0 && body.at(-1) !== 0x0a) n++;
  items += n;
  if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
  switch (path) {
    case "/v1/ingest":
      return Response.json({ status: "success", count: n });
    case "/api/v2/write":
      return new Response(null, { status: 204 });
    case "/v1/logs":
      return Response.json({ partialSuccess: {} });
    default:
      return Response.json({ status: "Ok" });
  }
}

// Not node:dgram, whose receiver loses nearly all of a burst under Deno.
const socket = Deno.listenDatagram({
  transport: "udp",
  hostname: "127.0.0.1",
  port: 0,
});
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) =>
    console.log(
      JSON.stringify({ http: port, udp: (socket.addr as Deno.NetAddr).port }),
    ),
}, (request) => {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/counts":
      return Response.json({ items, requests, bytes });
    case "/reset":
      items = requests = bytes = 0;
      delay = Number(url.searchParams.get("delay"));
      return new Response();
    default:
      return ingest(request, url.pathname);
  }
});

const packet = new Uint8Array(65536);
for (;;) {
  const [data] = await socket.receive(packet);
  requests++;
  bytes += data.length;
  items += countMarks(data, LINE) + (data.at(-1) === 0x0a ? 0 : 1);
}
