/**
 * How the commands of the history end when something goes wrong.
 *
 * @module
 */
import assert from "node:assert/strict";
import { tellFault } from "@/cli/history_fault.ts";
import type { World } from "@/cli/world.ts";
import { AppError } from "@/error/app_error.ts";

/** A process of which only what is printed is of interest. */
function printing(): { world: World; out: string[]; err: string[] } {
  const [out, err]: [string[], string[]] = [[], []];
  const world: World = {
    args: [],
    env: {},
    path: "",
    root: "",
    version: "",
    terminal: {
      stdout: false,
      stderr: false,
      controlling: false,
      colour: false,
      columns: 80,
    },
    input: new ReadableStream(),
    output: new WritableStream(),
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
    stop: new AbortController().signal,
    onReload: () => {},
  };
  return { world, out, err };
}

/** What is thrown, and the exit code. */
const ENDS: readonly (readonly [unknown, number])[] = [
  [new AppError("invalid_arguments", "Cannot"), 2],
  [new AppError("not_found", "Cannot"), 2],
  [new AppError("tool_unavailable", "Cannot"), 3],
  [new AppError("internal", "Cannot"), 3],
  [new AppError("interrupted", "Cannot"), 130],
  [new Error("anything"), 3],
  [new Deno.errors.BrokenPipe(), 0],
];

Deno.test("tellFault() tells a refusal from a store that fails", () => {
  for (const [thrown, code] of ENDS) {
    assert.equal(tellFault(printing().world, thrown, false), code, `${thrown}`);
  }
});

Deno.test("tellFault() says of a fault what the database says, fit for a terminal", () => {
  const { world, out, err } = printing();
  const thrown = new AppError("internal", "Cannot", { detail: "a\u001b[31mb" });
  tellFault(world, thrown, true);
  assert.equal(JSON.parse(out.join("")).error.code, "internal");
  assert.match(err.join(""), /^detail: a.*b\n$/);
  assert.ok(!err.join("").includes("\u001b"));
  const refused = printing();
  const refusal = new AppError("not_found", "Cannot", { detail: "secret" });
  tellFault(refused.world, refusal, false);
  assert.deepEqual(refused.err, ["not_found: Cannot\n"]);
});
