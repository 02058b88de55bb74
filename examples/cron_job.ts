// A job that cron starts and that ends: it measures a folder, sends what it found, and says by
// its exit code whether that arrived.
//
//     deno run --allow-net --allow-env --allow-read examples/cron_job.ts FOLDER

import { Batcher, fetchTransport } from "@tinyobs/batch";

const endpoint = Deno.env.get("TINYOBS_ENDPOINT") ||
  "http://localhost:8080/v1/ingest";
const apiKey = Deno.env.get("TINYOBS_API_KEY") || undefined;
const [folder = "."] = Deno.args;

// Without start(): no timer is needed where stop() sends everything.
const batcher = new Batcher(fetchTransport(endpoint, { apiKey }), {
  retry: { attempts: 3 },
});

function gauge(name: string, value: number): void {
  batcher.add({ name, type: "gauge", value, labels: { job: "folder_size" } });
}

async function work(): Promise<void> {
  let files = 0;
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.isFile) continue;
    files++;
    bytes += (await Deno.stat(`${folder}/${entry.name}`)).size;
  }
  gauge("job_files", files);
  gauge("job_bytes", bytes);
}

const begin = performance.now();
try {
  await work();
  gauge("job_success", 1);
} catch (error) {
  // Sent as well: a job that fails is what somebody wants to know.
  console.error(`cron_job: ${(error as Error).message}`);
  gauge("job_success", 0);
  Deno.exitCode = 1;
}
gauge("job_duration_seconds", (performance.now() - begin) / 1000);

// The next run comes anyway, so this one does not wait for long.
await batcher.stop({ timeout: 20_000 });
// The totals: the report of `stop` is only about what was left at the end.
const { sent, failed } = batcher.stats;
if (failed > 0) {
  console.error(
    `cron_job: ${failed} of ${sent + failed} metrics were not delivered`,
  );
  Deno.exitCode = 1;
}
