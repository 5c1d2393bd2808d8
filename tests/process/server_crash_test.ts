/**
 * An isolate of the real server crashes in the middle of its work.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { ask, logged, serve } from "./fixtures/served.ts";

/** Starts the server whose nmap isolate has a fault, with the flags of the task. */
function serveCrashing() {
  return serve("slow", {
    env: { MCP_NMAP_CONCURRENCY: "8" },
    edit: (args) =>
      args.map((arg) => {
        if (arg === "src/main.ts") {
          return "tests/process/fixtures/crashing_server.ts";
        }
        return arg.startsWith("--allow-read=")
          ? `${arg},./tests/process/fixtures`
          : arg;
      }),
  });
}

/** The value of a metric with a label. */
async function metric(
  server: Awaited<ReturnType<typeof serveCrashing>>["server"],
  line: string,
): Promise<number> {
  const { contents } = await server.request("resources/read", {
    uri: "server://metrics",
  }) as { contents: { text: string }[] };
  const text = contents[0]?.text ?? "";
  const found = text.split("\n").find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length));
}

Deno.test("a crashed isolate answers all in flight with tool_unavailable and is replaced", async () => {
  verifies("isolate.crash.answered", "isolate.crash.replaced");
  await using served = await serveCrashing();
  const { server, copy } = served;
  const call = (ports: string) => ({ target: "127.0.0.1", ports });
  const inFlight = ["1", "2", "3"].map((ports) =>
    ask(server, "nmap", call(ports))
  );
  await logged(server, "scan started", 3);
  const crashing = ask(server, "nmap", call("666"));
  for (const answer of await Promise.all([...inFlight, crashing])) {
    assert.equal(answer.status, "failed");
    assert.equal(answer.error?.code, "tool_unavailable");
    assert.equal(answer.error?.retry_after, 3);
    assert.doesNotMatch(JSON.stringify(answer), /secret|RangeError/);
  }
  // No child outlives the isolate that it belonged to.
  let left = await copy.alive();
  for (let tries = 0; left > 0 && tries < 100; tries++) {
    left = await copy.alive();
  }
  assert.equal(left, 0);
  await server.logged(/isolate died[^\n]*a fault in the isolate/);
  await logged(server, "isolate replaced");
  // Its like does not crash, scans, and lives by the same rules.
  const after = ask(server, "nmap", call("666"));
  await logged(server, "scan started", 5);
  await copy.open();
  assert.equal((await after).status, "succeeded");
  const { error } = await ask(server, "nmap", { target: "8.8.8.8" });
  assert.equal(error?.code, "target_not_allowed");
  const { plan } = await ask(server, "nmap", {
    ...call("1"),
    timing: 5,
    plan: true,
  });
  assert.equal(plan?.allowed, false);
  assert.equal(await metric(server, 'mcp_isolate_up{isolate="nmap"}'), 1);
  const restarts = 'mcp_isolate_restarts_total{isolate="nmap"}';
  assert.equal(await metric(server, restarts), 1);
  assert.equal(await metric(server, 'mcp_tool_active{tool="nmap"}'), 0);
  assert.equal(await metric(server, 'mcp_queue_held{tool="nmap"}'), 0);
});
