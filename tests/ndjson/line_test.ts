// Bodies made of lines: whatever lies next to each other in a chunk, and whatever not.

import { assertEquals, assertMatch } from "@std/assert";
import { encodeLines } from "../../src/ndjson/body.ts";
import type { Line } from "../../src/ndjson/line.ts";
import { NdjsonReader } from "../../src/ndjson/reader.ts";
import { HEAD, TAIL } from "../../src/transports/tinyobs.ts";
import { TINYOBS_RULES } from "../../src/transports/tinyobs_rules.ts";
import { range } from "../_helpers.ts";

const encoder = new TextEncoder();

function read(...chunks: string[]): Line[] {
  const reader = new NdjsonReader({ rules: TINYOBS_RULES, onBadLine() {} });
  return [
    ...chunks.flatMap((chunk) => reader.push(encoder.encode(chunk))),
    ...reader.end(),
  ];
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function metricsOf(lines: readonly Line[]) {
  return JSON.parse(text(encodeLines(lines, HEAD, TAIL).body)).metrics;
}

function values(lines: readonly Line[]): number[] {
  const metrics = metricsOf(lines);
  return metrics.map(({ value }: { value: number }) => value);
}

const STAMP = `,"timestamp":"2026-11-23T07:00:00Z"`;
/** A line of each way to be sent: as it is, with a stamp, written anew, with CRLF. */
function line(i: number): string {
  const start = `{"name":"é","type":"gauge","value":${i}`;
  return [
    `${start}${STAMP}}`,
    `${start}}`,
    `${start},"extra":"${"日".repeat(50)}"}`,
    `${start}${STAMP}}\r`,
  ][
    i % 4
  ]!;
}

Deno.test("a body holds the lines in their order, however they are sent", () => {
  const lines = read(range(0, 40).map((i) => line(i) + "\n").join(""));
  assertEquals(values(lines), range(0, 40));
});

Deno.test("a body holds neighbours of one chunk, of two chunks and with gaps in between", () => {
  const plain = (i: number) =>
    `{"name":"a","type":"gauge","value":${i}${STAMP}}\n`;
  // As long as each other, so that one chunk's offsets are another's as well.
  const lines = read(
    plain(1) + plain(2) + plain(3),
    plain(4) + "bad\n" + plain(5) + "\n\n" + plain(6),
  );
  assertEquals(values(lines), [1, 2, 3, 4, 5, 6]);
  assertEquals(values([lines[0]!, lines[4]!, lines[2]!]), [1, 5, 3]);
});

Deno.test("a body is as large as its lines need, text beyond ASCII included", () => {
  const name = "日本語".repeat(20);
  const input = range(0, 4000).map((i) =>
    `{"name":"${name}","type":"gauge","value":${i},"labels":{"k":"${
      "é".repeat(500)
    }"},"x":1}\n`
  );
  const lines = read(...input);
  const metrics = metricsOf(lines);
  assertEquals(metrics.length, 4000);
  assertEquals(metrics[3999].name, name);
  assertEquals(values(read(line(0))), [0], "and what comes after is sound");
});

Deno.test("a line among bad ones does not keep their chunk", () => {
  const [good] = read(
    `{"name":"a","type":"gauge","value":1}\n` + "x".repeat(90_000) + "\n",
  );
  assertEquals(good!.chunk.length < 100, true);
  assertEquals(good!.raw, `{"name":"a","type":"gauge","value":1}`);
  assertEquals(values([good!]), [1]);
});

Deno.test("the lines of a body can be made again, each as it was sent", () => {
  const lines = read(range(0, 40).map((i) => line(i) + "\n").join(""));
  const { body, restore } = encodeLines(lines, HEAD, TAIL);
  const restored = restore(body);
  assertEquals(
    restored.map((line) => text(line.body)),
    lines.map((line) => text(line.body)),
  );
  assertEquals(encodeLines(restored, HEAD, TAIL).body, body);
});

Deno.test("a line's body is what is sent for it, with its stamp", () => {
  const [line] = read('{"name":"a","type":"gauge","value":1}\r\n');
  const body = text(line!.body);
  assertMatch(
    body,
    /^\{"name":"a","type":"gauge","value":1,"timestamp":"\d{4}-[^"]*Z"\}$/,
  );
  assertEquals(text(line!.body), body, "the same each time");
});
