// Bodies made of lines: whatever lies next to each other in a chunk, and whatever not.

import { assertEquals } from "@std/assert";
import { encodeLines, type Line } from "../../src/ndjson/line.ts";
import { NdjsonReader } from "../../src/ndjson/reader.ts";
import { range } from "../_helpers.ts";

const encoder = new TextEncoder();

function read(...chunks: string[]): Line[] {
  const reader = new NdjsonReader({ onBadLine() {} });
  return [
    ...chunks.flatMap((chunk) => reader.push(encoder.encode(chunk))),
    ...reader.end(),
  ];
}

function values(lines: readonly Line[]): number[] {
  const { metrics } = JSON.parse(new TextDecoder().decode(encodeLines(lines)));
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
  const { metrics } = JSON.parse(new TextDecoder().decode(encodeLines(lines)));
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
