// A transport of your own: this one appends to a file, one JSON object a line. What it writes can
// be sent later with `tinyobs-batch < FILE`.
//
//     deno run --allow-write examples/custom_transport.ts FILE

import {
  Batcher,
  type Metric,
  SendError,
  type Transport,
} from "@tinyobs/batch";

function fileTransport(path: string): Transport<Metric> {
  return {
    maxInFlight: 1, // one after the other, or the lines of two batches could mix
    async send(batch, { signal }) {
      let lines = "";
      for (const metric of batch) lines += JSON.stringify(metric) + "\n";
      try {
        await Deno.writeTextFile(path, lines, { append: true, signal });
      } catch (cause) {
        const message = `Cannot append to ${path}: ${(cause as Error).message}`;
        // "refused", as neither a retry nor a smaller batch helps.
        throw new SendError(message, { kind: "refused", cause });
      }
    },
  };
}

const [path = "metrics.ndjson"] = Deno.args;
const batcher = new Batcher(fileTransport(path));
batcher.start();
for (let i = 0; i < 2500; i++) {
  batcher.add({ name: "demo_value", type: "gauge", value: Math.sin(i / 100) });
}
const { sent, failed } = await batcher.stop();
console.error(`${sent} metrics written to ${path}, ${failed} lost`);
if (failed > 0) Deno.exitCode = 1;
