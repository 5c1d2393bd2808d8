/**
 * A renewal of the isolates that fails halfway.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { prepareServer } from "../support/server.ts";
import { standIn } from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";

Deno.test("a renewal in which one isolate does not come up replaces none", async () => {
  verifies("config.reload_whole_or_not");
  const { program, args, env } = prepareServer({
    path: [standIn("canned")],
    edit: (args) =>
      args.map((arg) => {
        if (arg === "src/main.ts") {
          return "tests/process/fixtures/half_renewal.ts";
        }
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
  const said = new TextDecoder().decode(stdout);
  assert.equal(code, 0, said + new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(said), {
    renewal: "tool_unavailable",
    same: [true, true],
    states: {
      nmap: { up: true, restarts: 0 },
      masscan: { up: true, restarts: 0 },
      warden: { up: true, restarts: 0 },
    },
  });
});
