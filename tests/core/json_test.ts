// parseJson against JSON.parse in a fresh isolate, which has seen no key that would
// lead it astray, and against a small parser of its own.

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { parseJson } from "../../src/core/json.ts";

/** Leads V8's JSON.parse astray for keys in the first places of an object. */
function poison(): void {
  for (const before of ["", '"x":0,', '"a":0,', '"a":0,"b":0,']) {
    for (const key of ["", "n", "u0041", "/"]) {
      JSON.parse(`{${before}"\\\\${key}":1}`);
      JSON.parse(`{${before}"a\\\\${key}":1}`);
    }
  }
}

/** A JSON parser that is simple and slow; `undefined` stands for an error. */
function parseSlowly(text: string): unknown {
  let at = 0;
  const space = () => {
    while (" \t\r\n".includes(text[at] ?? "x")) at++;
  };
  const read = (): unknown => {
    space();
    const value = readValue();
    space();
    return value;
  };
  const readString = (): string => {
    const [token] = /^"(?:[^"\\]|\\.)*"/.exec(text.slice(at))!;
    at += token.length;
    return token.slice(1, -1).replace(
      /\\(?:u(....)|(.))/g,
      (_, hex, char) =>
        hex === undefined
          ? ({ b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" } as Record<
            string,
            string
          >)[char] ?? char
          : String.fromCharCode(parseInt(hex, 16)),
    );
  };
  const readValue = (): unknown => {
    if (text[at] === '"') return readString();
    if (text[at] === "[") {
      const list: unknown[] = [];
      at++;
      space();
      while (text[at] !== "]") {
        list.push(read());
        if (text[at] === ",") at++;
      }
      at++;
      return list;
    }
    if (text[at] === "{") {
      const entries: [string, unknown][] = [];
      at++;
      space();
      while (text[at] !== "}") {
        space();
        const key = readString();
        space();
        at++;
        entries.push([key, read()]);
        if (text[at] === ",") at++;
      }
      at++;
      return Object.fromEntries(entries);
    }
    const [token] = /^[^\s,\]}]+/.exec(text.slice(at))!;
    at += token.length;
    return ({ true: true, false: false, null: null } as Record<
      string,
      unknown
    >)[
      token
    ] ?? (token === "null" ? null : Number(token));
  };
  return read();
}

/** Compares with the order of keys, and with own properties only. */
function assertSame(actual: unknown, expected: unknown, text: string): void {
  assertEquals(describe(actual), describe(expected), text);
}

function describe(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(describe);
  if (typeof value !== "object" || value === null) return value;
  assertEquals(Object.getPrototypeOf(value), Object.prototype);
  return Object.entries(value).map(([key, value]) => [key, describe(value)]);
}

const KEYS = [
  ...[
    '"\\n"',
    '"\\""',
    '"\\/"',
    '"\\u0041"',
    '"\\ud800"',
    '"\\\\"',
    '"\\u005c"',
  ],
  ...[
    '"a\\nb"',
    '"a\\\\n"',
    '"\\ud83d\\ude00"',
    '"\\n\\n"',
    '"a"',
    '"x"',
    '"A"',
    '"1"',
    '""',
    '"é"',
  ],
  ...[
    '"__proto__"',
    '"\\u005f_proto__"',
    '"constructor"',
    '"\\\\n"',
    '"\\":1"',
  ],
];
const SCALARS = [
  ...["0", "-0", "1.5e3", "1e400", "123456789012345678901", "true", "false"],
  ...["null", '"a"', '"\\n"', '"\\\\"', '"{\\"\\\\n\\":1}"', '"[,:]"', '""'],
];
const space = fc.constantFrom("", "", "", " ", "\n\t ");
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(...SCALARS),
    fc.tuple(space, fc.array(tie("json"), { maxLength: 4 })).map(
      ([gap, items]) => `[${gap}${items.join(`${gap},${gap}`)}${gap}]`,
    ),
    fc.tuple(
      space,
      fc.array(fc.tuple(fc.constantFrom(...KEYS), tie("json")), {
        maxLength: 5,
      }),
    ).map(([gap, fields]) =>
      `{${gap}${
        fields.map(([key, value]) => `${key}${gap}:${gap}${value}`).join(
          `,${gap}`,
        )
      }${gap}}`
    ),
  ),
}));

