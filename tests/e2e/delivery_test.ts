// Every line that the command line reads is acknowledged by the server or written
// to the rejects file, whatever happens: end to end, as a process and in this one.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { main } from "../../src/cli/main.ts";
import {
  CLI,
  Cli,
  CLI_ENV,
  FakeIo,
  linesOf,
  runCli,
  type Summary,
} from "../_cli.ts";
import { type Fault, FaultServer } from "../_fault_server.ts";
import { random, range } from "../_helpers.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How many rounds the tests of chance take. */
const ROUNDS = Number(Deno.env.get("TINYOBS_TEST_ROUNDS") || 8);

/** A line of its own moment, told apart by its value. */
function line(i: number): string {
  const second = new Date(Date.UTC(2026, 0, 1) + 1000 * i).toISOString();
  return `{"name":"m","type":"counter","value":${i},"timestamp":"${second}"}`;
}

function ndjson(start: number, end: number): string {
  return range(start, end).map((i) => line(i) + "\n").join("");
}

/** The values of lines as {@linkcode line} makes them, in order of value. */
function valuesOf(lines: string[]): number[] {
  return lines.map((text) => JSON.parse(text).value as number)
    .toSorted((a, b) => a - b);
}

function summaryOf(stdout: string): Summary {
  return JSON.parse(linesOf(stdout).at(-1)!);
}

