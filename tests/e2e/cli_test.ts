// The command line as a process of its own, with real pipes, against a real server.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import {
  type IngestServer,
  startIngestServer,
} from "../../examples/ingest_server.ts";
import denoJson from "../../deno.json" with { type: "json" };
import { CLI, Cli, CLI_ENV, linesOf, runCli } from "../_cli.ts";
import { range } from "../_helpers.ts";

/** Good lines, told apart by their values. */
function ndjson(start: number, end: number, more = ""): string {
  return range(start, end)
    .map((i) => `{"name":"m","type":"gauge","value":${i}${more}}\n`)
    .join("");
}

/** The values that the server holds, in order. */
function held(server: IngestServer, name = "m"): number[] {
  return server.query(name).map(({ value }) => value).toSorted((a, b) => a - b);
}

const FIELDS = [
  "read",
  "sent",
  "invalid",
  "undelivered",
  "batches",
  "retries",
  "bytes",
  "elapsedMs",
];

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/;

Deno.test("50,000 lines arrive as 50,000, in batches of at most 1000, and the server refuses none", async () => {
  let bytes = 0;
  await using server = startIngestServer({
    port: 0,
    onRequest: (request) => bytes += request.bytes,
  });
  const { code, stdout, stderr } = await runCli(
    [server.url, "--json"],
    ndjson(0, 50_000),
  );
  assertEquals(code, 0, stderr);
  const { stats } = server;
  // As many as were sent: no two have the same stamp.
  assertEquals([stats.metrics, stats.received], [50_000, 50_000]);
  assertEquals(Object.keys(stats.statuses), ["200"]);
  assert(stats.largestRequest <= 1000, `${stats.largestRequest} in a request`);
  assertEquals(held(server), range(0, 50_000));
  assertMatch(
    stderr,
    /\ntinyobs-batch: 50000 read, 50000 sent in \d+ batches \(\d+\.\d\d s\)\n$/,
  );
  assertEquals(linesOf(stdout).length, 1);
  const summary = JSON.parse(stdout);
  assertEquals(Object.keys(summary), FIELDS);
  const { batches, elapsedMs, ...others } = summary;
  assertEquals(others, {
    read: 50_000,
    sent: 50_000,
    invalid: 0,
    undelivered: 0,
    retries: 0,
    bytes,
  });
  assertEquals(batches, stats.requests);
  assert(Number.isInteger(elapsedMs) && elapsedMs > 0, `${elapsedMs} ms`);
});

Deno.test("stdout stays empty unless asked, and stderr says where it sends to and what became of it", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code, stdout, stderr } = await runCli([server.url], ndjson(0, 3));
  assertEquals([code, stdout], [0, ""]);
  const [start, end, ...more] = linesOf(stderr);
  assertEquals(start, `tinyobs-batch: Reading stdin, sending to ${server.url}`);
  assertMatch(
    end!,
    /^tinyobs-batch: 3 read, 3 sent in 1 batch \(\d+\.\d\d s\)$/,
  );
  assertEquals(more, []);
});

Deno.test("-q says nothing, and --json does not mind", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code, stdout, stderr } = await runCli(
    [server.url, "-q", "--json"],
    ndjson(0, 3),
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout).sent, 3);
});

Deno.test("-v also says when a batch is sent, and how large it is", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code, stderr } = await runCli(
    [server.url, "-v", "--batch-size", "2"],
    ndjson(0, 5),
  );
  assertEquals(code, 0);
  assertEquals(
    linesOf(stderr).slice(1, -1),
    [2, 2, 1].map((n) =>
      `tinyobs-batch: Flushing ${n} metric${n === 1 ? "" : "s"}`
    ),
  );
  assertMatch(linesOf(stderr).at(-1)!, /5 read, 5 sent in 3 batches/);
});

Deno.test("a batch size over what the server takes goes out in requests that it takes", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code } = await runCli(
    [server.url, "-q", "--batch-size", "2500"],
    ndjson(0, 5000),
  );
  assertEquals(code, 0);
  assertEquals(held(server), range(0, 5000));
  assert(server.stats.largestRequest <= 1000);
});

