import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import type { Line } from "../../src/ndjson/line.ts";
import {
  type BadLine,
  NdjsonReader,
  type NdjsonReaderOptions,
} from "../../src/ndjson/reader.ts";
import { TINYOBS_RULES } from "../../src/transports/tinyobs_rules.ts";
import { range } from "../_helpers.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What was read from some input. */
interface Read {
  readonly good: { raw: string; body: string }[];
  /** Bad lines with the parts of the overlong ones put together, as Latin-1. */
  readonly bad: { number: number; reason: string; raw: string }[];
  readonly lines: number;
  readonly invalid: number;
}

/** Reads chunks as they would come from a pipe. */
function readChunks(
  chunks: readonly Uint8Array[],
  options: Omit<NdjsonReaderOptions, "onBadLine" | "rules"> = {},
): Read {
  const bad: { number: number; reason: string; raw: string; more: boolean }[] =
    [];
  const reader = new NdjsonReader({
    rules: TINYOBS_RULES,
    ...options,
    onBadLine({ number, reason, raw, more, continued }: BadLine) {
      const bytes = latin1(raw);
      const last = bad.at(-1);
      assertEquals(continued, last?.more ?? false, "parts follow each other");
      if (continued) {
        assertEquals([number, reason], [last!.number, last!.reason]);
        last!.raw += bytes;
        last!.more = more;
      } else {
        bad.push({ number, reason, raw: bytes, more });
      }
    },
  });
  const read: Line[] = [];
  for (const chunk of chunks) {
    read.push(...reader.push(chunk));
  }
  read.push(...reader.end());
  // White space around a metric is nothing to the server.
  const good = read.map(({ raw, body }) => ({
    raw,
    body: decoder.decode(body).trim(),
  }));
  assert(bad.every(({ more }) => !more), "every overlong line ends");
  assertEquals(reader.midLine, false);
  assertEquals(reader.invalid, bad.length);
  assertEquals(reader.lines, good.length + bad.length);
  return {
    good,
    bad: bad.map(({ number, reason, raw }) => ({ number, reason, raw })),
    lines: reader.lines,
    invalid: reader.invalid,
  };
}

function read(
  input: string | Uint8Array,
  options?: Omit<NdjsonReaderOptions, "onBadLine" | "rules">,
): Read {
  return readChunks([bytesOf(input)], options);
}

function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? encoder.encode(input) : input;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 10_000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 10_000));
  }
  return text;
}

