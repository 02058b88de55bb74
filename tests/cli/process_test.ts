// The command line as a process, in the places where people run it: behind pipes that
// nobody reads, under nohup and docker, behind a proxy, on a disk that fills up.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { CLI, Cli, CLI_ENV, linesOf, runCli, type Summary } from "../_cli.ts";
import { FaultServer } from "../_fault_server.ts";
import { range } from "../_helpers.ts";

const isLinux = Deno.build.os === "linux";
const decoder = new TextDecoder();

function line(i: number): string {
  return `{"name":"m","type":"gauge","value":${i}}`;
}

function ndjson(start: number, end: number): string {
  return range(start, end).map((i) => line(i) + "\n").join("");
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

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves when `holds` does: for what leaves no event to wait for. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(10);
}

Deno.test("sending the rejects again stores the same samples: timestamps and added labels included", async () => {
  using folder = new Folder();
  const rejects = folder.file("rejects");
  const first = await runCli(
    [nowhere(), "--retries=0", "--label=host=a", "--rejects", rejects],
    ndjson(0, 3) + line(3).replace("}", ',"labels":{"host":"own"}}') +
      "\nbad\n",
  );
  assertEquals(first.code, 1);
  assertStringIncludes(
    first.stderr,
    `; to send them again: tinyobs-batch --file ${rejects} http://`,
  );
  const kept = folder.lines("rejects").filter((text) => text !== "bad")
    .map((text) => JSON.parse(text));
  assertEquals(
    kept.map(({ value, labels }) => [value, labels.host]),
    [[0, "a"], [1, "a"], [2, "a"], [3, "own"]],
  );
  await using server = startIngestServer({ port: 0 });
  // Twice, as nobody knows what a server has that answered too late.
  for (const _ of range(0, 2)) {
    const again = await runCli([server.url, "-f", rejects]);
    assertStringIncludes(again.stderr, "5 read, 4 sent");
  }
  assertEquals(server.stats.metrics, 4, "a sample overwrites itself");
  assertEquals(
    server.query("m").map(({ labels }) => labels.host).toSorted(),
    ["a", "a", "a", "own"],
  );
});