Deno.test("no input is no request and no failure", async () => {
  await using server = startIngestServer({ port: 0 });
  for (const input of ["", "\n\r\n \n\ufeff\n"]) {
    const { code, stdout, stderr } = await runCli([server.url], input);
    assertEquals([code, stdout], [0, ""]);
    assertStringIncludes(stderr, "0 read, 0 sent in 0 batches");
  }
  assertEquals(server.stats.requests, 0);
});

Deno.test("the last line needs no line feed", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code } = await runCli([server.url], ndjson(0, 3).trimEnd());
  assertEquals(code, 0);
  assertEquals(held(server), [0, 1, 2]);
});

Deno.test("-n prints the request bodies, one per line, and sends nothing", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code, stdout, stderr } = await runCli(
    [server.url, "-n", "--concurrency", "1"],
    ndjson(0, 2500, ',"timestamp":"2026-11-23T07:00:00Z"'),
  );
  assertEquals(code, 0);
  assertEquals(server.stats.requests, 0);
  const bodies = linesOf(stdout);
  assertEquals(bodies.length, 3);
  assertEquals(
    bodies.flatMap((body) => JSON.parse(body).metrics),
    linesOf(ndjson(0, 2500, ',"timestamp":"2026-11-23T07:00:00Z"'))
      .map((line) => JSON.parse(line)),
  );
  assertStringIncludes(stderr, "2500 read, nothing sent (dry run)");
});

Deno.test("-n prints a body per line, however many there are at a time and however slow the reader", async () => {
  await using cli = new Cli(["-n", "--json"]);
  await cli.write(ndjson(0, 20_000));
  await cli.end();
  const { code, stdout } = await cli.result();
  assertEquals(code, 0);
  const lines = linesOf(stdout);
  assertEquals(lines.length, 21);
  const values = lines.slice(0, 20)
    .flatMap((line) => JSON.parse(line).metrics as { value: number }[])
    .map(({ value }) => value);
  assertEquals(values.toSorted((a, b) => a - b), range(0, 20_000));
  const { read, sent, invalid, undelivered } = JSON.parse(lines.at(-1)!);
  assertEquals([read, sent, invalid, undelivered], [20_000, 0, 0, 0]);
});

Deno.test("bad lines are explained up to the tenth and counted from there, and the good ones of their batch arrive", async () => {
  await using server = startIngestServer({ port: 0 });
  const good = linesOf(ndjson(0, 985));
  const metric = (fields: Record<string, unknown>) =>
    JSON.stringify({ name: "m", type: "gauge", value: 1, ...fields });
  const labels = (n: number) =>
    Object.fromEntries(range(0, n).map((i) => [`l${i}`, "v"]));
  const bad: [string, string][] = [
    ['{"name":"m","type":"gauge","value":NaN}', "Not JSON"],
    ['{"name":"m","type":"gauge","value":1e999}', "Infinity"],
    [metric({ labels: { port: 80 } }), '"port"'],
    [metric({ name: "n".repeat(257) }), "257 bytes"],
    [metric({ labels: labels(21) }), "21"],
    [metric({ timestamp: 1732345200 }), "1732345200"],
    ["\x1b[31mred\x07\x9b31m\u202e", "Not JSON"],
    [
      metric({ name: "" }).replace('""', '"\\u001b[2J\\u0007"') + "\x1b",
      "Not JSON",
    ],
    [metric({ type: "\x1b]0;title\x07" }), "'type'"],
    ['{"name":"m","name":"m2","type":"gauge","value":1}', "twice"],
  ];
  // Each after a hundred good ones, so that their numbers tell them apart.
  const lines = bad.flatMap(([line], i) => [
    ...good.slice(i * 50, (i + 1) * 50),
    "",
    line,
  ]).concat(good.slice(500), ["x", "y", "z", "[]", "null"]);
  const { code, stdout, stderr } = await runCli(
    [server.url],
    lines.join("\n") + "\n",
  );
  assertEquals([code, stdout], [1, ""]);
  assertEquals(held(server), range(0, 985));
  assertEquals(server.stats.requests, 1);
  assert(!CONTROL.test(stderr), JSON.stringify(stderr));
  assert(!stderr.includes("\u202e"));
  // Without the line that says where it sends to.
  const said = linesOf(stderr).slice(1);
  assertEquals(said.length, 12, stderr);
  bad.forEach(([, reason], i) => {
    const start = `tinyobs-batch: Line ${52 * (i + 1)}: `;
    assert(said[i]!.startsWith(start), `${said[i]} is line ${start}`);
    assertStringIncludes(said[i]!, reason);
    assert(said[i]!.length < 400, said[i]);
  });
  assertEquals(
    said[10],
    "tinyobs-batch: 5 more invalid lines are not shown",
  );
  assertStringIncludes(said[11]!, "1000 read, 985 sent in 1 batch, 15 invalid");
});