/** The bytes of a text with `\xNN` for what is no UTF-8. */
function raw(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

const STAMP = '"timestamp":"2026-11-23T07:00:00Z"';

/** A good line that needs no change. */
function line(i: number, more = ""): string {
  return `{"name":"m","type":"gauge","value":${i},${STAMP}${more}}`;
}

/** What the only line of `text` becomes, parsed. */
function sent(text: string, labels?: Record<string, string>) {
  const { good, bad } = read(text, labels === undefined ? {} : { labels });
  assertEquals(bad, []);
  assertEquals(good.length, 1);
  return JSON.parse(good[0]!.body);
}

/** Why the only line of `text` is bad. */
function reason(text: string, labels?: Record<string, string>): string {
  const { good, bad } = read(text, labels === undefined ? {} : { labels });
  assertEquals(good, []);
  assertEquals(bad.length, 1);
  return bad[0]!.reason;
}

Deno.test("a good line is forwarded as the text it is", () => {
  const texts = [
    line(1),
    ` { "timestamp" : "2026-11-23T07:00:00+02:00","value":1.50e+2, "type":"counter","name":"\\u006d" } `,
    `{"name":"m","type":"gauge","value":-0,"labels":{"b":"\\/","a":"é\\ud83d\\ude00"},${STAMP}}`,
    `{"name":"m","type":"histogram","value":1,"labels":null,${STAMP}}`,
    `{"name":"m","type":"gauge","value":123456789012345678901234567890,${STAMP}}`,
  ];
  const { good, bad } = read(texts.join("\n"));
  assertEquals(bad, []);
  assertEquals(good.map(({ raw }) => raw), texts);
  assertEquals(good.map(({ body }) => body), texts.map((text) => text.trim()));
});

Deno.test("a line that only the full check can judge is forwarded as the text it is, too", () => {
  const texts = [
    `{"name":"m","type":"gauge","value":1,"timestamp":"2024-02-29T07:00:00Z"}`,
    line(1, `,"labels":{"a":"${"é".repeat(500)}"}`),
    line(1, `,"labels":{"a":"${'\\"'.repeat(300)}"}`),
  ];
  for (const text of texts) {
    const lines = new NdjsonReader({ rules: TINYOBS_RULES, onBadLine() {} })
      .push(bytesOf(text + "\n"));
    assertEquals(decoder.decode(lines[0]!.body), text);
    assertEquals(lines[0]!.cut, lines[0]!.end, "as bytes, and not as a copy");
  }
});

Deno.test("a timestamp that is added goes to the end of the line's own text", () => {
  const text = `{"name":"m","type":"gauge","value":1.50e+2}`;
  const { good } = read(text);
  assertEquals(good[0]!.raw, text);
  const [, stamp] =
    /^\{"name":"m","type":"gauge","value":1.50e\+2,"timestamp":"(.*)"\}$/
      .exec(good[0]!.body)!;
  assert(!Number.isNaN(Date.parse(stamp!)), stamp);
});

Deno.test("timestamps that are added are unique, with nanosecond digits, and in order", () => {
  const text = `{"name":"m","type":"gauge","value":1}\n`;
  const { good } = readChunks([
    bytesOf(text.repeat(5000)),
    bytesOf(text.repeat(5000)),
  ]);
  const stamps = good.map(({ body }) => JSON.parse(body).timestamp as string);
  assertEquals(new Set(stamps).size, 10_000);
  assertEquals(stamps, stamps.toSorted());
  for (const stamp of [stamps[0]!, stamps[9999]!]) {
    assert(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(stamp), stamp);
  }
});

Deno.test("a timestamp that is null is the same as none, and so are labels", () => {
  for (const more of ["", ',"labels":null']) {
    const metric = sent(
      `{"name":"m","type":"gauge","value":1,"timestamp":null${more}}`,
    );
    assert(!Number.isNaN(Date.parse(metric.timestamp)));
    assertEquals(metric.labels ?? {}, {});
  }
});

Deno.test("blank lines are nothing, wherever they are, but count for line numbers", () => {
  const text = `\n\n${line(1)}\n  \t \r\n\nbad\n${line(2)}\n\n\nworse`;
  const { good, bad, lines } = read(text);
  assertEquals(good.map(({ raw }) => raw), [line(1), line(2)]);
  assertEquals(bad.map(({ number }) => number), [6, 10]);
  assertEquals(lines, 4);
  for (const blank of ["", "\n", "\n\n", "\r\n", " ", "\ufeff", "\ufeff\r\n"]) {
    assertEquals(read(blank).lines, 0);
  }
});

Deno.test("CRLF ends a line like LF, and stays in its raw text", () => {
  const { good, bad } = read(`${line(1)}\r\nbad\r\n${line(2)}\r\n`);
  assertEquals(good.map(({ raw }) => raw), [line(1) + "\r", line(2) + "\r"]);
  assertEquals(good.map(({ body }) => body), [line(1), line(2)]);
  assertEquals(bad.map(({ number, raw }) => [number, raw]), [[2, "bad\r"]]);
});

Deno.test("a byte order mark at the start of any line is fine, and stays in its raw text", () => {
  const { good, bad } = read(`\ufeff${line(1)}\n\ufeff${line(2)}\n\ufeffbad`);
  assertEquals(
    good.map(({ raw }) => raw),
    ["\ufeff" + line(1), "\ufeff" + line(2)],
  );
  assertEquals(good.map(({ body }) => body), [line(1), line(2)]);
  assertEquals(bad[0]!.raw, "\xef\xbb\xbfbad");
});

Deno.test("the last line needs no line feed", () => {
  const { good } = read(`${line(1)}\n${line(2)}`);
  assertEquals(good.map(({ body }) => body), [line(1), line(2)]);
  assertEquals(read("bad").bad, [{
    number: 1,
    reason: read("bad\n").bad[0]!.reason,
    raw: "bad",
  }]);
});

Deno.test("a line that is not UTF-8 comes back byte for byte, and its neighbours pass", () => {
  const input = raw(
    `${line(1)}\n{"name":"\xff\xfe"}\n\n${line(2)}\n\xc3\n\xed\xa0\x80\r\n${
      line(3)
    }\n\xe2\x82`,
  );
  const { good, bad } = read(input);
  assertEquals(good.map(({ body }) => body), [line(1), line(2), line(3)]);
  assertEquals(bad, [
    { number: 2, reason: "Not UTF-8", raw: '{"name":"\xff\xfe"}' },
    { number: 5, reason: "Not UTF-8", raw: "\xc3" },
    { number: 6, reason: "Not UTF-8", raw: "\xed\xa0\x80\r" },
    { number: 8, reason: "Not UTF-8", raw: "\xe2\x82" },
  ]);
});

Deno.test("a character that is cut by a chunk is whole again", () => {
  const text = line(1, ',"labels":{"a":"é€😀"}');
  const bytes = bytesOf(text);
  for (const at of range(0, bytes.length)) {
    const { good, bad } = readChunks([bytes.slice(0, at), bytes.slice(at)]);
    assertEquals(bad, []);
    assertEquals(good[0]!.raw, text);
  }
});

Deno.test("a line that is not JSON says so, without control characters", () => {
  for (
    const text of [
      "nothing",
      "{",
      "{'name':1}",
      `${line(1)} ${line(2)}`,
      `${line(1)},`,
      "\x1b[31mred\x07",
      '{"name":"a\u0000b"}',
      "NaN",
      "[1,2",
    ]
  ) {
    const why = reason(text);
    assert(why.startsWith("Not JSON: "), why);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x1f\x7f-\x9f]/.test(why), why);
    assert(why.length < 200, why);
    // The line's number is the reader's to say.
    assert(!/line \d|column \d/.test(why), why);
  }
});

