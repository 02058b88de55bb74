// Each example as a process of its own, started as its first lines say, against a
// real server.

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
import { linesOf, runCli } from "../_cli.ts";
import { range, within } from "../_helpers.ts";

interface ExampleOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** An example that runs. */
class Example implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #outputs: Promise<unknown>;
  #wake = Promise.withResolvers<void>();
  #ended = false;
  stdout = "";
  stderr = "";

  constructor(name: string, permissions: string[], options: ExampleOptions) {
    const path = new URL(`../../examples/${name}`, import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", ...permissions, path, ...options.args ?? []],
      env: { NO_COLOR: "1", TINYOBS_API_KEY: "", PORT: "0", ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#outputs = Promise.all([
      this.#collect(this.#child.stdout, (text) => this.stdout += text),
      this.#collect(this.#child.stderr, (text) => this.stderr += text),
    ]).finally(() => {
      this.#ended = true;
      this.#wake.resolve();
    });
  }

  async #collect(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    add: (text: string) => void,
  ): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      add(text);
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  /** The address of the service that the example is, once it listens. */
  async origin(): Promise<string> {
    for (;;) {
      const found = /^Listening on (http:\S+?)\/?$/m.exec(this.stderr);
      if (found !== null) return found[1]!;
      assert(!this.#ended, `It never listened: ${this.stderr}`);
      await within(this.#wake.promise, "an example to listen");
    }
  }

  /** Its exit code, once it has ended. */
  async code(): Promise<number> {
    await within(this.#outputs, "an example to end");
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#child.status;
    await this.#outputs;
  }
}

const NET = ["--allow-net", "--allow-env"];

/** Where nothing listens. */
function closedUrl(): string {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return `http://127.0.0.1:${listener.addr.port}/v1/ingest`;
}

/** Asks a service, and returns the status. */
async function get(url: string, method = "GET"): Promise<number> {
  const response = await fetch(url, { method });
  await response.body?.cancel();
  return response.status;
}

function valuesOf(server: IngestServer, name: string): number[] {
  return server.query(name).map(({ value }) => value);
}

/** What Deno Deploy leaves an instance between SIGINT and SIGKILL, in ms. */
const NOTICE = 5000;

/** Stops an example as Deno Deploy does; the code is 137 if it was too slow. */
async function stopAsDeployDoes(example: Example): Promise<number> {
  example.kill("SIGINT");
  const end = setTimeout(() => example.kill("SIGKILL"), NOTICE);
  try {
    return await example.code();
  } finally {
    clearTimeout(end);
  }
}

Deno.test("deploy.ts delivers the metrics inside when SIGINT comes", async () => {
  await using server = startIngestServer({ port: 0, apiKey: "secret" });
  await using example = new Example("deploy.ts", NET, {
    env: {
      TINYOBS_ENDPOINT: server.url,
      TINYOBS_API_KEY: "secret",
      TINYOBS_FLUSH_EVERY: "600000",
    },
  });
  const origin = await example.origin();
  const statuses = await Promise.all(
    range(0, 25).map((i) => get(`${origin}/${i < 20 ? "" : "nowhere"}`)),
  );
  assertEquals(statuses, range(0, 25).map((i) => i < 20 ? 200 : 404));
  assertEquals(server.stats.requests, 0, "they are still inside");

  assertEquals(await stopAsDeployDoes(example), 0, example.stderr);
  const held = server.query("http_request_duration_seconds");
  assertEquals(held.length, 25);
  assertEquals(
    held.map(({ labels }) => labels.status).toSorted(),
    range(0, 25).map((i) => i < 20 ? "200" : "404"),
  );
  assertEquals(server.stats.requests, 1);
  assertStringIncludes(example.stderr, "Stopped: 25 metrics sent, 0 lost\n");
});

Deno.test("deploy.ts sends without a SIGINT as well, once the time is over", async () => {
  const { promise: arrived, resolve } = Promise.withResolvers<number>();
  await using server = startIngestServer({
    port: 0,
    onRequest: ({ metrics }) => resolve(metrics),
  });
  await using example = new Example("deploy.ts", NET, {
    env: { TINYOBS_ENDPOINT: server.url, TINYOBS_FLUSH_EVERY: "10" },
  });
  assertEquals(await get(await example.origin()), 200);
  assertEquals(await within(arrived, "the metric"), 1);
});

Deno.test("deploy.ts ends in time and says what is lost, also when the server does not answer", async () => {
  await using server = startIngestServer({ port: 0, delay: 600_000 });
  await using example = new Example("deploy.ts", NET, {
    env: { TINYOBS_ENDPOINT: server.url, TINYOBS_FLUSH_EVERY: "600000" },
  });
  assertEquals(await get(await example.origin()), 200);
  assertEquals(await stopAsDeployDoes(example), 0, example.stderr);
  assertStringIncludes(example.stderr, "Failed to send metrics: ");
  assertStringIncludes(example.stderr, "Stopped: 0 metrics sent, 1 lost\n");
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`http_service.ts counts and measures its requests, and sends the rest at a ${signal}`, async () => {
    await using server = startIngestServer({ port: 0 });
    await using example = new Example("http_service.ts", NET, {
      env: { TINYOBS_ENDPOINT: server.url },
    });
    const origin = await example.origin();
    const requests = [
      "/users/1",
      "/users/2",
      "/users/3",
      "/",
      "/broken",
      "/nowhere",
      "/wp-admin",
    ];
    for (const path of requests) await get(origin + path);
    await get(`${origin}/`, "DELETE");

    example.kill(signal);
    assertEquals(await example.code(), 0, example.stderr);
    const totals = Object.fromEntries(
      // The last sample of each series stays.
      server.query("http_requests_total").map(({ labels, value }) => [
        `${labels.method} ${labels.path} ${labels.status}`,
        value,
      ]),
    );
    assertEquals(totals, {
      "GET /users/:id 200": 3,
      "GET / 200": 1,
      "GET /broken 500": 1,
      "any none 404": 3,
    });
    const durations = valuesOf(server, "http_request_duration_seconds");
    assertEquals(durations.length, 8);
    assert(durations.every((seconds) => seconds >= 0), `${durations}`);
    // A cumulative counter: each of its samples is there.
    assertEquals(
      server.query("http_requests_total")
        .filter(({ labels }) => labels.path === "/users/:id")
        .map(({ value }) => value),
      [1, 2, 3],
    );
  });
}

Deno.test("cron_job.ts ends by itself with 0 and has delivered", async () => {
  await using server = startIngestServer({ port: 0 });
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a`, "12345");
    await Deno.writeTextFile(`${folder}/b`, "1234567");
    await Deno.mkdir(`${folder}/c`);
    await using example = new Example("cron_job.ts", [...NET, "--allow-read"], {
      args: [folder],
      env: { TINYOBS_ENDPOINT: server.url },
    });
    assertEquals([await example.code(), example.stderr], [0, ""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assertEquals(valuesOf(server, "job_files"), [2]);
  assertEquals(valuesOf(server, "job_bytes"), [12]);
  assertEquals(valuesOf(server, "job_success"), [1]);
  assertEquals(valuesOf(server, "job_duration_seconds").length, 1);
});

Deno.test("cron_job.ts ends with 1 where the server is down, and says so", async () => {
  await using example = new Example("cron_job.ts", [...NET, "--allow-read"], {
    args: [import.meta.dirname!],
    env: { TINYOBS_ENDPOINT: closedUrl() },
  });
  assertEquals(await example.code(), 1);
  assertStringIncludes(example.stderr, "refused");
  assertMatch(example.stderr, /^cron_job: 4 of 4 metrics were not delivered$/m);
});

Deno.test("cron_job.ts ends with 1 where its work failed, and has delivered that", async () => {
  await using server = startIngestServer({ port: 0 });
  await using example = new Example("cron_job.ts", [...NET, "--allow-read"], {
    args: ["/no/such/folder"],
    env: { TINYOBS_ENDPOINT: server.url },
  });
  assertEquals(await example.code(), 1);
  assertStringIncludes(example.stderr, "cron_job: No such file");
  assertEquals(valuesOf(server, "job_success"), [0]);
  assertEquals(server.query("job_files"), []);
});

Deno.test("custom_transport.ts writes a file that the command line can send", async () => {
  const path = await Deno.makeTempFile();
  try {
    await using example = new Example("custom_transport.ts", [
      "--allow-write",
    ], { args: [path] });
    assertEquals(await example.code(), 0, example.stderr);
    assertEquals(example.stderr, `2500 metrics written to ${path}, 0 lost\n`);

    await using server = startIngestServer({ port: 0 });
    const { code } = await runCli(
      [server.url],
      await Deno.readTextFile(path),
    );
    assertEquals(code, 0);
    // In order, and none has the stamp of another.
    assertEquals(
      valuesOf(server, "demo_value"),
      range(0, 2500).map((i) => Math.sin(i / 100)),
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("custom_transport.ts says what it could not write, and why", async () => {
  const folder = import.meta.dirname!;
  await using example = new Example("custom_transport.ts", ["--allow-write"], {
    args: [folder],
  });
  assertEquals(await example.code(), 1);
  assertStringIncludes(
    example.stderr,
    `Failed to send metrics: Cannot append to ${folder}: `,
  );
  assertStringIncludes(
    example.stderr,
    `0 metrics written to ${folder}, 2500 lost\n`,
  );
});

Deno.test("host_metrics.ts --samples 1 goes through the command line", async () => {
  await using server = startIngestServer({ port: 0 });
  await using example = new Example("host_metrics.ts", ["-A"], {
    args: ["--samples", "1"],
  });
  assertEquals(await example.code(), 0, example.stderr);
  const lines = linesOf(example.stdout);
  assert(lines.length >= 9, example.stdout);
  const { code, stdout, stderr } = await runCli(
    [server.url, "--json"],
    example.stdout,
  );
  assertEquals(code, 0, stderr);
  assertEquals(JSON.parse(stdout).sent, lines.length);
  assertEquals(server.stats.metrics, lines.length);
  assertEquals(valuesOf(server, "host_load1").length, 1);
});

Deno.test("demo.ts ends with 0 and has lost nothing", async () => {
  await using example = new Example("demo.ts", ["-A"], {});
  assertEquals(await example.code(), 0, example.stderr + example.stdout);
  assertStringIncludes(example.stdout, "\nNothing was lost.\n");
});

const SHELL = { ignore: Deno.build.os === "windows" };

/** Runs prometheus_to_ndjson.sh on a page of metrics. */
async function fromPrometheus(page: string) {
  const script = new URL(
    "../../examples/prometheus_to_ndjson.sh",
    import.meta.url,
  ).pathname;
  const child = new Deno.Command("sh", {
    args: [script],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(30_000), // only a hang takes that long
  }).spawn();
  const [{ code, stdout, stderr }] = await Promise.all([
    child.output(),
    new Blob([page]).stream().pipeTo(child.stdin),
  ]);
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

Deno.test(
  "prometheus_to_ndjson.sh turns a page of metrics into what the command line sends",
  SHELL,
  async () => {
    const { code, stdout, stderr } = await fromPrometheus(String.raw`
# HELP http_requests_total The "total" number, of {requests}.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",}    3 1395066363123

# TYPE temperature gauge
temperature{room="a, b}c{",sign="=",quote="say \"hi\"",path="C:\\DIR",text="a\nb",größe="no"} 1
temperature{room="a, b}c{",sign="=",quote="say \"hi\"",path="C:\\DIR",text="a\nb",size="größe"} -12.5
temperature NaN
temperature{place="here"} +Inf
# a comment
untyped 18446744073709551615
short +.5e-3
early 1 -3982045
leap 2 951782400000

# TYPE duration_seconds histogram
duration_seconds_bucket{le="0.05"} 24054
duration_seconds_bucket{le="+Inf"} 144320
duration_seconds_sum 53423.
duration_seconds_count 144320
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 4773
rpc_seconds_sum 1.7560473e+07
this line is none
`);
    assertEquals(code, 0);
    assertEquals(linesOf(stderr), [
      "prometheus_to_ndjson: left out 2 of NaN or Inf",
      "prometheus_to_ndjson: left out 2 lines that are not understood",
    ]);

    await using server = startIngestServer({ port: 0 });
    const sent = await runCli([server.url], stdout);
    assertEquals(sent.code, 0, sent.stderr);
    const held = server.names().flatMap((name) => server.query(name));
    const now = held.at(-1)!.timestamp.slice(0, 4);
    assertEquals(
      held.map(({ name, type, value, labels, timestamp }) => {
        const time = timestamp.startsWith(now) ? "now" : timestamp;
        return [name, type, value, labels, time];
      }),
      [
        [
          "http_requests_total",
          "counter",
          1027,
          { method: "post", code: "200" },
          "2014-03-17T14:26:03.000000000Z",
        ],
        [
          "http_requests_total",
          "counter",
          3,
          { method: "post", code: "400" },
          "2014-03-17T14:26:03.123000000Z",
        ],
        [
          "temperature",
          "gauge",
          -12.5,
          {
            room: "a, b}c{",
            sign: "=",
            quote: 'say "hi"',
            path: "C:\\DIR",
            text: "a\nb",
            size: "größe",
          },
          "now",
        ],
        ["untyped", "gauge", 2 ** 64, {}, "now"],
        ["short", "gauge", 0.0005, {}, "now"],
        ["early", "gauge", 1, {}, "1969-12-31T22:53:37.955000000Z"],
        ["leap", "gauge", 2, {}, "2000-02-29T00:00:00.000000000Z"],
        ["duration_seconds_bucket", "counter", 24054, { le: "0.05" }, "now"],
        ["duration_seconds_bucket", "counter", 144320, { le: "+Inf" }, "now"],
        ["duration_seconds_sum", "counter", 53423, {}, "now"],
        ["duration_seconds_count", "counter", 144320, {}, "now"],
        ["rpc_seconds", "gauge", 4773, { quantile: "0.5" }, "now"],
        ["rpc_seconds_sum", "counter", 17560473, {}, "now"],
      ],
    );
  },
);

Deno.test(
  "prometheus_to_ndjson.sh makes nothing of nothing, and knows every day of 400 years",
  SHELL,
  async () => {
    assertEquals(await fromPrometheus(""), { code: 0, stdout: "", stderr: "" });

    const DAY = 86_400_000;
    const times = range(0, 400 * 366).map((i) =>
      Date.UTC(1800, 0, 1) + i * DAY + (i * 7919) % DAY
    );
    const { stdout } = await fromPrometheus(
      times.map((time) => `m 1 ${time}\n`).join(""),
    );
    const stamps = linesOf(stdout).map((line) => JSON.parse(line).timestamp);
    assertEquals(
      stamps.join("\n"),
      times.map((time) => new Date(time).toISOString()).join("\n"),
    );
  },
);
