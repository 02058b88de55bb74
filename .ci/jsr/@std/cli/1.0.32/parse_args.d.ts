// The real types compute the result from the options. These say `unknown` instead: code that
// narrows each value to the type that its option declares passes with both. The names are not
// exported, since the real ones have type parameters.

// A list must be written out where it is used (or be `as const`): from a `string[]` the real types
// cannot tell the names.
type Names = string | readonly [] | readonly [string, ...string[]];

interface Options {
  "--"?: boolean;
  alias?: Readonly<Record<string, string | readonly string[]>>;
  boolean?: boolean | Names;
  collect?: Names;
  default?: Record<string, unknown>;
  negatable?: Names;
  stopEarly?: boolean;
  string?: Names;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

interface Result {
  _: (string | number)[];
  [name: string]: unknown;
}

export function parseArgs(
  args: string[],
  options: Options & { "--": true },
): Result & { "--": string[] };
export function parseArgs(args: string[], options?: Options): Result;

export {};