Deno.test("a line that is JSON but no object says what it is", () => {
  for (
    const [text, what] of [
      ["1", "1"],
      ["null", "null"],
      ["true", "true"],
      ['"text"', '"text"'],
      ["[1]", "an array"],
    ]
  ) {
    assertEquals(
      reason(text!),
      `A line must be a JSON object: current value is ${what}`,
    );
  }
});

Deno.test("a metric that breaks a rule says which, with the field and the value", () => {
  const cases: [string, string][] = [
    ['{"type":"gauge","value":1}', "'name'"],
    ['{"name":"","type":"gauge","value":1}', "'name'"],
    [`{"name":"${"é".repeat(129)}","type":"gauge","value":1}`, "256 bytes"],
    ['{"name":"m","value":1}', "'type'"],
    ['{"name":"m","type":"timer","value":1}', "timer"],
    ['{"name":"m","type":"gauge"}', "'value'"],
    ['{"name":"m","type":"gauge","value":null}', "null"],
    ['{"name":"m","type":"gauge","value":"1"}', '"1"'],
    ['{"name":"m","type":"gauge","value":1e400}', "Infinity"],
    ['{"name":"m","type":"gauge","value":1,"labels":[]}', "'labels'"],
    ['{"name":"m","type":"gauge","value":1,"labels":{"a":1}}', '"a"'],
    ['{"name":"m","type":"gauge","value":1,"labels":{"a":null}}', '"a"'],
    [
      `{"name":"m","type":"gauge","value":1,"labels":{${
        range(0, 21).map((i) => `"l${i}":""`)
      }}}`,
      "21",
    ],
    [
      '{"name":"m","type":"gauge","value":1,"timestamp":1732345200}',
      "RFC 3339",
    ],
    ['{"name":"m","type":"gauge","value":1,"timestamp":""}', "RFC 3339"],
    [
      '{"name":"m","type":"gauge","value":1,"timestamp":"2026-11-23T07:00:00"}',
      "RFC 3339",
    ],
    [
      '{"name":"m","type":"gauge","value":1,"timestamp":"2026-02-30T07:00:00Z"}',
      "2026-02-30",
    ],
  ];
  for (const [text, part] of cases) assertStringIncludes(reason(text), part);
});

