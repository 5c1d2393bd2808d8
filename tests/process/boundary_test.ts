/**
 * The boundary under attack from the inside: code that runs in the main isolate after start-up.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { copyStandIn } from "../support/stand_ins.ts";
import { prepareServer } from "../support/server.ts";
import { ROOT } from "../support/task.ts";

Deno.test("main after start-up cannot spawn, loosen a rule or run a foreign program", async () => {
  verifies(
    "isolate.main_cannot_spawn",
    "isolate.guardrails_sealed",
    "isolate.no_argv_crosses",
    "isolate.checked_twice",
    "isolate.messages.malformed",
    "isolate.messages.flood",
  );
  await using copy = await copyStandIn("echo_argv");
  const { program, args, env } = prepareServer({
    path: [copy.path],
    edit: (args) =>
      args.map((arg) => {
        if (
          arg === "src/main.ts"
        ) return `${ROOT}tests/process/fixtures/boundary_attack.ts`;
        // The fixture's own file has to be readable; nothing else is added.
        return arg.startsWith("--allow-read=")
          ? `${arg},./tests/process/fixtures`
          : arg;
      }),
  });
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(text), {
    "spawn the tool": "NotCapable",
    "spawn a shell": "NotCapable",
    "start a worker that may run": "NotCapable",
    "ask for the right again": "denied",
    "public target after a second birth": "target_not_allowed",
    "intrusive after a second birth": "intrusive_not_allowed",
    "a message with argv, program and rules": "target_not_allowed",
    "a foreign flag": "invalid_arguments",
    "a lie about a name": "target_not_allowed",
    "after a flood": "it answers",
    "public target after a renewal": "target_not_allowed",
  });
  assert.deepEqual(await copy.starts(), [], "something was spawned");
});