Deno.test("a stderr that stalls holds up neither the sending nor the end", async () => {
  await using server = startIngestServer({ port: 0 });
  const child = new Deno.Command(Deno.execPath(), {
    args: [...CLI, server.url, "-v", "--json", "--batch-size=1"],
    env: { ...CLI_ENV },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // More of a log than any pipe holds, which nobody reads until it has ended.
  const n = 8_000;
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(ndjson(0, n)));
  await writer.close();
  const { code } = await child.status;
  const stdout = await new Response(child.stdout).text();
  const stderr = await new Response(child.stderr).text();
  assertEquals(code, 0);
  assertEquals(summaryOf(stdout).sent, n);
  assertEquals(server.stats.received, n);
  assert(linesOf(stderr).length < n, "not all of it was kept");
  for (const text of linesOf(stderr).slice(0, -1)) {
    assertMatch(text, /^tinyobs-batch: (Reading|Flushing)/, "no line is torn");
  }
});

Deno.test("a signal ends a run whose stderr stalls", async () => {
  await using server = startIngestServer({ port: 0 });
  const child = new Deno.Command(Deno.execPath(), {
    args: [...CLI, server.url, "-v", "--batch-size=1"],
    env: { ...CLI_ENV },
    stdin: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(ndjson(0, 8_000)));
  await until(() => server.stats.received === 8_000);
  child.kill("SIGTERM");
  const { code } = await child.status;
  assertEquals(code, 0);
  await child.stderr.cancel();
  await writer.abort().catch(() => {});
});

async function mkfifo(path: string): Promise<void> {
  await new Deno.Command("mkfifo", { args: [path] }).output();
}

for (const reader of ["that stalls", "that is not there"]) {
  Deno.test({
    name:
      `a rejects pipe with a reader ${reader} holds up neither the sending nor the signals`,
    ignore: !isLinux,
    async fn() {
      using folder = new Folder();
      const fifo = folder.file("fifo");
      await mkfifo(fifo);
      await using server = startIngestServer({ port: 0 });
      const opening = reader === "that stalls" ? Deno.open(fifo) : undefined;
      await using cli = new Cli([server.url, "--rejects", fifo]);
      // More than the pipe holds.
      const bad = `bad ${"x".repeat(1000)}\n`;
      await cli.write(bad.repeat(500) + ndjson(0, 1000));
      await cli.end();
      await cli.until(until(() => server.stats.metrics === 1000));
      cli.kill("SIGINT");
      await cli.says("SIGINT: reading no more");
      await delay(600);
      cli.kill("SIGINT");
      const { code, stderr } = await cli.result();
      assertEquals(code, 130);
      // What a pipe has taken can be read, and that is what counts.
      const written = Number(/, (\d+) written to /.exec(stderr)![1]);
      assert(written < 500, `${written} written`);
      const file = await opening;
      if (file === undefined) {
        assertEquals(written, 0);
      } else {
        const text = await new Response(file.readable).text();
        assertEquals(text.split("\n").length - 1, written);
      }
    },
  });
}

Deno.test({
  name: "a rejects pipe that is read late gets every line",
  ignore: !isLinux,
  async fn() {
    using folder = new Folder();
    const fifo = folder.file("fifo");
    await mkfifo(fifo);
    await using server = startIngestServer({ port: 0 });
    await using cli = new Cli([server.url, "--rejects", fifo]);
    const bad = `bad ${"x".repeat(1000)}\n`;
    await cli.write(bad.repeat(500) + ndjson(0, 1000));
    await cli.end();
    await cli.until(until(() => server.stats.metrics === 1000));
    using file = await Deno.open(fifo);
    const text = await new Response(file.readable).text();
    assertEquals(text, bad.repeat(500));
    assertStringIncludes((await cli.result()).stderr, "500 written to");
  },
});

Deno.test("docker stop while the server hangs: every line is in the rejects before SIGKILL comes", async () => {
  using folder = new Folder();
  await using server = new FaultServer(() => "never");
  await using cli = new Cli([
    server.url,
    "--timeout=1h",
    "--drain-timeout=300ms",
    "--rejects",
    folder.file("rejects"),
  ]);
  await cli.write(ndjson(0, 3000));
  await cli.until(until(() => server.requests === 3));
  cli.kill("SIGTERM");
  // The grace that is left after the drain: two seconds of ten, here as well.
  await delay(2300);
  cli.kill("SIGKILL");
  await cli.result();
  const values = folder.lines("rejects").map((text) => JSON.parse(text).value);
  assertEquals(values.toSorted((a, b) => a - b), range(0, 3000));
});

Deno.test({
  name:
    "signals that were ignored at the start stay ignored, the others do not",
  ignore: !isLinux,
  async fn() {
    await using server = startIngestServer({ port: 0 });
    const child = new Deno.Command("sh", {
      args: ["-c", 'trap "" HUP INT; exec "$@"', "sh", Deno.execPath()]
        .concat(CLI, server.url, "--batch-size=1", "--json"),
      env: { ...CLI_ENV },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    const encoder = new TextEncoder();
    await writer.write(encoder.encode(ndjson(0, 1)));
    await until(() => server.stats.metrics === 1);
    child.kill("SIGHUP");
    child.kill("SIGINT");
    await writer.write(encoder.encode(ndjson(1, 2)));
    await until(() => server.stats.metrics === 2);
    child.kill("SIGTERM");
    const { code, stdout, stderr } = await child.output();
    await writer.abort().catch(() => {});
    assertEquals(code, 0, decoder.decode(stderr));
    assertEquals(summaryOf(decoder.decode(stdout)).sent, 2);
    assert(!decoder.decode(stderr).includes("SIGHUP"));
  },
});

Deno.test("a Ctrl-C that comes twice, as wrappers pass it on, is one: what was read is sent", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: busy, resolve: isBusy } = Promise.withResolvers<void>();
  await using server = startIngestServer({
    port: 0,
    async intercept() {
      isBusy();
      await released;
      return undefined;
    },
  });
  await using cli = new Cli([server.url, "--json", "--batch-size=1"]);
  await cli.write(ndjson(0, 5));
  await cli.until(busy);
  cli.kill("SIGINT");
  cli.kill("SIGINT");
  await cli.says("SIGINT: reading no more");
  cli.kill("SIGINT");
  release();
  const { code, stdout } = await cli.result();
  assertEquals(code, 130);
  assertEquals(summaryOf(stdout).sent, 5);
});

Deno.test({
  name: "rejects that are piped in are refused, where that can be seen",
  ignore: !isLinux,
  async fn() {
    using folder = new Folder();
    const path = folder.file("input");
    Deno.writeTextFileSync(path, "bad\n");
    const fifo = folder.file("fifo");
    await mkfifo(fifo);
    const deno = [Deno.execPath(), ...CLI].map((arg) => `'${arg}'`).join(" ");
    const url = nowhere();
    for (
      const script of [
        // It goes on reading what is appended.
        `tail -n +1 -f '${path}' | ${deno} ${url} --rejects '${path}'`,
        `${deno} ${url} --rejects '${fifo}' <>'${fifo}'`,
        `echo bad | ${deno} ${url} --rejects /dev/stdin`,
      ]
    ) {
      const { code, stderr } = await new Deno.Command("timeout", {
        args: [
          "30",
          "sh",
          "-c",
          `${script}; code=$?; kill $(jobs -p) 2>/dev/null; exit $code`,
        ],
        env: { ...CLI_ENV },
        stdin: "null",
      }).output();
      assertStringIncludes(
        decoder.decode(stderr),
        "--rejects must not name the input itself",
        script,
      );
      assertEquals(code, 2, script);
    }
    assertEquals(Deno.readTextFileSync(path), "bad\n");
  },
});

/** Mounts a small disk, or says why not. */
async function mount(path: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path],
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

const canMount = await (async () => {
  using folder = new Folder();
  if (!await mount(folder.path)) return false;
  await new Deno.Command("umount", { args: [folder.path] }).output();
  return true;
})();

Deno.test({
  name:
    `rejects on a disk that fills up and has room again: every line is there${
      canMount ? "" : " (skipped: nothing can be mounted here)"
    }`,
  ignore: !canMount,
  async fn() {
    using folder = new Folder();
    await mount(folder.path);
    try {
      await using server = startIngestServer({ port: 0 });
      const filler = folder.file("filler");
      Deno.writeFileSync(filler, new Uint8Array(40 * 1024));
      await using cli = new Cli([
        server.url,
        "--json",
        "--rejects",
        folder.file("rejects"),
      ]);
      const bad = range(0, 40).map((i) => `bad ${i} ${"x".repeat(990)}`);
      await cli.write(bad.slice(0, 30).join("\n") + "\n");
      await cli.says("Cannot write to --rejects");
      Deno.removeSync(filler);
      await cli.write(bad.slice(30).join("\n") + "\n");
      await cli.end();
      const { code, stderr } = await cli.result();
      assertEquals(code, 1);
      assertEquals(folder.lines("rejects"), bad);
      assertStringIncludes(stderr, "40 written to");
    } finally {
      await new Deno.Command("umount", { args: [folder.path] }).output();
    }
  },
});

const KEY = `\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgV1Z4vTLZtTbE96eu
GDgNtYR55RVU14X/AC4RW8d73SShRANCAAQUBKvc3D2q4DhwH16edz5ARAUVdxF4
QauzcRVUzmGw87YrVgWpZ784jzW8Nik6gmROy1EHccmINsTC0/Z2w6QZ
-----END PRIVATE KEY-----
`;
/** Signed by itself, and valid for a hundred years. */
const CERT = `\
-----BEGIN CERTIFICATE-----
MIIBlzCCATygAwIBAgIUN/a0vFjIaKMCdCdGStw96lIJUxMwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMYSBwcml2YXRlIENBMCAXDTI2MTEyNjAwMDYyNVoYDzIxMjYx
MTAyMDAwNjI1WjAXMRUwEwYDVQQDDAxhIHByaXZhdGUgQ0EwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQUBKvc3D2q4DhwH16edz5ARAUVdxF4QauzcRVUzmGw87Yr
VgWpZ784jzW8Nik6gmROy1EHccmINsTC0/Z2w6QZo2QwYjAdBgNVHQ4EFgQUzH0D
Opm3Nmyo9b+27nk8sF+jnBIwHwYDVR0jBBgwFoAUzH0DOpm3Nmyo9b+27nk8sF+j
nBIwDwYDVR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMC
A0kAMEYCIQDTUaU6sxLdPzBp9jeuvjO3HTlBOYCeZr70AT5Z3+xRigIhAJAAXtS6
4q8r0SgPMvUllUelO0oOw3tv8oy5OkaNSsir
-----END CERTIFICATE-----
`;

Deno.test("a certificate that is not trusted is refused at once, with the way to trust it", async () => {
  const server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    cert: CERT,
    key: KEY,
    onListen() {},
  }, () => new Response());
  const { port } = server.addr;
  const https = `https://127.0.0.1:${port}/v1/ingest`;
  const { code, stderr, stdout } = await runCli(
    [https, "--json"],
    ndjson(0, 1),
  );
  assertEquals(code, 1);
  assertMatch(stderr, /certificate.*DENO_CERT=/);
  assertEquals(summaryOf(stdout).retries, 0);

  const http = await runCli(
    [https.replace("https", "http"), "--retries=0"],
    ndjson(0, 1),
  );
  assertStringIncludes(http.stderr, "use https://");
  await server.shutdown();

  await using plain = startIngestServer({ port: 0 });
  const other = await runCli(
    [plain.url.replace("http", "https"), "--retries=0"],
    ndjson(0, 1),
  );
  assertStringIncludes(other.stderr, "try http://");
});

