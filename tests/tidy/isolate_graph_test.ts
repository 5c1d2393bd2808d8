/**
 * What a tool isolate loads is what can go wrong in it. Its module graph is walked from its entry and
 * held against a short list; whatever else it came to import would have to be added here, where a
 * reader asks why.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { importsOf, resolve, textOf } from "./repository.ts";

/** Where the entries of the tool isolates are written out. */
const STARTER = "src/isolate/tool_worker.ts";

/** The entry of the isolate that starts the others after start-up. */
const WARDEN = "src/isolate/warden.ts";

const TOOLS = ["gobuster", "masscan", "nmap"];

/** Folders of `src` that a tool isolate may load from. */
const FOLDERS = ["error", "isolate", "scope", "spawn", "tools"];

/** Packages that a tool isolate may load, with those that they load themselves. */
const PACKAGES = ["ipaddr.js", "saxes", "xmlchars"];

/** Packages that the warden may load: what reading the configuration needs. */
const WARDEN_PACKAGES = ["argparse", "ipaddr.js", "js-yaml", "zod"];

/** Files of `src/isolate` that belong to the other side of the boundary. */
const NOT_HERE = /\/(?:isolates?|warden\w*|tool_worker)\.ts$/;

/** Everything that a module loads at run time. */
interface Graph {
  readonly files: ReadonlySet<string>;
  /** Specifiers of packages and built-in modules. */
  readonly packages: ReadonlySet<string>;
}

function graphOf(entry: string, read: (path: string) => string): Graph {
  const files = new Set([entry]);
  const packages = new Set<string>();
  for (const from of files) {
    for (const { specifier, typeOnly } of importsOf(from, read(from))) {
      if (typeOnly) continue;
      const to = resolve(from, specifier);
      if (to === null) packages.add(specifier);
      else files.add(to);
    }
  }
  return { files, packages };
}

/** Adds the packages that the packages need, out of the lock file. */
function withDependencies(packages: ReadonlySet<string>): string[] {
  const lock = JSON.parse(textOf("deno.lock")) as {
    npm: Record<string, { dependencies?: string[] }>;
  };
  const name = (id: string): string => /^(@?[^@]+)/.exec(id)?.[1] ?? id;
  const all = new Set([...packages].map((one) => one.replace(/^npm:/, "")));
  for (const one of all) {
    for (const [id, { dependencies }] of Object.entries(lock.npm)) {
      if (name(id) !== name(one)) continue;
      for (const needed of dependencies ?? []) all.add(name(needed));
    }
  }
  return [...all].map(name).sort();
}

/** The entries that the starter names. */
function entries(): string[] {
  const named = textOf(STARTER).matchAll(
    /new URL\(\s*"([^"]+)",\s*import\.meta\.url,?\s*\)/g,
  );
  return [...named].map(([, specifier = ""]) =>
    resolve(STARTER, specifier) ?? assert.fail(specifier)
  ).sort();
}

Deno.test("each tool has an isolate's entry of its own", () => {
  const expected = TOOLS.map((tool) => `src/tools/${tool}/worker.ts`);
  assert.deepEqual(entries(), expected);
});

for (const entry of entries()) {
  Deno.test(`an isolate that begins at ${entry} loads only what is written here`, () => {
    verifies("isolate.graph.short");
    const { files, packages } = graphOf(entry, textOf);
    const list = [...files];
    const folders = new Set(list.map((path) => path.split("/")[1] ?? ""));
    assert.deepEqual(
      [...folders].filter((folder) => !FOLDERS.includes(folder)),
      [],
      list.join("\n"),
    );
    assert.deepEqual(
      withDependencies(packages).filter((one) => !PACKAGES.includes(one)),
      [],
    );
    assert.deepEqual(list.filter((path) => NOT_HERE.test(path)), []);
    // One tool's isolate has no code of another tool.
    const own = entry.split("/").slice(0, 3).join("/");
    const foreign = list.filter((path) =>
      /^src\/tools\/[^/]+\//.test(path) && !path.startsWith(`${own}/`)
    );
    assert.deepEqual(foreign, []);
  });
}

Deno.test("the warden loads no package but what reading the configuration needs", () => {
  verifies("isolate.graph.short");
  const { packages } = graphOf(WARDEN, textOf);
  assert.deepEqual(
    withDependencies(packages).filter((one) => !WARDEN_PACKAGES.includes(one)),
    [],
  );
});

Deno.test("graphOf() follows imports and leaves types out", () => {
  const files: Record<string, string> = {
    "src/isolate/a.ts":
      'import { b } from "@/tools/b.ts"; import type { c } from "@/cli/c.ts";',
    "src/tools/b.ts": 'import "./d.ts"; import { e } from "saxes";',
    "src/tools/d.ts": 'import "../isolate/a.ts"; await import("node:fs");',
  };
  const { files: found, packages } = graphOf(
    "src/isolate/a.ts",
    (path) => files[path] ?? assert.fail(path),
  );
  assert.deepEqual([...found], Object.keys(files));
  assert.deepEqual([...packages], ["saxes", "node:fs"]);
});

Deno.test("withDependencies() names what saxes needs", () => {
  assert.deepEqual(withDependencies(new Set(["saxes"])), ["saxes", "xmlchars"]);
});
