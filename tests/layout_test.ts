// The layout of src/: which room may import from which, and that there is no circle.

import { assert, assertEquals } from "@std/assert";

/** What each room may import from, besides itself. A room is the folder of a file. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  "src/core": [],
  "src/delivery": ["src/core"],
  "src/batcher": ["src/core", "src/delivery"],
  "src/ndjson": ["src/core"],
  "src/transports/http": ["src/core"],
  "src/transports": ["src/core", "src/transports/http"],
  "src/cli": [
    "src/core",
    "src/delivery",
    "src/batcher",
    "src/ndjson",
    "src/transports/http",
    "src/transports",
  ],
};

/** What the root export must do without. */
const NOT_IN_ROOT = /^(src\/cli|src\/ndjson|cli\.ts|node:|npm:|jsr:|@std\/)/;

/** What each file imports: paths of files, and names of what is not ours. */
type Graph = Readonly<Record<string, readonly string[]>>;

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

/** The imports that go up, or to a room that is not known. */
function wrongArrows(
  graph: Graph,
  rooms: Readonly<Record<string, readonly string[]>>,
): string[] {
  const wrong: string[] = [];
  for (const [file, imports] of Object.entries(graph)) {
    if (!file.startsWith("src/")) continue;
    const room = folderOf(file);
    const allowed = rooms[room];
    if (allowed === undefined) {
      wrong.push(`${file} is in a room that has no place in the order`);
      continue;
    }
    for (const imported of imports) {
      if (!(imported in graph)) continue;
      const other = folderOf(imported);
      if (other !== room && !allowed.includes(other)) {
        wrong.push(`${file} must not import ${imported}`);
      }
    }
  }
  return wrong;
}

