// What somebody at a terminal meets: files, permissions, completions, hints and the
// live line.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { completions } from "../../src/cli/completions.ts";
import { Console } from "../../src/cli/console.ts";
import { FLAGS } from "../../src/cli/flags.ts";
import { HELP } from "../../src/cli/help.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { formatProgress, LiveLine } from "../../src/cli/progress.ts";
import { UsageError } from "../../src/cli/values.ts";
import { FakeIo, linesOf, runCli } from "../_cli.ts";
import { range } from "../_helpers.ts";

const NOWHERE = "http://127.0.0.1:9/v1/ingest";

function line(value: number): string {
  return `{"name":"test_metric","type":"gauge","value":${value}}`;
}

class Folder implements Disposable {
  readonly path = Deno.makeTempDirSync();

  write(name: string, content: string | Uint8Array): string {
    const path = `${this.path}/${name}`;
    Deno.writeFileSync(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  return await new Response(stream).bytes();
}

function stored(
  server: { query(name: string): { value: number }[] },
): number[] {
  return server.query("test_metric").map(({ value }) => value).sort((a, b) =>
    a - b
  );
}

// Files.

Deno.test("files, stdin among them, are read one after the other, and no line runs into the next", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0 });
  const a = folder.write("a.ndjson", `${line(1)}\n${line(2)}`);
  const b = folder.write("b.ndjson", `bad\n${line(4)}\n`);
  const { code, stderr } = await runCli([
    "-f",
    a,
    "--file",
    "-",
    "-f",
    b,
    server.url,
  ], line(3));
  assertEquals(stored(server), [1, 2, 3, 4]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `${b}: Line 1: Not JSON`);
  assertStringIncludes(stderr, "5 read, 4 sent in 1 batch, 1 invalid");
});

Deno.test("a .gz file is decompressed, with all of its members", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0 });
  const members = await Promise.all([
    gzip(range(0, 3000).map((i) => line(i) + "\n").join("")),
    gzip(line(3000) + "\n"),
    gzip(line(3001)),
  ]);
  const path = folder.write(
    "all.ndjson.gz",
    await new Blob(members as BlobPart[]).bytes(),
  );
  const { code, stderr } = await runCli(["--file", path, server.url]);
  assertEquals(code, 0, stderr);
  assertEquals(stored(server), range(0, 3002));
});

