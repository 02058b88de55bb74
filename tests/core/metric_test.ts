import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { checkMetric } from "../../mod.ts";

const good = { name: "up", type: "gauge", value: 1 };

/** The reason, which must be there. */
function reason(metric: unknown): string {
  const result = checkMetric(metric);
  if (result === undefined) throw new Error(`taken: ${Deno.inspect(metric)}`);
  return result;
}

/** Asserts that every one of the fields' values is fine. */
function takes(field: string, ...all: unknown[]): void {
  for (const value of all) {
    assertEquals(checkMetric({ ...good, [field]: value }), undefined);
  }
}

/** Asserts that every one is refused, with a reason that begins so. */
function refuses(field: string, rule: string, ...all: unknown[]): void {
  for (const value of all) {
    const said = reason({ ...good, [field]: value });
    assert(said.startsWith(rule), `${Deno.inspect(value)}: ${said}`);
  }
}

const NAME = "'name' must be a string of 1 to 256 bytes: current value is ";
const TYPE = `'type' must be "counter", "gauge" or "histogram": current value`;
const VALUE = "'value' must be a finite number: current value is ";
const LABELS = "'labels' must be a plain object: current value is ";
const TIMESTAMP =
  "'timestamp' must be an RFC 3339 time with a zone, in the years 1678 to 2261: current value is ";

Deno.test("checkMetric() takes the smallest and the fullest metric", () => {
  assertEquals(checkMetric(good), undefined);
  assertEquals(
    checkMetric({
      name: "http_request_duration",
      type: "histogram",
      value: -0.25,
      labels: { method: "GET", status: "200" },
      timestamp: "2026-11-23T07:00:00.123456789+02:00",
    }),
    undefined,
  );
});

Deno.test("checkMetric() refuses what is not an object, and says what it is", () => {
  const table: [unknown, string][] = [
    [null, "null"],
    [undefined, "undefined"],
    [42, "42"],
    ["up 1", '"up 1"'],
    [true, "true"],
    [7n, "7n"],
    [Symbol("up"), "a symbol"],
    [() => good, "a function"],
  ];
  for (const [value, shown] of table) {
    assertEquals(
      reason(value),
      `A metric must be an object: current value is ${shown}`,
    );
  }
});

Deno.test("checkMetric() takes an object of any class", () => {
  class Sample {
    readonly name = "up";
    readonly type = "gauge";
    get value() {
      return 1;
    }
  }
  assertEquals(checkMetric(new Sample()), undefined);
  assertEquals(
    checkMetric(Object.assign(Object.create(null), good)),
    undefined,
  );
});

Deno.test("checkMetric() ignores fields that it does not know", () => {
  assertEquals(checkMetric({ ...good, unit: "s", NAME: 5 }), undefined);
});

Deno.test("checkMetric() takes a name of 1 to 256 bytes", () => {
  takes("name", "a", "a".repeat(256), " ", "a.b-c/d", "0");
});

Deno.test("checkMetric() refuses a name that is empty, too long or no string", () => {
  refuses("name", NAME, "", "a".repeat(257), undefined, null, 5, {}, ["up"]);
});

Deno.test("checkMetric() counts a name's bytes and not its characters", () => {
  // Two, three and four bytes a character, up to 256 in all and one more.
  takes("name", "é".repeat(128), "€".repeat(85) + "a", "😀".repeat(64));
  refuses(
    "name",
    NAME,
    "é".repeat(128) + "a",
    "€".repeat(85) + "aa",
    "😀".repeat(64) + "a",
    "😀".repeat(65),
  );
  // Half a pair becomes U+FFFD on its way: three bytes.
  takes("name", "\ud83d".repeat(85) + "a", "\ude00".repeat(85) + "a");
  refuses("name", NAME, "\ud83d".repeat(86), "\ude00".repeat(86));
});

Deno.test("checkMetric() takes the three types and no other", () => {
  takes("type", "counter", "gauge", "histogram");
  refuses("type", TYPE, "summary", "Counter", "", undefined, null, 1, [
    "gauge",
  ]);
});

Deno.test("checkMetric() takes every finite number", () => {
  takes(
    "value",
    0,
    -0,
    -1.5,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    Number.MIN_VALUE,
    Number.MAX_SAFE_INTEGER,
  );
});

Deno.test("checkMetric() refuses NaN and the infinities, which JSON turns into null", () => {
  assertEquals(reason({ ...good, value: NaN }), `${VALUE}NaN`);
  assertEquals(reason({ ...good, value: Infinity }), `${VALUE}Infinity`);
  assertEquals(reason({ ...good, value: -Infinity }), `${VALUE}-Infinity`);
});

Deno.test("checkMetric() refuses a value that is not a number", () => {
  refuses(
    "value",
    VALUE,
    "42",
    "",
    null,
    undefined,
    true,
    5n,
    {},
    [1],
    new Number(1),
    new Date(),
    Symbol("1"),
  );
  assertEquals(reason({ ...good, value: "42" }), `${VALUE}"42"`);
  assertEquals(reason({ ...good, value: null }), `${VALUE}null`);
});

