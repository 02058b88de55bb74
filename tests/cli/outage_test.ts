// What is said about a server that goes away and comes back.

import { assertEquals } from "@std/assert";
import { Outage } from "../../src/cli/outage.ts";
import { SendError } from "../../src/core/send_error.ts";
import { FakeLog, HandClock } from "../_cli.ts";
import { range } from "../_helpers.ts";

const down = new SendError<unknown>("It is down", {
  kind: "transient",
  code: "connection_refused",
});

const retry = (attempt: number) => ({ attempt, delay: 300, error: down });

const said = (attempt: number) =>
  `warn Retry ${attempt} of 5 in 0.3 s: It is down`;

Deno.test("retries are a line a second, and the last one of a second is said at its end", () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const outage = new Outage(log, 5);
  for (const i of range(1, 6)) outage.retry(retry(i));
  assertEquals(log.take(), [said(1)]);
  clock.advance(999);
  assertEquals(log.take(), []);
  clock.advance(1);
  assertEquals(log.take(), [said(5)]);
  clock.advance(60_000);
  assertEquals(log.take(), []);
  assertEquals(clock.running, 0);
});

Deno.test("recovery is said, and what was held back until then is not", () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const outage = new Outage(log, 5);
  outage.retry(retry(1));
  clock.advance(62_700);
  outage.retry(retry(2));
  outage.retry(retry(3));
  assertEquals(log.take(), [said(1), said(2)]);
  clock.advance(300);
  outage.settled(10, 0, undefined);
  assertEquals(log.take(), ["info Sending again after 63 s"]);
  clock.advance(60_000);
  outage.settled(10, 0, undefined);
  outage.close();
  assertEquals(log.take(), [], "nothing is said when the matter is over");
  assertEquals(clock.running, 0);
});

Deno.test("a server that rejects metrics is there, one that fails is not", () => {
  using _ = new HandClock();
  const log = new FakeLog();
  const outage = new Outage(log, 5);
  outage.retry(retry(1));
  log.take();
  outage.settled(10, 10, down);
  assertEquals(log.take(), [
    "error Failed to send metrics: It is down (10 of 10 not delivered)",
  ]);
  outage.settled(10, 10, down.with({ kind: "rejected" }));
  assertEquals(log.take(), ["info Sending again after 0.0 s"]);
  outage.close();
});

Deno.test("retries are said before the failure that they have led to, and its figures are fields", () => {
  using _ = new HandClock();
  const log = new FakeLog();
  const outage = new Outage(log, 5);
  outage.retry(retry(1));
  outage.retry(retry(2));
  outage.settled(10, 4, down.with({ status: 503 }));
  assertEquals(log.take(), [
    said(1),
    said(2),
    "error Failed to send metrics: It is down (4 of 10 not delivered)",
    "info Sending again after 0.0 s",
  ]);
  assertEquals(log.figures.slice(1, 3), [
    {
      attempt: 2,
      delayMs: 300,
      code: "connection_refused",
      status: undefined,
    },
    { failed: 4, size: 10, code: "connection_refused", status: 503 },
  ]);
  outage.close();
});

Deno.test("reading that stands still is said after two seconds, and when it goes on", async () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const outage = new Outage(log, 5);
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const waiting = outage.waitFor(ready);
  clock.advance(1_999);
  assertEquals(log.take(), []);
  clock.advance(1);
  assertEquals(log.take(), [
    "info Reading is paused until the server takes what was read",
  ]);
  clock.advance(10_000);
  resolve();
  await waiting;
  assertEquals(log.take(), ["info Reading again after 12 s"]);
  await outage.waitFor(Promise.resolve());
  clock.advance(60_000);
  assertEquals(log.take(), []);
  outage.close();
  assertEquals(clock.running, 0);
});

Deno.test("many short waits in a row are not a long one", async () => {
  using clock = new HandClock();
  const log = new FakeLog();
  const outage = new Outage(log, 5);
  for (const _ of range(0, 100)) {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const waiting = outage.waitFor(ready);
    clock.advance(100);
    resolve();
    await waiting;
  }
  assertEquals(log.take(), []);
  outage.close();
  assertEquals(clock.running, 0);
});
