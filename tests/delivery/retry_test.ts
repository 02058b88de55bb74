import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Batch,
  type RetryEvent,
  type RetryOptions,
  SendError,
  type SendErrorOptions,
  type SendOptions,
  type Transport,
  withRetry,
} from "../../mod.ts";
import { HandTimers } from "../_helpers.ts";

/** A transport that fails as the script says, send by send, and then delivers. */
class Scripted implements Transport<number> {
  readonly batches: (readonly number[])[] = [];
  readonly signals: AbortSignal[] = [];
  readonly #failures: unknown[];

  constructor(...failures: unknown[]) {
    this.#failures = failures;
  }

  send(
    batch: Batch<number>,
    { signal }: SendOptions,
  ): Promise<void> {
    this.batches.push([...batch]);
    this.signals.push(signal);
    const failure = this.#failures.shift();
    return failure === undefined ? Promise.resolve() : Promise.reject(failure);
  }
}

const BATCH = [1, 2, 3, 4];

/** The real one, whatever a test puts in its place. */
const { setTimeout } = globalThis;

/** Lets every microtask run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function transient(
  undelivered: readonly number[] = BATCH,
  more: Partial<SendErrorOptions<number>> = {},
): SendError<number> {
  return new SendError("busy", { kind: "transient", undelivered, ...more });
}

/** Makes what is random the same for the duration of a test. */
function stubRandom(value: number): Disposable {
  const original = Math.random;
  Math.random = () => value;
  return { [Symbol.dispose]: () => void (Math.random = original) };
}

/** What happened to one send, with no time passing. */
async function send(
  transport: Transport<number>,
  options: RetryOptions<number> = {},
) {
  using timers = new HandTimers();
  const delays: number[] = [];
  const events: RetryEvent<number>[] = [];
  const retrying = withRetry(transport, {
    onRetry: (event) => events.push(event),
    ...options,
  });
  let ended = false;
  let error: unknown;
  const sending = retrying.send(BATCH, { signal: new AbortController().signal })
    .catch((thrown) => error = thrown)
    .finally(() => ended = true);
  for (;;) {
    await settle();
    if (ended) break;
    const [timer, ...others] = timers.running;
    assertEquals(others, [], "one timer at a time");
    assert(timer !== undefined, "it waits for a timer");
    delays.push(timer.delay);
    timer.fire();
  }
  await sending;
  assertEquals(timers.running, [], "no timer is left");
  return { error, delays, events };
}

Deno.test("a batch that is delivered is sent once", async () => {
  const transport = new Scripted();
  const { error, delays } = await send(transport);
  assertEquals(error, undefined);
  assertEquals(delays, []);
  assertEquals(transport.batches, [BATCH]);
});

Deno.test("a transient failure is tried again until it passes", async () => {
  const transport = new Scripted(transient(), transient(), transient());
  const { error, delays, events } = await send(transport);
  assertEquals(error, undefined);
  assertEquals(transport.batches, [BATCH, BATCH, BATCH, BATCH]);
  assertEquals(events.map(({ attempt }) => attempt), [1, 2, 3]);
  assertEquals(events.map(({ delay }) => delay), delays);
});

Deno.test("after the last attempt the last failure stands", async () => {
  for (const attempts of [1, 2, 5]) {
    const failures = Array.from({ length: 9 }, () => transient());
    const transport = new Scripted(...failures);
    const { error, events } = await send(transport, { attempts });
    assertStrictEquals(error, failures[attempts - 1]);
    assertEquals(transport.batches.length, attempts);
    assertEquals(events.length, attempts - 1);
    assertEquals(events.map((e) => e.error), failures.slice(0, attempts - 1));
  }
});

Deno.test("five attempts are made by default", async () => {
  const transport = new Scripted(...Array(9).fill(transient()));
  await send(transport);
  assertEquals(transport.batches.length, 5);
});

Deno.test("what the server rejects or refuses is not tried again", async () => {
  for (const kind of ["rejected", "refused"] as const) {
    const failure = transient(BATCH, { kind });
    const transport = new Scripted(failure);
    const { error, delays } = await send(transport);
    assertStrictEquals(error, failure);
    assertEquals(transport.batches.length, 1);
    assertEquals(delays, []);
  }
});

