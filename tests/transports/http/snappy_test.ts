// Snappy against another implementation, both ways.

import { assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import {
  compress as otherCompress,
  uncompress as otherUncompress,
} from "npm:snappyjs@0.7.0";
import { compress, decompress } from "../../../src/transports/http/snappy.ts";

const encoder = new TextEncoder();

/** Bytes of all lengths around the bounds of blocks, with and without repetitions. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(
    fc.uint8Array({ minLength: 1, maxLength: 90 }),
    fc.constantFrom(1, 2, 70, 1000, 3000),
    fc.uint8Array({ maxLength: 30 }),
  ).map(([unit, times, end]) => {
    const all = new Uint8Array(unit.length * times + end.length);
    for (let i = 0; i < times; i++) all.set(unit, i * unit.length);
    all.set(end, unit.length * times);
    return all;
  }),
  fc.constantFrom(15, 16, 17, 65_535, 65_536, 65_537, 65_550).map((length) =>
    Uint8Array.from({ length }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24)
  ),
);

Deno.test("what is compressed decompresses to the same, here and elsewhere", () => {
  fc.assert(
    fc.property(bytes, (input) => {
      const compressed = compress(input);
      assertEquals(decompress(compressed), new Uint8Array(input));
      assertEquals(
        new Uint8Array(otherUncompress(compressed)),
        new Uint8Array(input),
      );
    }),
    { numRuns: 400 },
  );
});

Deno.test("what another implementation compresses is read", () => {
  fc.assert(
    fc.property(bytes, (input) => {
      const compressed = new Uint8Array(otherCompress(input));
      assertEquals(decompress(compressed), new Uint8Array(input));
    }),
    { numRuns: 400 },
  );
});

Deno.test("a body of metrics has a tenth of its size", () => {
  const metrics = Array.from({ length: 1000 }, (_, value) => ({
    name: "http_requests_total",
    type: "counter",
    value,
    labels: { method: "GET", path: "/users" },
  }));
  const body = encoder.encode(JSON.stringify({ metrics }));
  assertEquals(compress(body).length < body.length / 10, true);
});

Deno.test("bytes that are not Snappy's are an error, and never more than they say", () => {
  const whole = compress(encoder.encode("abcdabcdabcdabcdabcdabcd".repeat(9)));
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => decompress(whole.subarray(0, length)), RangeError);
  }
  for (
    const bad of [
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a length without end
      [4, 0], // a literal that is not there
      [4, 0, 0x61, 0x01, 0x05], // a copy from before the beginning
      [1, 4, 0x61, 0x62], // more than was announced
      [8, 0, 0x61, 0x02, 0x00, 0x00], // a copy from nowhere
    ]
  ) assertThrows(() => decompress(new Uint8Array(bad)), RangeError);
});
