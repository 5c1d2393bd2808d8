/**
 * The hostile corpus through the whole server, as calls that would scan. It runs where loopback is the
 * only network, with stand-ins that write down every start.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HOSTILE_CASES, type HostileCase } from "@/cli/selftest_corpus.ts";
import { verifies } from "../requirements.ts";
import { OFFLINE } from "../support/network.ts";
import { RpcError, type Server } from "../support/server.ts";
import { answerOf, ask, serve } from "./fixtures/served.ts";

/** Calls that are under way at a time. */
const AT_ONCE = 32;

/** What the server asks its tools before anything is scanned: versions, and a trial of raw sockets. */
const PROBES: ReadonlySet<string> = new Set([
  "nmap --version",
  "nmap -n --noninteractive --privileged -sS -Pn -p 1 -T4 127.0.0.1",
  "masscan --version",
  "gobuster version",
]);

/** The starts that were no probes. */
function besideProbes(starts: readonly string[]): readonly string[] {
  return starts.filter((line) => !PROBES.has(line));
}

/** The fault in how a case was answered, or null. */
async function faultOf(
  server: Server,
  { tool, arguments: args, codes, why }: HostileCase,
): Promise<string | null> {
  const shown = `${tool} ${why}`;
  const result = await server.call(tool, args);
  const { error } = answerOf(result);
  if (error === undefined) return `${shown}: it was let through`;
  if (result["isError"] !== true) return `${shown}: isError is not set`;
  if (!(codes as readonly string[]).includes(error.code)) {
    return `${shown}: ${error.code} and not ${codes.join(" or ")}`;
  }
  if (!/^Cannot [\x20-\x7e\ufffd…]+$/.test(error.message)) {
    return `${shown}: an unfit message: ${error.message}`;
  }
  return null;
}

Deno.test("every case of the hostile corpus is refused with its code, and nothing is started for it", async () => {
  verifies(
    "injection.refused",
    "injection.nothing_spawned",
    "nmap.injection.refused",
    "extra_args.allowlist",
    "scope.strict_addresses",
    "scope.default_private",
  );
  await using served = await serve("canned", {
    wrap: OFFLINE,
    env: { MCP_LOG_LEVEL: "error" },
    patienceMs: 120_000,
  });
  const { server, copy } = served;
  assert.ok(HOSTILE_CASES.length > 800, `${HOSTILE_CASES.length} cases`);
  const faults: string[] = [];
  for (let at = 0; at < HOSTILE_CASES.length; at += AT_ONCE) {
    const cases = HOSTILE_CASES.slice(at, at + AT_ONCE);
    const found = await Promise.all(cases.map((one) => faultOf(server, one)));
    faults.push(...found.filter((fault) => fault !== null));
  }
  assert.deepEqual(faults, []);
  const starts = await copy.starts();
  assert.deepEqual(besideProbes(starts), []);
  assert.ok(starts.length <= 4, starts.join("\n"));
  assert.deepEqual((await ask(server, "scan_list", {})).scans, []);
  // The canary: what is allowed is started, and the log of starts tells.
  const call = { target: "127.0.0.1", ports: "80" };
  assert.equal((await ask(server, "nmap", call)).status, "succeeded");
  assert.equal(besideProbes(await copy.starts()).length, 1);
});

Deno.test("calls that are malformed in the protocol itself are protocol errors and start nothing", async () => {
  verifies("injection.nothing_spawned", "request.sizes_capped");
  await using served = await serve("canned", { wrap: OFFLINE });
  const { server, copy } = served;
  const malformed: readonly (Record<string, unknown> | undefined)[] = [
    undefined,
    {},
    { name: 7, arguments: {} },
    { name: ["nmap"], arguments: {} },
    { name: "nikto", arguments: {} },
    { name: "__proto__", arguments: {} },
    { name: "nmap; id", arguments: {} },
  ];
  for (const params of malformed) {
    await assert.rejects(
      server.request("tools/call", params),
      (error) => error instanceof RpcError && error.code === -32602,
      JSON.stringify(params),
    );
  }
  // Arguments of the wrong shape are a result, which a model can read and mend.
  const shapes: readonly unknown[] = ["x", 7, [], [{ target: "127.0.0.1" }]];
  for (const args of shapes) {
    const params = { name: "nmap", arguments: args };
    const outcome = await server.request("tools/call", params).catch(
      (error) => error,
    );
    if (outcome instanceof RpcError) assert.equal(outcome.code, -32602);
    else assert.equal(answerOf(outcome).error?.code, "invalid_arguments");
  }
  // A line above the cap of the transport is refused as a whole, before anything reads it.
  const huge = JSON.stringify({
    jsonrpc: "2.0",
    id: 9_000,
    method: "tools/call",
    params: { name: "nmap", arguments: { target: "1".repeat(8_000_000) } },
  });
  server.write(huge);
  const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  server.write(
    `{"jsonrpc":"2.0","id":9001,"method":"tools/call","params":{"name":"nmap","arguments":{"target":${nested}}}}`,
  );
  const call = { target: "127.0.0.1".repeat(10_000) };
  const { error } = await ask(server, "nmap", call);
  assert.match(error?.code ?? "", /^(?:invalid_arguments|payload_too_large)$/);
  assert.deepEqual(server.stray, []);
  const starts = await copy.starts();
  assert.deepEqual(besideProbes(starts), []);
});
