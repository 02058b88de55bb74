// (g) From the start of the process to the first byte that it reads from stdin.

import {
  atMost,
  type Effort,
  fmt,
  fmtSpread,
  interleave,
  type Section,
  spread,
} from "./lib.ts";

const CLI = new URL("../cli.ts", import.meta.url).href;

/** More than a pipe holds, and nothing that would be sent. */
const BLANK_LINES = new Uint8Array(256 * 1024).fill(0x0a);

interface Times {
  read: number;
  end: number;
}

async function time(args: string[]): Promise<Times> {
  const begin = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...args],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const writer = process.stdin.getWriter();
  // This resolves once the other end empties the pipe.
  await writer.write(BLANK_LINES);
  const read = performance.now() - begin;
  await writer.close();
  await process.status;
  return { read, end: performance.now() - begin };
}

export async function run({ sink, rounds }: Effort): Promise<Section> {
  const bare = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    bare,
    "const b = new Uint8Array(65536);\nwhile (await Deno.stdin.read(b) !== null);\n",
  );
  const variants = {
    "bare runtime: reads stdin to its end": [bare],
    "tinyobs-batch": [CLI, "-q", sink.url],
  };
  const names = Object.keys(variants) as (keyof typeof variants)[];
  await interleave(names, 1, (name) => time(variants[name])); // fills the caches
  const results = await interleave(
    names,
    4 * rounds,
    (name) => time(variants[name]),
  );
  await Deno.remove(bare);
  const read = (name: keyof typeof variants) =>
    spread(results[name].map((r) => r.read));
  const over = read("tinyobs-batch").median - read(names[0]!).median;
  return {
    title: "(g) Start-up",
    method:
      `Milliseconds from spawning \`deno run -A\` until it reads stdin, and until it has read an input of blank lines to the end; ${
        4 * rounds
      } rounds, modules cached.`,
    tables: [{
      columns: ["", "ms to the first byte read", "ms to the end"],
      rows: names.map((name) => [
        name,
        fmtSpread(read(name)),
        fmtSpread(spread(results[name].map((r) => r.end))),
      ]),
    }],
    reading: [
      `The command line reads its first byte ${
        fmt(over)
      } ms after the bare runtime would, ${atMost(60, over)}.`,
    ],
  };
}