Deno.test("a field that stands twice is refused, as the server would merge the two", () => {
  for (const field of ["name", "type", "value", "labels", "timestamp"]) {
    const again = { name: '"x"', type: '"gauge"', value: "2", labels: "{}" };
    const value = (again as Record<string, string>)[field] ??
      '"2026-11-23T08:00:00Z"';
    const text = line(1, `,"labels":{"a":"b"},"${field}":${value}`);
    assertEquals(
      reason(text),
      `Field "${field}" must not appear twice`,
    );
  }
  // Escaped, it is the same field.
  assertStringIncludes(reason(line(1, ',"\\u006eame":"m"')), "twice");
  assertStringIncludes(reason(line(1, ',"value" \t: 1')), "twice");
});

Deno.test("a known field in another case is refused, as the server would take it", () => {
  for (
    const key of [
      "Name",
      "NAME",
      "tYpe",
      "Value",
      "Labels",
      "labelſ",
      "TIMEſTAMP",
      "Timestamp",
      "\\u004eame",
    ]
  ) {
    assertStringIncludes(reason(line(1, `,"${key}":null`)), "must be written");
  }
});

Deno.test("field names inside of values are nobody's business", () => {
  for (
    const more of [
      ',"labels":{"name":"a","NAME":"b","value":"c"}',
      ',"labels":{"a":"\\"name\\":1,","b":"},{\\"name\\":","c":"\\\\"}',
    ]
  ) {
    const text = line(1, more);
    assertEquals(read(text).good[0]!.body, text);
  }
  const deep = line(1, ',"x":{"name":1,"y":[{"VALUE":2,"value":3,"value":4}]}');
  assertEquals(sent(deep), JSON.parse(line(1)));
});

Deno.test("fields that the server does not know are dropped", () => {
  assertEquals(
    sent(line(1, ',"host":"a","labels":{"b":"c"},"extra":{"deep":[1,null]}')),
    { ...JSON.parse(line(1)), labels: { b: "c" } },
  );
});

Deno.test("__proto__ is a label like any other, and no field that is known", () => {
  const { good } = read(
    line(1, ',"labels":{"__proto__":"p","constructor":"c"}'),
  );
  assertStringIncludes(good[0]!.body, '{"__proto__":"p","constructor":"c"}');
  // Written anew, it is still there.
  const again = read(line(1, ',"x":1,"labels":{"__proto__":"p"}')).good[0]!;
  assertStringIncludes(again.body, '"labels":{"__proto__":"p"}');
  const merged = read(line(1, ',"labels":{"__proto__":"p"}'), {
    labels: { a: "b" },
  }).good[0]!;
  assertStringIncludes(merged.body, '"__proto__":"p"');
  assertEquals(
    sent(line(1, ',"__proto__":{"labels":{"evil":"1"}}')),
    JSON.parse(line(1)),
  );
});

Deno.test("a label that stands twice is not forwarded with a value that the server cannot read", () => {
  for (const value of ["1", "{}", "[]", "true"]) {
    const { good } = read(line(1, `,"labels":{"a":${value},"a":"b"}`));
    for (const { body } of good) {
      assert(
        !body.includes(`"a":${value}`),
        `the server answers 400 to ${body}`,
      );
    }
  }
});

Deno.test("a timestamp that is written with escapes is sent without, as the server understands none there", () => {
  for (
    const text of ["2026-11-23T07:00:00\\u005a", "2026-11-23T07:00:00\\u002e5Z"]
  ) {
    const { good } = read(
      `{"name":"m","type":"gauge","value":1,"timestamp":"${text}"}`,
    );
    for (const { body } of good) assert(!body.includes("\\"), body);
  }
});

Deno.test("lone surrogates, NUL and other escapes are delivered as they are written", () => {
  const labels =
    '"a":"\\ud800","b":"\\u0000","c":"\\u001b[31m","d":"\\b\\f\\n"';
  const text = line(1, `,"labels":{${labels}}`);
  assertEquals(read(text).good[0]!.body, text);
  // Written anew they mean the same.
  assertEquals(
    sent(line(1, `,"x":1,"labels":{${labels}}`)).labels,
    JSON.parse(`{${labels}}`),
  );
});

Deno.test("a name that is nested or long beyond reason does not stop the reader", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  const long = "x".repeat(900_000);
  const escapes = "\\u0041".repeat(100_000);
  const { good, bad } = read([
    line(1, `,"x":${deep}`),
    line(2, `,"x":"${long}"`),
    line(3, `,"x":"${escapes}"`),
    deep,
    line(4, `,"x":${"[".repeat(300_000)}`),
    line(5),
  ].join("\n"));
  assertEquals(good.map(({ body }) => body), [1, 2, 3, 5].map((i) => line(i)));
  assertEquals(bad.map(({ number }) => number), [4, 5]);
});

