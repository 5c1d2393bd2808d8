/**
 * The running server and its configuration file, and what it remembers over a restart.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import type { Server } from "../support/server.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { ask, logged, serve } from "./fixtures/served.ts";

const STRICT = "security:\n  allow_intrusive: false\n";
const LOOSE = "security:\n  allow_intrusive: true\n";

/** Whether an intrusive request would be let through. */
async function allowsIntrusive(server: Server): Promise<boolean> {
  const call = { target: "127.0.0.1", ports: "80", timing: 5, plan: true };
  const { plan } = await ask(server, "nmap", call);
  const verdict = plan?.verdicts.find(({ guardrail }) =>
    guardrail === "intrusive"
  );
  assert.equal(verdict?.allowed, plan?.allowed);
  return verdict?.allowed ?? assert.fail("no verdict of intrusive");
}

Deno.test("a changed file is applied, an unsound one is not and is warned of", async () => {
  verifies("config.reload_whole_or_not");
  await using served = await serve("canned", { config: STRICT });
  const { server, configure } = served;
  assert.equal(await allowsIntrusive(server), false);
  await configure(LOOSE);
  await logged(server, "configuration reloaded");
  assert.equal(await allowsIntrusive(server), true);
  // The first key is sound and would forbid again; the second spoils the whole.
  await configure(`${STRICT}  no_such_key: 1\n`);
  const [warning] = await server.logged(
    /The configuration stays as it is[^\n]*/,
  );
  assert.match(warning, /config\.yaml:3:3[^\n]*no_such_key/);
  assert.equal(await allowsIntrusive(server), true);
  await configure(STRICT);
  await logged(server, "configuration reloaded", 2);
  assert.equal(await allowsIntrusive(server), false);
});

Deno.test("SIGHUP reloads the file", async () => {
  verifies("config.reload_whole_or_not");
  await using served = await serve("canned", { config: LOOSE });
  const { server, configure } = served;
  assert.equal(await allowsIntrusive(server), true);
  // An unchanged file is applied when somebody asks.
  server.kill("SIGHUP");
  await logged(server, "configuration reloaded");
  await configure("security: [");
  server.kill("SIGHUP");
  await server.logged(/The configuration stays as it is \(SIGHUP\)/);
  assert.equal(await allowsIntrusive(server), true);
});

Deno.test("a scan in flight keeps the rules that it started under", async () => {
  verifies("config.reload_in_flight");
  await using served = await serve("slow", { config: STRICT });
  const { server, copy, configure } = served;
  const running = ask(server, "nmap", { target: "127.0.0.1", ports: "80" });
  await logged(server, "scan started");
  await configure("security:\n  denied_subnets: [127.0.0.0/8]\n");
  await logged(server, "configuration reloaded");
  const refused = await ask(server, "nmap", { target: "127.0.0.1" });
  assert.equal(refused.error?.code, "target_not_allowed");
  await copy.open();
  const answer = await running;
  assert.deepEqual([answer.status, answer.report?.hosts.length], [
    "succeeded",
    1,
  ]);
});

const FAILING = {
  MCP_BREAKER_FAILURE_THRESHOLD: "2",
  MCP_BREAKER_RECOVERY_TIMEOUT_SECONDS: "3600",
  MCP_BREAKER_MAX_RECOVERY_TIMEOUT_SECONDS: "3600",
};

/** Fails until the circuit is open. */
async function openCircuit(server: Server): Promise<void> {
  for (const ports of ["1", "2"]) {
    const { error } = await ask(server, "nmap", { target: "127.0.0.1", ports });
    assert.equal(error?.code, "tool_failed");
  }
}

Deno.test("an open circuit survives a reload and a restart", async () => {
  verifies("breaker.survives_restart");
  await using folder = await withTempDir();
  const state = `${folder.path}/state`;
  const options = { state, env: FAILING, config: STRICT };
  const call = { target: "127.0.0.1", ports: "3" };
  {
    await using served = await serve("fails", options);
    const { server, configure } = served;
    await openCircuit(server);
    await configure(LOOSE);
    await logged(server, "configuration reloaded");
    const { error } = await ask(server, "nmap", call);
    assert.equal(error?.code, "circuit_open");
    assert.ok((error?.retry_after ?? 0) > 3_000);
  }
  await using served = await serve("fails", options);
  const { error } = await ask(served.server, "nmap", call);
  assert.equal(error?.code, "circuit_open");
  assert.ok((error?.retry_after ?? 0) > 3_000);
  const starts = await served.copy.starts();
  assert.deepEqual(starts.filter((line) => line.includes(" -oX ")), []);
});

Deno.test("breaker state that is unsound is warned of and starts closed", async () => {
  verifies("breaker.survives_restart");
  for (const text of ["{", '{"version":1,"breakers":{"nmap":{"kind":"x"}}}']) {
    await using folder = await withTempDir();
    const state = `${folder.path}/state`;
    await Deno.mkdir(state);
    await Deno.writeTextFile(`${state}/breakers.json`, text);
    await using served = await serve("canned", { state });
    await served.server.logged(/breaker state is unsound/);
    const call = { target: "127.0.0.1", ports: "3" };
    const { status } = await ask(served.server, "nmap", call);
    assert.equal(status, "succeeded");
  }
});
