// Shell completions, made from the table of flags.

import { type Flag, FLAGS } from "./flags.ts";

/** The name of the program. */
export const COMMAND = "tinyobs-batch";
/** The shells that there are completions for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** The option's names as they are typed, the long one first. */
function namesOf({ long, short }: Flag): string[] {
  return short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`];
}

function bash(): string {
  const cases = FLAGS.filter(({ value }) => value !== undefined).map((flag) => {
    const { complete } = flag as { complete?: "files" | readonly string[] };
    const reply = complete === "files"
      ? '_tinyobs_batch_reply -f -- "$word"'
      : complete === undefined
      ? ":"
      : `_tinyobs_batch_reply -W "${complete.join(" ")}" -- "$word"`;
    return `    ${namesOf(flag).join("|")}) ${reply}; return ;;`;
  });
  return `# Each line of compgen is one reply: a name may have spaces in it.
_tinyobs_batch_reply() {
  local name
  while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen "$@")
}
_tinyobs_batch() {
  local word=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  # Bash takes --option=value for three words.
  if [[ $word == "=" ]]; then
    word=
  elif [[ $option == "=" ]]; then
    option=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  # Names are compared without the quotes that they are typed with.
  word=\${word#[\\"\\']}
  word=\${word//\\\\/}
  case $option in
${cases.join("\n")}
    completions) _tinyobs_batch_reply -W "${
    SHELLS.join(" ")
  }" -- "$word"; return ;;
  esac
  if [[ $COMP_CWORD == 1 && $word != -* ]]; then
    _tinyobs_batch_reply -W completions -- "$word"
  else
    _tinyobs_batch_reply -W "${FLAGS.flatMap(namesOf).join(" ")}" -- "$word"
  fi
}
complete -o filenames -F _tinyobs_batch ${COMMAND}
`;
}

function zsh(): string {
  const specs = FLAGS.map((flag) => {
    const { short, long, value } = flag;
    const text = flag.help.replace(/['[\]:]/g, "");
    const complete = value === undefined ? undefined : flag.complete;
    const action = complete === "files"
      ? "_files"
      : complete === undefined
      ? ""
      : `(${complete.join(" ")})`;
    const argument = value === undefined
      ? ""
      : `:${value.replace(/['":]/g, "")}:${action}`;
    // The sign allows --option=value beside --option value.
    const sign = value === undefined ? "" : "=";
    return short === undefined
      ? `  '*--${long}${sign}[${text}]${argument}'`
      : `  '*'{-${short},--${long}${sign}}'[${text}]${argument}'`;
  });
  return `#compdef ${COMMAND}
_arguments -s \\
${specs.join(" \\\n")} \\
  '1:URL:{_alternative "urls:URL:_urls" "commands:command:(completions)"}' \\
  '2:shell:(${SHELLS.join(" ")})'
`;
}

function fish(): string {
  const options = FLAGS.map((flag) => {
    const { short, long, value, help } = flag;
    const complete = value === undefined ? undefined : flag.complete;
    return [
      `complete -c ${COMMAND}`,
      ...(short === undefined ? [] : [`-s ${short}`]),
      `-l ${long}`,
      ...(value === undefined ? [] : ["-r"]),
      ...(complete === "files"
        ? ["-F"]
        : complete === undefined
        ? ["-f"]
        : [`-f -a '${complete.join(" ")}'`]),
      `-d '${help.replaceAll("'", "")}'`,
    ].join(" ");
  });
  return [
    ...options,
    `complete -c ${COMMAND} -n __fish_is_first_arg -f -a completions`,
    `complete -c ${COMMAND} -n '__fish_seen_subcommand_from completions' -f -a '${
      SHELLS.join(" ")
    }'`,
  ].map((line) => `${line}\n`).join("");
}

const SCRIPTS = { bash, zsh, fish };

/** The completions for a shell, or `undefined` if it is not known. */
export function completions(shell: string | undefined): string | undefined {
  const known = SHELLS.find((name) => name === shell);
  return known === undefined ? undefined : SCRIPTS[known]();
}