Deno.test("labels are added where a line does not have them, and never over its own", () => {
  const labels = { host: "a", zone: "z" };
  assertEquals(sent(line(1), labels).labels, labels);
  assertEquals(
    sent(line(1, ',"labels":{"host":"own","x":"y"}'), labels).labels,
    { host: "own", zone: "z", x: "y" },
  );
  assertEquals(sent(line(1, ',"labels":null'), labels).labels, labels);
  assertEquals(sent(line(1, ',"labels":{"host":""}'), labels).labels, {
    host: "",
    zone: "z",
  });
  // None to add is none to write anew for.
  assertEquals(read(line(1), { labels: {} }).good[0]!.body, line(1));
});

Deno.test("a line stays as it was read in raw, whatever is added to its body", () => {
  const text = '{"name":"m","type":"gauge","value":1.0,"x":1}\r';
  const { good } = read(text + "\n", { labels: { a: "b" } });
  assertEquals(good[0]!.raw, text);
});

Deno.test("twenty labels are the limit, the added ones included", () => {
  const own = (n: number) =>
    line(1, `,"labels":{${range(0, n).map((i) => `"l${i}":"v"`)}}`);
  assertEquals(Object.keys(sent(own(18), { a: "", b: "" }).labels).length, 20);
  assertEquals(
    Object.keys(sent(own(20), { l0: "", l1: "" }).labels).length,
    20,
  );
  const why = reason(own(19), { a: "", b: "" });
  assertStringIncludes(why, "With the labels added: ");
  assertStringIncludes(why, "21");
});

Deno.test("a line that is too long is refused, and the lines around it pass", () => {
  const long = line(1, `,"x":"${"é".repeat(200)}"`);
  const text = `${line(1)}\n${long}\n${line(2)}\n${long}`;
  const { good, bad } = read(text, { maxLine: 300 });
  assertEquals(good.map(({ body }) => body), [line(1), line(2)]);
  const bytes = latin1(bytesOf(long));
  assertEquals(bad, [
    { number: 2, reason: "Longer than 300 bytes", raw: bytes },
    { number: 4, reason: "Longer than 300 bytes", raw: bytes },
  ]);
});

Deno.test("the limit of a line's length is exact, in bytes, its carriage return included", () => {
  for (const text of [line(1), line(1, ',"labels":{"a":"é€😀"}')]) {
    const { length } = bytesOf(text);
    for (const end of ["", "\n"]) {
      assertEquals(read(text + end, { maxLine: length }).good.length, 1);
      assertEquals(read(text + end, { maxLine: length - 1 }).bad.length, 1);
    }
  }
});

Deno.test("a line is a mebibyte at most by default", () => {
  const frame = bytesOf(line(1, ',"x":""')).length;
  const fits = line(1, `,"x":"${"x".repeat(1024 * 1024 - frame)}"`);
  assertEquals(read(fits).good.length, 1);
  assertEquals(read(fits + " ").bad[0]!.reason, "Longer than 1048576 bytes");
});

Deno.test("a line that never ends is passed on in parts, and keeps no memory", () => {
  const chunk = new Uint8Array(1000).fill(0x78);
  let parts = 0, bytes = 0, largest = 0, first = 0;
  const reader = new NdjsonReader({
    rules: TINYOBS_RULES,
    maxLine: 2500,
    onBadLine({ number, raw, more, continued }) {
      assertEquals([number, more], [1, true]);
      if (!continued) first++;
      parts++;
      bytes += raw.length;
      largest = Math.max(largest, raw.length);
    },
  });
  for (const i of range(0, 10_000)) {
    reader.push(chunk);
    // What was read is what was passed on, but for what may still be a line.
    assert((i + 1) * 1000 - bytes <= 2500, `${bytes} bytes after ${i + 1}`);
    assertEquals(reader.midLine, true);
  }
  assertEquals(first, 1);
  assertEquals([reader.lines, reader.invalid], [1, 1]);
  assert(largest <= 2500, `a part of ${largest} bytes`);
  assert(parts >= 9_990, `${parts} parts`);
});