Deno.test("a text means what a slow and simple parser says, whatever was read before", () => {
  let odd = 0;
  fc.assert(
    fc.property(json, (text) => {
      poison();
      if (/"\\[^\\]/.test(text)) odd++;
      assertSame(parseJson(text), parseSlowly(text), text);
    }),
    { numRuns: 20_000 },
  );
  assert(odd > 1000, `the generator must hit its target: ${odd}`);
});

Deno.test("a text means what JSON.parse says in an isolate that has read nothing yet", async () => {
  const texts = KEYS.filter((key) => !/\\\\|005c/.test(key)).flatMap((key) => [
    `{${key}:1}`,
    `{"x":0,${key}:[{${key}:{"b":2}}]}`,
    `{"a":0,${key} : "\\n","b":${key},${key}:2}`,
  ]);
  // One that reads nothing but these, none of which has a backslash as a key.
  const worker = new Worker(
    "data:text/javascript," + encodeURIComponent(
      `onmessage = ({ data }) => postMessage(data.map((text) =>
         JSON.stringify(Object.entries(JSON.parse(text)))));`,
    ),
    { type: "module" },
  );
  const fresh = await new Promise<string[]>((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(texts);
  });
  worker.terminate();
  poison();
  const ours = texts.map((text) =>
    JSON.stringify(Object.entries(parseJson(text) as object))
  );
  assertEquals(ours, fresh);
});

Deno.test("a key that is written with escapes is what they stand for", () => {
  poison();
  for (
    const [key, char] of [
      ["\\n", "\n"],
      ['\\"', '"'],
      ["\\/", "/"],
      ["\\u0041", "A"],
      ["\\u000A", "\n"],
      ["\\ud800", "\ud800"],
      ["\\\\", "\\"],
      ["\\n\\n", "\n\n"],
      ["a\\nb", "a\nb"],
      ["\\u0041BCDEF", "ABCDEF"],
    ]
  ) {
    for (const before of ["", '"x":0,', '"a":0,"b":0,']) {
      const value = parseJson(`{${before}"${key}"\t:1}`) as object;
      assertEquals(Object.keys(value).at(-1), char);
    }
  }
});

Deno.test("of a key that stands twice the last value counts, in the place of the first", () => {
  const text = '{"\\n":1,"b":2,"\\u000a":3,"b":{"\\t":[]}}';
  assertEquals(JSON.stringify(parseJson(text)), '{"\\n":3,"b":{"\\t":[]}}');
});

Deno.test("__proto__ is a property like any other", () => {
  const value = parseJson('{"\\n":1,"__proto__":{"a":1},"b":2}') as object;
  assertEquals(Object.getPrototypeOf(value), Object.prototype);
  assertEquals(Object.keys(value), ["\n", "__proto__", "b"]);
});

Deno.test("what is not JSON throws the error of JSON.parse", () => {
  for (
    const text of ["", "{", '{"\\n":1,}', '{"\\n":01}', '{"\\x":1}', "[1]]"]
  ) {
    const expected = assertThrows(() => JSON.parse(text), SyntaxError);
    assertThrows(() => parseJson(text), SyntaxError, expected.message);
  }
});

Deno.test("a text with many escapes and no such key is read at once", () => {
  for (const escape of ['\\"', "\\\\", "\\n", '\\":']) {
    const text = JSON.stringify({ a: 1 }).replace(
      "1",
      () => `"${escape.repeat(300_000)}"`,
    );
    const begin = performance.now();
    parseJson(text);
    // Quadratic, it would take minutes.
    assert(performance.now() - begin < 5000);
  }
});

Deno.test("nesting and long strings do not stop it", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  const long = "\\u0041".repeat(200_000);
  const value = parseJson(`{"\\n":${deep},"a":"${long}"}`) as {
    "\n": unknown[];
    a: string;
  };
  assertEquals(value.a.length, 200_000);
  let depth = 0;
  for (let list = value["\n"]; list !== undefined; depth++) {
    list = list[0] as unknown[];
  }
  assertEquals(depth, 200_000);
});