Deno.test("checkMetric() takes absent, empty and null labels", () => {
  takes("labels", undefined, null, {}, Object.create(null));
});

/** This many labels. */
function labels(n: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: n }, (_, i) => [`key${i}`, `value${i}`]),
  );
}

Deno.test("checkMetric() takes 20 labels and refuses 21", () => {
  takes("labels", labels(20));
  assertEquals(
    reason({ ...good, labels: labels(21) }),
    "'labels' must have at most 20 entries: current number is 21",
  );
  const long = "v".repeat(1024);
  takes("labels", { ...labels(19), long });
  refuses("labels", "'labels' must have at most 20", { ...labels(20), long });
});

Deno.test("checkMetric() takes a label's key of 256 bytes and refuses 257", () => {
  takes(
    "labels",
    { ["k".repeat(256)]: "v" },
    { ["€".repeat(85) + "k"]: "v" },
    { ["😀".repeat(64)]: "v" },
    { "": "v" },
  );
  refuses(
    "labels",
    "A label's key must have at most 256 bytes: current value is ",
    { ["k".repeat(257)]: "v" },
    { ["€".repeat(85) + "kk"]: "v" },
    { ["😀".repeat(64) + "k"]: "v" },
  );
});

Deno.test("checkMetric() takes a label's value of 1024 bytes and refuses 1025", () => {
  takes(
    "labels",
    { k: "v".repeat(1024) },
    { k: "€".repeat(341) + "v" },
    { k: "😀".repeat(256) },
    { k: "" },
  );
  refuses(
    "labels",
    'Label "k" must be a string of at most 1024 bytes: current value is ',
    { k: "v".repeat(1025) },
    { k: "€".repeat(341) + "vv" },
    { k: "😀".repeat(256) + "v" },
  );
});

Deno.test("checkMetric() refuses a label's value that is not a string", () => {
  refuses(
    "labels",
    'Label "k" must be a string of at most 1024 bytes: current value is ',
    { k: 5 },
    { k: null },
    { k: undefined },
    { k: true },
    { k: {} },
    { k: ["v"] },
    { a: "fine", k: 5 },
  );
});

Deno.test("checkMetric() refuses labels that are not a plain object", () => {
  class Labels {
    k = "v";
  }
  refuses(
    "labels",
    LABELS,
    new Map([["k", "v"]]),
    [["k", "v"]],
    [],
    new Labels(),
    new Date(),
    Object.create({ k: "v" }),
    "k=v",
    5,
    false,
    () => ({}),
  );
});

Deno.test("checkMetric() sees a label named __proto__ as any other", () => {
  takes("labels", JSON.parse('{"__proto__": "v"}'));
  refuses(
    "labels",
    'Label "__proto__" must be a string',
    JSON.parse('{"__proto__": 5}'),
    JSON.parse('{"__proto__": {"k": "v"}}'),
  );
});

Deno.test("checkMetric() takes absent and null timestamps, and RFC 3339 with a zone", () => {
  takes(
    "timestamp",
    undefined,
    null,
    "2026-11-23T07:00:00Z",
    "2026-11-23T07:00:00.1Z",
    "2026-11-23T07:00:00.123456789Z",
    "2026-11-23T07:00:00.123456789+02:00",
    "2026-11-23T23:59:59-23:59",
    "2026-11-23T00:00:00+00:00",
    new Date(0).toISOString(),
  );
});

Deno.test("checkMetric() refuses a timestamp that is not RFC 3339", () => {
  refuses(
    "timestamp",
    TIMESTAMP,
    "",
    " 2026-11-23T07:00:00Z",
    "2026-11-23T07:00:00Z\n",
    "2026-11-23T07:00:00", // no zone
    "2026-11-23t07:00:00Z",
    "2026-11-23T07:00:00z",
    "2026-11-23 07:00:00Z",
    "2026-11-23",
    "2026-11-23T07:00Z",
    "2026-11-23T7:00:00Z",
    "2026-11-23T07:00:00.Z",
    "2026-11-23T07:00:00,5Z",
    "2026-11-23T07:00:00+0200",
    "2026-11-23T07:00:00+2:00",
    "2026-11-23T07:00:00+24:00",
    "2026-11-23T07:00:00+02:60",
    "26-11-23T07:00:00Z",
    "+02026-11-23T07:00:00Z",
    "２０２６-11-23T07:00:00Z",
    "Mon, 23 Nov 2026 07:00:00 GMT",
    "now",
  );
});

Deno.test("checkMetric() refuses a timestamp that is not a string", () => {
  refuses(
    "timestamp",
    TIMESTAMP,
    1795417200000,
    0,
    new Date("2026-11-23T07:00:00Z"),
    { toString: () => "2026-11-23T07:00:00Z" },
    false,
  );
});

Deno.test("checkMetric() refuses days and hours that do not exist", () => {
  takes(
    "timestamp",
    "2024-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "2026-01-31T23:59:59Z",
    "2026-12-31T23:59:59.999999999Z",
  );
  refuses(
    "timestamp",
    TIMESTAMP,
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z", // a century is no leap year
    "2026-04-31T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-01-32T00:00:00Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T07:60:00Z",
    "2026-11-23T23:59:60Z",
  );
});

