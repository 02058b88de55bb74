// How signals end a run.

import { assert, assertEquals } from "@std/assert";
import { Shutdown } from "../../src/cli/shutdown.ts";
import { FakeIo, FakeLog, HandClock } from "../_cli.ts";

class ExitIo extends FakeIo {
  readonly exits: number[] = [];

  override exit(code: number): void {
    this.exits.push(code);
  }
}

function start() {
  const io = new ExitIo();
  const log = new FakeLog();
  return { io, log, shutdown: new Shutdown(io, log, 8000) };
}

Deno.test("the first signal ends the reading, and the drain's deadline the sending", () => {
  using clock = new HandClock();
  const { io, log, shutdown } = start();
  io.signal("SIGTERM");
  assert(shutdown.stopReading.aborted && !shutdown.giveUp.aborted);
  assertEquals(shutdown.received, "SIGTERM");
  assert(log.lines[0]!.startsWith("warn SIGTERM: reading no more"));
  clock.advance(7_999);
  assert(!shutdown.giveUp.aborted);
  clock.advance(1);
  assertEquals(
    shutdown.giveUp.reason,
    "the --drain-timeout of 8 s is over",
  );
  assertEquals(io.exits, []);
  shutdown[Symbol.dispose]();
  assertEquals([clock.running, io.listens], [0, false]);
});

Deno.test("a signal within half a second of the first is an echo, a later one is not", () => {
  for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) {
    using clock = new HandClock();
    const { io, shutdown } = start();
    io.signal(signal);
    clock.advance(499);
    io.signal(signal);
    assert(!shutdown.giveUp.aborted, signal);
    clock.advance(1);
    io.signal(signal);
    assert(shutdown.giveUp.aborted, signal);
    shutdown[Symbol.dispose]();
  }
  using clock = new HandClock();
  const { io, shutdown } = start();
  // As systemd does it with SendSIGHUP=yes.
  io.signal("SIGTERM");
  io.signal("SIGHUP");
  assert(!shutdown.giveUp.aborted);
  clock.advance(500);
  io.signal("SIGHUP");
  assertEquals(shutdown.giveUp.reason, "a second signal (SIGHUP) came");
  shutdown[Symbol.dispose]();
});

Deno.test("two signals always end a run, whatever hangs, and a third one at once", () => {
  using clock = new HandClock();
  const { io, shutdown } = start();
  io.signal("SIGINT");
  clock.advance(600);
  io.signal("SIGINT");
  clock.advance(1_999);
  assertEquals(io.exits, []);
  clock.advance(1);
  assertEquals(io.exits, [130]);
  io.signal("SIGINT");
  assertEquals(io.exits, [130, 130]);
  shutdown[Symbol.dispose]();
});
