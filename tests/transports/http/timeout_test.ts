import { assert, assertEquals } from "@std/assert";
import { startTimeout } from "../../../src/transports/http/timeout.ts";
import { fetchTransport } from "../../../mod.ts";
import { metric, within } from "../../_helpers.ts";

const never = new AbortController().signal;

/** Computes without a break. */
function compute(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

function expired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve());
  });
}

Deno.test("the signal is aborted when the time is up", async () => {
  const { signal, end } = startTimeout(10, never);
  const alive = setInterval(() => {}, 1000);
  await within(expired(signal), "the end of the time");
  clearInterval(alive);
  assertEquals((signal.reason as Error).name, "TimeoutError");
  end();
});

Deno.test("the sender's signal ends it, and leaves nothing behind", () => {
  const sender = new AbortController();
  const { signal, end } = startTimeout(1000, sender.signal);
  assertEquals(signal.aborted, false);
  sender.abort(new Error("enough"));
  assertEquals((signal.reason as Error).message, "enough");
  end();
  assertEquals(startTimeout(1000, sender.signal).signal.aborted, true);
});

Deno.test("a timer that comes late gets as much time again, once", async () => {
  const { signal, end } = startTimeout(200, never);
  compute(600);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(signal.aborted, false);
  const alive = setInterval(() => {}, 1000);
  await within(expired(signal), "the second end");
  clearInterval(alive);
  end();
});

Deno.test("an answer that has arrived wins over a timer that fires late", async () => {
  // In a process of its own, as this one is going to be busy.
  const source = `
    const server = Deno.serve({ port: 0, onListen() {} }, async (request) => {
      await request.text();
      return Response.json({ count: 1 });
    });
    console.log(server.addr.port);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", source],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(new TextDecoder().decode(value));
  try {
    const transport = fetchTransport(`http://127.0.0.1:${port}/`, {
      timeout: 300,
    });
    const { signal } = new AbortController();
    // The first one makes the connection.
    await transport.send([metric(0)], { signal });
    // Far too late, and just so.
    for (const busy of [1000, 350]) {
      const sent = transport.send([metric(1)], { signal });
      compute(busy);
      await within(sent, "the answer");
    }
    assert(true, "it did not count as a timeout");
  } finally {
    await reader.cancel();
    child.kill();
    await child.status;
  }
});