Deno.test("what a broken .gz file holds until it breaks is sent, and the rest is an error", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0 });
  const whole = await gzip(
    range(0, 20_000).map((i) => line(i) + "\n").join(""),
  );
  const path = folder.write(
    "cut.ndjson.gz",
    whole.subarray(0, whole.length >> 1),
  );
  const { code, stderr } = await runCli(["-f", path, "--json", server.url]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Cannot read ${path}: `);
  assert(server.stats.metrics > 1000, String(server.stats.metrics));
});

Deno.test("a file that is not there, or a folder, is an error before anything is sent", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0 });
  const good = folder.write("good", line(1));
  for (const bad of [`${folder.path}/none`, folder.path]) {
    const { code, stderr } = await runCli(["-f", good, "-f", bad, server.url]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `Cannot read --file "${bad}": `);
  }
  assertEquals(server.stats.requests, 0);
});

Deno.test("--rejects must not name one of the files", async () => {
  using folder = new Folder();
  const path = folder.write("a.ndjson", "bad\n");
  const { code, stderr } = await runCli([
    "-f",
    path,
    "--rejects",
    path,
    NOWHERE,
  ]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "must not name the input itself");
  assertEquals(Deno.readTextFileSync(path), "bad\n");
});

// Permissions.

Deno.test("missing permissions are named all at once, as flags", async () => {
  const { code, stderr } = await runCli(
    ["-f", "in.ndjson", "--rejects", "out.ndjson"],
    "",
    { allow: [] },
  );
  assertEquals(code, 2);
  assertStringIncludes(
    stderr,
    "run or install again with --allow-env=TINYOBS_ENDPOINT,TINYOBS_API_KEY " +
      "--allow-net=localhost:8080 --allow-read=in.ndjson --allow-write=out.ndjson",
  );
  assertEquals(linesOf(stderr).length, 2, "no stack trace");
});

Deno.test("the permissions that it names are enough", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0 });
  const [input, rejects, key] = [
    folder.write("in", `${line(1)}\nbad\n`),
    folder.write("out", ""),
    folder.write("key", "secret"),
  ];
  const { code, stderr } = await runCli(
    ["-f", input, "--rejects", rejects, "--api-key-file", key, server.url],
    "",
    {
      allow: [
        `--allow-net=${new URL(server.url).host}`,
        `--allow-read=${input},${key}`,
        `--allow-write=${rejects}`,
      ],
    },
  );
  assertEquals(code, 1, stderr);
  assertEquals(stored(server), [1]);
  assertEquals(Deno.readTextFileSync(rejects), "bad\n");
});

// Hints.

async function complaint(answer: () => Response): Promise<string> {
  await using server = startIngestServer({ port: 0, intercept: answer });
  const { stderr } = await runCli(["--retries", "0", server.url], line(1));
  // After the line that says where it sends to.
  return linesOf(stderr)[1]!;
}

Deno.test("a failure says in one line what happened, to what, and what to try", async () => {
  const status = (status: number, headers = {}) => () =>
    new Response("no", { status, headers });
  for (
    const [answer, words] of [
      [status(401), /answered 401.*; check --api-key-file or TINYOBS_API_KEY/],
      [
        status(404),
        /answered 404.*; check the URL: TinyObs takes metrics at \/v1\/ingest/,
      ],
      [status(413), /answered 413.*; a smaller --batch-size may help/],
      [status(507), /answered 507.*; the server's storage is full/],
      [
        status(301, { location: "/there" }),
        /a redirect to .*\/there; give that address/,
      ],
      [() => new Response("<html>"), /with HTML.*; check the URL/],
    ] as const
  ) {
    assertMatch(await complaint(answer), words);
  }
  const { stderr } = await runCli(
    ["--retries", "0", "http://127.0.0.1:49152/"],
    line(1),
  );
  assertMatch(
    stderr,
    /Cannot send to http:\/\/127\.0\.0\.1:49152\/: .*; is the server running there\?/,
  );
});

// Logs for machines.

Deno.test("--log-format json makes a JSON object of each line on stderr", async () => {
  const { stderr } = await runCli(
    ["-n", "-v", "--log-format", "json"],
    `${line(1)}\nbad\n`,
  );
  const logs = linesOf(stderr).map((text) => JSON.parse(text));
  assertEquals(logs.map(({ level }) => level), ["WARN", "DEBUG", "INFO"]);
  assertStringIncludes(
    logs[2].message,
    "2 read, nothing sent (dry run), 1 invalid",
  );
});

// Help and completions.

Deno.test("the help fits a screen", () => {
  assert(HELP.split("\n").every((text) => text.length <= 80));
  assert(HELP.split("\n").length <= 41);
});

Deno.test("the help names exactly the options that there are", () => {
  assertEquals(FLAGS.length, [...HELP.matchAll(/^ {2}.{4}--/gm)].length);
  const values: Record<string, string> = {
    N: "1",
    TIME: "1s",
    "KEY=VALUE": "a=b",
    FORMAT: "json",
    FILE: "x",
    "'NAME: VALUE'": "a: b",
  };
  for (const { short, long, value } of FLAGS) {
    for (
      const name of [`--${long}`, ...(short === undefined ? [] : [`-${short}`])]
    ) {
      const args = value === undefined ? [name] : [name, values[value]!];
      parseOptions(args, () => undefined);
    }
  }
  let refused = false;
  try {
    parseOptions(["--bogus"], () => undefined);
  } catch (error) {
    refused = error instanceof UsageError;
  }
  assert(refused);
});

Deno.test("completions know every option", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const text = completions(shell)!;
    for (const { long } of FLAGS) {
      assertStringIncludes(
        text,
        shell === "fish" ? `-l ${long} ` : `--${long}`,
      );
    }
  }
  assertEquals(completions("tcsh"), undefined);
  assertEquals(completions("constructor"), undefined);
  const { code, stdout } = await runCli(["completions", "bash"], "", {
    allow: [],
  });
  assertEquals([code, stdout], [0, completions("bash")]);
  const syntax = await new Deno.Command("bash", { args: ["-n", "-c", stdout] })
    .output();
  assertEquals(syntax.code, 0, new TextDecoder().decode(syntax.stderr));
});

// The live line.

Deno.test("the live line tells what there is to tell", () => {
  const progress = {
    read: 1_234_567,
    sent: 1_200_000,
    waiting: 4_000,
    failed: 0,
    fraction: undefined,
  };
  assertEquals(
    formatProgress(progress, 62_000, 19_354.8),
    "1:02  1,234,567 read  1,200,000 sent  4,000 waiting  19,355/s",
  );
  assertEquals(
    formatProgress({ ...progress, failed: 7, fraction: 0.523 }, 500, 2_400_000),
    "[#####-----]  52%  0:00  1,234,567 read  1,200,000 sent  7 failed  " +
      "4,000 waiting  2,400,000/s",
  );
});

Deno.test("on a narrow terminal the live line keeps what matters most", () => {
  const progress = {
    read: 12_345,
    sent: 12_000,
    waiting: 345,
    failed: 7,
    fraction: 0.5,
  };
  const format = (width: number) =>
    formatProgress(progress, 62_000, 200, width);
  assertEquals(format(39), "12,345 read  12,000 sent  7 failed");
  assertEquals(format(46), "12,345 read  12,000 sent  7 failed  200/s");
  assertEquals(format(20), "7 failed");
  for (const width of range(20, 120)) assert(format(width).length <= width);
});

/** Calls the interval's callback when the test says so. */
class HandInterval implements Disposable {
  readonly #set = globalThis.setInterval;
  fire = () => {};

  constructor() {
    globalThis.setInterval = ((callback: () => void) => {
      this.fire = callback;
      return 0;
    }) as unknown as typeof setInterval;
  }

  [Symbol.dispose](): void {
    globalThis.setInterval = this.#set;
  }
}

Deno.test("the live line makes room for log lines and goes at the end", () => {
  using interval = new HandInterval();
  const io = new FakeIo();
  io.stderr = { ...io.stderr, columns: () => 26 };
  const console = new Console(io);
  const progress = {
    read: 1,
    sent: 0,
    waiting: 0,
    failed: 0,
    fraction: undefined,
  };
  const live = new LiveLine(console, () => progress);
  console.clear();
  assertEquals(io.messages, "", "nothing was drawn, so nothing is cleared");
  interval.fire();
  assertEquals(
    io.messages,
    "\r\x1b[K0:00  1 read  0 sent  0/s",
    "as wide as it may be",
  );
  io.messages = "";
  console.write("a log line\n");
  assertEquals(io.messages, "\r\x1b[Ka log line\n");
  interval.fire();
  live[Symbol.dispose]();
  assertEquals(
    io.messages,
    "\r\x1b[Ka log line\n\r\x1b[K0:00  1 read  0 sent  0/s\r\x1b[K",
  );
});

Deno.test("nothing is animated into a pipe", async () => {
  await using server = startIngestServer({ port: 0, delay: 300 });
  const { stderr } = await runCli([server.url], line(1));
  assertEquals(stderr.includes("\x1b"), false);
  assertEquals(linesOf(stderr).length, 2);
});
