import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertStringIncludes,
} from "@std/assert";
import type { CliOptions } from "../../src/cli/flags.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { UsageError } from "../../src/cli/values.ts";

const NO_ENV = () => undefined;

/** The options of arguments that ask for no help. */
function parse(
  args: string[],
  env: Record<string, string> = {},
): CliOptions & Record<string, unknown> {
  const options = parseOptions(args, (name) => env[name]);
  assert(typeof options === "object", `${args}`);
  return { ...options };
}

/** What the error about the arguments says. */
function complaint(...args: string[]): string {
  try {
    parseOptions(args, NO_ENV);
  } catch (error) {
    assert(error instanceof UsageError, `${args}: ${error}`);
    return error.message;
  }
  throw new Error(`Nothing is wrong with ${args.join(" ")}`);
}

const DEFAULTS: Partial<CliOptions> = {
  url: "http://localhost:8080/v1/ingest",
  batchSize: 1000,
  flushEvery: 5000,
  timeout: 5000,
  concurrency: 4,
  retries: 5,
  drainTimeout: 8000,
  rejects: undefined,
  headers: [],
  labels: {},
  apiKeyFile: undefined,
  dryRun: false,
  json: false,
  quiet: false,
  verbose: false,
};

Deno.test("without arguments all options have their defaults", () => {
  assertObjectMatch(parse([]), DEFAULTS);
});

Deno.test("every option is understood, with a space and with an equals sign", () => {
  const cases: [string, string, Partial<CliOptions>][] = [
    ["--batch-size", "500", { batchSize: 500 }],
    ["--flush-every", "250ms", { flushEvery: 250 }],
    ["--timeout", "2s", { timeout: 2000 }],
    ["--concurrency", "8", { concurrency: 8 }],
    ["--retries", "0", { retries: 0 }],
    ["--drain-timeout", "1m", { drainTimeout: 60_000 }],
    ["--rejects", "lost.ndjson", { rejects: "lost.ndjson" }],
    ["--header", "X-A: b: c", { headers: [["X-A", "b: c"]] }],
    ["--label", "a=b=c", { labels: { a: "b=c" } }],
    ["--api-key-file", "key", { apiKeyFile: "key" }],
  ];
  for (const [option, value, wanted] of cases) {
    assertObjectMatch(parse([option, value]), { ...DEFAULTS, ...wanted });
    assertObjectMatch(parse([`${option}=${value}`]), {
      ...DEFAULTS,
      ...wanted,
    });
  }
});

Deno.test("every switch is understood, long, short and together", () => {
  const cases: [string, Partial<CliOptions>][] = [
    ["--dry-run", { dryRun: true }],
    ["-n", { dryRun: true }],
    ["--json", { json: true }],
    ["--quiet", { quiet: true }],
    ["-q", { quiet: true }],
    ["--verbose", { verbose: true }],
    ["-v", { verbose: true }],
    ["-nqv", { dryRun: true, quiet: true, verbose: true }],
  ];
  for (const [arg, wanted] of cases) {
    assertObjectMatch(parse([arg]), { ...DEFAULTS, ...wanted });
    assertObjectMatch(parse([arg, "http://h/"]), {
      ...DEFAULTS,
      ...wanted,
      url: "http://h/",
    });
  }
});

Deno.test("-h and -V are asked before anything else is looked at", () => {
  for (const arg of ["-h", "--help"]) {
    assertEquals(parseOptions([arg], NO_ENV), "help");
    assertEquals(parseOptions(["--batch-size", "0", arg], NO_ENV), "help");
    assertEquals(parseOptions(["--unknown", arg], NO_ENV), "help");
  }
  for (const arg of ["-V", "--version"]) {
    assertEquals(parseOptions([arg], NO_ENV), "version");
  }
});

Deno.test("the URL is the argument, else TINYOBS_ENDPOINT, else this machine's server", () => {
  const env = { TINYOBS_ENDPOINT: "http://env/v1/ingest" };
  assertEquals(parse(["http://arg/"], env).url, "http://arg/");
  assertEquals(parse(["-q", "http://arg/", "-v"], env).url, "http://arg/");
  assertEquals(parse(["--", "http://arg/"], env).url, "http://arg/");
  assertEquals(parse([], env).url, "http://env/v1/ingest");
  for (const none of [{}, { TINYOBS_ENDPOINT: "" }]) {
    assertEquals(parse([], none).url, "http://localhost:8080/v1/ingest");
  }
});

