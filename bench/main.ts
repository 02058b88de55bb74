// Runs the benchmarks, prints their tables and writes RESULTS.md and throughput.svg
// beside this file:
//
//     deno task bench                 everything, in about ten minutes
//     deno task bench add all_in      some sections; writes no files
//     deno task bench --quick         a tenth of the work; writes no files
//     deno task bench --rounds=3

import { chart } from "./chart.ts";
import { type Effort, revision, type Section, Sink, versionOf } from "./lib.ts";
import { PACKAGES } from "./peers.ts";

const SECTIONS = [
  "add",
  "all_in",
  "burst",
  "cli",
  "batching",
  "memory",
  "startup",
  "latency",
];

const flags = Deno.args.filter((arg) => arg.startsWith("--"));
const named = Deno.args.filter((arg) => !arg.startsWith("--"));
const quick = flags.includes("--quick");
const rounds = Number(
  flags.find((flag) => flag.startsWith("--rounds="))?.slice(9) ??
    (quick ? 1 : 5),
);
const unknown = [
  ...named.filter((name) => !SECTIONS.includes(name)),
  ...flags.filter((flag) => !/^--(quick|rounds=\d+)$/.test(flag)),
];
if (unknown.length > 0) {
  console.error(
    `Unknown: ${unknown.join(", ")}. Sections: ${SECTIONS.join(", ")}`,
  );
  Deno.exit(2);
}

const begin = performance.now();
const parts: string[] = [];
const groups = [];
await using sink = await Sink.start();
const effort: Effort = { sink, rounds, scale: quick ? 0.1 : 1 };
for (const name of named.length > 0 ? named : SECTIONS) {
  const { run }: { run(effort: Effort): Promise<Section> } = await import(
    `./${name}.ts`
  );
  await sink.reset();
  const section = await run(effort);
  const text = render(section);
  console.log(text);
  parts.push(text);
  if (section.bars !== undefined) groups.push(section.bars);
}

const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
if (named.length === 0 && !quick) {
  const write = async (name: string, text: string) => {
    const file = new URL(name, import.meta.url);
    await Deno.writeTextFile(file, text);
    // `deno task check` wants it formatted.
    await new Deno.Command(Deno.execPath(), {
      args: ["fmt", "--quiet", file.pathname],
    }).output();
  };
  await write("RESULTS.md", `${await header()}\n${parts.join("\n")}`);
  await write("throughput.svg", chart(groups));
  console.log(`Wrote RESULTS.md and throughput.svg after ${minutes} minutes`);
}

function render({ title, method, tables, reading }: Section): string {
  const lines = [`## ${title}`, "", method, ""];
  for (const { columns, rows } of tables) {
    const widths = columns.map((column, i) =>
      Math.max(3, column.length, ...rows.map((row) => row[i]?.length ?? 0))
    );
    const line = (cells: readonly string[]) =>
      `| ${
        cells.map((cell, i) =>
          i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
        ).join(" | ")
      } |`;
    lines.push(
      line(columns),
      `| ${
        widths.map((width, i) =>
          i === 0 ? "-".repeat(width) : "-".repeat(width - 1) + ":"
        ).join(" | ")
      } |`,
      ...rows.map(line),
      "",
    );
  }
  lines.push(...reading.map((sentence) => `- ${sentence}`), "");
  return lines.join("\n");
}

async function header(): Promise<string> {
  const cpu = /model name\s*: (.*)/.exec(read("/proc/cpuinfo"))?.[1] ?? "CPU";
  const memory = Deno.systemMemoryInfo().total / 2 ** 30;
  const load = Deno.loadavg().map((n) => n.toFixed(1)).join(", ");
  const tools = (await Promise.all(["jq", "curl", "split"].map(versionOf)))
    .map((version) => version ?? "absent");
  return `# Benchmarks

Written by \`deno task bench\` on ${
    new Date().toISOString().slice(0, 10)
  }, in ${minutes} minutes, at commit ${await revision()}.

- Machine: ${navigator.hardwareConcurrency} cores of ${cpu}, ${
    memory.toFixed(0)
  } GiB, ${Deno.build.os} ${Deno.osRelease()}; load average at the end ${load}.
- Runtime: Deno ${Deno.version.deno}, V8 ${Deno.version.v8}. Peers, also under Deno: ${
    PACKAGES.join(", ")
  }. Tools: ${tools.join("; ")}.
- All clients send to the same local sink (\`sink.ts\`), which runs in its own process: it reads, counts and
  answers. Each figure is the median of ${rounds} rounds (at most 3 in (c), (f) and the second table of (d); ${
    4 * rounds
  } in (g);
  one run in (h)), with the lowest and the highest in brackets. The variants of a section take turns within a
  round, each in a fresh process. A ratio is the median of the rounds' own ratios, and not the ratio of two
  medians: what slows the machine down for a while hits both figures of a round.
- To reproduce: \`deno task bench\`, or \`deno task bench add cli\` for some sections. It needs npm for the
  peers, and jq, curl and split for the pipe that one would write by hand.
- Why the code on the hot path is what it is: [docs/decisions](../docs/decisions/).
`;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