Deno.test("a proxy is named when it answers or refuses in the server's place, without its password", async () => {
  await using proxy = startIngestServer({
    port: 0,
    intercept: () => new Response("no", { status: 403 }),
  });
  const url = "http://metrics.example/v1/ingest";
  const host = new URL(proxy.url).host;
  const answered = await runCli([url, "--retries=0"], ndjson(0, 1), {
    env: { HTTP_PROXY: `http://user:hunter22@${host}` },
  });
  assertStringIncludes(
    answered.stderr,
    `answered 403 Forbidden: no (through the proxy http://${host} of $HTTP_PROXY)`,
  );
  assert(!answered.stderr.includes("hunter22"));
  const gone = new URL(nowhere()).host;
  const refused = await runCli([url, "--retries=0"], ndjson(0, 1), {
    env: { HTTP_PROXY: `http://${gone}` },
  });
  assertMatch(refused.stderr, /through the proxy .*; is the proxy running\?/);
});

Deno.test("an outage is said when it begins and when it is over", async () => {
  await using server = startIngestServer({
    port: 0,
    intercept: (_, n) =>
      n < 3 ? new Response("later", { status: 503 }) : undefined,
  });
  const { code, stderr } = await runCli([server.url], ndjson(0, 1));
  assertEquals(code, 0);
  assertMatch(stderr, /Retry 1 of 5 in .*Sending again after [\d.]+ s\n/s);
});

