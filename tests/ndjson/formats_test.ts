// What the reader says beyond "this is not a metric": the input's format, fields that
// nobody knows, and timestamps that stand for none.

import { assertEquals } from "@std/assert";
import { guessFormat } from "../../src/ndjson/formats.ts";
import { NdjsonReader } from "../../src/ndjson/reader.ts";
import { TINYOBS_RULES } from "../../src/transports/tinyobs_rules.ts";

const encoder = new TextEncoder();

function looksLike(line: string | Uint8Array): string | undefined {
  const bytes = typeof line === "string" ? encoder.encode(line) : line;
  return guessFormat(bytes)?.looksLike;
}

/** UTF-16, little or big endian. */
function utf16(text: string, big: boolean): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < text.length; i++) {
    view.setUint16(2 * i, text.charCodeAt(i), !big);
  }
  return bytes;
}

Deno.test("formats that people pipe in by mistake are recognized", () => {
  const line = '{"name":"a"}';
  for (
    const [input, format] of [
      [new Uint8Array([0x1f, 0x8b, 8, 0, 1]), "gzip"],
      [new Uint8Array([0x28, 0xb5, 0x2f, 0xfd]), "zstd"],
      [utf16(line, false), "UTF-16"],
      [utf16("\ufeff" + line, true), "UTF-16"],
      ["# HELP up Whether it is up.", "Prometheus text"],
      ['http_requests_total{method="GET"} 12 1700000000000', "Prometheus text"],
      ["up 1", "Prometheus text"],
      [
        "weather,location=us temperature=82 1465839830",
        "InfluxDB line protocol",
      ],
      ["cpu,host=a,zone=b idle=1.5,user=2i", "InfluxDB line protocol"],
      ['log msg="all is well",n=1i -1465839830', "InfluxDB line protocol"],
      ["# UNIT up seconds", "Prometheus text"],
      ["a.b.c 42.5 1700000000", "Graphite lines"],
      ["a.b;host=x 42 1700000000", "Graphite lines"],
      [new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), "xz"],
      ["a.b:1|c", "StatsD lines"],
      ["requests:12.5|ms|@0.1", "StatsD lines"],
      ['[{"name":"a"}]', "a JSON array"],
      [
        '{"metrics":[{"name":"a"}]}',
        "a request body, as --dry-run prints it",
      ],
      ["{", "JSON over several lines"],
      ["name,type,value", "CSV"],
    ] as const
  ) assertEquals(looksLike(input), format, String(input));
});

Deno.test("a line that is merely wrong looks like nothing else", () => {
  for (
    const line of [
      '{"name":"a","type":"gauge","value":"1"}',
      "hello",
      "ERROR: cannot connect",
      "2026-11-25 12:00:00 started",
      "level=info ts=1700000000 n=5",
      "",
      "null",
      "\x00\x01\x02\x03",
    ]
  ) assertEquals(looksLike(line), undefined, line);
});

Deno.test("only the first bad line of an input has a hint", () => {
  const hints: (string | undefined)[] = [];
  const reader = new NdjsonReader({
    rules: TINYOBS_RULES,
    onBadLine: ({ hint }) => hints.push(hint),
  });
  reader.push(encoder.encode("up 1\nup 2\n"));
  reader.end();
  reader.push(encoder.encode("a:1|c\n"));
  assertEquals(hints, [
    "this looks like Prometheus text: convert it with examples/prometheus_to_ndjson.sh of the repository",
    undefined,
    "this looks like StatsD lines: send them to a StatsD server, or write metrics as JSON objects",
  ]);
});

Deno.test("an unknown field is told of once, with the one that is meant", () => {
  const told: unknown[] = [];
  const reader = new NdjsonReader({
    rules: TINYOBS_RULES,
    onBadLine() {},
    onUnknownField: (...field) => told.push(field),
  });
  const line = (more: string) =>
    encoder.encode(`{"name":"a","type":"gauge","value":1${more}}\n`);
  const read = [
    ...reader.push(line("")),
    ...reader.push(line(',"tags":{"a":"b"},"time":1,"host":"x"')),
    ...reader.push(line(',"tags":{},"lables":{}')),
  ];
  assertEquals(read.length, 3);
  assertEquals(told, [
    ["tags", "labels", 2],
    ["time", "timestamp", 2],
    ["host", undefined, 2],
    ["lables", "labels", 3],
  ]);
});

Deno.test("Go's zero time means that there is no timestamp", () => {
  const reader = new NdjsonReader({ rules: TINYOBS_RULES, onBadLine() {} });
  for (
    const zero of [
      "0001-01-01T00:00:00Z",
      "0001-01-01T00:00:00.000Z",
      "0001-01-01T00:00:00+00:00",
      "0001-01-01T00:00:00",
    ]
  ) {
    const [line] = reader.push(
      encoder.encode(
        `{"name":"a","type":"gauge","value":1,"timestamp":"${zero}"}\n`,
      ),
    );
    const { timestamp } = JSON.parse(new TextDecoder().decode(line!.body));
    assertEquals(timestamp.slice(0, 2), "20");
  }
  const others = [
    "0001-01-01T00:00:01Z",
    "0001-01-01T00:00:00.1Z",
    "0001-01-01T00:00:00+01:00",
    "0001-01-01",
    "2026-11-23T07:00:00",
  ];
  for (const other of others) {
    reader.push(
      encoder.encode(
        `{"name":"a","type":"gauge","value":1,"timestamp":"${other}"}\n`,
      ),
    );
  }
  assertEquals(reader.invalid, others.length, "only that instant");
});

Deno.test("input with ever new fields is told of twenty of them", () => {
  let told = 0;
  const reader = new NdjsonReader({
    rules: TINYOBS_RULES,
    onBadLine() {},
    onUnknownField: () => told++,
  });
  for (let i = 0; i < 100; i++) {
    reader.push(
      encoder.encode(`{"name":"a","type":"gauge","value":1,"x${i}":1}\n`),
    );
  }
  assertEquals(told, 20);
});
