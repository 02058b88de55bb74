// What the benchmarks compare the command line to: pipes of a few lines of code.
//
//     deno run -A bench/pipes.ts forward|parse URL < FILE

const [mode, url = ""] = Deno.args;
const sends = new Set<Promise<void>>();

async function post(body: string): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.text();
}

/** Sends, four at a time. */
async function send(body: string): Promise<void> {
  if (sends.size >= 4) await Promise.race(sends);
  const sending: Promise<void> = post(body).finally(() =>
    sends.delete(sending)
  );
  sends.add(sending);
}

/** Forwards the text of the lines as it is: the least that any pipe has to do. */
async function forward(text: string): Promise<string> {
  for (;;) {
    let end = -1;
    for (let n = 0; n < 1000; n++) {
      end = text.indexOf("\n", end + 1);
      if (end < 0) return text;
    }
    await send(`{"metrics":[${text.slice(0, end).replaceAll("\n", ",")}]}`);
    text = text.slice(end + 1);
  }
}

let metrics: unknown[] = [];

/** Parses each line and stringifies the batch: the first thing one would write. */
async function parse(text: string): Promise<string> {
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  for (const line of lines) {
    if (metrics.push(JSON.parse(line)) < 1000) continue;
    await send(JSON.stringify({ metrics }));
    metrics = [];
  }
  return rest;
}

const take = mode === "forward" ? forward : parse;
const decoder = new TextDecoder();
const buffer = new Uint8Array(256 * 1024);
let rest = "";
for (;;) {
  const n = await Deno.stdin.read(buffer);
  if (n === null) break;
  rest = await take(
    rest + decoder.decode(buffer.subarray(0, n), { stream: true }),
  );
}
if (mode === "forward" && rest !== "") {
  await send(`{"metrics":[${rest.trim().replaceAll("\n", ",")}]}`);
}
if (metrics.length > 0) await send(JSON.stringify({ metrics }));
await Promise.all(sends);
