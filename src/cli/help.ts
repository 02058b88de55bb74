// What --help prints, made from the table of flags.

import { COMMAND, SHELLS } from "./completions.ts";
import { type Flag, FLAGS, GROUPS } from "./flags.ts";
import { TINYOBS } from "./targets.ts";

const WIDTH = 80;
/** The column in which the texts of the options begin. */
const COLUMN = 28;

const USAGE = `\
Usage: ${COMMAND} [OPTIONS] [URL]
       ${COMMAND} completions ${SHELLS.join("|")}
`;

/** The help text, of at most 80 columns. */
export const HELP = `\
${USAGE}
Reads metrics, one JSON object per line, and sends them in batches to the
${TINYOBS.name} server at URL ($${TINYOBS.urlVariable}, else ${TINYOBS.url}).

${
  GROUPS.map((group) =>
    `${group}:\n${
      FLAGS.filter((flag) => flag.group === group).map(formatFlag).join("")
    }`
  ).join("")
}
TIME is a number with ms, s, m or h.
Exit codes: 0 every line was delivered, 1 some were not, 2 wrong usage; after
            SIGINT 130; after SIGTERM 143 and SIGHUP 129 if some were not.
Examples:
  cat metrics.ndjson | ${COMMAND} http://localhost:8080/v1/ingest
  ${COMMAND} -f monday.ndjson.gz --label day=monday --rejects rejects.ndjson
  tail -F app.ndjson | ${COMMAND} --flush-every 1s --api-key-file key.txt
`;

/** What is said at a terminal, where nobody types NDJSON. */
export const NO_INPUT = `\
${USAGE}
There is nothing to read: stdin is a terminal. Give a file, or pipe metrics in,
one JSON object per line:

  ${COMMAND} --file metrics.ndjson
  echo '{"name":"up","type":"gauge","value":1}' | ${COMMAND}

'${COMMAND} --help' says more.
`;

function formatFlag(flag: Flag): string {
  const short = flag.short === undefined ? "   " : `-${flag.short},`;
  const value = flag.value === undefined ? "" : ` ${flag.value}`;
  const names = `  ${short} --${flag.long}${value}`;
  const preset = flag.value === undefined ? undefined : flag.preset;
  const text = preset === undefined ? flag.help : `${flag.help} (${preset})`;
  const lines = names.length + 2 > COLUMN ? [names] : [];
  let line = lines.length === 0 ? names.padEnd(COLUMN) : " ".repeat(COLUMN);
  for (const word of text.split(" ")) {
    if (line.length + word.length > WIDTH) {
      lines.push(line);
      line = " ".repeat(COLUMN);
    }
    line += line.length === COLUMN ? word : ` ${word}`;
  }
  return [...lines, line].map((line) => `${line}\n`).join("");
}