Deno.test("-q says neither where it sends to nor that an outage is over", async () => {
  await using server = startIngestServer({
    port: 0,
    intercept: (_, n) =>
      n < 2 ? new Response("later", { status: 503 }) : undefined,
  });
  const { stderr } = await runCli([server.url, "-q"], ndjson(0, 1));
  const lines = linesOf(stderr);
  assertEquals(lines.length, 1, stderr);
  assertStringIncludes(lines[0]!, "Retry 1 of 5");
});

Deno.test("the first bad line says what the input looks like, and how to send it", async () => {
  const gzip = await new Response(
    new Blob([ndjson(0, 9)]).stream().pipeThrough(
      new CompressionStream("gzip"),
    ),
  ).bytes();
  const { stderr } = await runCli(["-n"], gzip);
  assertMatch(linesOf(stderr)[0]!, /gzip.*gunzip -c/);
  const ours = await runCli(
    ["-n"],
    (await runCli(["-n"], ndjson(0, 2))).stdout,
  );
  assertStringIncludes(ours.stderr, "jq -c '.metrics[]'");
});

Deno.test("a field that is not sent is said once, with the one that is probably meant", async () => {
  const tagged = line(1).replace("}", ',"tags":{"a":"b"}}\n');
  const { stderr } = await runCli(["-n"], tagged.repeat(3));
  const said = linesOf(stderr).filter((text) => text.includes('"tags"'));
  assertEquals(said.length, 1, stderr);
  assertStringIncludes(said[0]!, 'did you mean "labels"?');
});