Deno.test("checkMetric() takes the years that fit into 64-bit nanoseconds", () => {
  takes("timestamp", "1678-01-01T00:00:00Z", "2261-12-31T23:59:59Z");
  takes("timestamp", "1678-01-01T00:00:00+23:59", "2261-12-31T23:59:59-23:59");
  refuses(
    "timestamp",
    TIMESTAMP,
    "1677-12-31T23:59:59Z",
    "2262-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
  );
});

Deno.test("checkMetric() refuses a metric whose fields throw when they are read", () => {
  const bomb = {
    enumerable: true,
    get(): never {
      throw new Error("bang");
    },
  };
  const said =
    "A metric must be an object whose fields can be read: one of them throws an error";
  for (const field of ["name", "type", "value", "labels", "timestamp"]) {
    assertEquals(
      reason(Object.defineProperty({ ...good }, field, bomb)),
      said,
    );
  }
  const labels = Object.defineProperty({}, "k", bomb);
  assertEquals(reason({ ...good, labels }), said);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assertEquals(reason(proxy), said);
  assertEquals(reason({ ...good, labels: proxy }), said);
});

Deno.test("checkMetric() names the field, the rule and the value in one sentence", () => {
  assertEquals(reason({ ...good, name: 5 }), `${NAME}5`);
  assertEquals(
    reason({ ...good, type: "summary" }),
    `'type' must be "counter", "gauge" or "histogram": current value is "summary"`,
  );
  assertEquals(
    reason({ ...good, labels: new Map() }),
    "'labels' must be a plain object: current value is an object",
  );
  assertEquals(
    reason({ ...good, labels: { "a key": 5 } }),
    'Label "a key" must be a string of at most 1024 bytes: current value is 5',
  );
  assertEquals(
    reason({ ...good, timestamp: "yesterday" }),
    `${TIMESTAMP}"yesterday"`,
  );
});

Deno.test("checkMetric() names the first field at fault in the order of the type", () => {
  assertMatch(reason({ name: "", type: "x", value: "x" }), /^'name'/);
  assertMatch(reason({ name: "a", type: "x", value: "x" }), /^'type'/);
  assertMatch(reason({}), /^'name'/);
});

Deno.test("checkMetric() cuts long values and says how long they are", () => {
  const said = reason({ ...good, name: "é".repeat(5000) });
  assertStringIncludes(said, `"${"é".repeat(60)}…" (10000 bytes)`);
  for (
    const long of [
      { ...good, type: "x".repeat(5000) },
      { ...good, value: "9".repeat(5000) },
      { ...good, labels: { ["k".repeat(5000)]: "v" } },
      { ...good, labels: { ["k".repeat(256)]: "v".repeat(5000) } },
      { ...good, labels: "x".repeat(5000) },
      { ...good, timestamp: "2".repeat(5000) },
    ]
  ) {
    const said = reason(long);
    assert(said.length < 250, said);
    assertStringIncludes(said, "…");
  }
});

Deno.test("checkMetric() escapes what could move the cursor, hide or reverse text", () => {
  const nasty = "a\x1b[2J\r\n\0\x07\x7f\x9b\u202e\u2066\u200b\u2028\ufeff";
  for (
    const metric of [
      nasty,
      { ...good, name: nasty.repeat(40) },
      { ...good, type: nasty },
      { ...good, value: nasty },
      { ...good, labels: { [nasty]: 5 } },
      { ...good, labels: { k: nasty.repeat(100) } },
      { ...good, timestamp: nasty },
    ]
  ) {
    const said = reason(metric);
    assertStringIncludes(
      said,
      "a\\u001b[2J\\u000d\\u000a\\u0000\\u0007\\u007f",
    );
    assertEquals(
      // deno-lint-ignore no-control-regex
      /[\x00-\x1f\x7f-\x9f\u200b\u2028\u202e\u2066\ufeff]/.test(said),
      false,
      said,
    );
  }
  // A cut in the middle of a pair leaves no half of it.
  const cut = reason({ ...good, type: "x" + "😀".repeat(40) });
  assert(cut.isWellFormed(), cut);
});

Deno.test("checkMetric() reads every field once, so that what it checked is what counts", () => {
  const reads: Record<string, number> = {};
  const fields: Record<string, unknown> = {
    ...good,
    labels: { k: "v" },
    timestamp: "2026-11-23T07:00:00Z",
  };
  const spy = new Proxy(fields, {
    get(target, field: string) {
      reads[field] = (reads[field] ?? 0) + 1;
      return target[field];
    },
  });
  assertEquals(checkMetric(spy), undefined);
  assertEquals(reads, { name: 1, type: 1, value: 1, labels: 1, timestamp: 1 });
});

Deno.test("a long bigint is cut in the sentence", () => {
  const reason = checkMetric({ name: "a", type: "gauge", value: 10n ** 5000n });
  assert(reason!.length < 250, reason);
});
