// The rejects file on disks that fill up and pipes that nobody reads: what counts as
// written is there, and no line is torn.

import { assert, assertEquals } from "@std/assert";
import type { OutputFile } from "../../src/cli/io.ts";
import { RejectsFile } from "../../src/cli/rejects.ts";
import { HandClock, linesOf } from "../_cli.ts";
import { range } from "../_helpers.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const never = new AbortController().signal;
const SILENT = { onError() {}, onWait() {} };

const lines = (start: number, end: number) =>
  encoder.encode(range(start, end).map((i) => `line ${i}\n`).join(""));
const texts = (start: number, end: number) =>
  range(start, end).map((i) => `line ${i}`);

/** A disk on which there is room for as many bytes as the test says. */
class Disk implements OutputFile {
  readonly isInput = false;
  content = "";
  room = Infinity;

  writeSync(bytes: Uint8Array): number {
    const n = Math.min(bytes.length, this.room);
    if (n === 0) throw new Error("No space left on device");
    this.room -= n;
    this.content += decoder.decode(bytes.subarray(0, n));
    return n;
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(this.writeSync(bytes));
  }

  close(): void {}
}

/** A pipe whose reader reads when the test says so. */
class Pipe implements OutputFile {
  readonly isInput = false;
  content = "";
  #stalled = Promise.withResolvers<void>();

  async write(bytes: Uint8Array): Promise<number> {
    await this.#stalled.promise;
    this.content += decoder.decode(bytes);
    return bytes.length;
  }

  read(): void {
    this.#stalled.resolve();
  }

  close(): void {}
}

Deno.test("a disk that fills up in the middle of a line and has room again loses and tears no line", async () => {
  for (const room of range(0, 60)) {
    using clock = new HandClock();
    const disk = new Disk();
    const errors: unknown[] = [];
    const rejects = new RejectsFile(disk, {
      ...SILENT,
      onError: (error) => errors.push(error),
    });
    disk.room = room;
    rejects.write(lines(0, 10), 10);
    // What counts is what is there in full.
    assertEquals(rejects.lines, linesOf(disk.content + "\n").length - 1);
    rejects.write(lines(10, 20), 10);
    assertEquals(errors.length, 1, "it is said once");
    disk.room = Infinity;
    clock.advance(1000);
    rejects.write(lines(20, 30), 10);
    await rejects.finish(never);
    assertEquals(linesOf(disk.content), texts(0, 30));
    assertEquals(rejects.lines, 30);
    rejects.close();
    assertEquals(clock.running, 0);
  }
});

Deno.test("a disk that stays full takes no memory without end, and finish() does not wait for it", async () => {
  const disk = new Disk();
  const rejects = new RejectsFile(disk, SILENT);
  disk.room = 50_000;
  const line = encoder.encode("x".repeat(999_999) + "\n");
  for (const _ of range(0, 100)) rejects.write(line, 1);
  assert(!rejects.full, "reading goes on");
  await rejects.finish(never);
  assertEquals(rejects.lines, 0);
  disk.room = Infinity;
  await rejects.finish(never);
  // 16 MiB were kept, in whole lines.
  const kept = linesOf(disk.content);
  assertEquals(kept.length, 16);
  assert(kept.every((text) => text.length === 999_999));
  assertEquals(rejects.lines, 16);
  rejects.close();
});

Deno.test("parts of an overlong line that a full disk has swallowed do not take the next line with them", async () => {
  const disk = new Disk();
  const rejects = new RejectsFile(disk, SILENT);
  const part = new Uint8Array(10_000_000).fill(0x78);
  disk.room = 15_000_000;
  rejects.writePart(part, true);
  rejects.write(lines(0, 2), 2);
  for (const _ of range(0, 3)) rejects.writePart(part, true);
  rejects.writePart(part, false);
  disk.room = Infinity;
  await rejects.finish(never);
  assertEquals(linesOf(disk.content).slice(1), texts(0, 2));
  assertEquals(rejects.lines, 2, "the torn one does not count");
  rejects.close();
});

Deno.test("a pipe that nobody reads holds nothing up until 16 MiB wait, and then only the reading", async () => {
  const pipe = new Pipe();
  const rejects = new RejectsFile(pipe, SILENT);
  const line = encoder.encode("x".repeat(999_999) + "\n");
  for (const _ of range(0, 16)) rejects.write(line, 1);
  assert(!rejects.full);
  for (const _ of range(0, 2)) rejects.write(line, 1);
  assert(rejects.full);
  const ready = rejects.ready(never);
  pipe.read();
  await ready;
  await rejects.finish(never);
  assertEquals([rejects.lines, linesOf(pipe.content).length], [18, 18]);
  rejects.close();
});

Deno.test("finish() waits for a pipe that is read late, until it is told to hurry", async () => {
  const slow = new Pipe();
  const patient = new RejectsFile(slow, SILENT);
  patient.write(lines(0, 3), 3);
  const finished = patient.finish(never);
  slow.read();
  await finished;
  assertEquals(linesOf(slow.content), texts(0, 3));

  const hurry = new AbortController();
  const hurried = new RejectsFile(new Pipe(), SILENT);
  hurried.write(lines(0, 3), 3);
  const given = hurried.finish(hurry.signal);
  hurry.abort();
  await given;
  assertEquals(hurried.lines, 0);
  hurried.close();
});

Deno.test("waiting for room ends with the reading", async () => {
  const stop = new AbortController();
  const rejects = new RejectsFile(new Pipe(), SILENT);
  rejects.write(new Uint8Array(20_000_000), 1);
  const ready = rejects.ready(stop.signal);
  stop.abort();
  await ready;
  assert(rejects.full);
  rejects.close();
});

Deno.test("a run that waits for a reader of the rejects says so, once", async () => {
  using clock = new HandClock();
  const pipe = new Pipe();
  let waits = 0;
  const rejects = new RejectsFile(pipe, { ...SILENT, onWait: () => waits++ });
  rejects.write(lines(0, 3), 3);
  const finished = rejects.finish(never);
  clock.advance(1_999);
  assertEquals(waits, 0);
  clock.advance(60_000);
  assertEquals(waits, 1);
  pipe.read();
  await finished;
  assertEquals(clock.running, 0);
  rejects.close();
});
