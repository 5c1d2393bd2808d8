/**
 * Tools and breakers as operators see and switch them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type SwitchFile, ToolSwitch } from "@/administration/tool_switch.ts";
import { ToolBoard } from "@/administration/tools.ts";
import { Breakers } from "@/breaker/breakers.ts";
import { loadConfig } from "@/config/load.ts";
import type { Capabilities } from "@/dispatch/engine.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import { GUARDRAILS } from "../tools/nmap_fixture.ts";

const MEMORY: SwitchFile = {
  read: () => Promise.resolve(null),
  write: () => Promise.resolve(),
};

/** A board over a configuration. */
function setUp(text = "") {
  const { config } = loadConfig({ file: { name: "c.yaml", text }, env: {} });
  const options = {
    failureThreshold: 2,
    successThreshold: 1,
    recoveryTimeoutMs: 30_000,
    backoffMultiplier: 2,
    recoveryTimeoutMsMax: 600_000,
    jitter: 0,
  };
  const breakers = new Breakers<ToolName>({
    tools: { nmap: options, masscan: options, gobuster: options },
    now: () => 0,
    wallNow: () => 0,
    random: () => 0,
  });
  const capabilities: Capabilities = {
    guardrails: GUARDRAILS,
    sandbox: { kind: "none", trial: [] } as unknown as Capabilities["sandbox"],
    rawSockets: null,
    tools: TOOL_NAMES.map((name) => ({
      name,
      enabled: true,
      version: name === "nmap" ? "7.93" : null,
      absence: name === "nmap" ? null : "not installed",
      breaker: "closed",
    })),
  };
  const switches = new ToolSwitch(MEMORY);
  const board = new ToolBoard({
    config: () => config,
    capabilities: () => Promise.resolve(capabilities),
    breakers,
    switches,
  });
  return { board, breakers, switches };
}

Deno.test("tools() shows each tool with its state, schema, limits and breaker", async () => {
  const { board } = setUp("masscan: { enabled: false }\n");
  const states = await board.tools();
  assert.deepEqual(
    states.map(({ name, enabled, disabledBy, version, absence }) => [
      name,
      enabled,
      disabledBy,
      version,
      absence,
    ]),
    [
      ["nmap", true, null, "7.93", null],
      ["masscan", false, "configuration", null, "not installed"],
      ["gobuster", true, null, null, "not installed"],
    ],
  );
  const [nmap] = states;
  assert.deepEqual(nmap?.breaker, {
    tool: "nmap",
    state: "closed",
    forced: null,
    failures: 0,
    retryAfterSeconds: null,
  });
  assert.equal(nmap?.limits["limit_cpu_seconds"], 1_800);
  assert.ok(Object.values(nmap?.limits ?? {}).every(Number.isFinite));
  // Each adapter says its own way to hear of a scan; MCP's is of no use over HTTP.
  assert.doesNotMatch(JSON.stringify(nmap?.schema), /scan_status|scan_results/);
  const { properties, required } = nmap?.schema as {
    properties: Record<string, unknown>;
    required: string[];
  };
  assert.deepEqual(required, ["target"]);
  assert.ok(Object.hasOwn(properties, "plan"));
  // Over HTTP an answer is whole.
  assert.equal(Object.hasOwn(properties, "max_tokens"), false);
});

Deno.test("set() switches a tool off and on, and the other tools stay", async () => {
  const { board, switches } = setUp();
  const { name, enabled, disabledBy } = await board.set("nmap", false);
  assert.deepEqual([name, enabled, disabledBy], ["nmap", false, "operator"]);
  assert.deepEqual(
    (await board.tools()).map((tool) => tool.enabled),
    [false, true, true],
  );
  assert.equal(switches.isOff("nmap"), true);
  assert.equal((await board.set("nmap", true)).enabled, true);
  assert.equal(switches.isOff("nmap"), false);
});

Deno.test("set() switches nothing on that the configuration switched off", async () => {
  const { board, switches } = setUp("masscan: { enabled: false }\n");
  await board.set("masscan", false);
  await assert.rejects(board.set("masscan", true), {
    code: "conflict",
    message:
      'Cannot switch on "masscan": the configuration switched it off; set masscan.enabled there',
  });
  assert.equal(switches.isOff("masscan"), true);
  const [, masscan] = await board.tools();
  assert.equal(masscan?.disabledBy, "configuration");
});

Deno.test("set() and force() know no other tools", async () => {
  const { board } = setUp();
  for (const name of ["nikto", "constructor", "", "NMAP"]) {
    await assert.rejects(board.set(name, false), { code: "tool_not_found" });
    assert.throws(() => board.force(name, "open"), { code: "tool_not_found" });
  }
});

/** What is done to a closed breaker, one after the other, and what it is then. */
const FORCED: readonly (readonly [
  to: readonly ("open" | "closed" | "auto")[],
  state: string,
  forced: string | null,
])[] = [
  [["open"], "forced_open", "open"],
  [["open", "open"], "forced_open", "open"],
  [["open", "closed"], "closed", null],
  [["open", "auto"], "closed", null],
  [["closed"], "closed", null],
  [["auto"], "closed", null],
];

for (const [to, state, forced] of FORCED) {
  Deno.test(`force() ${to.join(", then ")} leaves the breaker ${state}`, () => {
    const { board } = setUp();
    const last = to.map((one) => board.force("nmap", one)).at(-1);
    assert.deepEqual([last?.state, last?.forced], [state, forced]);
    assert.deepEqual(board.breakers().map((one) => [one.tool, one.state]), [
      ["nmap", state],
      ["masscan", "closed"],
      ["gobuster", "closed"],
    ]);
  });
}

Deno.test("force() auto leaves a breaker open that opened by itself", () => {
  const { board, breakers } = setUp();
  for (let turn = 0; turn < 2; turn++) {
    using admission = breakers.get("nmap").admit();
    admission.failed();
  }
  const { state, forced, retryAfterSeconds } = board.force("nmap", "auto");
  assert.deepEqual([state, forced], ["open", null]);
  assert.equal(retryAfterSeconds, 30);
  assert.equal(board.force("nmap", "closed").state, "closed");
});
