// Runs `deno ARGS...` so that it finds its jsr: packages with or without jsr.io:
//
//     deno run -A .ci/with_jsr.ts test -A tests/
//
// Where jsr.io does not answer, JSR_URL points at the stand-ins in ./jsr/ (see the README there);
// every child process inherits it. A JSR_URL that is set already stays. Says nothing itself.

async function jsrAnswers(): Promise<boolean> {
  try {
    const response = await fetch("https://jsr.io/@std/assert/meta.json", {
      signal: AbortSignal.timeout(2000),
    });
    // A proxy's or a hotel's page may answer 200 as well, but not with this.
    return response.ok && "versions" in await response.json();
  } catch {
    return false;
  }
}

// To `deno publish`, whatever lies in this repository is a part of the package, and it misses our
// stand-ins among the published files. Under a path outside the repository, it sees a dependency.
let outside: string | undefined;
function linkFromOutside(folder: string): string {
  outside = Deno.makeTempDirSync();
  const link = `${outside}/${folder}`;
  Deno.symlinkSync(`${import.meta.dirname}/${folder}`, link, { type: "dir" });
  return new URL(`file://${link}/`).href;
}

const env: Record<string, string> = {};
if (!Deno.env.get("JSR_URL") && !await jsrAnswers()) {
  env.JSR_URL = import.meta.resolve("./jsr/");
  if (Deno.args[0] === "publish") env.JSR_URL = linkFromOutside("jsr");
}

const child = new Deno.Command(Deno.execPath(), {
  args: Deno.args,
  env,
  stdin: "inherit",
  stdout: "inherit",
  stderr: "inherit",
}).spawn();

// Ctrl+C in a terminal reaches the child without our help; a second SIGINT from here would read as
// the user's second one. Listening is needed all the same, or this process would end before it.
const atTerminal = Deno.stdin.isTerminal();
Deno.addSignalListener("SIGINT", () => atTerminal || child.kill("SIGINT"));
if (Deno.build.os !== "windows") {
  Deno.addSignalListener("SIGTERM", () => child.kill("SIGTERM"));
}

const { code } = await child.status;
if (outside !== undefined) Deno.removeSync(outside, { recursive: true });
Deno.exit(code);
