// What a .gz file yields, held against `gzip -dc`: all of it, and then the error.

import { assert, assertEquals } from "@std/assert";
import { gunzip } from "../../src/cli/gunzip.ts";
import { random, range } from "../_helpers.ts";

const encoder = new TextEncoder();

/** An input that gives its bytes in pieces of at most `step`. */
function inputOf(bytes: Uint8Array, step: number) {
  let at = 0;
  return {
    size: bytes.length,
    position: 0,
    read(buffer: Uint8Array): Promise<number | null> {
      if (at === bytes.length) return Promise.resolve(null);
      const n = Math.min(step, buffer.length, bytes.length - at);
      buffer.set(bytes.subarray(at, at + n));
      at += n;
      return Promise.resolve(n);
    },
    close() {},
  };
}

interface Yield {
  readonly content: Uint8Array;
  readonly failed: boolean;
}

async function decompress(bytes: Uint8Array, step: number): Promise<Yield> {
  const input = gunzip(inputOf(bytes, step));
  const buffer = new Uint8Array(10_000);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let failed = false;
  try {
    for (;;) {
      const n = await input.read(buffer);
      if (n === null) break;
      chunks.push(buffer.slice(0, n));
    }
  } catch {
    failed = true;
  }
  return { content: await new Blob(chunks).bytes(), failed };
}

async function pipe(
  command: readonly string[],
  input: Uint8Array,
): Promise<Yield> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(input as Uint8Array<ArrayBuffer>)
    .then(() => writer.close()).catch(() => {});
  const { stdout, code } = await child.output();
  await written;
  await writer.closed.catch(() => {});
  return { content: stdout, failed: code !== 0 };
}

async function hasGzip(): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command("gzip", { args: ["--version"] })
      .output();
    return new TextDecoder().decode(stdout).startsWith("gzip 1");
  } catch {
    return false;
  }
}

const ignore = !await hasGzip();
const skipped = ignore ? " (skipped: there is no GNU gzip)" : "";

const next = random(9);

function ndjson(start: number, end: number): Uint8Array {
  return encoder.encode(
    range(start, end).map((i) =>
      `{"name":"m","type":"gauge","value":${i},"labels":{"id":"${
        Math.floor(next() * 1e9)
      }"}}\n`
    ).join(""),
  );
}

async function compress(
  bytes: Uint8Array,
  level = "-6",
): Promise<Uint8Array> {
  return (await pipe(["gzip", "-c", level], bytes)).content;
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    parts.reduce((size, { length }) => size + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Fails unless it yields what gzip does, or more of it, and an error where gzip has one. */
async function compare(bytes: Uint8Array, what: string): Promise<void> {
  const [ours, theirs] = await Promise.all([
    decompress(bytes, 1 + Math.floor(next() * 20_000)),
    pipe(["gzip", "-dc"], bytes),
  ]);
  assertEquals(ours.failed, theirs.failed, what);
  const { length } = theirs.content;
  assert(ours.content.length >= length, `${what}: ${length} bytes wanted`);
  assert(
    theirs.content.every((byte, i) => byte === ours.content[i]),
    `${what}: other bytes`,
  );
}

Deno.test({
  name: `all members are decompressed, at every level${skipped}`,
  ignore,
  async fn() {
    for (const level of ["-1", "-6", "-9"]) {
      const parts = [ndjson(0, 3000), ndjson(3000, 3001), new Uint8Array()];
      const members = await Promise.all(
        parts.map((part) => compress(part, level)),
      );
      for (const step of [1, 7, 100_000]) {
        const { content, failed } = await decompress(concat(...members), step);
        assert(!failed);
        assertEquals(content, concat(...parts));
      }
    }
    // Stored blocks, as what is random cannot be compressed.
    const noise = Uint8Array.from({ length: 200_000 }, () => next() * 256);
    assertEquals(
      (await decompress(await compress(noise), 5000)).content,
      noise,
    );
  },
});

Deno.test({
  name:
    `wherever a file is cut off, what gzip -dc yields is read, and the error comes then${skipped}`,
  ignore,
  async fn() {
    const [a, b] = [
      await compress(ndjson(0, 4000)),
      await compress(ndjson(4000, 4300), "-1"),
    ];
    const whole = concat(a, b);
    const cuts = [
      ...range(0, 25),
      ...range(a.length - 12, a.length + 25),
      ...range(whole.length - 25, whole.length + 1),
      ...range(0, 30).map(() => Math.floor(next() * whole.length)),
    ];
    for (const cut of cuts) {
      await compare(whole.slice(0, cut), `cut at ${cut} of ${whole.length}`);
    }
  },
});

Deno.test({
  name:
    `whatever follows the last member, all members are read, and it is an error unless it is padding${skipped}`,
  ignore,
  async fn() {
    const member = await compress(ndjson(0, 1000));
    const tails = [
      encoder.encode("garbage"),
      encoder.encode("\n"),
      new Uint8Array(1000),
      concat(new Uint8Array(9), encoder.encode("x")),
      Uint8Array.of(0x1f),
      Uint8Array.of(0x1f, 0x8b),
      Uint8Array.of(0x1f, 0x8b, 9, 0),
      Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 7),
      new Uint8Array(50_000).fill(7),
    ];
    for (const tail of tails) {
      await compare(concat(member, tail), `tail ${tail.slice(0, 12)}`);
    }
  },
});

Deno.test({
  name:
    `of a damaged member, what gzip -dc makes is read, and the error comes then${skipped}`,
  ignore,
  async fn() {
    const small = await compress(ndjson(0, 100));
    const large = await compress(ndjson(0, 5000));
    for (const member of [small, large]) {
      for (const i of range(0, 60)) {
        const damaged = member.slice();
        // The trailer's bytes first, then any after the header.
        const at = i < 8
          ? member.length - 1 - i
          : 10 + Math.floor(next() * (member.length - 10));
        damaged[at]! ^= 1 << Math.floor(next() * 8);
        await compare(concat(large, damaged), `byte ${at} of ${member.length}`);
      }
    }
  },
});

Deno.test({
  name: `a header's optional fields are read over${skipped}`,
  ignore,
  async fn() {
    const plain = await compress(encoder.encode("content"));
    const header = plain.slice(0, 10);
    // Extra data, a name, a comment and a checksum of the header.
    header[3] = 4 | 8 | 16 | 2;
    const fields = concat(
      Uint8Array.of(3, 0, 1, 2, 3),
      encoder.encode("name\0comment\0"),
      Uint8Array.of(0, 0),
    );
    const { content, failed } = await decompress(
      concat(header, fields, plain.slice(10)),
      3,
    );
    assertEquals([new TextDecoder().decode(content), failed], [
      "content",
      false,
    ]);
    const { failed: isText } = await decompress(encoder.encode("text"), 3);
    assert(isText, "what is not in gzip format is an error");
  },
});