Deno.test("headers and labels may be given as often as needed", () => {
  const { headers, labels } = parse([
    "-H",
    "A: 1",
    "--label",
    "x=1",
    "--header",
    "B:2",
    "--label=y=",
    "-H",
    "A:  3 ",
    "--label",
    "x=2",
  ]);
  assertEquals(headers, [["A", "1"], ["B", "2"], ["A", "3"]]);
  assertEquals(labels, { x: "2", y: "" });
});

Deno.test("a header may be empty, and a label's value is taken as it is", () => {
  assertEquals(parse(["-H", "A:"]).headers, [["A", ""]]);
  assertEquals(parse(["--label", "a= b "]).labels, { a: " b " });
  assertEquals(parse(["--label", "__proto__=b"]).labels, {
    ["__proto__"]: "b",
  });
});

Deno.test("durations are milliseconds, seconds, minutes or hours, with or without a fraction", () => {
  const cases: [string, number][] = [
    ["1ms", 1],
    ["500ms", 500],
    ["5s", 5000],
    ["1.5s", 1500],
    ["0.25s", 250],
    ["1m", 60_000],
    ["2h", 7_200_000],
    ["24h", 86_400_000],
  ];
  for (const [text, wanted] of cases) {
    assertEquals(parse(["--timeout", text]).timeout, wanted);
    assertEquals(parse(["--flush-every", text]).flushEvery, wanted);
    assertEquals(parse(["--drain-timeout", text]).drainTimeout, wanted);
  }
});

Deno.test("a bad duration is named, with the option and an example", () => {
  for (const option of ["--flush-every", "--timeout", "--drain-timeout"]) {
    for (
      const text of ["0s", "5", "s", "5 s", "5S", "1d", "1e3s", "25h", "x", "∞"]
    ) {
      const message = complaint(option, text);
      assertStringIncludes(message, `Option ${option} must be a duration`);
      assertStringIncludes(message, "500ms, 5s or 1m");
      assertStringIncludes(message, `current value is "${text}"`);
    }
  }
});

Deno.test("a bad number is named, with the option and its bounds", () => {
  for (
    const [option, bounds] of [
      ["--batch-size", "from 1 to"],
      ["--concurrency", "from 1 to"],
      ["--retries", "from 0 to"],
    ] as const
  ) {
    for (const text of ["1.5", "1e3", "0x10", "ten", "1_000", "99999999999"]) {
      const message = complaint(option, text);
      assertStringIncludes(message, `Option ${option} must be an integer`);
      assertStringIncludes(message, bounds);
      assertStringIncludes(message, `current value is "${text}"`);
    }
    if (option !== "--retries") {
      assertStringIncludes(complaint(option, "0"), option);
    }
    assertStringIncludes(complaint(`${option}=-1`), option);
  }
});

Deno.test("a value that is missing is named, at the end and before another option", () => {
  for (
    const option of [
      "--batch-size",
      "--flush-every",
      "--timeout",
      "--concurrency",
      "--retries",
      "--drain-timeout",
      "--rejects",
      "--header",
      "--label",
      "--api-key-file",
    ]
  ) {
    for (const args of [[option], [`${option}=`], [option, "--json"]]) {
      assertEquals(complaint(...args), `Option ${option} needs a value`);
    }
  }
  assertEquals(complaint("-H"), "Option --header needs a value");
});

Deno.test("an unknown option is named", () => {
  for (const option of ["--batchsize", "--api-key", "-x", "--no-json"]) {
    assertEquals(complaint(option), `Unknown option: ${option}`);
    assertEquals(complaint("http://h/", option), `Unknown option: ${option}`);
  }
});

Deno.test("a header or label of another form is named", () => {
  for (const text of ["X", ":x", " : x"]) {
    assertEquals(
      complaint("--header", text),
      "Option --header must have the form 'Name: value'",
    );
  }
  for (const text of ["X", "=x", " =x"]) {
    assertEquals(
      complaint("--label", text),
      "Option --label must have the form key=value",
    );
  }
});

