// A function for Deno Deploy that records a metric for every request. To try it here, with
// examples/ingest_server.ts in another terminal:
//
//     deno run --allow-net --allow-env examples/deploy.ts
//
// Deploy stops an instance that it does not need with SIGINT, and kills it five seconds later.
// Nothing else waits for work that goes on after a response. So metrics leave after a second at
// the latest, and SIGINT sends what is left.

import { Batcher, fetchTransport } from "@tinyobs/batch";

// Environment variables that are set to "" count as not set.
const endpoint = Deno.env.get("TINYOBS_ENDPOINT") ||
  "http://localhost:8080/v1/ingest";
const apiKey = Deno.env.get("TINYOBS_API_KEY") || undefined;
const port = Deno.env.get("PORT"); // Deploy chooses its own
const flushEvery = Number(Deno.env.get("TINYOBS_FLUSH_EVERY") || 1000); // ms

// One for all requests of the instance: batches form across them. Three attempts of a second
// each, and waits of 250 and 500 ms at most: even a server that does not answer is given up
// within the five seconds.
const batcher = new Batcher(
  fetchTransport(endpoint, { apiKey, timeout: 1000 }),
  { flushEvery, retry: { attempts: 3, baseDelay: 250 } },
);
batcher.start();

function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  return pathname === "/"
    ? new Response("Hello!\n")
    : new Response("Not found\n", { status: 404 });
}

async function handle(request: Request): Promise<Response> {
  const begin = performance.now();
  const response = await answer(request);
  // A duration stands for itself. A count would need a label for each instance, as every
  // instance counts from 0. Labels have few values: no paths or users as clients send them.
  batcher.add({
    name: "http_request_duration_seconds",
    type: "histogram",
    value: (performance.now() - begin) / 1000,
    labels: { method: request.method, status: String(response.status) },
  });
  return response; // `add` does not wait for the network, so neither does the client
}

const server = Deno.serve({
  ...(port && { port: Number(port) }),
  onListen: ({ port }) =>
    console.error(`Listening on http://localhost:${port}`),
}, handle);

Deno.addSignalListener("SIGINT", async () => {
  // Requests under way may end and be recorded, but a slow one must not cost the metrics.
  const patience = new Promise((resolve) => setTimeout(resolve, 500));
  await Promise.race([server.shutdown(), patience]);
  const { sent, failed } = await batcher.stop({ timeout: 4000 });
  console.error(`Stopped: ${sent} metrics sent, ${failed} lost`);
  Deno.exit();
});
