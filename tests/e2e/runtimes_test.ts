// The library on Node and Bun: mod.ts as one JavaScript file goes through the checks
// of _runtime_check.mjs there, and so do the library's own tests that need nothing of
// Deno. Nothing of this is shipped.

import { assert, assertEquals } from "@std/assert";

const ESBUILD = "npm:esbuild@0.28.2";
const BUN = "bun@1.4.5";
/** AbortSignal.any came with 20.3, Symbol.asyncDispose with 20.4. */
const NODE = [20, 4] as const;

/**
 * The test files of what mod.ts reaches. clock_test.ts, send_error_test.ts and
 * layers_test.ts load modules anew, which no bundle can; json_test.ts needs a Worker.
 */
const LIBRARY_TESTS = [
  "batcher/accounting",
  "batcher/add",
  "batcher/batcher",
  "batcher/bounds",
  "batcher/event_loop",
  "batcher/failures",
  "batcher/flush",
  "batcher/handback",
  "batcher/logging",
  "batcher/options",
  "batcher/process",
  "batcher/stop",
  "batcher/triggers",
  "transports/tinyobs",
  "core/batch",
  "core/engine",
  "core/logger",
  "core/metric",
  "core/room",
  "delivery/quarantine",
  "delivery/retry",
  "transports/http/target",
];

const ROOT = new URL("../../", import.meta.url);
const CHECK = new URL("../_runtime_check.mjs", import.meta.url).pathname;

/** Only what hangs takes that long, in ms. A download on a slow line does not. */
const HANG = 120_000;

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; `undefined` if there is none of the name. */
async function run(
  program: string,
  ...args: string[]
): Promise<Output | undefined> {
  const command = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1", NODE_OPTIONS: "" },
    stdin: "null",
    signal: AbortSignal.timeout(HANG),
  });
  let output: Deno.CommandOutput;
  try {
    output = await command.output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const decoder = new TextDecoder();
  return {
    code: output.code,
    stdout: decoder.decode(output.stdout),
    stderr: decoder.decode(output.stderr),
  };
}

/** Runs this Deno, and fails where it fails. */
async function deno(...args: string[]): Promise<void> {
  const output = await run(Deno.execPath(), ...args);
  assertEquals(output?.code, 0, output?.stderr);
}

/** Where a runtime is, or why it cannot be had. */
interface Runtime {
  readonly name: string;
  readonly path?: string;
  readonly missing?: string;
}

async function findNode(): Promise<Runtime> {
  const [major, minor] = NODE;
  const name = `Node ${major}.${minor}+`;
  const output = await run("node", "--version");
  // Where there is no node, Deno starts itself by that name, and says so.
  const version = /^v(\d+)\.(\d+)\./.exec(output?.stdout ?? "");
  if (version === null) return { name, missing: "there is no node here" };
  const [foundMajor, foundMinor] = [Number(version[1]), Number(version[2])];
  return foundMajor > major || (foundMajor === major && foundMinor >= minor)
    ? { name: `Node ${output!.stdout.trim()}`, path: "node" }
    : { name, missing: `this is ${output!.stdout.trim()}` };
}

async function findBun(): Promise<Runtime> {
  const name = `Bun (${BUN})`;
  // In the cache of npm after the first time.
  const output = await run(
    "npx",
    "--yes",
    "--prefer-offline",
    "--fetch-retries=0",
    BUN,
    "--print",
    "process.execPath",
  );
  if (output === undefined) return { name, missing: "there is no npx here" };
  if (output.code === 0) return { name, path: output.stdout.trim() };
  const reason = output.stderr.split("\n").find((line) => /error/i.test(line));
  return { name, missing: `npx could not get it: ${reason ?? output.code}` };
}

/** The last line of the checks, in numbers. */
function numbers({ stdout }: Output): number[] {
  const match = /(\d+) passed, (\d+) failed, (\d+) skipped\n$/.exec(stdout);
  return match?.slice(1).map(Number) ?? [];
}

Deno.test("the library runs on Node and Bun", async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    const library = `${folder}/mod.mjs`;
    const tests = `${folder}/tests.mjs`;
    // "neutral" knows no module of any runtime, so that importing one fails here.
    const bundleLibrary = () =>
      deno(
        "run",
        "-A",
        ESBUILD,
        "mod.ts",
        "--bundle",
        "--format=esm",
        "--platform=neutral",
        "--target=es2022",
        "--log-level=warning",
        `--outfile=${library}`,
      );
    // The tests have imports that only Deno resolves, and syntax that Node 20 does not know.
    const bundleTests = async () => {
      const entry = `${folder}/entry.ts`;
      const bundle = `${folder}/bundle.mjs`;
      const imports = LIBRARY_TESTS.map((name) =>
        `import "${new URL(`tests/${name}_test.ts`, ROOT)}";\n`
      );
      await Deno.writeTextFile(entry, imports.join(""));
      await deno("bundle", "-q", "-c", "deno.json", "-o", bundle, entry);
      await deno(
        "run",
        "-A",
        ESBUILD,
        bundle,
        "--format=esm",
        "--target=es2022",
        "--log-level=error",
        `--outfile=${tests}`,
      );
    };
    const [node, bun] = await Promise.all([
      findNode(),
      findBun(),
      bundleLibrary(),
      bundleTests(),
    ]);

    for (const { name, path, missing } of [node, bun]) {
      if (path === undefined) {
        await t.step({
          name: `${name} is skipped: ${missing}`,
          ignore: true,
          fn() {},
        });
        continue;
      }
      await t.step(`${name}: the checks of _runtime_check.mjs`, async () => {
        const output = await run(path, CHECK, library);
        const said = `${output?.stdout}${output?.stderr}`;
        assertEquals([output?.code, output?.stderr], [0, ""], said);
        const [passed = 0, failed] = numbers(output!);
        assert(passed >= 12 && failed === 0, said);
      });
      await t.step(
        `${name}: the library's tests that need no Deno`,
        async () => {
          const output = await run(path, CHECK, tests, "tests");
          const said = `${output?.stdout}${output?.stderr}`;
          assertEquals(output?.code, 0, said);
          const [passed = 0, failed] = numbers(output!);
          assert(passed >= 100 && failed === 0, said);
        },
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