/** A folder that is gone after the test. */
class Folder implements Disposable {
  readonly path: string = Deno.makeTempDirSync();

  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** The lines of a file. */
  lines(name: string): string[] {
    return linesOf(Deno.readTextFileSync(this.file(name)));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** An address at which nothing listens. */
function nowhere(): string {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  return `http://127.0.0.1:${port}/v1/ingest`;
}

/** Bytes written as characters. */
function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

Deno.test("the rejects file has every line that was not acknowledged, byte for byte", async () => {
  using folder = new Folder();
  const rejects = folder.file("rejects");
  const bad = [
    "\xff\xfe not UTF-8 \xc3",
    "not JSON\r",
    '\xef\xbb\xbf{"name":"a byte order mark","type":"?"}',
    '{"name":"\\u001b[2J","type":"gauge","value":"\x1b[31m\x07"}',
    "  \tx" + "y".repeat(1024 * 1024) + "\xff\r",
    '{"name":"\\ud800","type":"gauge"}',
    "\x00",
    "the last one, without a line feed",
  ];
  const input = bad.map((text, i) => `${line(i)}\r\n\n${text}`).join("\n");
  await using server = startIngestServer({ port: 0 });
  const first = await runCli(
    [server.url, "--json", "--rejects", rejects],
    bytes(input),
  );
  assertEquals(first.code, 1);
  assertEquals(Deno.readFileSync(rejects), bytes(bad.join("\n") + "\n"));
  const { read, sent, invalid, undelivered } = summaryOf(first.stdout);
  assertEquals([read, sent, invalid, undelivered], [16, 8, 8, 0]);
  assertEquals(valuesOfServer(server), range(0, 8));
  assertStringIncludes(first.stderr, `8 written to "${excerpt(rejects)}`);

  // The same with a server that takes nothing: the good lines are there too, as they
  // would have been sent, which may be without the CR at their end.
  const down = await runCli(
    [nowhere(), "--json", "--retries", "0", "--rejects", folder.file("all")],
    bytes(input),
  );
  assertEquals(down.code, 1);
  const withoutCr = (text: string) =>
    text.startsWith('{"name":"m"') ? text.replace(/\r$/, "") : text;
  assertEquals(
    latin1Lines(Deno.readFileSync(folder.file("all"))).map(withoutCr)
      .toSorted(),
    latin1Lines(bytes(input)).filter((text) => text !== "").map(withoutCr)
      .toSorted(),
  );
  const { read: all, undelivered: lost } = summaryOf(down.stdout);
  assertEquals([all, lost], [16, 8]);
});

function valuesOfServer(server: {
  query(name: string): { value: number }[];
}): number[] {
  return server.query("m").map(({ value }) => value).toSorted((a, b) => a - b);
}

/** The beginning of a path, as far as messages show it for sure. */
function excerpt(path: string): string {
  return path.slice(0, 40);
}

function latin1Lines(content: Uint8Array): string[] {
  let text = "";
  for (let at = 0; at < content.length; at += 10_000) {
    text += String.fromCharCode(...content.subarray(at, at + 10_000));
  }
  return linesOf(text);
}

Deno.test("a batch that fails while an overlong line is being read does not tear that line apart", async () => {
  using folder = new Folder();
  await using cli = new Cli([
    nowhere(),
    "-q",
    "--retries",
    "0",
    "--flush-every",
    "200ms",
    "--rejects",
    folder.file("rejects"),
  ]);
  const long = "x".repeat(3 * 1024 * 1024);
  await cli.write(ndjson(0, 3) + long);
  await cli.says("Line 4: Longer than");
  await cli.says("Failed to send metrics");
  await cli.write("the end\n" + line(4));
  await cli.end();
  assertEquals((await cli.result()).code, 1);
  const lines = folder.lines("rejects");
  assert(lines.includes(long + "the end"), "the overlong line is whole");
  assertEquals(
    valuesOf(lines.filter((text) => text.length < 1000)),
    [0, 1, 2, 4],
  );
});

Deno.test("the rejects file is input for the next run, and grows at its end", async () => {
  using folder = new Folder();
  const rejects = folder.file("rejects");
  const unstamped = '{"name":"m","type":"gauge","value":100}';
  const args = ["-q", "--retries", "0", "--rejects"];
  await runCli([nowhere(), ...args, rejects], ndjson(0, 50));
  await runCli([nowhere(), ...args, rejects], ndjson(50, 99) + unstamped);
  assertEquals(folder.lines("rejects").length, 100);
  // It has got its timestamp, so that sending it again is the same sample.
  const stamped = folder.lines("rejects").at(-1)!;
  assert(
    stamped.startsWith(unstamped.slice(0, -1) + ',"timestamp":"'),
    stamped,
  );
  await using server = startIngestServer({ port: 0 });
  const again = await runCli(
    [server.url, "--rejects", folder.file("again")],
    "",
    { stdinFrom: rejects },
  );
  assertEquals(again.code, 0, again.stderr);
  assertEquals(valuesOfServer(server), [...range(0, 99), 100]);
  assertEquals(folder.lines("again"), []);
});

Deno.test("without --rejects the summary says how many were lost, and names the option", async () => {
  const { code, stderr } = await runCli(
    [nowhere(), "--retries", "0"],
    ndjson(0, 7) + "bad\n",
  );
  assertEquals(code, 1);
  assertStringIncludes(
    linesOf(stderr).at(-1)!,
    "8 read, 0 sent in 1 batch, 1 invalid, 7 not delivered, 8 lost: --rejects FILE",
  );
});

Deno.test("a rejects file that is the input itself is refused, by any of its names", async () => {
  using folder = new Folder();
  const input = folder.file("input");
  // All of them would be taken: nothing could be written that is read again.
  Deno.writeTextFileSync(input, ndjson(0, 3));
  Deno.symlinkSync(input, folder.file("symlink"));
  Deno.linkSync(input, folder.file("link"));
  await using server = startIngestServer({ port: 0 });
  for (const name of ["input", "symlink", "link"]) {
    const { code, stderr } = await runCli(
      [server.url, "--rejects", folder.file(name)],
      "",
      { stdinFrom: input },
    );
    assertEquals(code, 2);
    assertStringIncludes(stderr, "--rejects must not name the input itself");
  }
  assertEquals(server.stats.requests, 0);
  assertEquals(folder.lines("input").length, 3);
});

Deno.test({
  name: "a rejects file on a full disk is said once, and the rest is sent",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using server = startIngestServer({ port: 0 });
    const { code, stderr } = await runCli(
      [server.url, "--rejects", "/dev/full"],
      "bad\n".repeat(3) + ndjson(0, 3),
    );
    assertEquals(code, 1);
    assertEquals(valuesOfServer(server), [0, 1, 2]);
    const said = linesOf(stderr).filter((text) => text.includes("/dev/full"));
    assertStringIncludes(said[0]!, "Cannot write to --rejects");
    // And the summary, which does not claim that they are there.
    assertStringIncludes(said[1]!, '0 written to "/dev/full"');
    assertEquals(said.length, 2);
  },
});

Deno.test("a server that is down for good: exit code 1, a message that says so, all lines in the rejects file, and not every batch is tried", async () => {
  using folder = new Folder();
  const url = nowhere();
  const { code, stdout, stderr } = await runCli(
    [
      url,
      "--json",
      "--retries",
      "1",
      "--batch-size",
      "100",
      "--rejects",
      folder.file("rejects"),
    ],
    ndjson(0, 20_000),
  );
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Failed to send metrics: Cannot send to ${url}`);
  assertStringIncludes(stderr, "20000 read, 0 sent in ");
  assertEquals(valuesOf(folder.lines("rejects")), range(0, 20_000));
  const { read, sent, undelivered, batches, retries } = summaryOf(stdout);
  assertEquals([read, sent, undelivered, batches], [20_000, 0, 20_000, 200]);
  assert(retries <= 40, `${retries} retries`);
  // A flood of failures is a line a second, not a line each.
  assert(linesOf(stderr).length < 50, `${linesOf(stderr).length} lines`);
});

Deno.test("a batch that the server always fails on does not take others with it", async () => {
  using folder = new Folder();
  const { promise: tried, resolve: isTried } = Promise.withResolvers<void>();
  await using server = startIngestServer({
    port: 0,
    async intercept(request) {
      if (!(await request.text()).includes("poison")) return undefined;
      isTried();
      return new Response("cannot store this", { status: 500 });
    },
  });
  await using cli = new Cli([
    server.url,
    "--json",
    "--batch-size",
    "10",
    "--retries",
    "2",
    "--rejects",
    folder.file("rejects"),
  ]);
  const poison = line(0).replace('"m"', '"poison"');
  await cli.write(poison + "\n" + ndjson(1, 10));
  await cli.until(tried);
  // While that batch is retried, and after it has failed for good.
  await cli.write(ndjson(10, 100));
  await cli.says("Failed to send metrics");
  await cli.write(ndjson(100, 1000));
  await cli.end();
  const { stdout } = await cli.result();
  const { sent, undelivered } = summaryOf(stdout);
  assertEquals([sent, undelivered], [990, 10]);
  assertEquals(valuesOf(folder.lines("rejects")), range(0, 10));
});

/** A server in a process of its own, which can be killed and leaves a record. */
class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    child: Deno.ChildProcess,
    lines: AsyncIterator<string>,
    url: string,
  ) {
    this.#child = child;
    this.#lines = lines;
    this.url = url;
  }

  /** Starts one. The values it has taken are in the file before it says so. */
  static async start(file: string, port = "0"): Promise<ServerProcess> {
    const module = new URL("../../examples/ingest_server.ts", import.meta.url);
    const source = `
      import { startIngestServer } from ${JSON.stringify(module.href)};
      const [file, port] = Deno.args;
      const record = Deno.openSync(file, { append: true, create: true });
      const say = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text + "\\n"));
      let values = [];
      const server = startIngestServer({
        port: Number(port),
        delay: 2,
        validate: ({ value }) => void values.push(value),
        onRequest({ status }) {
          const text = values.join("\\n") + "\\n";
          if (status === 200) record.writeSync(new TextEncoder().encode(text));
          values = [];
          say("request");
        },
      });
      say(server.url);
    `;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-q",
        "-A",
        `data:application/typescript,${encodeURIComponent(source)}`,
        file,
        port,
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const lines = readLines(child.stdout);
    const { value: url = "" } = await lines.next();
    return new ServerProcess(child, lines, url);
  }

  /** Resolves when it has answered `n` more requests. */
  async requests(n: number): Promise<void> {
    for (let i = 0; i < n; i++) await this.#lines.next();
  }

  /** Ends it without a word; what it holds is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It was killed already.
    }
    await this.#child.status;
    while (!(await this.#lines.next()).done);
  }
}

async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

for (const retries of ["8", "0"]) {
  Deno.test(`a server that is killed and started again in the middle of a run, with ${retries} retries: 100,000 lines = acknowledged + rejects, and it has had every acknowledged one`, async () => {
    using folder = new Folder();
    const record = folder.file("record");
    await using first = await ServerProcess.start(record);
    const { port } = new URL(first.url);
    await using cli = new Cli([
      first.url,
      "--json",
      "-q",
      "--retries",
      retries,
      "--rejects",
      folder.file("rejects"),
    ]);
    const writing = cli.write(ndjson(0, 60_000));
    await cli.until(first.requests(20));
    await first[Symbol.asyncDispose]();
    await using _second = await ServerProcess.start(record, port);
    await writing;
    await cli.write(ndjson(60_000, 100_000));
    await cli.end();
    const { code, stdout } = await cli.result();

    const { read, sent, invalid, undelivered } = summaryOf(stdout);
    const rejects = valuesOf(folder.lines("rejects"));
    assertEquals([read, invalid], [100_000, 0]);
    assertEquals(read, sent + rejects.length);
    assertEquals(undelivered, rejects.length);
    assertEquals(code, rejects.length === 0 ? 0 : 1);
    // What is not in the rejects is what a server took.
    const taken = new Set(folder.lines("record").map(Number));
    const back = new Set(rejects);
    assertEquals(back.size, rejects.length, "no line is rejected twice");
    for (let i = 0; i < read; i++) {
      assert(back.has(i) || taken.has(i), `line ${i} is nowhere`);
    }
    if (retries === "8") assertEquals(rejects, []);
  });
}

Deno.test("a stricter server that refuses 37 of 10,000: 9,963 arrive, 37 are in the rejects file, and the requests are few", async () => {
  using folder = new Folder();
  const next = random(37);
  const refused = new Set<number>();
  while (refused.size < 37) refused.add(Math.floor(next() * 10_000));
  await using server = startIngestServer({
    port: 0,
    validate: ({ value }) => refused.has(value) ? "no \x1b[31mway" : undefined,
  });
  const { code, stdout, stderr } = await runCli(
    [server.url, "--json", "--rejects", folder.file("rejects")],
    ndjson(0, 10_000),
  );
  assertEquals(code, 1);
  assertEquals(server.stats.metrics, 9963);
  assertEquals(server.stats.received, 9963, "nothing is stored twice");
  assertEquals(
    valuesOf(folder.lines("rejects")),
    [...refused].toSorted((a, b) => a - b),
  );
  const { sent, invalid, undelivered, retries } = summaryOf(stdout);
  assertEquals([sent, invalid, undelivered, retries], [9963, 0, 37, 0]);
  assert(server.stats.requests <= 80, `${server.stats.requests} requests`);
  assertStringIncludes(stderr, "no \\u001b[31mway");
});

Deno.test("a server at its limit of series: existing ones go through, new ones come back", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0, maxSeries: 100 });
  const series = (i: number) =>
    line(i).replace("}", `,"labels":{"id":"${i % 150}"}}`) + "\n";
  const known = range(0, 100).map(series).join("");
  assertEquals((await runCli([server.url, "-q"], known)).code, 0);
  const { code, stdout, stderr } = await runCli(
    [server.url, "--json", "--rejects", folder.file("rejects")],
    range(150, 3150).map(series).join(""),
  );
  assertEquals(code, 1);
  const news = range(150, 3150).filter((i) => i % 150 >= 100);
  assertEquals(valuesOf(folder.lines("rejects")), news);
  assertEquals(server.stats.metrics, 2100);
  const { sent, undelivered } = summaryOf(stdout);
  assertEquals([sent, undelivered], [2000, 1000]);
  assertStringIncludes(stderr, "cardinality limit exceeded");
});

Deno.test("SIGINT or SIGTERM at any moment: the count is exact, what was read is sent or rejected, and the exit comes within the drain time", async () => {
  for (const round of range(0, ROUNDS)) {
    const next = random(1000 + round);
    const moment = 1 + Math.floor(next() * 40);
    const [signal, wanted] = round % 2 === 0
      ? ["SIGINT", 130] as const
      : ["SIGTERM", 143] as const;
    const bad = 2 + Math.floor(next() * 50);
    const what = `round ${round}: ${signal} at request ${moment}`;
    using folder = new Folder();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    let requests = 0;
    await using server = startIngestServer({
      port: 0,
      delay: Math.floor(next() * 10),
      onRequest: () => ++requests === moment && reach(),
    });
    await using cli = new Cli([
      server.url,
      "--json",
      "--batch-size",
      String(1 + Math.floor(next() * 100)),
      "--concurrency",
      String(1 + Math.floor(next() * 4)),
      "--rejects",
      folder.file("rejects"),
    ]);
    // In pieces that do not end where lines do, for as long as it reads.
    const lines = range(0, 20_000).map((i) =>
      i % bad === 0 ? `bad ${i}` : line(i)
    );
    const input = encoder.encode(lines.join("\n"));
    const writing = (async () => {
      for (let at = 0; at < input.length;) {
        const size = 1 + Math.floor(next() * 20_000);
        if (!await cli.write(input.slice(at, at + size))) return;
        at += size;
      }
      await cli.end();
    })();
    await cli.until(reached);
    const begin = performance.now();
    cli.kill(signal);
    const { code, stdout, stderr } = await cli.result();
    const elapsed = performance.now() - begin;
    await writing;
    assertEquals(code, wanted, `${what}: ${stderr}`);
    assertStringIncludes(stderr, `${signal}: reading no more`);
    // The drain takes some milliseconds; its limit is the default, ten seconds.
    assert(elapsed < 10_000, `${what}: exit after ${elapsed} ms`);
    const { read, sent, invalid, undelivered } = summaryOf(stdout);
    const rejects = folder.lines("rejects");
    assertEquals(read, sent + invalid + undelivered, what);
    assertEquals(rejects.length, invalid + undelivered, what);
    assertEquals(server.stats.metrics, sent, what);
    // Not only as many, but the very lines, from the first to the last one read. That
    // may have been cut where the pipe had no more of it.
    const got = new Set(valuesOfServer(server).map(line));
    for (const text of rejects) got.add(text);
    for (const text of lines.slice(0, read - 1)) {
      assert(got.has(text), `${what}: ${text} is nowhere`);
    }
    assertEquals(got.size, read, what);
  }
});

Deno.test("SIGINT while the server never answers: it ends with the drain time, and all that was read is in the rejects file", async () => {
  using folder = new Folder();
  const { promise: busy, resolve: isBusy } = Promise.withResolvers<void>();
  await using server = new FaultServer(({ n }) => {
    if (n === 4) isBusy();
    return "never";
  });
  await using cli = new Cli([
    server.url,
    "--json",
    "--batch-size",
    "100",
    "--timeout",
    "1h",
    "--drain-timeout",
    "200ms",
    "--rejects",
    folder.file("rejects"),
  ]);
  // More than it takes: it is held back with lines read that are in no batch yet.
  const writing = cli.write(ndjson(0, 20_000));
  await cli.until(busy);
  cli.kill("SIGINT");
  const { code, stdout, stderr } = await cli.result();
  await writing;
  assertEquals(code, 130, stderr);
  const { read, sent, undelivered } = summaryOf(stdout);
  assertEquals([sent, undelivered], [0, read]);
  assert(read >= 400, `${read} lines read`);
  assertEquals(valuesOf(folder.lines("rejects")), range(0, read));
});

Deno.test("SIGINT during the wait for a retry ends it, and the batch is in the rejects file", async () => {
  using folder = new Folder();
  await using server = new FaultServer(() => ({
    status: 503,
    headers: { "retry-after": "200" },
  }));
  await using cli = new Cli([
    server.url,
    "--batch-size",
    "10",
    "--drain-timeout",
    "50ms",
    "--rejects",
    folder.file("rejects"),
  ]);
  await cli.write(ndjson(0, 25));
  await cli.says("Retry 1 of 5 in 20");
  cli.kill("SIGINT");
  const { code, stderr } = await cli.result();
  assertEquals(code, 130, stderr);
  assertEquals(valuesOf(folder.lines("rejects")), range(0, 25));
});

Deno.test("a second signal ends it at once, and what is left goes to the rejects", async () => {
  for (const [signal, wanted] of [["SIGINT", 130], ["SIGHUP", 129]] as const) {
    using folder = new Folder();
    const { promise: busy, resolve: isBusy } = Promise.withResolvers<void>();
    await using server = new FaultServer(() => {
      isBusy();
      return "never";
    });
    await using cli = new Cli([
      server.url,
      "--batch-size",
      "1",
      "--timeout",
      "1h",
      "--drain-timeout",
      "1h",
      "--rejects",
      folder.file("rejects"),
    ]);
    await cli.write(ndjson(0, 10));
    await cli.until(busy);
    cli.kill(signal);
    await cli.says(`${signal}: reading no more`);
    // The same signal earlier than that is an echo of the first one.
    await new Promise((resolve) => setTimeout(resolve, 600));
    cli.kill(signal);
    // Else it would wait for an hour, and be killed with another code.
    const { code, stderr } = await cli.result();
    assertEquals(code, wanted);
    assertStringIncludes(stderr, "10 read, 0 sent");
    assertEquals(
      folder.lines("rejects").toSorted(),
      linesOf(ndjson(0, 10)).toSorted(),
    );
  }
});

Deno.test("a rejects file that ends in the middle of a line is gone on with in a new one", async () => {
  using folder = new Folder();
  Deno.writeTextFileSync(folder.file("rejects"), "cut{");
  await runCli([
    "-q",
    "--rejects",
    folder.file("rejects"),
    "http://127.0.0.1:9/",
  ], "bad\n");
  assertEquals(folder.lines("rejects"), ["cut{", "bad"]);
});

Deno.test("a signal while the pipe is silent ends the run, and what was read is sent", async () => {
  for (
    const [signal, wanted] of [["SIGINT", 130], ["SIGTERM", 0], [
      "SIGHUP",
      0,
    ]] as const
  ) {
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => arrived = resolve);
    await using server = startIngestServer({ port: 0, onRequest: arrived });
    await using cli = new Cli([server.url, "--json", "--batch-size", "2"]);
    await cli.write(ndjson(0, 3));
    await cli.until(arrival);
    cli.kill(signal);
    const { code, stdout } = await cli.result();
    assertEquals(code, wanted);
    assertEquals(summaryOf(stdout).sent, 3);
    assertEquals(valuesOfServer(server), [0, 1, 2]);
  }
});

/** Runs a shell line in which `eval "$DENO"` is the command line. */
async function shell(
  script: string,
  input: string,
  env: Record<string, string> = {},
) {
  const child = new Deno.Command("sh", {
    args: ["-c", script],
    env: {
      ...CLI_ENV,
      DENO: [Deno.execPath(), ...CLI].map((arg) => `'${arg}'`).join(" "),
      ...env,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const hang = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const writer = child.stdin.getWriter();
  const written = writer.write(encoder.encode(input)).then(() => writer.close())
    .catch(() => {});
  const { code, stdout, stderr } = await child.output();
  clearTimeout(hang);
  await written;
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Shell: waits until nobody reads the pipe anymore, as a write to it tells. */
const UNREAD = `trap "" PIPE; while echo x 2>/dev/null; do :; done`;

Deno.test("a stderr that nobody reads anymore loses nothing", async () => {
  using folder = new Folder();
  await using server = startIngestServer({ port: 0 });
  const input = range(0, 2000)
    .map((i) => (i % 10 === 0 ? `bad ${i}` : line(i)) + "\n").join("");
  const { stdout } = await shell(
    `exec 3>&1; (${UNREAD}; eval "$DENO" "$URL" -v --json --batch-size 10 --rejects "$REJECTS" 2>&1 >&3) | true`,
    input,
    { URL: server.url, REJECTS: folder.file("rejects") },
  );
  assertEquals(server.stats.metrics, 1800);
  assertEquals(folder.lines("rejects").length, 200);
  const { read, sent, invalid } = summaryOf(stdout);
  assertEquals([read, sent, invalid], [2000, 1800, 200]);
});

Deno.test("a stdout that nobody reads anymore loses nothing, and is no crash", async () => {
  await using server = startIngestServer({ port: 0 });
  const { stderr } = await shell(
    `(${UNREAD}; eval "$DENO" "$URL" --json) | true`,
    ndjson(0, 2000),
    { URL: server.url },
  );
  assertEquals(server.stats.metrics, 2000);
  assert(!stderr.includes("Uncaught"), stderr);
  assertStringIncludes(stderr, "2000 read, 2000 sent in 2 batches");
});

Deno.test("-n into head ends quietly", async () => {
  const { stdout, stderr } = await shell(
    `eval "$DENO" -n | head -n 1`,
    ndjson(0, 50_000),
  );
  assertEquals(linesOf(stdout).length, 1);
  assertEquals(JSON.parse(stdout).metrics.length, 1000);
  assert(!stderr.includes("Retry"), stderr);
  assert(!stderr.includes("Failed"), stderr);
  assert(!stderr.includes("lost"), stderr);
});

/** What may happen to a request, and what it means for those that stand in it. */
const MENU: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Fault>("none") },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Fault>("bye", "reset", "cut", "half"),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Fault>(
      { status: 500 },
      { status: 503, headers: { "retry-after": "0" } },
      { status: 429, body: "slow down" },
      { status: 400, body: '{"message":"invalid JSON: something"}' },
      { status: 400, body: '{"message":"invalid metric at index 2: no"}' },
      { status: 429, body: '{"message":"cardinality limit exceeded"}' },
      { status: 413 },
      { status: 401 },
      { status: 302, headers: { location: "/" } },
      { status: 200, body: "<html>" },
      { status: 200, body: '{"count":0}' },
    ),
  },
);

interface Scene {
  good: boolean[];
  chunk: number;
  batchSize: number;
  concurrency: number;
  retries: number;
  faults: Fault[];
  /** Which request is never answered, and which is answered late, if it comes to it. */
  never: number;
  late: number;
  /** At which request the server goes down, if it comes to it. */
  down: number;
  /** How many chunks are still to be read when the signal comes. */
  signal: number;
}

const SCENE: fc.Arbitrary<Scene> = fc.record({
  good: fc.array(fc.integer({ min: 0, max: 9 }).map((i) => i > 0), {
    minLength: 1,
    maxLength: 300,
    size: "max",
  }),
  chunk: fc.integer({ min: 1, max: 5000 }),
  batchSize: fc.integer({ min: 1, max: 100 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  retries: fc.integer({ min: 0, max: 4 }),
  faults: fc.array(MENU, { maxLength: 20 }),
  // Seldom, as each costs a timeout.
  never: fc.integer({ min: -100, max: 20 }),
  late: fc.integer({ min: -100, max: 20 }),
  down: fc.integer({ min: -30, max: 30 }),
  signal: fc.integer({ min: -50, max: 5 }),
});

/** Makes every wait before a retry as short as it may be. */
function noJitter(): Disposable {
  const original = Math.random;
  Math.random = () => 0;
  return { [Symbol.dispose]: () => void (Math.random = original) };
}

async function play(scene: Scene): Promise<void> {
  const { good, faults } = scene;
  await using server = new FaultServer(({ n }) => {
    if (n === scene.down) server.down();
    if (n === scene.never) return "never";
    if (n === scene.late) return "late";
    return faults[n - 1] ?? "none";
  });
  const lines = good.map((ok, i) => ok ? line(i) : `bad ${i}`);
  const input = encoder.encode(lines.join("\n"));
  const chunks = range(0, Math.ceil(input.length / scene.chunk))
    .map((i) => input.slice(i * scene.chunk, (i + 1) * scene.chunk));
  const io = new FakeIo(chunks, (left) => {
    if (left === scene.signal) io.signal("SIGINT");
  });
  using _ = noJitter();
  const begin = performance.now();
  const code = await main([
    server.url,
    "--json",
    "--timeout=500ms",
    "--rejects=rejects",
    `--batch-size=${scene.batchSize}`,
    `--concurrency=${scene.concurrency}`,
    `--retries=${scene.retries}`,
  ], io);
  // Two timeouts and what is quick; the limit is for a machine that is not.
  assert(performance.now() - begin < 20_000, "it ends");
  assertEquals([io.open, io.listens], [0, false]);

  const { read, sent, invalid, undelivered } = summaryOf(io.output);
  const rejects = linesOf(io.rejects);
  assertEquals(read, sent + invalid + undelivered);
  assertEquals(rejects.length, invalid + undelivered);
  const stopped = code === 130;
  if (!stopped) {
    assertEquals(read, lines.length);
    assertEquals(code, rejects.length === 0 ? 0 : 1);
  }
  // Each line that was read is on the server or in the rejects file.
  const back = new Set(rejects);
  assertEquals(back.size, rejects.length, "no line is rejected twice");
  const times = new Map<number, number>();
  for (const value of server.stored) {
    times.set(value, (times.get(value) ?? 0) + 1);
  }
  lines.slice(0, read).forEach((text, i) => {
    const n = times.get(i) ?? 0;
    if (!good[i]) {
      assert(back.has(text), `${text} is nowhere`);
      assertEquals(n, 0);
    } else if (server.hidden.has(i)) {
      // Nobody could know: at least once, or given back, or both.
      assert(n >= 1);
    } else {
      assertEquals(n, back.has(text) ? 0 : 1, `line ${i}, ${n} times there`);
    }
  });
}

Deno.test("random lines, batches and faults: every line is acknowledged or rejected, and nothing is left over", async () => {
  await fc.assert(fc.asyncProperty(SCENE, play), {
    seed: 42,
    numRuns: 4 * ROUNDS,
    // A scene that fails may take seconds each time it is made smaller.
    endOnFailure: true,
  });
});
