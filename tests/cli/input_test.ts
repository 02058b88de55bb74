// Reading until a signal: what was read is never lost, and no line is cut in two.

import { assertEquals, assertRejects } from "@std/assert";
import { readLines } from "../../src/cli/input.ts";
import { NdjsonReader } from "../../src/ndjson/reader.ts";
import { TINYOBS_RULES } from "../../src/transports/tinyobs_rules.ts";

const encoder = new TextEncoder();
const line = (i: number) => `{"name":"a","type":"gauge","value":${i}}`;

/** An input that gives what the test puts in, as far as the buffer has room. */
class HandInput {
  #bytes = new Uint8Array(0);
  #ended = false;
  #wake = () => {};
  reads = 0;

  close(): void {}

  put(text: string): void {
    this.#bytes = new Uint8Array([...this.#bytes, ...encoder.encode(text)]);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.reads++;
    while (this.#bytes.length === 0) {
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const n = Math.min(this.#bytes.length, buffer.length);
    buffer.set(this.#bytes.subarray(0, n));
    this.#bytes = this.#bytes.slice(n);
    return n;
  }
}

interface Outcome {
  good: string[];
  bad: string[];
}

/** Reads to the end; `onLine` is called with each line that has come. */
async function readAll(
  input: HandInput,
  signal: AbortSignal,
  onLine: (raw: string) => void = () => {},
): Promise<Outcome> {
  const bad: string[] = [];
  const reader = new NdjsonReader({
    rules: TINYOBS_RULES,
    onBadLine: ({ raw }) => bad.push(new TextDecoder().decode(raw)),
  });
  const good: string[] = [];
  for await (const lines of readLines(input, reader, signal)) {
    for (const { raw } of lines) {
      good.push(raw);
      onLine(raw);
    }
  }
  return { good, bad };
}

Deno.test("what was read when the signal came is not lost", async () => {
  const input = new HandInput();
  const stop = new AbortController();
  const done = readAll(input, stop.signal);
  await Promise.resolve();
  input.put(`${line(1)}\n`);
  stop.abort();
  assertEquals(await done, { good: [line(1)], bad: [] });
});

Deno.test("after the signal, a line that is half read is read to its end and no further", async () => {
  const input = new HandInput();
  const stop = new AbortController();
  const whole = line(2);
  input.put(`${line(1)}\n${whole.slice(0, 9)}`);
  const done = readAll(input, stop.signal, () => {
    stop.abort();
    input.put(`${whole.slice(9)}\n${line(3)}\n`);
  });
  const { good, bad } = await done;
  assertEquals(bad, []);
  // The rest comes with the read that was waiting, or byte by byte.
  assertEquals(good.slice(0, 2), [line(1), whole]);
});

Deno.test("the rest of a line that comes with the read that was pending is used, and all after it", async () => {
  const input = new HandInput();
  const stop = new AbortController();
  input.put(`${line(1)}\n${line(2).slice(0, 9)}`);
  let reads = 0;
  const done = readAll(input, stop.signal, () => reads = input.reads);
  // It waits for more by now: in a read of its own.
  while (input.reads < 2) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  stop.abort();
  // After the turn in which it looks whether something has come.
  await new Promise((resolve) => setTimeout(resolve, 5));
  input.put(`${line(2).slice(9)}\n${line(3)}\n`);
  assertEquals(await done, { good: [line(1), line(2), line(3)], bad: [] });
  assertEquals(reads >= 1, true);
});

Deno.test("a half line that never goes on is given up after a moment, as a bad line", async () => {
  const input = new HandInput();
  const stop = new AbortController();
  input.put(`${line(1)}\n{"name`);
  const done = readAll(input, stop.signal, () => stop.abort());
  assertEquals(await done, { good: [line(1)], bad: ['{"name'] });
});

Deno.test("what an input throws comes after the lines that were read", async () => {
  const reader = new NdjsonReader({ rules: TINYOBS_RULES, onBadLine() {} });
  let reads = 0;
  const input = {
    read(buffer: Uint8Array): Promise<number | null> {
      if (++reads > 1) return Promise.reject(new Error("broken"));
      const bytes = encoder.encode(`${line(1)}\n${line(2)}`);
      buffer.set(bytes);
      return Promise.resolve(bytes.length);
    },
    close() {},
  };
  const good: string[] = [];
  await assertRejects(
    async () => {
      for await (
        const lines of readLines(input, reader, new AbortController().signal)
      ) {
        good.push(...lines.map(({ raw }) => raw));
      }
    },
    Error,
    "broken",
  );
  assertEquals(good, [line(1), line(2)]);
});