Deno.test("labels are added to every metric, never over one that the line has; headers go with every request", async () => {
  const seen: (string | null)[] = [];
  await using server = startIngestServer({
    port: 0,
    intercept({ headers }) {
      seen.push(headers.get("x-tenant"), headers.get("content-type"));
      return undefined;
    },
  });
  const { code } = await runCli(
    [
      server.url,
      "--label",
      "host=added",
      "--label",
      "zone=a=b",
      "-H",
      "X-Tenant: blue: 1",
    ],
    ndjson(0, 1) + ndjson(1, 2, ',"labels":{"host":"own","x":"y"}'),
  );
  assertEquals(code, 0);
  assertEquals(seen, ["blue: 1", "application/json"]);
  assertEquals(
    server.query("m").map(({ value, labels }) => [value, labels]),
    [
      [0, { host: "added", zone: "a=b" }],
      [1, { host: "own", zone: "a=b", x: "y" }],
    ],
  );
});

Deno.test("what reaches the server is the line's own text", async () => {
  let body = "";
  await using server = startIngestServer({
    port: 0,
    async intercept(request) {
      body = await request.text();
      return undefined;
    },
  });
  const lines = [
    '{"name":"\\u006d","type":"gauge","value":1.50e+2,"timestamp":"2026-11-23T09:00:00+02:00"}',
    '{"timestamp":"2026-11-23T07:00:00.123456789Z","labels":{"b":"\\/","a":"é😀"},"value":-0,"type":"counter","name":"m"}',
  ];
  const { code } = await runCli([server.url], lines.join("\n"));
  assertEquals(code, 0);
  assertEquals(body, `{"metrics":[${lines.join(",")}]}`);
});

Deno.test("the API key comes from a file or the environment", async () => {
  const apiKey = "hunter22-the-key";
  await using server = startIngestServer({ port: 0, apiKey });
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, `  ${apiKey}\n`);
    const byFile = await runCli(
      [server.url, "--api-key-file", path],
      ndjson(0, 1),
      // The file is the more explicit of the two.
      { env: { TINYOBS_API_KEY: "wrong" } },
    );
    assertEquals(byFile.code, 0, byFile.stderr);
  } finally {
    await Deno.remove(path);
  }
  const byEnv = await runCli([], ndjson(1, 2), {
    env: { TINYOBS_API_KEY: apiKey, TINYOBS_ENDPOINT: server.url },
  });
  assertEquals(byEnv.code, 0, byEnv.stderr);
  assertEquals(held(server), [0, 1]);
});

Deno.test("no secret is in any output, even if the server repeats them all", async () => {
  const secrets = {
    key: "hunter22-key",
    password: "hunter22-pass",
    header: "hunter22-header",
    query: "hunter22-query",
  };
  let asked: string[] = [];
  await using server = startIngestServer({
    port: 0,
    intercept({ url, headers }, n) {
      asked = [url, ...headers.values()];
      const message = `wrong: ${asked.join(" ")} \x1b[31m`;
      // Refused for good, rejected, and to be tried again.
      const status = [401, 400, 503][n % 3]!;
      return Response.json({ message }, { status, statusText: "No" });
    },
  });
  const url = new URL(server.url);
  url.search = `?token=${secrets.query}`;
  const all = [];
  for (const user of ["", "user"]) {
    url.username = user;
    url.password = user && secrets.password;
    const { code, stdout, stderr } = await runCli(
      [
        url.href,
        "-v",
        "--json",
        "--retries",
        "1",
        "--batch-size",
        "1",
        "-H",
        `X-Secret: ${secrets.header}`,
      ],
      ndjson(0, 6),
      { env: { TINYOBS_API_KEY: user ? "" : secrets.key } },
    );
    assertEquals(code, 1);
    assertStringIncludes(stderr, "wrong: ");
    all.push(stdout, stderr);
    // They were sent, and so could be repeated.
    assertStringIncludes(asked.join(" "), secrets.header);
    assertStringIncludes(asked.join(" "), secrets.query);
    assertStringIncludes(
      asked.join(" "),
      user ? btoa(`user:${secrets.password}`) : `Bearer ${secrets.key}`,
    );
  }
  for (const text of all) {
    assert(!text.includes("hunter22"), text);
    assert(!text.includes(btoa(`user:${secrets.password}`)), text);
    assert(!CONTROL.test(text), JSON.stringify(text));
  }
});

