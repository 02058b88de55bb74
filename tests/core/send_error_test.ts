// SendError: its details, copies of it with changes, and what is taken for one.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import {
  countUndelivered,
  SendError,
  toSendError,
  undeliveredOf,
} from "../../src/core/send_error.ts";

/** The class as another copy of the package has it. */
async function otherCopy(): Promise<typeof SendError> {
  const path = "../../src/core/send_error.ts?copy";
  const copy: typeof import("../../src/core/send_error.ts") = await import(
    path
  );
  assertNotStrictEquals(copy.SendError, SendError);
  return copy.SendError;
}

const full = {
  kind: "rejected",
  code: "status",
  undelivered: [2, 3],
  status: 400,
  retryAfter: 5000,
  index: 1,
  errors: [new SendError<number>("one of them", { kind: "rejected" })],
  cause: new Error("why"),
} as const;

/** The details of an error, as its options have them. */
function details(error: SendError<number>) {
  const { kind, code, undelivered, status, retryAfter, index } = error;
  const { errors, cause } = error;
  return {
    kind,
    code,
    undelivered,
    status,
    retryAfter,
    index,
    errors,
    cause,
  };
}

Deno.test("a SendError that says nothing more is unknown, and means the whole batch", () => {
  const error = new SendError("lost", { kind: "transient" });
  assertEquals(details(error as SendError<number>), {
    kind: "transient",
    code: "unknown",
    undelivered: undefined,
    status: undefined,
    retryAfter: undefined,
    index: undefined,
    errors: [],
    cause: undefined,
  });
  assertEquals([error.name, error.message], ["SendError", "lost"]);
  assertEquals("cause" in error, false);
  assertEquals(countUndelivered(error, [1, 2, 3]), 3);
  assertEquals(undeliveredOf(error, [1, 2, 3]), [1, 2, 3]);
});

Deno.test("a SendError keeps what it is given", () => {
  const error = new SendError<number>("bad", full);
  assertEquals(details(error), { ...full, errors: [...full.errors] });
  assertStrictEquals(error.cause, full.cause);
  assertEquals(countUndelivered(error, [1, 2, 3]), 2);
  assertStrictEquals(undeliveredOf(error, [1, 2, 3]), error.undelivered);
});

Deno.test("with() changes what it is told and keeps the rest", () => {
  const error = new SendError<number>("bad", full);
  const same = error.with({});
  assertNotStrictEquals(same, error);
  assertEquals([same.message, details(same)], ["bad", details(error)]);
  const other = error.with({
    message: "worse",
    kind: "transient",
    code: "timeout",
    undelivered: [3],
    retryAfter: 1,
  });
  assertEquals([other.message, details(other)], ["worse", {
    ...details(error),
    kind: "transient",
    code: "timeout",
    undelivered: [3],
    retryAfter: 1,
  }]);
  // The first one stays as it was.
  assertEquals(details(error), { ...full, errors: [...full.errors] });
});

Deno.test("an explicit undefined in with() clears a detail", () => {
  const error = new SendError<number>("bad", full).with({
    undelivered: undefined,
    index: undefined,
    status: undefined,
    errors: undefined,
    cause: undefined,
  });
  assertEquals(details(error), {
    kind: "rejected",
    code: "status",
    undelivered: undefined,
    status: undefined,
    retryAfter: 5000,
    index: undefined,
    errors: [],
    cause: undefined,
  });
});

Deno.test("instanceof recognizes the errors of another copy of the package, and nothing else", async () => {
  const Other = await otherCopy();
  const own = new SendError("x", { kind: "refused" });
  const other = new Other("x", { kind: "refused" });
  for (const error of [own, other]) {
    assert(error instanceof SendError);
    assert(error instanceof Other);
    assertInstanceOf(error, Error);
  }
  for (
    const value of [
      new Error("x"),
      Object.assign(new Error("x"), { name: "SendError", kind: "refused" }),
      { ...own },
      null,
      undefined,
      "SendError",
      Proxy.revocable({}, {}),
    ] as unknown[]
  ) {
    assertEquals(value instanceof SendError, false);
  }
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assertEquals(proxy instanceof SendError, false);
});

Deno.test("instanceof a class of one's own is as strict as ever", () => {
  class Mine extends SendError {}
  assertEquals(
    new SendError("x", { kind: "refused" }) instanceof Mine,
    false,
  );
  assert(new Mine("x", { kind: "refused" }) instanceof Mine);
  assert(new Mine("x", { kind: "refused" }) instanceof SendError);
});

Deno.test("the mark that instanceof looks for shows nowhere", () => {
  const error = new SendError("x", { kind: "refused" });
  assertEquals(Object.getOwnPropertySymbols({ ...error }), []);
  assertEquals(JSON.stringify(error).includes("tinyobs"), false);
});

Deno.test("a SendError of another copy keeps every detail", async () => {
  const Other = await otherCopy();
  const thrown = new Other<number>("bad", {
    ...full,
    errors: [],
  });
  const error = toSendError(thrown, [1, 2, 3]);
  assertEquals(details(error), { ...full, errors: [] });
  assertEquals(details(error.with({ kind: "refused" })), {
    ...full,
    errors: [],
    kind: "refused",
  });
});

Deno.test("an error that names more than the batch holds means all of it", () => {
  const error = toSendError(
    new SendError("lies", {
      kind: "rejected",
      undelivered: [1, 2, 3],
      index: 2,
      status: 400,
    }),
    [1, 2],
  );
  assertEquals([error.undelivered, error.index], [undefined, undefined]);
  assertEquals([error.kind, error.status], ["rejected", 400]);
  assertEquals(countUndelivered(error, [1, 2]), 2);
});

Deno.test("whatever else was thrown is transient, with the thrown value as its cause", () => {
  for (const thrown of [new TypeError("net"), "a text", undefined, 5, null]) {
    const error = toSendError(thrown, [1]);
    assertEquals([error.kind, error.code], ["transient", "unknown"]);
    assertStrictEquals(error.cause, thrown);
    assertEquals(error.undelivered, undefined);
  }
});
