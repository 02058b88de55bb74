// Micro-benchmarks of the tricks that a hot path might use, to keep those that pay
// and refute the others. Each variant runs in a process of its own.

import {
  answer,
  child,
  count,
  type Effort,
  fmtSpread,
  interleave,
  type Section,
  type SinkAddress,
  spread,
  type Table,
} from "./lib.ts";
import { CLOCK, COPY, JOIN, PARTS, SHAPE } from "./ideas_add.ts";
import { ENCODE, STAMP } from "./ideas_encode.ts";
import { DECODE, LINES } from "./ideas_lines.ts";
import { type Shape, SHAPES, writeLines } from "./inputs.ts";
import { REQUEST } from "./ideas_request.ts";

/** Makes an operation that handles `per` items and says something about them. */
export type Idea = (context: IdeaContext) => Operation;

export interface IdeaContext {
  readonly sink: SinkAddress;
  readonly shape: Shape;
}

export interface Operation {
  readonly per: number;
  /** The result keeps the compiler from leaving the work out. */
  run(): unknown;
}

export type Ideas = Readonly<Record<string, Idea>>;

const GROUPS = {
  "The clock, for each sample": CLOCK,
  "The parts of add": PARTS,
  "Copying and checking 4 labels": COPY,
  "JSON.stringify of objects of one shape and of several": SHAPE,
  "A body of 1000 metrics with 4 labels, to bytes": ENCODE,
  "Stamping 1000 metrics and JSON.stringify, to bytes": STAMP,
  "1000 lines to one body, to bytes": JOIN,
  "Bytes to lines": DECODE,
  "A request of 1000 metrics, 4 in flight": REQUEST,
} satisfies Record<string, Ideas>;

interface Input extends IdeaContext {
  group: keyof typeof GROUPS | "lines";
  idea: string;
  ms: number;
}

/** Nanoseconds an item. */
async function measure({ group, idea, ms, ...context }: Input) {
  const ideas: Ideas = group === "lines" ? LINES : GROUPS[group];
  const { per, run } = ideas[idea]!(context);
  const repeat = async (ms: number) => {
    let n = 0;
    let kept: unknown;
    const begin = performance.now();
    let now = begin;
    for (; now < begin + ms; now = performance.now()) {
      const result = run();
      kept = result instanceof Promise ? await result : result;
      n++;
    }
    if (kept === undefined) throw new Error(`${idea} gives nothing`);
    return (now - begin) * 1e6 / n / per;
  };
  await repeat(ms / 2);
  return await repeat(ms);
}

export async function run(
  { sink, rounds, scale }: Effort,
): Promise<Section> {
  const tables: Table[] = [];
  const few = Math.min(rounds, 3);
  const ms = 150 * Math.max(scale, 0.4);
  const ask = (group: Input["group"], idea: string, shape: Shape) => {
    const input: Input = { group, idea, shape, ms, sink: sink.address };
    return child<number>(import.meta.url, input);
  };
  const usual: Shape = "176 bytes, 4 labels";
  for (const [name, ideas] of Object.entries(GROUPS)) {
    const group = name as keyof typeof GROUPS;
    const names = Object.keys(ideas);
    const results = await interleave(
      names,
      few,
      (idea) => ask(group, idea, usual),
    );
    tables.push({
      columns: [group, "ns an item"],
      rows: names.map((idea) => [idea, fmtSpread(spread(results[idea]!))]),
    });
  }

  const names = Object.keys(LINES);
  const shapes = Object.keys(SHAPES) as Shape[];
  const rows: string[][] = [];
  for (const shape of shapes) {
    const results = await interleave(
      names,
      few,
      (idea) => ask("lines", idea, shape),
    );
    rows.push([
      shape,
      ...names.map((idea) => spread(results[idea]!).median.toFixed(0)),
    ]);
  }
  tables.push({ columns: ["ns a line", ...names], rows });
  tables.push(await readSizes(few, scale));
  return {
    title: "Ideas for the hot path",
    method:
      "Nanoseconds an item, each variant in a fresh process. The variants of an encoding give the same bytes, which is checked before they are timed; so is that every way to read lines takes those that it should.",
    tables,
    reading: [
      "These decide what src/ does; they are no comparison with anything else.",
    ],
  };
}

/** How fast stdin can be read at all, in buffers of several sizes. */
async function readSizes(rounds: number, scale: number): Promise<Table> {
  const file = await Deno.makeTempFile();
  const n = 1_000_000 * scale;
  await writeLines(file, "176 bytes, 4 labels", n);
  const reader = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    reader,
    `const b = new Uint8Array(Number(Deno.args[0]));
const begin = performance.now();
while (await Deno.stdin.read(b) !== null);
console.log(performance.now() - begin);
`,
  );
  const sizes = [16, 64, 256, 1024].map(String);
  const read = (source: string) =>
    interleave(sizes, rounds, async (size) => {
      const { stdout } = await new Deno.Command("sh", {
        args: ["-c", source],
        env: {
          DENO: Deno.execPath(),
          READER: reader,
          SIZE: String(Number(size) * 1024),
          FILE: file,
        },
      }).output();
      return Number(new TextDecoder().decode(stdout)) * 1e6 / n;
    });
  const fromFile = await read('"$DENO" run "$READER" "$SIZE" < "$FILE"');
  const fromPipe = await read('cat "$FILE" | "$DENO" run "$READER" "$SIZE"');
  await Promise.all([Deno.remove(file), Deno.remove(reader)]);
  return {
    columns: [
      `Reading ${count(n)} lines by Deno.stdin.read`,
      "ns a line, file",
      "ns a line, pipe",
    ],
    rows: sizes.map((size) => [
      `${size} KiB`,
      fmtSpread(spread(fromFile[size]!)),
      fmtSpread(spread(fromPipe[size]!)),
    ]),
  };
}

if (import.meta.main) await answer(measure);