Deno.test("what follows an overlong line in the same chunk is read", () => {
  const { good, bad } = readChunks(
    [
      bytesOf("x".repeat(400)),
      bytesOf("y".repeat(400)),
      bytesOf(`z\n${line(1)}\nbad\n${line(2)}\n`),
    ],
    { maxLine: 300 },
  );
  assertEquals(good.map(({ body }) => body), [line(1), line(2)]);
  assertEquals(bad.map(({ number, raw }) => [number, raw]), [
    [1, "x".repeat(400) + "y".repeat(400) + "z"],
    [3, "bad"],
  ]);
});

/** Lines good and bad, of all sorts, with ends of all sorts. */
const INPUT = fc.array(
  fc.tuple(
    fc.oneof(
      fc.nat(9).map((i) => line(i)),
      fc.nat(9).map((i) => line(i, ',"labels":{"k":"é€😀"}')),
      fc.nat(9).map((i) => line(i, ',"unknown":1')),
      fc.constantFrom("", " ", "bad", "{", "[]", "null", '{"name":5}'),
      fc.constantFrom("\ufeff", "\ufeff" + line(3), "\ufeffbad"),
      fc.nat(30).map((n) => line(4, `,"x":"${"y".repeat(60 + n)}"`)),
    ).map((text) => latin1(bytesOf(text))),
    fc.constantFrom("", "", "", "\xff", "\xc3", "\xe2\x82"),
    fc.constantFrom("\n", "\n", "\r\n", "\n\n"),
  ),
  { maxLength: 12 },
).map((lines) => lines.flat().join(""));

/** The chunks of `bytes` that `cuts` makes. */
function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (const at of [...cuts, bytes.length].toSorted((a, b) => a - b)) {
    if (at > bytes.length) continue;
    chunks.push(bytes.slice(from, at));
    from = at;
  }
  return chunks;
}

/** What a cut must not change. Of a line that is bad twice, either reason may be said. */
function comparable(read: Read, maxLine: number): Read {
  const bad = read.bad.map((line) =>
    line.raw.length > maxLine ? { ...line, reason: "" } : line
  );
  return { ...read, bad };
}

for (
  const [what, maxLine] of [["", 1000], [" with overlong lines", 100]] as const
) {
  Deno.test(`input${what} that is cut anywhere gives the same lines, numbers and bad lines`, () => {
    const read = (chunks: Uint8Array[]) =>
      comparable(readChunks(chunks, { maxLine }), maxLine);
    fc.assert(
      fc.property(
        INPUT,
        fc.boolean(),
        fc.array(fc.nat(900), { maxLength: 20 }),
        fc.constantFrom(1, 2, 7, 1000),
        (text, ends, cuts, every) => {
          const bytes = raw(ends ? text : text.replace(/[\r\n]*$/, ""));
          const whole = read([bytes]);
          assertEquals(read(cut(bytes, cuts)), whole);
          const steps = range(0, Math.ceil(bytes.length / every))
            .map((i) => i * every);
          assertEquals(read(cut(bytes, steps)), whole);
        },
      ),
      { seed: 23, numRuns: 300 },
    );
  });
}

Deno.test("every byte of the input is in a line that is good, bad or blank, in its place", () => {
  fc.assert(
    fc.property(INPUT, fc.array(fc.nat(900)), (text, cuts) => {
      const places: string[] = [];
      const reader = new NdjsonReader({
        rules: TINYOBS_RULES,
        maxLine: 100,
        onBadLine({ number, raw }) {
          places[number - 1] = (places[number - 1] ?? "") + latin1(raw);
        },
      });
      const good: Line[] = [];
      for (const chunk of cut(raw(text), cuts)) {
        good.push(...reader.push(chunk));
      }
      good.push(...reader.end());
      const lines = text.split("\n");
      const bad = lines.filter((_, i) => places[i] !== undefined);
      assertEquals(places.filter((place) => place !== undefined), bad);
      const others = lines.filter((_, i) => places[i] === undefined)
        .map((line) => decoder.decode(raw(line)))
        .filter((line) => line.trim() !== "");
      assertEquals(
        good.map(({ raw }) => raw.replace("\ufeff", "")),
        others.map((line) => line.replace("\ufeff", "")),
      );
    }),
    { seed: 23, numRuns: 300 },
  );
});