Deno.test("labels that no metric could carry are named", () => {
  const many = Array.from({ length: 21 }, (_, i) => [`--label=l${i}=v`]);
  assertStringIncludes(complaint(...many.flat()), "Option --label: ");
  assertStringIncludes(complaint(...many.flat()), "21");
  assertStringIncludes(
    complaint("--label", `a=${"x".repeat(1025)}`),
    "Option --label: ",
  );
  assertStringIncludes(
    complaint("--label", `${"k".repeat(257)}=x`),
    "Option --label: ",
  );
});

Deno.test("a second URL is too many", () => {
  assertStringIncludes(complaint("http://a/", "http://b/"), "One URL");
});

Deno.test("no complaint shows what may be a secret", () => {
  const secret = "hunter22";
  const cases = [
    ["--header", secret],
    ["-H", `: ${secret}`],
    ["--api-key=" + secret],
    ["--api-key", secret],
    ["--token=" + secret, "http://h/"],
    [`--password=a\n${secret}`],
  ];
  for (const args of cases) {
    const message = complaint(...args);
    assert(!message.includes(secret), message);
  }
});

Deno.test("no complaint shows a second URL's password, or the rest of a header without quotes", () => {
  const secret = "hunter22";
  const cases = [
    ["http://a/", `http://user:${secret}@b/`],
    ["http://a/", `http://b/?token=${secret}`],
    ["-H", "Authorization:", "Bearer", secret],
    ["-H", "Authorization:", "Bearer", secret, "http://h/"],
  ];
  for (const args of cases) {
    const message = complaint(...args);
    assert(!message.includes(secret), message);
  }
});

Deno.test("a negative number is a bad value of its option, and no option", () => {
  for (const option of ["--batch-size", "--concurrency", "--retries"]) {
    assertStringIncludes(complaint(option, "-1"), option);
  }
});

Deno.test("a switch takes no value", () => {
  for (const option of ["--json", "--quiet", "--verbose", "--dry-run"]) {
    assertStringIncludes(complaint(`${option}=maybe`), option);
  }
});

Deno.test("no complaint can move the terminal's cursor", () => {
  const escape = "\x1b[2J\x07";
  for (
    const args of [
      ["--timeout", escape],
      ["--batch-size", escape],
      ["--label", `${escape}=${"x".repeat(2000)}`],
      [`--${escape}`],
      ["http://a/", escape],
    ]
  ) {
    const message = complaint(...args);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x1f\x7f-\x9f]/.test(message), JSON.stringify(message));
  }
});

Deno.test("an error of TINYOBS_ENDPOINT names it", () => {
  for (const url of ["server:8080", "ftp://server", "http://server:99999"]) {
    try {
      parse([], { TINYOBS_ENDPOINT: url });
    } catch (error) {
      assertStringIncludes((error as Error).message, "$TINYOBS_ENDPOINT ");
      continue;
    }
    throw new Error(`Nothing is wrong with ${url}`);
  }
});

Deno.test("the URL that is guessed is one that works", () => {
  const cases = [
    ["localhost:8080", "http://localhost:8080/v1/ingest"],
    ["localhost:8080/", "http://localhost:8080/v1/ingest"],
    ["8080", "http://localhost:8080/v1/ingest"],
    [":8080", "http://localhost:8080/v1/ingest"],
    ["[::1]:8080", "http://[::1]:8080/v1/ingest"],
    ["10.0.0.1", "http://10.0.0.1/v1/ingest"],
    ["host/other/path", "http://host/other/path"],
  ] as const;
  for (const [text, guess] of cases) {
    assertStringIncludes(complaint(text), `did you mean "${guess}"`);
    assertEquals(parse([guess]).url, guess);
  }
  for (const text of ["host:99999", "ftp://host", "a b"]) {
    assert(!complaint(text).includes("did you mean"), text);
  }
});

Deno.test("the last value counts where an option takes one", () => {
  assertEquals(parse(["--timeout=1s", "--timeout", "2s"]).timeout, 2000);
});
