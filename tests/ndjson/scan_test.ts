// The scanner against the full check: it must accept nothing that `parseLine`
// refuses, and send nothing else.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { parseLine } from "../../src/ndjson/parse.ts";
import { type MetricRules, NO_RULES } from "../../src/core/metric.ts";
import { Scanner } from "../../src/ndjson/scan.ts";
import { TINYOBS_RULES } from "../../src/transports/tinyobs_rules.ts";

const scanner = new Scanner(TINYOBS_RULES);
const readMetric = (line: string) => parseLine(line, { rules: TINYOBS_RULES });

const STAMP = /,"timestamp":"[^"]*"\}$/;

/** What the scanner would send for a line, its own stamp cut off; `undefined` if it passes. */
function scanned(line: string): string | undefined {
  const text = line + "\n";
  // deno-lint-ignore no-control-regex
  const ascii = /^[\x00-\x7f]*$/.test(text);
  if (!scanner.scan(text, 0, ascii)) return undefined;
  assertEquals(scanner.end, text.length, "it reads exactly one line");
  assertEquals(text[scanner.brace], "}");
  return scanner.stamped ? line.trim() : text.slice(0, scanner.brace) + "}";
}

/** The same, of the full check. */
function checked(line: string): string | undefined {
  const body = readMetric(line);
  if (typeof body !== "string") return undefined;
  return (JSON.parse(line).timestamp ?? null) === null
    ? body.replace(STAMP, "}")
    : body;
}

const oneOf = (...texts: string[]) => fc.constantFrom(...texts);
/** Mostly something good, so that a line often is a metric as a whole. */
const mostly = (good: fc.Arbitrary<string>, odd: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: odd });
const space = mostly(oneOf("", "", "", " ", "\t", "  "), oneOf("\r", "\u00a0"));
const string = mostly(
  oneOf(
    '"a"',
    '"http_requests_total"',
    '"\\u0041"',
    '"a\\"b"',
    '"é"',
    '"日本"',
    '"\\ud800"',
  ),
  fc.oneof(
    oneOf(
      '""',
      '"\\x"',
      '"\x00"',
      '"\x7f"',
      '"a\tb"',
      "1",
      "null",
      '"\\\\"',
      '"a',
    ),
    fc.constantFrom(84, 85, 86, 255, 256, 257, 1024, 1025).map((n) =>
      `"${"x".repeat(n)}"`
    ),
    fc.constantFrom(85, 86, 128, 129).map((n) => `"${"é".repeat(n)}"`),
    fc.constantFrom(85, 86).map((n) => `"${"日".repeat(n)}"`),
    fc.string().map((text) => JSON.stringify(text)),
  ),
);
const number = mostly(
  fc.oneof(
    oneOf("1", "-1", "0", "-0", "1e5", "1E+5", "-1e-99", "9999999999999999"),
    fc.double({ noDefaultInfinity: true, noNaN: true }).map(String),
  ),
  oneOf(
    ...[
      "01",
      "1.",
      ".5",
      "1e400",
      "-1e-400",
      "NaN",
      "null",
      '"1"',
      "1e308",
      "+1",
      "true",
    ],
    ...["99999999999999999999", "0x1", "-", "1e", "Infinity"],
  ),
);
const type = mostly(
  oneOf('"counter"', '"gauge"', '"histogram"'),
  oneOf('"summary"', '"\\u0067auge"', "null", '""'),
);
const timestamp = mostly(
  fc.oneof(
    oneOf('"2026-11-23T07:00:00Z"', '"2026-11-23T07:00:00.123456789+02:00"'),
    fc.date({
      min: new Date("1600-01-01"),
      max: new Date("2300-01-01"),
      noInvalidDate: true,
    }).map((date) => JSON.stringify(date)),
    fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 27, max: 31 }))
      .map(
        ([month, day]) =>
          `"2024-${String(month).padStart(2, "0")}-${day}T00:00:00Z"`,
      ),
  ),
  oneOf(
    '"2026-02-29T00:00:00Z"',
    '"1677-12-31T00:00:00Z"',
    '"2262-01-01T00:00:00Z"',
    '"2026-11-23T24:00:00Z"',
    '"2026-11-23T07:00:60Z"',
    '"2026-11-23T07:00:00"',
    '"2026-11-23t07:00:00z"',
    '"2026-11-23T07:00:00.Z"',
    '"2026-11-23T07:00:00+24:00"',
    '""',
    "null",
    "1764000000",
  ),
);
// By their look no two of these are the same key. A backslash is not among them, as
// it makes V8 misread other keys, also in this test (see ndjson.ts).
const label = fc.oneof(
  {
    weight: 3,
    arbitrary: oneOf(
      '"a"',
      '"a\\"b"',
      '"é"',
      '"\\ud800"',
      '"\\n"',
      '""',
      '"日本"',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(1, 20, 84, 85, 86, 255, 256, 257).map((n) =>
      `"${"x".repeat(n)}"`
    ),
  },
  { weight: 5, arbitrary: fc.nat(30).map((n) => `"label_${n}"`) },
);
const pairs = (minLength: number, maxLength: number) =>
  fc.tuple(
    space,
    fc.uniqueArray(fc.tuple(label, space, string), {
      minLength,
      maxLength,
      // Labels that stand twice are sent in other words, and have a test below.
      selector: ([key]) => key,
    }),
  ).map(
    ([gap, pairs]) =>
      `{${
        pairs.map(([key, gap, value]) => `${key}${gap}:${gap}${value}`).join(
          "," + gap,
        )
      }}`,
  );
const labels = mostly(
  fc.oneof({ weight: 5, arbitrary: pairs(0, 4) }, {
    weight: 1,
    arbitrary: pairs(18, 22),
  }),
  oneOf(
    "{}",
    "{ }",
    "null",
    "[]",
    '{"a":1}',
    '{"a":"1",}',
  ),
);
const field = fc.oneof(
  { weight: 4, arbitrary: string.map((v) => ["name", v]) },
  { weight: 4, arbitrary: type.map((v) => ["type", v]) },
  { weight: 4, arbitrary: number.map((v) => ["value", v]) },
  { weight: 3, arbitrary: labels.map((v) => ["labels", v]) },
  { weight: 3, arbitrary: timestamp.map((v) => ["timestamp", v]) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      oneOf("extra", "Name", "n\\u0061me", "__proto__"),
      string,
    ),
  },
);

