// The throttled log, and calls of what is not ours.

import { assertEquals } from "@std/assert";
import { guard, ThrottledLog } from "../../src/core/logger.ts";
import { HandTimers, turn } from "../_helpers.ts";

/** The monotonic clock in the test's hands. */
class HandClock implements Disposable {
  now = 1000;
  readonly #real = performance.now;

  constructor() {
    performance.now = () => this.now;
  }

  [Symbol.dispose](): void {
    performance.now = this.#real;
  }
}

/** A throttled log whose lines and time the test has. */
function setUp() {
  const lines: string[] = [];
  return { lines, log: new ThrottledLog((line) => lines.push(line)) };
}

Deno.test("a line is said at once where there was none for a second", () => {
  using timers = new HandTimers();
  using clock = new HandClock();
  const { lines, log } = setUp();
  log.say(() => "one");
  clock.now += 1000;
  log.say(() => "two");
  assertEquals(lines, ["one", "two"]);
  assertEquals(timers.running.length, 0);
});

Deno.test("a line that is held back is said when its second is over, with the count of the others", () => {
  using timers = new HandTimers();
  using clock = new HandClock();
  const { lines, log } = setUp();
  log.say(() => "one");
  clock.now += 300;
  for (const text of ["two", "three", "four"]) log.say(() => text);
  assertEquals(lines, ["one"]);
  assertEquals(timers.running.map(({ delay }) => delay), [700]);
  clock.now += 700;
  timers.running[0]!.fire();
  assertEquals(lines, ["one", "four (and 2 more like it)"]);
  // That line opened a second of its own.
  log.say(() => "five");
  assertEquals(lines.length, 2);
  assertEquals(timers.running.map(({ delay }) => delay), [1000]);
  timers.running[0]!.fire();
  assertEquals(lines.at(-1), "five");
});

Deno.test("only the words that are said are made", () => {
  using _timers = new HandTimers();
  using _clock = new HandClock();
  const { lines, log } = setUp();
  let made = 0;
  const message = () => `${++made}`;
  for (let i = 0; i < 100; i++) log.say(message);
  log.flush();
  assertEquals(lines, ["1", "2 (and 98 more like it)"]);
});

Deno.test("flush() says what was held back, and leaves no timer", () => {
  using timers = new HandTimers();
  using _clock = new HandClock();
  const { lines, log } = setUp();
  log.flush();
  log.say(() => "one");
  log.say(() => "two");
  assertEquals(timers.running.length, 1);
  log.flush();
  log.flush();
  assertEquals(lines, ["one", "two"]);
  assertEquals(timers.running.length, 0);
});

Deno.test("guard() swallows what a call throws or rejects with, or tells it", async () => {
  const told: unknown[] = [];
  const fail = () => {
    throw "at once";
  };
  guard(fail);
  guard(fail, (error) => told.push(error));
  guard(() => Promise.reject("later"));
  guard(() => Promise.reject("later"), (error) => told.push(error));
  guard(() => "fine", (error) => told.push(error));
  await turn();
  assertEquals(told, ["at once", "later"]);
});