Deno.test("a mistake in the arguments is exit code 2 and names it, before anything is read or sent", async () => {
  const path = await Deno.makeTempFile();
  try {
    const cases: [string[], string][] = [
      [["--unknown"], "Unknown option: --unknown"],
      [["--timeout", "soon"], "--timeout"],
      [["--rejects"], "Option --rejects needs a value"],
      [["ftp://user:hunter22@host/"], "ftp://host/"],
      [["-H", "Bad Name: hunter22"], "Bad Name"],
      [["--api-key-file", path + ".none"], "--api-key-file"],
      // It is there, but there is no key in it.
      [["--api-key-file", path], "--api-key-file"],
      [["--rejects", path + "/none/lost"], "--rejects"],
      [["--rejects", "."], "--rejects"],
    ];
    const results = await Promise.all(
      cases.map(([args]) => runCli(args, ndjson(0, 1))),
    );
    results.forEach(({ code, stdout, stderr }, i) => {
      assertEquals([code, stdout], [2, ""], stderr);
      assertStringIncludes(stderr, cases[i]![1]);
      assert(!stderr.includes("hunter22"), stderr);
      const [message, hint, ...more] = linesOf(stderr);
      assert(message!.startsWith("tinyobs-batch: "), stderr);
      assertEquals(hint, "Try 'tinyobs-batch --help'.");
      assertEquals(more, []);
    });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("--help fits 80 columns and names every option; --version says the version", async () => {
  const help = await runCli(["--help"]);
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const line of linesOf(help.stdout)) assert(line.length <= 80, line);
  for (
    const name of [
      "--batch-size",
      "--flush-every",
      "--timeout",
      "--concurrency",
      "--retries",
      "--drain-timeout",
      "--rejects",
      "-H, --header",
      "--label",
      "--api-key-file",
      "-n, --dry-run",
      "--json",
      "-q, --quiet",
      "-v, --verbose",
      "-h, --help",
      "-V, --version",
      "TINYOBS_ENDPOINT",
      "TINYOBS_API_KEY",
      "130",
      "143",
    ]
  ) {
    assertStringIncludes(help.stdout, name);
  }
  const version = await runCli(["-V"]);
  assertEquals([version.code, version.stderr], [0, ""]);
  assertEquals(version.stdout, `tinyobs-batch ${denoJson.version}\n`);
});

/** Why there can be no terminal here, or `undefined`. */
async function noTerminal(): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("script", {
      args: ["--version"],
    }).output();
    const text = new TextDecoder().decode(stdout);
    return text.includes("util-linux") ? undefined : "script is another one";
  } catch {
    return "there is no command 'script' (util-linux)";
  }
}

const without = await noTerminal();

Deno.test({
  name:
    "a terminal as stdin is help on stderr and exit code 2, not a silent wait" +
    (without === undefined ? "" : ` (skipped: ${without})`),
  ignore: without !== undefined,
  async fn() {
    const stderr = await Deno.makeTempFile();
    try {
      const command = [Deno.execPath(), ...CLI].map((arg) => `'${arg}'`);
      const { code, stdout } = await new Deno.Command("script", {
        args: ["-qec", `${command.join(" ")} 2>'${stderr}'`, "/dev/null"],
        env: { ...CLI_ENV },
        stdin: "null",
        signal: AbortSignal.timeout(60_000),
      }).output();
      assertEquals(code, 2);
      assertEquals(new TextDecoder().decode(stdout).trim(), "");
      const text = await Deno.readTextFile(stderr);
      assert(text.startsWith("Usage: tinyobs-batch"), text);
      assertStringIncludes(text, "stdin is a terminal");
      assert(linesOf(text).length < 24, text);
    } finally {
      await Deno.remove(stderr);
    }
  },
});