/** Lines that are mostly metrics, with one thing or another that is off. */
const line = fc.tuple(
  fc.oneof(
    { weight: 1, arbitrary: fc.array(field, { maxLength: 7 }) },
    {
      weight: 4,
      arbitrary: fc.tuple(string, type, number, labels, timestamp).chain((
        [n, t, v, l, s],
      ) =>
        fc.shuffledSubarray(
          [["name", n], ["type", t], ["value", v], ["labels", l], [
            "timestamp",
            s,
          ]],
          { minLength: 3 },
        )
      ),
    },
  ),
  space,
  space,
  space,
).map(([fields, a, b, c]) =>
  `${a}{${b}${
    fields.map(([key, value]) => `"${key}"${c}:${b}${value}`).join(`${c},${b}`)
  }${c}}${a}`
);

Deno.test("the scanner accepts nothing that the full check refuses, and sends the same", () => {
  let accepted = 0;
  fc.assert(
    fc.property(line, (line) => {
      const quick = scanned(line);
      if (quick === undefined) return;
      accepted++;
      assertEquals(quick, checked(line), line);
    }),
    { numRuns: 100_000 },
  );
  assert(accepted > 1000, `the generator must hit its target: ${accepted}`);
});

Deno.test("the scanner accepts the shapes that programs write", () => {
  for (
    const line of [
      '{"name":"a","type":"counter","value":1}',
      '{"name": "a", "type": "gauge", "value": -1.5e-3, "labels": {}}',
      '{"name":"a","type":"counter","value":1,"labels":{"b":"c"},"timestamp":"2026-11-23T07:00:00.1Z"}',
      '{"timestamp":"2026-01-31T07:00:00+01:00","value":1,"type":"histogram","name":"a"}',
      '{"name":"a\\"b","type":"counter","value":1,"labels":{"b\\n":"\\\\"},"timestamp":"2026-12-31T07:00:00.0123456789Z"}',
      '{ "name" : "a\\u0041\\n" , "value":1,\t"type" : "counter" } \r',
      `{"name":"é","type":"counter","value":1,"labels":{${
        Array.from({ length: 20 }, (_, i) => `"label_${i}":"value ${i}"`)
      }}}`,
    ]
  ) {
    assert(scanned(line) !== undefined, line);
    assertEquals(scanned(line), checked(line));
  }
});

