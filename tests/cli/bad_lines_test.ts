// Explaining bad lines: ten in a minute, and a count of the others soon.

import { assertEquals } from "@std/assert";
import { BadLineLog } from "../../src/cli/bad_lines.ts";
import { FakeLog, HandClock } from "../_cli.ts";
import { range } from "../_helpers.ts";

const encoder = new TextEncoder();

function bad(number: number) {
  return {
    number,
    reason: "Not JSON",
    raw: encoder.encode(`bad ${number}`),
    more: false,
    continued: false,
  };
}

const said = (number: number) => `warn Line ${number}: Not JSON: bad ${number}`;

Deno.test("of a flood, ten lines are explained in a minute, and the others are counted every ten seconds", () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const lines = new BadLineLog(log);
  for (const i of range(0, 5000)) lines.add(bad(i));
  assertEquals(log.take(), range(0, 10).map(said));
  clock.advance(9_999);
  assertEquals(log.take(), []);
  clock.advance(1);
  assertEquals(log.take(), ["warn 4990 more invalid lines are not shown"]);
  lines.add(bad(5000));
  clock.advance(10_000);
  assertEquals(log.take(), ["warn 1 more invalid line is not shown"]);
  clock.advance(10_000);
  assertEquals(log.take(), [], "nothing is said about nothing");
  assertEquals(clock.running, 0);
});

Deno.test("a daemon explains bad lines again when the minute is over, however many there were", () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const lines = new BadLineLog(log);
  for (const i of range(0, 50)) lines.add(bad(i));
  clock.advance(60_000);
  log.take();
  for (const i of range(50, 70)) lines.add(bad(i));
  assertEquals(log.take(), range(50, 60).map(said));
  lines.close();
  assertEquals(log.take(), ["warn 10 more invalid lines are not shown"]);
  assertEquals(clock.running, 0);
});

Deno.test("what was counted in one minute is said before the next one begins", () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const lines = new BadLineLog(log);
  for (const i of range(0, 10)) lines.add(bad(i));
  clock.advance(55_000);
  lines.add(bad(10));
  clock.advance(6_000);
  log.take();
  lines.add(bad(11));
  assertEquals(log.take(), [
    "warn 1 more invalid line is not shown",
    said(11),
  ]);
});

Deno.test("the message says what the input looks like, and of which file it is", () => {
  const log = new FakeLog();
  const lines = new BadLineLog(log);
  lines.source = "a.ndjson";
  lines.add({ ...bad(1), hint: "this looks like gzip: gunzip -c FILE | …" });
  assertEquals(log.lines, [
    "warn a.ndjson: Line 1: Not JSON: bad 1; this looks like gzip: gunzip -c FILE | …",
  ]);
  assertEquals(log.figures, [
    { source: "a.ndjson", line: 1, reason: "Not JSON" },
  ]);
});

Deno.test("a field that is not sent is named, with the one that is probably meant", () => {
  const log = new FakeLog();
  const lines = new BadLineLog(log);
  lines.unknownField("tags", "labels", 3);
  lines.unknownField("\x1b[31m", undefined, 4);
  assertEquals(log.lines, [
    'warn Line 3: Field "tags" is not part of a metric and is not sent: did you mean "labels"? (said once)',
    'warn Line 4: Field "\\u001b[31m" is not part of a metric and is not sent (said once)',
  ]);
});
