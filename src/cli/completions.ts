// Shell completions, made from the help text, so that they cannot fall behind it.

import { HELP } from "./help.ts";

interface Option {
  short: string | undefined;
  long: string;
  /** What stands for its value in the help text. */
  value: string | undefined;
  text: string;
}

/** The options as the help text has them. */
export const OPTIONS: readonly Option[] = [
  ...HELP.matchAll(
    /^ {2}(?:-(\w), | {4})--([\w-]+)(?: ([A-Z=]+|'.*'))?(?: {2,}|\n +)(.*)$/gm,
  ),
].map(([, short, long, value, text]) => ({
  short,
  long: long!,
  value,
  text: text!,
}));

/** What the values of an option can be. */
function valuesOf({ value }: Option): "files" | "text json" | undefined {
  if (value === "FILE") return "files";
  return value === "FORMAT" ? "text json" : undefined;
}

const SHELLS: Record<string, () => string> = {
  bash() {
    const words = OPTIONS.flatMap(({ short, long }) => [
      `--${long}`,
      ...(short === undefined ? [] : [`-${short}`]),
    ]);
    const cases = OPTIONS.filter(({ value }) => value !== undefined).map(
      (option) => {
        const names = `--${option.long}${
          option.short === undefined ? "" : `|-${option.short}`
        }`;
        const values = valuesOf(option);
        const reply = values === "files"
          ? 'COMPREPLY=($(compgen -f -- "$word"))'
          : values === undefined
          ? "COMPREPLY=()"
          : `COMPREPLY=($(compgen -W "${values}" -- "$word"))`;
        return `    ${names}) ${reply}; return ;;`;
      },
    );
    return `_tinyobs_batch() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  case \${COMP_WORDS[COMP_CWORD - 1]} in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word"))
}
complete -o filenames -F _tinyobs_batch tinyobs-batch
`;
  },
  zsh() {
    const specs = OPTIONS.map((option) => {
      const { short, long, value } = option;
      const text = option.text.replace(/['[\]:]/g, "");
      const values = valuesOf(option);
      const action = values === "files"
        ? "_files"
        : values === undefined
        ? ""
        : `(${values})`;
      const argument = value === undefined
        ? ""
        : `:${value.replace(/['":]/g, "")}:${action}`;
      return short === undefined
        ? `  '*--${long}[${text}]${argument}'`
        : `  '*'{-${short},--${long}}'[${text}]${argument}'`;
    });
    return `#compdef tinyobs-batch
_arguments -s \\
${specs.join(" \\\n")} \\
  '1:URL:_urls'
`;
  },
  fish() {
    return OPTIONS.map((option) => {
      const { short, long, value, text } = option;
      const values = valuesOf(option);
      return [
        "complete -c tinyobs-batch",
        ...(short === undefined ? [] : [`-s ${short}`]),
        `-l ${long}`,
        ...(value === undefined ? [] : ["-r"]),
        ...(values === "files"
          ? ["-F"]
          : values === undefined
          ? ["-f"]
          : [`-f -a '${values}'`]),
        `-d '${text.replaceAll("'", "")}'`,
      ].join(" ") + "\n";
    }).join("");
  },
};

/** The completions for a shell, or `undefined` if it is not known. */
export function completions(shell: string | undefined): string | undefined {
  return shell !== undefined && Object.hasOwn(SHELLS, shell)
    ? SHELLS[shell]!()
    : undefined;
}
