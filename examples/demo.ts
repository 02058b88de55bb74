// Shows the whole way of a metric on this machine: `deno task demo`.
//
// Starts the embedded server, pipes metrics of this machine and then a burst of
// 100,000 generated ones through the command line, and asks the server what it has.

import { startIngestServer } from "./ingest_server.ts";

const BURST = 100_000;

/** Pipes lines into a command line of its own, as `producer | tinyobs-batch URL` does. */
async function pipe(
  lines: ReadableStream<Uint8Array>,
  url: string,
): Promise<number> {
  const cli = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-net",
      "--allow-env",
      import.meta.resolve("../cli.ts"),
      "--json",
      url,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const [output] = await Promise.all([cli.output(), lines.pipeTo(cli.stdin)]);
  if (!output.success) Deno.exit(output.code);
  return JSON.parse(new TextDecoder().decode(output.stdout)).sent;
}

/** Metrics of this machine: load, memory, CPU, network and disk, three samples of each. */
function hostMetrics(): ReadableStream<Uint8Array> {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all", // Deno lets nothing less read /proc
      import.meta.resolve("./host_metrics.ts"),
      "--samples=3",
      "--interval=200ms",
    ],
    stdout: "piped",
  }).spawn().stdout;
}

/** A burst, as fast as the pipe takes it. */
function burst(): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let i = 0;
  return new ReadableStream({
    pull(controller) {
      let chunk = "";
      for (const end = i + 1000; i < end; i++) {
        chunk +=
          `{"name":"demo_requests_total","type":"counter","value":${i},` +
          `"labels":{"path":"/page/${i % 10}"}}\n`;
      }
      controller.enqueue(encoder.encode(chunk));
      if (i >= BURST) controller.close();
    },
  });
}

await using server = startIngestServer({ port: 0 });
console.log(`Server: ${server.url}\n`);

console.log(
  "$ deno run -A examples/host_metrics.ts --samples=3 | tinyobs-batch",
);
const sentHost = await pipe(hostMetrics(), server.url);
console.log(
  `The server holds ${server.stats.metrics} of ${sentHost} metrics. Some of them:`,
);
for (const name of server.names().slice(0, 4)) {
  const { value, labels, timestamp } = server.query(name).at(-1)!;
  console.log(`  ${name} ${JSON.stringify(labels)} ${value} at ${timestamp}`);
}

console.log(`\n$ a burst of ${BURST} metrics | tinyobs-batch`);
const sentBurst = await pipe(burst(), server.url);
const held = server.query("demo_requests_total").length;
const { requests, largestRequest, refused } = server.stats;
console.log(
  `The server holds ${held} of ${sentBurst} metrics. In all it took ${requests} requests ` +
    `of at most ${largestRequest} metrics and refused ${refused}.`,
);

const all = server.stats.metrics === sentHost + sentBurst &&
  sentBurst === BURST;
console.log(all ? "\nNothing was lost." : "\nSomething was lost!");
if (!all) Deno.exitCode = 1;