Deno.test("--log-format json has the figures as fields", async () => {
  const { stderr } = await runCli(
    [nowhere(), "--retries=1", "--log-format=json"],
    ndjson(0, 2) + "bad\n",
  );
  const logs = linesOf(stderr).map((text) => JSON.parse(text));
  const find = (start: string) =>
    logs.find(({ message }) => message.startsWith(start));
  assertEquals(find("Line 3").line, 3);
  const retry = find("Retry 1");
  assertEquals([retry.attempt, retry.code], [1, "connection_refused"]);
  assertEquals(typeof retry.delayMs, "number");
  const failure = find("Failed to send");
  assertEquals([failure.failed, failure.size], [2, 2]);
  const { read, sent, invalid, undelivered, batches, retries } = find("3 read");
  assertEquals(
    { read, sent, invalid, undelivered, batches, retries },
    { read: 3, sent: 0, invalid: 1, undelivered: 2, batches: 1, retries: 1 },
  );
});

Deno.test("a file's name cannot move the terminal's cursor", async () => {
  using folder = new Folder();
  const gz = folder.file("\x1b[31mred.gz");
  Deno.writeTextFileSync(gz, "not gzip");
  const missing = folder.file("\x1b[2J");
  for (
    const args of [["-n", "-f", gz], ["-f", missing], [
      "-n",
      "--rejects",
      `${missing}/x`,
    ], ["-n", "-f", gz, "-f", gz]]
  ) {
    const { stderr } = await runCli(args);
    assertStringIncludes(stderr, "\\u001b");
    assert(!stderr.includes("\x1b"), JSON.stringify(stderr));
  }
});

Deno.test("a key that no header can carry is a usage error at the start, and is not shown", async () => {
  using folder = new Folder();
  for (const key of ["hunter22\nhunter23", "hunter22\x01", "hunter\x7f22"]) {
    Deno.writeTextFileSync(folder.file("key"), key);
    const runs = await Promise.all([
      runCli(["--api-key-file", folder.file("key")], ndjson(0, 1)),
      runCli([], ndjson(0, 1), { env: { TINYOBS_API_KEY: key } }),
      runCli(["-H", `X-Key: ${key}`], ndjson(0, 1)),
    ]);
    runs.forEach(({ code, stderr }, i) => {
      assertEquals(code, 2, stderr);
      assertStringIncludes(
        stderr,
        ["--api-key-file", "$TINYOBS_API_KEY", "--header"][i]!,
      );
      assert(!stderr.includes("hunter"), stderr);
    });
  }
});

Deno.test({
  name: "memory stays bounded with long lines, whatever the batch size",
  ignore: !isLinux,
  async fn() {
    const { promise: released, resolve: release } = Promise.withResolvers<
      void
    >();
    await using server = startIngestServer({
      port: 0,
      async intercept(request) {
        await released;
        const { metrics } = await request.json();
        return Response.json({ status: "success", count: metrics.length });
      },
    });
    await using cli = new Cli([server.url, "--json", "--timeout=1h"]);
    // 500 KB each, of which 1000 would be in a batch and 6000 would wait.
    const label = "x".repeat(1000);
    const long = `{"name":"m","type":"gauge","value":1,"other":"${
      label.repeat(500)
    }"}\n`;
    const n = 400;
    let taken = 0;
    const writing = (async () => {
      for (let i = 0; i < n; i++) {
        await cli.write(long);
        taken = i + 1;
      }
      await cli.end();
    })();
    // It must stop by itself, and there is no event for what does not happen.
    for (let before = -1; before < taken || taken === 0;) {
      before = taken;
      await delay(500);
    }
    const status = await Deno.readTextFile(`/proc/${cli.pid}/status`);
    // 16 MiB wait, and as much is in flight.
    assert(taken < 150, `${taken} lines were taken`);
    release();
    await writing;
    const { code, stdout, stderr } = await cli.result();
    assertEquals(code, 0, stderr);
    assertEquals(summaryOf(stdout).sent, n);
    const peak = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]);
    assert(peak < 250_000, `${peak} kB`);
  },
});
