// JSON.parse that reads every key right.
//
// V8 15.0 (Deno 2.9) misreads keys that are written with escapes. It guesses a key
// from the objects it has made before, and compares its guess with the escapes and
// not with what they stand for: after `JSON.parse('{"x":0,"\\\\":1}')`, the keys of
// `JSON.parse('{"x":0,"\\n":1}')` are "x" and "\\". What a text means must not depend
// on what was read before it, so texts with such keys are read here.

/** The last escape of a key, up to its colon. */
const ESCAPED_KEY = /\\.[^"\\]*"\s*:/;

/** A string, a bracket or another scalar. Only for text that is JSON. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]|[^\s",:{}[\]]+/g;

/**
 * What a JSON text means.
 *
 * @throws {SyntaxError} The error of `JSON.parse`, if it is not JSON.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return text.includes("\\") && ESCAPED_KEY.test(text) ? build(text) : value;
}

/** Builds the value of a valid JSON text. It keeps its own stack, as nesting has no limit. */
function build(text: string): unknown {
  const root: unknown[] = [];
  const outer: (unknown[] | Record<string, unknown>)[] = [];
  let into: unknown[] | Record<string, unknown> = root;
  let key: string | undefined;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "}" || token === "]") {
      into = outer.pop()!;
      continue;
    }
    const isContainer = token === "{" || token === "[";
    // On its own, a scalar is always read right.
    const value = isContainer ? (token === "{" ? {} : []) : JSON.parse(token);
    if (Array.isArray(into)) {
      into.push(value);
    } else if (key === undefined) {
      key = value as string;
      continue;
    } else {
      set(into, key, value);
      key = undefined;
    }
    if (isContainer) {
      outer.push(into);
      into = value;
    }
  }
  return root[0];
}

function set(
  object: Record<string, unknown>,
  key: string,
  value: unknown,
): void {
  if (key !== "__proto__") {
    object[key] = value;
    return;
  }
  // An assignment would change the prototype.
  Object.defineProperty(object, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
