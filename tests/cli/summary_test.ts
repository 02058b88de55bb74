// The last line and the exit code, from the totals.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  exitCode,
  type Outcome,
  summarize,
  type Totals,
} from "../../src/cli/summary.ts";
import type { StopSignal } from "../../src/cli/io.ts";

function outcome(
  totals: Partial<Totals>,
  more: Partial<Outcome> = {},
): Outcome {
  return {
    totals: {
      read: 10,
      sent: 10,
      invalid: 0,
      undelivered: 0,
      batches: 1,
      retries: 0,
      bytes: 1000,
      elapsedMs: 1234,
      ...totals,
    },
    url: "http://user:secret@host/v1/ingest?key=secret",
    dryRun: false,
    rejects: undefined,
    failed: false,
    signal: undefined,
    ...more,
  };
}

Deno.test("the summary says what became of every line", () => {
  assertEquals(summarize(outcome({})), "10 read, 10 sent in 1 batch (1.23 s)");
  assertEquals(
    summarize(outcome({ sent: 7, batches: 2, invalid: 1, undelivered: 2 })),
    "10 read, 7 sent in 2 batches, 1 invalid, 2 not delivered, 3 lost: --rejects FILE keeps such lines (1.23 s)",
  );
  assertEquals(
    summarize(outcome({ sent: 0 }, { dryRun: true })),
    "10 read, nothing sent (dry run) (1.23 s)",
  );
});

Deno.test("the summary says how to send again what was not delivered, and shows no secret", () => {
  const rejects = { path: "rejects.ndjson", lines: 3 };
  const text = summarize(
    outcome({ sent: 7, invalid: 1, undelivered: 2 }, { rejects }),
  );
  assertEquals(
    text,
    '10 read, 7 sent in 1 batch, 1 invalid, 2 not delivered, 3 written to "rejects.ndjson" (1.23 s); ' +
      "to send them again: tinyobs-batch --file rejects.ndjson http://host/v1/ingest",
  );
  const odd = { path: "it's here", lines: 2 };
  assertStringIncludes(
    summarize(outcome({ undelivered: 2 }, { rejects: odd })),
    `--file 'it'\\''s here' `,
  );
  // What is invalid is so the next time, too.
  assert(
    !summarize(outcome({ invalid: 3 }, { rejects })).includes("again"),
  );
});

Deno.test("the exit code is 0 where everything was delivered, and a signal's own where not", () => {
  const cases: [
    signal: StopSignal | undefined,
    delivered: number,
    undelivered: number,
  ][] = [
    [undefined, 0, 1],
    // A daemon that is told to end has done what it should.
    ["SIGTERM", 0, 143],
    ["SIGHUP", 0, 129],
    ["SIGINT", 130, 130],
  ];
  for (const [signal, delivered, undelivered] of cases) {
    assertEquals(exitCode(outcome({}, { signal })), delivered);
    assertEquals(
      exitCode(outcome({ undelivered: 1 }, { signal })),
      undelivered,
    );
    assertEquals(exitCode(outcome({ invalid: 1 }, { signal })), undelivered);
    assertEquals(exitCode(outcome({}, { signal, failed: true })), undelivered);
  }
});
