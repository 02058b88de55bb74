// The completions, asked the way that a shell asks them.

import { assert, assertEquals } from "@std/assert";
import { completions, SHELLS } from "../../src/cli/completions.ts";
import { FLAGS } from "../../src/cli/flags.ts";
import { linesOf } from "../_cli.ts";

const decoder = new TextDecoder();

async function hasShell(shell: string): Promise<boolean> {
  try {
    return (await new Deno.Command(shell, { args: ["-c", "true"] }).output())
      .success;
  } catch {
    return false;
  }
}

const installed = new Map(
  await Promise.all(
    SHELLS.map(async (shell) => [shell, await hasShell(shell)] as const),
  ),
);

/** The replies of bash for words, of which the last one is being typed. */
async function reply(folder: string, ...words: string[]): Promise<string[]> {
  const { stdout, stderr, success } = await new Deno.Command("bash", {
    args: [
      "--norc",
      "-c",
      `${completions("bash")}
       COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tinyobs_batch
       for name in "\${COMPREPLY[@]}"; do printf "%s\\n" "$name"; done`,
      "bash",
      "tinyobs-batch",
      ...words,
    ],
    cwd: folder,
  }).output();
  assert(success, decoder.decode(stderr));
  return linesOf(decoder.decode(stdout)).toSorted();
}

Deno.test({
  name:
    "bash completes options, their values, files with spaces, and the command completions",
  ignore: !installed.get("bash"),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      for (const name of ["my file.ndjson", "my other file.ndjson", "x"]) {
        await Deno.writeTextFile(`${folder}/${name}`, "");
      }
      const files = ["my file.ndjson", "my other file.ndjson"];
      const cases: [words: string[], wanted: string[]][] = [
        [["--ba"], ["--batch-size"]],
        [["-q", "--lo"], ["--log-format"]],
        [["--log-format", ""], ["json", "text"]],
        [["--log-format", "t"], ["text"]],
        // As bash hands over --log-format= and --log-format=j.
        [["--log-format", "="], ["json", "text"]],
        [["--log-format", "=", "j"], ["json"]],
        [["--file", "my"], files],
        [["-f", "my\\ o"], ["my other file.ndjson"]],
        [["-f", '"my f'], ["my file.ndjson"]],
        [["--rejects", "=", "my"], files],
        [["-q", "--file", "="], [...files, "x"]],
        [["--batch-size", ""], []],
        [[""], ["completions"]],
        [["comp"], ["completions"]],
        [["completions", ""], ["bash", "fish", "zsh"]],
        [["completions", "f"], ["fish"]],
      ];
      for (const [words, wanted] of cases) {
        assertEquals(await reply(folder, ...words), wanted, words.join(" "));
      }
      const all = FLAGS.flatMap(({ long, short }) =>
        short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`]
      );
      assertEquals(await reply(folder, "-q", "-"), all.toSorted());
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

for (const shell of SHELLS) {
  Deno.test({
    name: `${shell} can read its completions${
      installed.get(shell) ? "" : ` (skipped: there is no ${shell})`
    }`,
    ignore: !installed.get(shell),
    async fn() {
      const { success, stderr } = await new Deno.Command(shell, {
        args: ["-n", "-c", completions(shell)!],
      }).output();
      assert(success, decoder.decode(stderr));
    },
  });
}

Deno.test({
  name: "fish completes options, their values and the command completions",
  ignore: !installed.get("fish"),
  async fn() {
    const complete = async (line: string) => {
      const { stdout, stderr, success } = await new Deno.Command("fish", {
        args: ["-N", "-c", `${completions("fish")}\ncomplete -C "${line}"`],
      }).output();
      assert(success, decoder.decode(stderr));
      return linesOf(decoder.decode(stdout)).map((text) => text.split("\t")[0]);
    };
    assertEquals(await complete("tinyobs-batch --log-format="), [
      "--log-format=json",
      "--log-format=text",
    ]);
    assertEquals(await complete("tinyobs-batch comp"), ["completions"]);
    assertEquals(await complete("tinyobs-batch completions z"), ["zsh"]);
    assertEquals(await complete("tinyobs-batch --dry"), ["--dry-run"]);
  },
});