Deno.test("a failure that does not pass ends the retries, whatever came before", async () => {
  const failure = transient(BATCH, { kind: "refused" });
  const transport = new Scripted(transient(), failure);
  const { error } = await send(transport);
  assertStrictEquals(error, failure);
  assertEquals(transport.batches.length, 2);
});

Deno.test("only what was not delivered is sent again", async () => {
  const last = transient([4]);
  const transport = new Scripted(transient([2, 3, 4]), transient([4]), last);
  const { error } = await send(transport, { attempts: 3 });
  assertEquals(transport.batches, [BATCH, [2, 3, 4], [4]]);
  assertStrictEquals(error, last);
});

Deno.test("an error that is no SendError is retried with the whole batch", async () => {
  const { error, events } = await send(
    new Scripted(new Error("lost"), "a text", null),
    { attempts: 3 },
  );
  assertEquals(events.map((e) => e.error.message), ["lost", "a text"]);
  assertInstanceOf(events[0]!.error.cause, Error);
  assertInstanceOf(error, SendError);
  assertEquals(error.kind, "transient");
  assertEquals(error.undelivered ?? BATCH, BATCH);
});

Deno.test("a transport that throws instead of rejecting is retried as well", async () => {
  let sends = 0;
  const { error } = await send({
    send() {
      if (++sends < 3) throw new Error("at once");
      return Promise.resolve();
    },
  });
  assertEquals([error, sends], [undefined, 3]);
});

Deno.test("the bound of the wait doubles with each attempt up to maxDelay", async () => {
  // Just below 1: the wait at its bound, rounded.
  using _ = stubRandom(1 - 2 ** -40);
  const { delays } = await send(new Scripted(...Array(9).fill(transient())), {
    attempts: 8,
    baseDelay: 100,
    maxDelay: 1500,
  });
  assertEquals(delays, [100, 200, 400, 800, 1500, 1500, 1500]);
});

Deno.test("the defaults are half a second, doubling, and thirty seconds at most", async () => {
  using _ = stubRandom(1 - 2 ** -40);
  const { delays } = await send(new Scripted(...Array(20).fill(transient())), {
    attempts: 10,
  });
  assertEquals(
    delays,
    [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000],
  );
});

Deno.test("the wait is spread from nothing to its bound, so that senders do not come back together", async () => {
  for (const [random, wanted] of [[0, 0], [0.25, 25], [0.5, 50]] as const) {
    using _ = stubRandom(random);
    const { delays } = await send(new Scripted(transient()), {
      baseDelay: 100,
    });
    assertEquals(delays, [wanted]);
  }
  const seen = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const { delays } = await send(new Scripted(transient()));
    assert(delays[0]! >= 0 && delays[0]! <= 500, `${delays[0]} ms`);
    seen.add(delays[0]!);
  }
  // The chance of fewer, were all 501 equally likely, is below 1 in 10^40.
  assert(seen.size > 40, `${seen.size} different waits`);
});

Deno.test("Retry-After is a floor under the wait", async () => {
  for (const [random, wanted] of [[0, 7000], [0.5, 7050]] as const) {
    using _ = stubRandom(random);
    const { delays } = await send(
      new Scripted(transient(BATCH, { retryAfter: 7000 })),
      { baseDelay: 100 },
    );
    assertEquals(delays, [wanted]);
  }
});

Deno.test("Retry-After goes over maxDelay, and counts for five minutes at most", async () => {
  using _ = stubRandom(0);
  const asked = [60_000, 299_999, 300_001, 86_400_000, Infinity];
  const { delays } = await send(
    new Scripted(
      ...asked.map((retryAfter) => transient(BATCH, { retryAfter })),
    ),
    { attempts: 9, maxDelay: 1000 },
  );
  assertEquals(delays, [60_000, 299_999, 300_000, 300_000, 300_000]);
});

Deno.test("a baseDelay of 0 retries at once", async () => {
  const { delays } = await send(new Scripted(transient(), transient()), {
    baseDelay: 0,
    maxDelay: 0,
  });
  assertEquals(delays, [0, 0]);
});

