// The breaker: what a server that is down costs, and what a bad batch does not.

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { withBreaker } from "../../src/delivery/breaker.ts";
import { type Batch, SendError, type SendErrorKind } from "../../mod.ts";

/** Takes the time of `performance.now` into its hands. */
class Clock implements Disposable {
  now = 1000;
  readonly #real = performance.now;

  constructor() {
    performance.now = () => this.now;
  }

  [Symbol.dispose](): void {
    performance.now = this.#real;
  }
}

/** A transport that fails as told and takes its time. */
class Slow {
  sends = 0;
  kind: SendErrorKind | undefined = "transient";

  constructor(readonly clock: Clock, readonly takes: number) {}

  send(batch: Batch<number>): Promise<void> {
    this.sends++;
    this.clock.now += this.takes;
    if (this.kind === undefined) return Promise.resolve();
    return Promise.reject(
      new SendError("down", { kind: this.kind, undelivered: [...batch] }),
    );
  }
}

const options = { signal: new AbortController().signal };

Deno.test("after the retries of one batch, each gets one attempt, and none while that takes", async () => {
  using clock = new Clock();
  const [once, retrying] = [new Slow(clock, 100), new Slow(clock, 5000)];
  const transport = withBreaker(once, retrying);
  const send = () =>
    assertRejects(() => transport.send([1], options), SendError);
  await send();
  assertEquals([once.sends, retrying.sends], [0, 1]);
  await send();
  assertEquals([once.sends, retrying.sends], [1, 1]);
  const untried = await send();
  assertStringIncludes(untried.message, "down (not tried again yet)");
  assertEquals(untried.undelivered ?? [1], [1]);
  assertEquals([once.sends, retrying.sends], [1, 1]);
  clock.now += 100;
  await send();
  assertEquals([once.sends, retrying.sends], [2, 1]);
});

Deno.test("a success brings the retries back, and so does any answer", async () => {
  for (const kind of [undefined, "rejected", "refused"] as const) {
    using clock = new Clock();
    const [once, retrying] = [new Slow(clock, 0), new Slow(clock, 10)];
    const transport = withBreaker(once, retrying);
    await transport.send([1], options).catch(() => {});
    once.kind = kind;
    await transport.send([1], options).catch(() => {});
    await transport.send([1], options).catch(() => {});
    assertEquals([once.sends, retrying.sends], [1, 2]);
  }
});

Deno.test("a batch that fails while others come through does not open it", async () => {
  using clock = new Clock();
  const [once, retrying] = [new Slow(clock, 0), new Slow(clock, 10)];
  let fail = () => {};
  const hanging = new Promise<void>((_, reject) =>
    fail = () => reject(new Error("500"))
  );
  let first = true;
  const transport = withBreaker<number>(once, {
    send(batch) {
      if (first) {
        first = false;
        return hanging;
      }
      retrying.kind = undefined;
      return retrying.send(batch);
    },
  });
  const failing = assertRejects(() => transport.send([1], options));
  await transport.send([2], options);
  fail();
  await failing;
  await transport.send([3], options);
  assertEquals([once.sends, retrying.sends], [0, 2]);
});
