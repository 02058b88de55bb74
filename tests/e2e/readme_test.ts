// What README.md says that no other test would notice: its options, its links, and
// the lines that deliver when a program is told to end.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startIngestServer } from "../../examples/ingest_server.ts";
import { FLAGS } from "../../src/cli/flags.ts";

const ROOT = new URL("../../", import.meta.url);
const README = await Deno.readTextFile(new URL("README.md", ROOT));

Deno.test("README names every option of the command", () => {
  for (const { long, short } of FLAGS) {
    if (long === "help" || long === "version") continue;
    assert(
      new RegExp(`^\\|.*\`--${long}[ \`]`, "m").test(README),
      `README's table lacks --${long}`,
    );
    if (short !== undefined) assertStringIncludes(README, `\`-${short}\``);
  }
});

Deno.test("README links to files and headings that exist", async () => {
  const links = [...README.matchAll(/\]\((?!https?:)([^)#]*)#?([^)]*)\)/g)];
  assert(links.length > 0);
  for (const [, path = "", heading = ""] of links) {
    const url = new URL(path === "" ? "README.md" : path, ROOT);
    await Deno.stat(url);
    if (heading === "") continue;
    const headings = (await Deno.readTextFile(url)).match(/^#+ .*$/gm) ?? [];
    assert(
      headings.some((line) => anchorOf(line) === heading),
      `${path} has no heading #${heading}`,
    );
  }
});

/** The anchor that GitHub gives to a heading. */
function anchorOf(line: string): string {
  return line.replace(/^#+ /, "").toLowerCase().replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

for (
  const [ending, code, last] of [
    ["SIGTERM", 0, `process.kill(process.pid, "SIGTERM");`],
    ["SIGINT", 130, `process.kill(process.pid, "SIGINT");`],
    ["an unhandled rejection", 1, `Promise.reject(new Error("boom"));`],
    ["an uncaught exception", 1, `setTimeout(() => { throw new Error("") });`],
  ] as const
) {
  Deno.test({
    name: `README's stopAtExit() delivers what is buffered after ${ending}`,
    // There, a process cannot be sent a signal that it could handle.
    ignore: Deno.build.os === "windows" && code !== 1,
    async fn() {
      const block = [...README.matchAll(/^```ts\n([^]*?)^```$/gm)]
        .map(([, text = ""]) => text)
        .find((text) => text.includes("function stopAtExit"));
      assert(block !== undefined);
      await using server = startIngestServer({ port: 0 });
      const mod = new URL("mod.ts", ROOT).href;
      const path = await Deno.makeTempFile({ suffix: ".ts" });
      try {
        await Deno.writeTextFile(
          path,
          `${block.replaceAll("@tinyobs/batch", mod)}
import { Batcher, fetchTransport } from "${mod}";
const batcher = new Batcher(fetchTransport("${server.url}"));
batcher.start();
stopAtExit(batcher);
batcher.add({ name: "up", type: "gauge", value: 1 });
${last}
// Only what hangs takes that long.
setTimeout(() => process.exit(99), 30_000);
`,
        );
        const program = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", path],
          stderr: "null",
        }).output();
        assertEquals(program.code, code);
        assertEquals(server.names(), ["up"]);
      } finally {
        await Deno.remove(path);
      }
    },
  });
}
