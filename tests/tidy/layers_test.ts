/**
 * Imports point one way. Each folder of `src` is a layer and may import from itself and from the
 * layers left of it, types included: a type that points up ties two layers as well as a call does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { filesBelow, importsOf, resolve, textOf } from "./repository.ts";

/** The layers, from the one that everybody may import to the one that nobody may. */
const LAYERS: readonly string[] = [
  "error",
  "log",
  "metrics",
  "spawn",
  "scope",
  "permits",
  "breaker",
  "tools",
  "isolate",
  "config",
  "egress",
  "policy",
  "store",
  "audit",
  "scans",
  "events",
  "report",
  "health",
  "identity",
  "approvals",
  "dispatch",
  "administration",
  "workflow",
  "mcp",
  "operator",
  "cli",
  "main",
];

/** A file that may import from a layer to its right, and why. */
interface Exception {
  readonly from: string;
  /** The layer. */
  readonly to: string;
  readonly reason: string;
}

const EXCEPTIONS: readonly Exception[] = [
  ...["nmap", "masscan", "gobuster"].map((tool) => ({
    from: `src/tools/${tool}/worker.ts`,
    to: "isolate",
    reason:
      "The entry of a tool's isolate composes the tool with the far side of the boundary; nothing imports it, it is started by its address",
  })),
  {
    from: "src/isolate/warden.ts",
    to: "config",
    reason:
      "The warden is the entry of an isolate of its own and reads the configuration itself, so that no message from main can loosen the guardrails it hands out",
  },
];

/** The layer of a file: its folder below `src`, or `main` for `src/main.ts`. */
function layerOf(path: string): string {
  const [first = "", second] = path.replace(/^src\//, "").split("/");
  return second === undefined ? first.replace(/\.ts$/, "") : first;
}

/** Says what is wrong with one import, or nothing. */
function fault(from: string, to: string): string | null {
  const [fromLayer, toLayer] = [layerOf(from), layerOf(to)];
  const [left, right] = [LAYERS.indexOf(toLayer), LAYERS.indexOf(fromLayer)];
  if (right < 0) {
    return `Cannot place "${from}": "${fromLayer}" is no layer; add it to LAYERS where it belongs`;
  }
  if (left >= 0 && left <= right) return null;
  return `Cannot import "${to}" from "${from}": "${toLayer}" is not left of "${fromLayer}"; turn the dependency round or pass it in`;
}

function importsOfSrc(): { from: string; to: string }[] {
  return filesBelow("src/", (path) => path.endsWith(".ts")).flatMap((from) =>
    importsOf(from, textOf(from)).flatMap(({ specifier }) => {
      const to = resolve(from, specifier);
      return to === null ? [] : [{ from, to }];
    })
  );
}

Deno.test("the imports of src point one way", () => {
  verifies("tidy.layers");
  const faults = importsOfSrc().flatMap(({ from, to }) => {
    const excused = EXCEPTIONS.some((one) =>
      one.from === from && one.to === layerOf(to)
    );
    const found = excused ? null : fault(from, to);
    return found === null ? [] : [found];
  });
  assert.deepEqual(faults, [], faults.join("\n"));
});

Deno.test("every exception from the layers is used and has a reason", () => {
  const used = new Set(
    importsOfSrc().map(({ from, to }) => `${from} ${layerOf(to)}`),
  );
  for (const { from, to, reason } of EXCEPTIONS) {
    assert.ok(used.has(`${from} ${to}`), `${from} does not import ${to}`);
    const right = LAYERS.indexOf(to) > LAYERS.indexOf(layerOf(from));
    assert.ok(right, `${from} may import ${to} anyway`);
    assert.ok(reason.length > 20, `${from} to ${to}: the reason says nothing`);
  }
});

Deno.test("an import stays within src or names a package", () => {
  const outside = importsOfSrc().filter(({ to }) => !to.startsWith("src/"));
  assert.deepEqual(outside, []);
});

Deno.test("fault() refuses an import to the right and allows one to the left", () => {
  assert.equal(fault("src/tools/a.ts", "src/spawn/b.ts"), null);
  assert.equal(fault("src/tools/a.ts", "src/tools/nmap/b.ts"), null);
  assert.equal(fault("src/main.ts", "src/cli/b.ts"), null);
  for (
    const [from, to] of [
      ["src/spawn/a.ts", "src/tools/b.ts"],
      ["src/error/a.ts", "src/log/b.ts"],
      ["src/dispatch/a.ts", "src/mcp/b.ts"],
      ["src/cli/a.ts", "src/main.ts"],
      ["src/cli/a.ts", "src/elsewhere/b.ts"],
      ["src/elsewhere/a.ts", "src/error/b.ts"],
    ] as const
  ) assert.match(fault(from, to) ?? "", /^Cannot /, `${from} to ${to}`);
});

Deno.test("importsOf() reads every form of import and no comment", () => {
  const text = `
    // import "./comment.ts";
    import a from "./default.ts";
    import { b } from "./named.ts";
    import type { C } from "./type.ts";
    import { type D } from "./inline_type.ts";
    import { type E, e } from "./mixed.ts";
    import "./effect.ts";
    export { f } from "./export.ts";
    export * from "./all.ts";
    const g = await import("./dynamic.ts");
    type H = import("./in_type.ts").H;
    const i = 'import "./text.ts"';
  `;
  assert.deepEqual(
    importsOf("src/x.ts", text).map((one) =>
      `${one.specifier}${one.typeOnly ? " type" : ""}`
    ),
    [
      "./default.ts",
      "./named.ts",
      "./type.ts type",
      "./inline_type.ts type",
      "./mixed.ts",
      "./effect.ts",
      "./export.ts",
      "./all.ts",
      "./dynamic.ts",
      "./in_type.ts type",
    ],
  );
});

Deno.test("importsOf() refuses a dynamic import that is not a literal", () => {
  assert.throws(
    () => importsOf("src/x.ts", "await import(name);"),
    /Cannot tell what "src\/x.ts" imports/,
  );
});
