import assert from "node:assert/strict";
import { egressRules } from "@/cli/egress_rules.ts";
import type { World } from "@/cli/world.ts";

/** What the command prints, and how it ends. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const unused = () => assert.fail("egress-rules has no business with it");
  const world: World = {
    args,
    env,
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
    get input(): ReadableStream<Uint8Array> {
      return unused();
    },
    get output(): WritableStream<Uint8Array> {
      return unused();
    },
    print: (text) => void (out += text),
    printError: (text) => void (err += text),
    stop: AbortSignal.abort(),
    onReload: unused,
  };
  return { code: await egressRules(world), out, err };
}

Deno.test("egress-rules prints the rules of the configuration", async () => {
  const env = { MCP_SECURITY_DENIED_SUBNETS: "10.0.0.0/8" };
  const { code, out } = await run([], env);
  assert.equal(code, 0);
  assert.match(out, /table netdev security_mcp \{/);
  assert.doesNotMatch(out, /10\.0\.0\.0/);
  assert.match(out, /172\.16\.0\.0\/12/);
});

Deno.test("egress-rules --follow begins with the same rules", async () => {
  assert.equal((await run(["--follow"])).out, (await run([])).out);
});

Deno.test("egress-rules refuses what it does not know, and a configuration that is none", async () => {
  for (const args of [["--all"], ["--follow", "--container"]]) {
    const { out, err } = await run(args);
    assert.equal(out, "");
    assert.match(err, /the options are --follow and --container/);
  }
  const bad = await run([], { MCP_SECURITY_DENIED_SUBNETS: "10.0.0.1/8" });
  assert.notEqual(bad.code, 0);
  assert.equal(bad.out, "");
});
