// (d) The command line, beside what one would write instead.

import {
  atLeast,
  count,
  type Effort,
  fmtSpread,
  interleave,
  ratio,
  type Section,
  spread,
  type Table,
  versionOf,
} from "./lib.ts";
import { line, type Shape, SHAPES, writeLines } from "./inputs.ts";

const CLI = new URL("../cli.ts", import.meta.url).pathname;
const PIPES = new URL("pipes.ts", import.meta.url).pathname;
const USUAL: Shape = "176 bytes, 4 labels";

const OURS = "tinyobs-batch, from a file";
const OURS_PIPED = "tinyobs-batch, from a pipe";
const NAIVE = "JSON.parse each line, from a file";
const FLOOR = "floor: forwarded unparsed, from a file";
const FLOOR_PIPED = "floor: forwarded unparsed, from a pipe";
/** What the command line's rate must be of the floor's, from a file. */
const MIN_RATIO = 0.7;
/** The same of `JSON.parse each line`, on every shape. */
const MIN_NAIVE_RATIO = 0.9;

// $DENO, $CLI, $PIPES, $URL and $FILE come from the environment.
const COMMANDS = {
  [OURS]: '"$DENO" run -A "$CLI" -q "$URL" < "$FILE"',
  [OURS_PIPED]: 'cat "$FILE" | "$DENO" run -A "$CLI" -q "$URL"',
  [NAIVE]: '"$DENO" run -A "$PIPES" parse "$URL" < "$FILE"',
  [FLOOR]: '"$DENO" run -A "$PIPES" forward "$URL" < "$FILE"',
  [FLOOR_PIPED]: 'cat "$FILE" | "$DENO" run -A "$PIPES" forward "$URL"',
  "split, jq, curl":
    `split -l 1000 --filter='jq -cs "{metrics: .}" | curl -sS -o /dev/null -H "Content-Type: application/json" --data-binary @- "$URL"' < "$FILE"`,
} as const;
type Name = keyof typeof COMMANDS;

/** Runs a command and returns the seconds it takes. */
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
  // The time for an empty input is start-up; this also warms the file cache.
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
  // Of rates, for the same number of lines: the more seconds, the lower.
  const seconds = (name: Name) => results[name].map((r) => r.seconds);
  const ofFloor = (name: Name) =>
    ratio(
      seconds(name.endsWith("pipe") ? FLOOR_PIPED : FLOOR),
      seconds(name),
    );

  const shapes = Object.keys(SHAPES) as Shape[];
  const shapeRows: string[][] = [];
  const ratios: [Shape, number][] = [];
  for (const shape of shapes) {
    await writeLines(file(shape), shape, perShape);
    const runs = await interleave(
      [OURS, NAIVE],
      Math.min(rounds, 3),
      (name) => measure(name, file(shape)),
    );
    const net = (name: typeof OURS | typeof NAIVE) =>
      runs[name].map((r) => r.seconds - start(name));
    // Of rates: the more seconds, the lower.
    const ofNaive = ratio(net(NAIVE), net(OURS));
    ratios.push([shape, ofNaive.median]);
    shapeRows.push([
      shape,
      String(line(shape, 0).length),
      fmtSpread(rate(OURS, runs[OURS], perShape).net),
      fmtSpread(rate(NAIVE, runs[NAIVE], perShape).net),
      fmtSpread(ofNaive),
      count(spread(runs[OURS].map((r) => r.items)).min),
    ]);
    await Deno.remove(file(shape));
  }

  const main: Table = {
    columns: [
      "",
      "lines",
      "million lines/s",
      "without start-up",
      "of the floor",
      "delivered",
    ],
    rows: names.map((name) => [
      name,
      count(linesOf(name)),
      fmtSpread(rates(name).whole),
      fmtSpread(rates(name).net),
      name.startsWith("floor")
        ? "1"
        : linesOf(name) === n
        ? fmtSpread(ofFloor(name))
        : "–",
      count(spread(results[name].map((r) => r.items)).min),
    ]),
  };
  const own = rates(OURS);
  const floored = ofFloor(OURS);
  const slow = ratios.filter(([, ratio]) => ratio < MIN_NAIVE_RATIO);
  return {
    title: `(d) The command line: ${count(n)} lines of 176 bytes`,
    method: `Lines of ${
      line(USUAL, 0).length
    } bytes and a line feed, with 4 labels and a timestamp, to the sink: whole processes, from start to end, and the same less the time that each takes for an empty input. "Forwarded unparsed" reads, cuts and sends without looking at the lines; "JSON.parse each line" parses and stringifies, and checks nothing. Both, like the command line, keep 4 requests in flight. "Of the floor" compares whole processes of the same round, file with file and pipe with pipe. The second table is for ${
      count(perShape)
    } lines of each shape, without start-up.`,
    tables: [main, {
      columns: [
        "shape",
        "bytes",
        "tinyobs-batch, million lines/s",
        "JSON.parse each line",
        "times as fast",
        "delivered",
      ],
      rows: shapeRows,
    }],
    reading: [
      `From a file: ${own.whole.median.toFixed(2)} million lines a second (${
        own.net.median.toFixed(2)
      } without start-up), each line checked. That is ${
        fmtSpread(floored)
      } of the floor's rate, ${atLeast(MIN_RATIO, floored.median)}.`,
      `On no shape may it be slower than JSON.parse by more than a tenth: ${
        slow.length === 0
          ? "met"
          : `missed on ${
            slow.map(([shape, ratio]) => `${shape} (${ratio.toFixed(2)})`).join(
              ", ",
            )
          }`
      }.`,
      missing.length > 0
        ? `split, jq, curl: not measured, as these are absent: ${
          missing.join(", ")
        }.`
        : `split, jq and curl get only ${count(few)} lines; compare the rates.`,
    ],
    bars: {
      title: "The command line",
      unit: "million lines a second, more is better",
      bars: ([
        ["tinyobs-batch", OURS],
        ["forwarded unparsed", FLOOR],
        ["JSON.parse each line", NAIVE],
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
