// (d) The command line, beside what one would write instead of it.

import {
  count,
  type Effort,
  fmtSpread,
  interleave,
  type Section,
  spread,
  type Table,
  versionOf,
} from "./lib.ts";
import { line, type Shape, SHAPES, writeLines } from "./inputs.ts";

const CLI = new URL("../cli.ts", import.meta.url).pathname;
const PIPES = new URL("pipes.ts", import.meta.url).pathname;
const USUAL: Shape = "176 bytes, 4 labels";

// $DENO, $CLI, $PIPES, $URL and $FILE come through the environment.
const COMMANDS = {
  "tinyobs-batch, from a file": '"$DENO" run -A "$CLI" -q "$URL" < "$FILE"',
  "tinyobs-batch, from a pipe": 'cat "$FILE" | "$DENO" run -A "$CLI" -q "$URL"',
  "JSON.parse each line, from a file":
    '"$DENO" run -A "$PIPES" parse "$URL" < "$FILE"',
  "floor: forwarded unparsed, from a file":
    '"$DENO" run -A "$PIPES" forward "$URL" < "$FILE"',
  "floor: forwarded unparsed, from a pipe":
    'cat "$FILE" | "$DENO" run -A "$PIPES" forward "$URL"',
  "split, jq, curl":
    `split -l 1000 --filter='jq -cs "{metrics: .}" | curl -sS -o /dev/null -H "Content-Type: application/json" --data-binary @- "$URL"' < "$FILE"`,
} as const;
type Name = keyof typeof COMMANDS;

/** Runs a command; the seconds it took. */
async function time(name: Name, file: string, url: string): Promise<number> {
  const begin = performance.now();
  const { success } = await new Deno.Command("sh", {
    args: ["-c", COMMANDS[name]],
    env: { DENO: Deno.execPath(), CLI, PIPES, URL: url, FILE: file },
    stdout: "null",
    stderr: "inherit",
  }).output();
  if (!success) console.error(`${name} failed`);
  return (performance.now() - begin) / 1000;
}

interface Run {
  seconds: number;
  items: number;
}

export async function run(effort: Effort): Promise<Section> {
  const dir = await Deno.makeTempDir({ prefix: "tinyobs_bench_" });
  try {
    return await compare(effort, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function compare(
  { sink, rounds, scale }: Effort,
  dir: string,
): Promise<Section> {
  const n = 1_000_000 * scale;
  const few = 20_000 * scale;
  const perShape = 500_000 * scale;
  const file = (what: Shape | "few" | "empty") =>
    `${dir}/${what.replaceAll(/\W+/g, "_")}`;
  await writeLines(file("few"), USUAL, few);
  await writeLines(file("empty"), USUAL, 0);

  const tools = ["split", "jq", "curl"];
  const versions = await Promise.all(tools.map(versionOf));
  const missing = tools.filter((_, i) => versions[i] === undefined);
  const names = (Object.keys(COMMANDS) as Name[])
    .filter((name) => name !== "split, jq, curl" || missing.length === 0);

  const measure = async (name: Name, input: string): Promise<Run> => {
    await sink.reset();
    const seconds = await time(name, input, sink.url);
    return { seconds, items: (await sink.counts()).items };
  };
  // What an empty input takes is start-up; also warms the file cache.
  const starts = await interleave(
    names,
    rounds,
    async (name) => (await measure(name, file("empty"))).seconds,
  );
  const start = (name: Name) => spread(starts[name]).median;
  const rate = (name: Name, runs: readonly Run[], lines: number) => ({
    whole: spread(runs.map((r) => lines / r.seconds / 1e6)),
    net: spread(runs.map((r) => lines / (r.seconds - start(name)) / 1e6)),
  });

  await writeLines(file(USUAL), USUAL, n);
  const linesOf = (name: Name) => name === "split, jq, curl" ? few : n;
  const results = await interleave(
    names,
    rounds,
    (name) => measure(name, file(linesOf(name) === few ? "few" : USUAL)),
  );
  await Deno.remove(file(USUAL));
  const rates = (name: Name) => rate(name, results[name], linesOf(name));

  const shapes = Object.keys(SHAPES) as Shape[];
  const ours: Name = "tinyobs-batch, from a file";
  const naive: Name = "JSON.parse each line, from a file";
  const shapeRows: string[][] = [];
  const ratios: [Shape, number][] = [];
  for (const shape of shapes) {
    await writeLines(file(shape), shape, perShape);
    const runs = await interleave(
      [ours, naive],
      Math.min(rounds, 3),
      (name) => measure(name, file(shape)),
    );
    const [own, other] = [ours, naive].map((name) =>
      rate(name, runs[name as typeof ours], perShape).net
    );
    const ratio = own!.median / other!.median;
    ratios.push([shape, ratio]);
    shapeRows.push([
      shape,
      String(line(shape, 0).length),
      fmtSpread(own!),
      fmtSpread(other!),
      ratio.toFixed(2),
      count(spread(runs[ours].map((r) => r.items)).min),
    ]);
    await Deno.remove(file(shape));
  }

  const main: Table = {
    columns: [
      "",
      "lines",
      "million lines/s",
      "without start-up",
      "delivered",
    ],
    rows: names.map((name) => [
      name,
      count(linesOf(name)),
      fmtSpread(rates(name).whole),
      fmtSpread(rates(name).net),
      count(spread(results[name].map((r) => r.items)).min),
    ]),
  };
  const own = rates(ours);
  const slow = ratios.filter(([, ratio]) => ratio < 0.9);
  return {
    title: `(d) The command line: ${count(n)} lines of 176 bytes`,
    method: `Lines of ${
      line(USUAL, 0).length
    } bytes and a line feed, with 4 labels and a timestamp, to the sink: whole processes, from their start to their end, and the same less what each takes for an empty input. "Forwarded unparsed" reads, cuts and sends without a look at the lines; "JSON.parse each line" parses and stringifies, checking nothing. Both, like the command line, have 4 requests in flight. The second table is for ${
      count(perShape)
    } lines of each shape, without start-up.`,
    tables: [main, {
      columns: [
        "shape",
        "bytes",
        "tinyobs-batch, million lines/s",
        "JSON.parse each line",
        "ratio",
        "delivered",
      ],
      rows: shapeRows,
    }],
    reading: [
      `From a file: ${own.whole.median.toFixed(2)} million lines a second (${
        own.net.median.toFixed(2)
      } without start-up), each line checked; target 2: ${
        own.whole.median >= 2 ? "met" : "missed"
      }.`,
      `It must not be slower than JSON.parse by more than a tenth on any shape: ${
        slow.length === 0
          ? "met"
          : `missed on ${
            slow.map(([shape, ratio]) => `${shape} (${ratio.toFixed(2)})`).join(
              ", ",
            )
          }`
      }.`,
      missing.length > 0
        ? `split, jq, curl: not measured, as ${missing.join(", ")} is absent.`
        : `split, jq and curl had ${
          count(few)
        } lines only; the rate is what is compared.`,
    ],
    bars: {
      title: "The command line",
      unit: "million lines a second, more is better",
      bars: ([
        ["tinyobs-batch", ours],
        ["forwarded unparsed", "floor: forwarded unparsed, from a file"],
        ["JSON.parse each line", naive],
        ["split, jq, curl", "split, jq, curl"],
      ] as const).filter(([, name]) => names.includes(name)).map((
        [label, name],
        i,
      ) => ({
        name: label,
        value: rates(name).whole.median,
        ours: i === 0,
      })),
    },
  };
}