Deno.test("the scanner leaves what is too long to the full check", () => {
  const line = (name: string) =>
    `{"name":"${name}","type":"counter","value":1}`;
  assert(scanned(line("x".repeat(256))) !== undefined);
  assertEquals(scanned(line("x".repeat(257))), undefined);
  assertEquals(scanned(line("é".repeat(129))), undefined);
  const label = (key: string) =>
    `{"name":"a","type":"counter","value":1,"labels":{"${key}":"${
      "y".repeat(100)
    }"}}`;
  assert(scanned(label("x".repeat(256))) !== undefined);
  assertEquals(scanned(label("x".repeat(257))), undefined);
});

Deno.test("strings of any length are accepted up to the least limit, wherever they are", () => {
  const length = fc.oneof(
    fc.nat(600),
    fc.constantFrom(0, 254, 255, 256, 257, 258, 511, 512, 513),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.tuple(length, length), { maxLength: 5 }),
      (name, labels) => {
        const line = `{"name":"${"n".repeat(name)}","type":"gauge","value":1,` +
          `"labels":{${
            labels.map(([k, v]) => `"${"k".repeat(k)}":"${"v".repeat(v)}"`)
          }}}`;
        const fits = Math.max(name, ...labels.flat()) <= 256;
        assertEquals(scanned(line) !== undefined, fits, line);
      },
    ),
    { numRuns: 5000 },
  );
});

Deno.test("under other rules, too, the scanner accepts nothing that the full check refuses", () => {
  for (
    const rules of [
      NO_RULES,
      { ...TINYOBS_RULES, maxLabels: 0 },
      { ...TINYOBS_RULES, maxLabels: 1, years: [2026, 2026] },
      { ...TINYOBS_RULES, maxName: 40, maxLabelKey: 84, years: [1999, 2100] },
    ] as MetricRules[]
  ) {
    const scanner = new Scanner(rules);
    let accepted = 0;
    fc.assert(
      fc.property(line, (line) => {
        // deno-lint-ignore no-control-regex
        const ascii = /^[\x00-\x7f]*$/.test(line);
        if (!scanner.scan(line + "\n", 0, ascii)) return;
        accepted++;
        assertEquals(typeof parseLine(line, { rules }), "string", line);
      }),
      { numRuns: 20_000 },
    );
    assert(accepted > 50, `the generator must hit its target: ${accepted}`);
  }
});

Deno.test("of a label that stands twice the last one counts, as for the server", () => {
  const line =
    '{"name":"a","type":"counter","value":1,"labels":{"b":"1","b":"2"}}';
  assertEquals(scanned(line), line);
  assertEquals(JSON.parse(checked(line)!), JSON.parse(line));
  const odd = line.replace('"1"', "1");
  assertEquals(scanned(odd), undefined);
  assertEquals(JSON.parse(checked(odd)!).labels, { b: "2" });
});

Deno.test("what a line means does not depend on the line before", () => {
  const line = (key: string) =>
    `{"name":"a","type":"gauge","value":1,"labels":{"${key}":"b"},"x":0}`;
  assertEquals(JSON.parse(checked(line("\\\\"))!).labels, { "\\": "b" });
  const body = checked(line("\\n"))!;
  assertStringIncludes(body, '{"\\n":"b"}');
});
