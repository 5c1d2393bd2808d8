/**
 * Each rule of the house is tried with what it refuses and with what it allows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import house, { belowSrc, FUNCTION_LINES_MAX } from "./house.ts";

const OPENING = "/** Says what it is for. @module */\n";

/** The ids of the rules that a text breaks. */
function broken(fileName: string, text: string): string[] {
  const found = Deno.lint.runPlugin(house, fileName, OPENING + text);
  return [...new Set(found.map(({ id }) => id))].sort();
}

const long = (lines: number): string =>
  `/** Long. */\nexport function long(): void {\n${
    "  long();\n".repeat(lines - 2)
  }}\n`;

/** Rule, file, text that it refuses. */
const REFUSED: readonly [string, string, string][] = [
  ["house/spawn-only-in-spawn", "src/tools/x.ts", 'new Deno.Command("nmap");'],
  ["house/spawn-only-in-spawn", "src/tools/x.ts", 'Deno.spawn("nmap");'],
  [
    "house/spawn-only-in-spawn",
    "src/isolate/x.ts",
    'Deno.spawnAndWaitSync("nmap");',
  ],
  ["house/spawn-only-in-spawn", "src/main.ts", "const c = Deno.Command;"],
  ["house/worker-only-in-isolate", "src/main.ts", "new Worker(url);"],
  [
    "house/worker-only-in-isolate",
    "src/cli/x.ts",
    "new globalThis.Worker(url);",
  ],
  ["house/ambient-only-in-main", "src/cli/x.ts", "f(Deno.args);"],
  ["house/ambient-only-in-main", "src/cli/x.ts", 'Deno.env.get("A");'],
  ["house/ambient-only-in-main", "src/cli/x.ts", "Deno.exit(1);"],
  ["house/ambient-only-in-main", "src/cli/x.ts", "Deno.exitCode = 1;"],
  ["house/no-forbidden-api", "src/spawn/x.ts", 'Deno.dlopen("a", {});'],
  [
    "house/no-forbidden-api",
    "src/spawn/x.ts",
    'import { spawn } from "node:child_process";',
  ],
  [
    "house/no-forbidden-api",
    "src/isolate/x.ts",
    'import { Worker } from "node:worker_threads";',
  ],
  ["house/no-deno-alias", "src/tools/x.ts", "const { Command } = Deno;"],
  ["house/no-deno-alias", "src/tools/x.ts", "const d = Deno;"],
  ["house/no-deno-alias", "src/tools/x.ts", 'Deno["Command"];'],
  ["house/no-deno-alias", "src/tools/x.ts", "globalThis.Deno.Command;"],
  ["house/no-barrel", "src/tools/x.ts", 'export * from "./y.ts";'],
  ["house/telltale-file-name", "src/tools/index.ts", ""],
  ["house/telltale-file-name", "src/tools/utils.ts", ""],
  ["house/telltale-file-name", "src/tools/camelCase.ts", ""],
  [
    "house/function-fits-screen",
    "src/tools/x.ts",
    long(FUNCTION_LINES_MAX + 1),
  ],
  [
    "house/exported-is-documented",
    "src/tools/x.ts",
    "const a = 1;\nexport function f(): void {}",
  ],
  [
    "house/exported-is-documented",
    "src/tools/x.ts",
    "/* no */\nexport class A {}",
  ],
  ["house/hard-private", "src/tools/x.ts", "class A { private b = 1; }"],
  ["house/hard-private", "src/tools/x.ts", "class A { private b(): void {} }"],
  ["house/clock-passed-in", "src/breaker/x.ts", "const t = Date.now();"],
  ["house/clock-passed-in", "src/permits/x.ts", "const t = Math.random();"],
];

/** File and text that every rule allows. */
const ALLOWED: readonly [string, string][] = [
  ["src/spawn/spawn.ts", 'new Deno.Command("nmap");'],
  ["src/isolate/isolate.ts", "new Worker(url);"],
  ["src/main.ts", "f(Deno.args, Deno.env.toObject()); Deno.exit(0);"],
  ["src/tools/x.ts", "type A = Deno.PermissionOptionsObject;"],
  ["src/tools/x.ts", 'export { a } from "./y.ts";'],
  ["src/tools/x.ts", long(FUNCTION_LINES_MAX)],
  [
    "src/tools/x.ts",
    "/** Does. */\n// deno-lint-ignore no-console\nexport function f(): void {}",
  ],
  ["src/spawn/x.ts", "class A { #b = 1; private constructor() {} }"],
  ["src/breaker/x.ts", "f({ now: clock.now() });"],
  ["src/main.ts", "const t = Date.now();"],
  ["tests/tidy/index.ts", 'new Deno.Command("x"); export * from "./y.ts";'],
];

Deno.test("the house plugin refuses what each rule forbids", () => {
  verifies("tidy.house_rules", "spawn.one_place");
  for (const [rule, fileName, text] of REFUSED) {
    assert.ok(
      broken(fileName, text).includes(rule),
      `${rule} lets this pass in ${fileName}: ${text}`,
    );
  }
});

Deno.test("the house plugin has a refusal in the table for every rule", () => {
  const tried = new Set(REFUSED.map(([rule]) => rule));
  // The rule about the opening comment is tried below: the table adds an opening to every text.
  tried.add("house/module-is-documented");
  assert.deepEqual(
    [...tried].sort(),
    Object.keys(house.rules).map((rule) => `house/${rule}`).sort(),
  );
});

Deno.test("the house plugin refuses a file without an opening comment", () => {
  const run = (text: string) =>
    Deno.lint.runPlugin(house, "src/tools/x.ts", text).map(({ id }) => id);
  assert.deepEqual(run("const a = 1;"), ["house/module-is-documented"]);
  assert.deepEqual(run("/** A. */\nconst a = 1;"), [
    "house/module-is-documented",
  ]);
  assert.deepEqual(run(`${OPENING}const a = 1;`), []);
});

Deno.test("the house plugin allows what the house does", () => {
  for (const [fileName, text] of ALLOWED) {
    assert.deepEqual(broken(fileName, text), [], `${fileName}: ${text}`);
  }
});

Deno.test("belowSrc() knows the files of this src and no others", () => {
  const root = decodeURIComponent(
    new URL("../../", import.meta.url).pathname,
  );
  assert.equal(belowSrc(`${root}src/tools/x.ts`), "tools/x.ts");
  assert.equal(belowSrc("src/main.ts"), "main.ts");
  assert.equal(belowSrc("tests/tidy/x.ts"), null);
  assert.equal(belowSrc("/elsewhere/src/x.ts"), null);
});