Deno.test("a folder as stdin is a clear error and exit code 1", async () => {
  await using server = startIngestServer({ port: 0 });
  const { code, stdout, stderr } = await runCli([server.url], "", {
    stdinFrom: ".",
  });
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "Cannot read stdin: ");
  assertMatch(stderr, /directory/i);
  assertEquals(server.stats.requests, 0);
});

Deno.test("a trickling pipe is flushed by --flush-every, without its end", async () => {
  let arrived = () => {};
  await using server = startIngestServer({
    port: 0,
    onRequest: () => arrived(),
  });
  await using cli = new Cli([server.url, "--flush-every", "50ms"]);
  for (const i of range(0, 3)) {
    const arrival = new Promise<void>((resolve) => arrived = resolve);
    await cli.write(ndjson(i, i + 1));
    await cli.until(arrival);
    assertEquals(held(server), range(0, i + 1));
  }
  await cli.end();
  assertEquals((await cli.result()).code, 0);
});

Deno.test("a line that comes in pieces is one line", async () => {
  await using server = startIngestServer({ port: 0 });
  await using cli = new Cli([server.url, "--label", "a=é"]);
  const bytes = new TextEncoder().encode(ndjson(0, 2, ',"labels":{"b":"é😀"}'));
  for (const byte of bytes) await cli.write(Uint8Array.of(byte));
  await cli.end();
  assertEquals((await cli.result()).code, 0);
  assertEquals(
    server.query("m").map(({ labels }) => labels),
    [{ a: "é", b: "é😀" }, { a: "é", b: "é😀" }],
  );
});

Deno.test("a server that is slow slows the pipe: what is read and not sent stays small", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: busy, resolve: isBusy } = Promise.withResolvers<void>();
  await using server = startIngestServer({
    port: 0,
    async intercept(_, n) {
      if (n === 2) isBusy();
      await released;
      return undefined;
    },
  });
  await using cli = new Cli([
    server.url,
    "--json",
    "--batch-size",
    "100",
    "--concurrency",
    "2",
    "--timeout",
    "1m",
  ]);
  const total = 100_000;
  let taken = 0;
  const writing = (async () => {
    for (let i = 0; i < total; i += 1000) {
      await cli.write(ndjson(i, i + 1000));
      taken = i + 1000;
    }
    await cli.end();
  })();
  await cli.until(busy);
  // It must stop by itself, and there is no event for what does not happen. A
  // machine too slow to read in this time only makes the number smaller.
  for (let before = -1; before < taken;) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  // Two batches in flight, four waiting, a chunk of 64 KiB being read, another in
  // the pipe and what the test's own stream holds: about 4000 lines.
  assert(taken < 20_000, `${taken} lines were taken`);
  release();
  await writing;
  const { code, stdout } = await cli.result();
  assertEquals(code, 0);
  assertEquals(JSON.parse(stdout).sent, total);
  assertEquals(server.stats.metrics, total);
});

Deno.test({
  name: "a line of 300 MB costs no more memory than the limit",
  // Nowhere else can a process be asked for its memory without a tool.
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using server = startIngestServer({ port: 0 });
    await using cli = new Cli([server.url, "--json"]);
    await cli.write(ndjson(0, 1));
    const part = new Uint8Array(1024 * 1024).fill(0x78);
    for (let i = 0; i < 300; i++) await cli.write(part);
    // Until the line ends, the process is there to be asked for its peak.
    const status = await Deno.readTextFile(`/proc/${cli.pid}/status`);
    await cli.write("\n" + ndjson(1, 2));
    await cli.end();
    const { code, stdout, stderr } = await cli.result();
    assertEquals(code, 1);
    assertEquals(held(server), [0, 1]);
    assertStringIncludes(stderr, "Line 2: Longer than 1048576 bytes: xxxx");
    assertEquals(JSON.parse(stdout).invalid, 1);
    const peak = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]);
    assert(peak < 200_000, `${peak} kB`);
  },
});