Deno.test("the signal ends the wait, and the last failure stands", async () => {
  using timers = new HandTimers();
  const failures = [transient([3, 4]), transient()];
  const transport = new Scripted(...failures);
  const abort = new AbortController();
  const sending = withRetry(transport).send(BATCH, { signal: abort.signal })
    .catch((error) => error);
  await settle();
  assertEquals(timers.running.length, 1);
  abort.abort(new Error("the end"));
  assertStrictEquals(await sending, failures[0]);
  assertEquals(timers.running, [], "no timer is left");
  assertEquals(transport.batches.length, 1);
  assertStrictEquals(transport.signals[0], abort.signal);
});

Deno.test("a signal that is aborted during the send leaves no wait", async () => {
  using timers = new HandTimers();
  const abort = new AbortController();
  const failure = transient();
  let events = 0;
  const sending = withRetry<number>({
    send() {
      abort.abort();
      return Promise.reject(failure);
    },
  }, { onRetry: () => events++ }).send(BATCH, { signal: abort.signal })
    .catch((error) => error);
  assertStrictEquals(await sending, failure);
  assertEquals([timers.running, events], [[], 0]);
});

Deno.test("a signal that onRetry aborts ends the wait before it begins", async () => {
  using timers = new HandTimers();
  const abort = new AbortController();
  const failure = transient();
  const sending = withRetry(new Scripted(failure), {
    onRetry: () => abort.abort(),
  }).send(BATCH, { signal: abort.signal }).catch((error) => error);
  assertStrictEquals(await sending, failure);
  assertEquals(timers.running, []);
});

Deno.test("retries leave no listener on the signal", async () => {
  const abort = new AbortController();
  const { signal } = abort;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    add(...args as Parameters<typeof add>);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    remove(...args as Parameters<typeof remove>);
  };
  const transport = new Scripted(...Array(9).fill(transient()));
  await withRetry(transport, { attempts: 10, baseDelay: 0 })
    .send(BATCH, { signal });
  assertEquals(transport.batches.length, 10);
  assertEquals(listeners, 0);
});

Deno.test("what onRetry throws or rejects with is harmless", async () => {
  for (
    const onRetry of [
      () => {
        throw new Error("mine");
      },
      () => Promise.reject(new Error("mine")),
    ]
  ) {
    const transport = new Scripted(transient(), transient());
    const { error } = await send(transport, { onRetry });
    assertEquals([error, transport.batches.length], [undefined, 3]);
  }
});

Deno.test("several sends at a time are retried each on its own", async () => {
  const seen: number[][] = [];
  const transport = withRetry<number>({
    send(items) {
      const batch = [...items];
      seen.push(batch);
      const times = seen.filter(([id]) => id === batch[0]).length;
      return times <= batch[0]!
        ? Promise.reject(transient(batch))
        : Promise.resolve();
    },
  }, { attempts: 4, baseDelay: 0 });
  const { signal } = new AbortController();
  const results = await Promise.allSettled(
    [0, 1, 2, 3, 4].map((id) => transport.send([id], { signal })),
  );
  assertEquals(
    results.map(({ status }) => status),
    ["fulfilled", "fulfilled", "fulfilled", "fulfilled", "rejected"],
  );
  assertEquals(seen.length, 1 + 2 + 3 + 4 + 4);
});

Deno.test("an option out of its bounds is a RangeError that names it", () => {
  const bad: [keyof RetryOptions<number>, unknown[]][] = [
    ["attempts", [0, -1, 1.5, NaN, Infinity, "3", null]],
    ["baseDelay", [-1, NaN, "x"]],
    ["maxDelay", [-1, 499, NaN, Infinity, 2 ** 31]],
  ];
  for (const [name, values] of bad) {
    for (const value of values) {
      const error = assertThrows(
        () => withRetry(new Scripted(), { [name]: value }),
        RangeError,
      );
      assert(error.message.startsWith("Cannot retry as "), error.message);
      assert(error.message.includes(`'${name}'`), error.message);
    }
  }
  // Alone it looks fine, but the wait could never keep to both.
  assertThrows(
    () => withRetry(new Scripted(), { baseDelay: 40_000 }),
    RangeError,
    "'maxDelay'",
  );
});

Deno.test("an explicit undefined means the default", async () => {
  const transport = new Scripted(...Array(9).fill(transient()));
  await send(transport, {
    attempts: undefined,
    baseDelay: undefined,
    maxDelay: undefined,
    onRetry: undefined,
  });
  assertEquals(transport.batches.length, 5);
});
