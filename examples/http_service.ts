// A service that counts its requests and measures how long they take. To try it, with
// examples/ingest_server.ts in another terminal:
//
//     deno run --allow-net --allow-env examples/http_service.ts
//     curl http://localhost:8000/users/7
//     curl 'http://localhost:8080/v1/query?metric=http_requests_total'

import { Batcher, fetchTransport } from "@tinyobs/batch";

const endpoint = Deno.env.get("TINYOBS_ENDPOINT") ||
  "http://localhost:8080/v1/ingest";
const apiKey = Deno.env.get("TINYOBS_API_KEY") || undefined;

interface Route {
  method: string;
  pattern: URLPattern;
  answer: (groups: Record<string, string | undefined>) => Response;
}

const ROUTES: Route[] = [
  {
    method: "GET",
    pattern: new URLPattern({ pathname: "/" }),
    answer: () => new Response("Hello!\n"),
  },
  {
    method: "GET",
    pattern: new URLPattern({ pathname: "/users/:id" }),
    answer: ({ id }) => Response.json({ id, name: `User ${id}` }),
  },
  {
    method: "GET",
    pattern: new URLPattern({ pathname: "/broken" }),
    answer: () => {
      throw new Error("This one always fails");
    },
  },
];

await using batcher = new Batcher(fetchTransport(endpoint, { apiKey }));
batcher.start();

/** Requests so far, by series: like Prometheus, TinyObs takes a counter's total. */
const totals = new Map<string, number>();

function record(labels: Record<string, string>, seconds: number): void {
  const series = JSON.stringify(labels);
  const total = (totals.get(series) ?? 0) + 1;
  totals.set(series, total);
  batcher.add({
    name: "http_requests_total",
    type: "counter",
    value: total,
    labels,
  });
  batcher.add({
    name: "http_request_duration_seconds",
    type: "histogram",
    value: seconds,
    labels,
  });
}

function handle(request: Request): Response {
  const begin = performance.now();
  const route = ROUTES.find(({ method, pattern }) =>
    method === request.method && pattern.test(request.url)
  );
  let response: Response;
  try {
    const groups = route?.pattern.exec(request.url)?.pathname.groups ?? {};
    response = route?.answer(groups) ?? new Response(null, { status: 404 });
  } catch (error) {
    console.error(error);
    response = new Response(null, { status: 500 });
  }
  // The pattern and not the path, and nothing else that a client makes up: every new value of a
  // label is a new series, and the server takes no more than 10,000 of a name.
  const labels = {
    method: route?.method ?? "any",
    path: route?.pattern.pathname ?? "none",
    status: String(response.status),
  };
  record(labels, (performance.now() - begin) / 1000);
  return response;
}

const server = Deno.serve({
  port: Number(Deno.env.get("PORT") || 8000),
  onListen: ({ port }) =>
    console.error(`Listening on http://localhost:${port}`),
}, handle);

const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  if (name === "SIGTERM" && Deno.build.os === "windows") continue;
  // The second signal finds no listener, and ends the process at once.
  const stop = () => {
    Deno.removeSignalListener(name, stop);
    stopping.abort();
  };
  Deno.addSignalListener(name, stop);
}
stopping.signal.addEventListener("abort", () => server.shutdown());

await server.finished;
// No request comes any more. The end of the module is the end of `await using`: it sends what
// is left, for 30 seconds at most.
