// Nothing that only shows something ends a run or holds it up.

import { assert, assertEquals } from "@std/assert";
import { Console } from "../../src/cli/console.ts";
import { main } from "../../src/cli/main.ts";
import { FakeIo, linesOf } from "../_cli.ts";
import { range } from "../_helpers.ts";

const encoder = new TextEncoder();
const LINE = '{"name":"m","type":"gauge","value":1}\n';

function broken(): never {
  throw new Error("The terminal is gone");
}

Deno.test("a terminal that goes away ends neither a run nor its output", async () => {
  const io = new FakeIo([encoder.encode(LINE + "bad\n")]);
  io.stderr = { isAnimated: broken, columns: broken, write: broken };
  Object.assign(io.stdin, { isTerminal: broken });
  const code = await main(["-n", "--rejects=rejects"], io);
  assertEquals(code, 1);
  assertEquals(io.rejects, "bad\n");
  assertEquals(linesOf(io.output).length, 1);
});

Deno.test("the live line goes on when the terminal's width cannot be told anymore", async () => {
  const io = new FakeIo();
  let asked = 0;
  const { promise: drawn, resolve } = Promise.withResolvers<void>();
  io.stderr = {
    ...io.stderr,
    isAnimated: () => true,
    columns() {
      if (++asked > 2) resolve();
      return broken();
    },
  };
  Object.assign(io.stdin, {
    read: () => drawn.then(() => null),
  });
  assertEquals(await main(["-n"], io), 0);
  assert(io.messages.includes("0 read  0 sent"), io.messages);
});

Deno.test("log lines that nobody reads are dropped, counted, and said to be missing when somebody reads again", async () => {
  const io = new FakeIo();
  const { promise: read, resolve } = Promise.withResolvers<void>();
  let stalled = true;
  io.stderr = {
    isAnimated: () => false,
    columns: () => 80,
    async write(bytes) {
      if (stalled) await read;
      io.messages += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  const console = new Console(io);
  console.onDropped = (lines) => console.write(`${lines} are missing\n`);
  const text = "x".repeat(999) + "\n";
  for (const _ of range(0, 1000)) console.write(text);
  await console.flush();
  assertEquals(io.messages, "", "flush() does not wait for it");
  stalled = false;
  resolve();
  await console.flush();
  const lines = linesOf(io.messages);
  const missing = Number(/^(\d+) are missing$/.exec(lines.at(-1)!)?.[1]);
  assertEquals(lines.length - 1 + missing, 1000);
  assert(lines.length < 100, `${lines.length} lines were kept`);
});

Deno.test("a pipe that is full and does not block is tried again", async () => {
  const io = new FakeIo();
  let tries = 0;
  io.stderr = {
    isAnimated: () => false,
    columns: () => 80,
    write(bytes) {
      if (++tries < 3) return Promise.reject(new Deno.errors.WouldBlock());
      io.messages += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  };
  const console = new Console(io);
  console.write("a line\n");
  await console.flush();
  assertEquals(io.messages, "a line\n");
});

Deno.test("no line can move the cursor", () => {
  const io = new FakeIo();
  new Console(io).write("\x1b[2J and \u202e\nthe next line\n");
  assertEquals(
    io.messages,
    "\\u001b[2J and \\u202e\nthe next line\n",
  );
});