/** A circle of files, or `undefined`. */
function findCircle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const imported of graph[file] ?? []) {
      const circle = visit(imported);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of Object.keys(graph)) {
    const circle = visit(file);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** Everything that a file imports, directly or not. */
function reach(graph: Graph, file: string): Set<string> {
  const reached = new Set<string>();
  const visit = (file: string) => {
    for (const imported of graph[file] ?? []) {
      if (reached.has(imported)) continue;
      reached.add(imported);
      visit(imported);
    }
  };
  visit(file);
  return reached;
}

/** The specifiers in a module's source, of types too. Examples in comments are none. */
function specifiersOf(source: string): string[] {
  const code = source.replace(/^\s*\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  const found = code.matchAll(
    /(?:^|[}\s])(?:from|import)\s*\(?\s*(["'])([^"'\n]+)\1/g,
  );
  return [...found].map(([, , specifier]) => specifier!);
}

/** The graph of the source files below a folder, and of the two at the root. */
async function readGraph(root: URL): Promise<Graph> {
  const graph: Record<string, string[]> = {};
  const read = async (path: string) => {
    const url = new URL(path, root);
    const specifiers = specifiersOf(await Deno.readTextFile(url));
    graph[path] = specifiers.map((specifier) =>
      specifier.startsWith(".")
        ? new URL(specifier, url).href.slice(root.href.length)
        : specifier
    );
  };
  const walk = async (folder: string) => {
    for await (
      const { name, isDirectory } of Deno.readDir(new URL(folder, root))
    ) {
      if (isDirectory) await walk(`${folder}${name}/`);
      else if (name.endsWith(".ts")) await read(folder + name);
    }
  };
  await walk("src/");
  await read("mod.ts");
  await read("cli.ts");
  return graph;
}

const graph = await readGraph(new URL("../", import.meta.url));

Deno.test("every import in src/ goes down, never up", () => {
  assertEquals(wrongArrows(graph, ROOMS), []);
});

Deno.test("there is no circle of files", () => {
  assertEquals(findCircle(graph), undefined);
});

Deno.test("the root export reaches nothing of the command line and no dependency", () => {
  const reached = [...reach(graph, "mod.ts")];
  assertEquals(reached.filter((path) => NOT_IN_ROOT.test(path)), []);
  // All of it is ours, and it is there.
  assertEquals(reached.filter((path) => !(path in graph)), []);
});

Deno.test("the graph that is checked is the whole one", () => {
  const reached = reach(graph, "mod.ts");
  assert(reached.has("src/core/engine.ts"));
  assert(reached.has("src/transports/http/http_transport.ts"));
  const all = reach(graph, "cli.ts");
  assert(all.has("src/ndjson/reader.ts"));
  assert([...all].some((path) => path.startsWith("@std/")));
  for (const room of Object.keys(ROOMS)) {
    assert(Object.keys(graph).some((file) => folderOf(file) === room), room);
  }
  for (const [file, imports] of Object.entries(graph)) {
    for (const imported of imports) {
      if (imported.startsWith("src/")) {
        assert(imported in graph, `${file}: ${imported}`);
      }
    }
  }
});

// The checks themselves, on graphs that are wrong.

const small: Graph = {
  "mod.ts": ["src/batcher/b.ts"],
  "src/batcher/b.ts": ["src/core/a.ts", "src/core/c.ts"],
  "src/core/a.ts": ["src/core/c.ts"],
  "src/core/c.ts": [],
  "src/cli/d.ts": ["src/core/a.ts", "@std/cli/parse-args", "node:fs"],
};

Deno.test("a graph whose arrows go down has nothing wrong", () => {
  assertEquals(wrongArrows(small, ROOMS), []);
  assertEquals(findCircle(small), undefined);
  assertEquals(
    reach(small, "mod.ts"),
    new Set(["src/batcher/b.ts", "src/core/a.ts", "src/core/c.ts"]),
  );
});

Deno.test("an arrow that goes up is found, and so is a room without a place", () => {
  assertEquals(
    wrongArrows({ ...small, "src/core/c.ts": ["src/cli/d.ts"] }, ROOMS),
    ["src/core/c.ts must not import src/cli/d.ts"],
  );
  assertEquals(
    wrongArrows({ ...small, "src/attic/e.ts": [] }, ROOMS),
    ["src/attic/e.ts is in a room that has no place in the order"],
  );
  // Side by side is not down.
  assertEquals(
    wrongArrows({
      "src/ndjson/x.ts": ["src/transports/y.ts"],
      "src/transports/y.ts": [],
    }, ROOMS),
    ["src/ndjson/x.ts must not import src/transports/y.ts"],
  );
});

Deno.test("a circle is found, however long, and named", () => {
  assertEquals(
    findCircle({ ...small, "src/core/c.ts": ["src/core/a.ts"] }),
    ["src/core/a.ts", "src/core/c.ts", "src/core/a.ts"],
  );
  assertEquals(findCircle({ a: ["b"], b: ["c"], c: ["d"], d: ["b"] }), [
    "b",
    "c",
    "d",
    "b",
  ]);
  assertEquals(findCircle({ a: ["a"] }), ["a", "a"]);
});

Deno.test("what the root export reaches by a detour is found", () => {
  const reached = reach(
    { ...small, "src/core/c.ts": ["node:fs", "src/cli/d.ts"] },
    "mod.ts",
  );
  assertEquals(
    [...reached].filter((path) => NOT_IN_ROOT.test(path)).sort(),
    ["@std/cli/parse-args", "node:fs", "src/cli/d.ts"],
  );
});

Deno.test("every way to import is read, and no comment", () => {
  const source = `// import "./comment.ts";
/**
 * import { x } from "./example.ts";
 */
import a from "./a.ts";
import { type B } from "./b.ts";
import type { C } from "./c.ts";
import {
  d,
} from "./d.ts";
import "./e.ts";
export * from "./f.ts";
export type { G } from './g.ts';
const h = await import("./h.ts");
type I = import("./i.ts").I;
const from = "./text.ts";
`;
  assertEquals(
    specifiersOf(source),
    [..."abcdefghi"].map((name) => `./${name}.ts`),
  );
});
