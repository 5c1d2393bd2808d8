/**
 * How many refused requests a second go through `dispatch`: what a client that only asks for what it
 * may not have can cost. Everything is real but the isolates, which a refusal never reaches.
 *
 * @module
 */
import { Breakers } from "@/breaker/breakers.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import { loadConfig } from "@/config/load.ts";
import { Dispatcher } from "@/dispatch/dispatch.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { AppError } from "@/error/app_error.ts";
import { Metrics } from "@/metrics/metrics.ts";
import { Permits } from "@/permits/permits.ts";
import { KeptScans } from "../support/kept_scans.ts";
import { LOCAL } from "@/identity/principal.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import { median, type Result, single } from "./harness.ts";
import type { BenchOptions } from "./subject.ts";
import { ALLOWING } from "../support/policy.ts";
import { quotasOf } from "../support/quotas.ts";
import { SOMEONE } from "../support/who.ts";

/** Requests of one round. */
const BATCH = 20_000;

/** What is refused, and by what. */
const REQUESTS:
  readonly (readonly [string, Record<string, unknown>, string])[] = [
    ["nmap", { target: "8.8.8.8" }, "target_not_allowed"],
    ["nmap", { target: "10.0.0.0/8" }, "network_too_large"],
    ["nmap", { target: "10.0.0.1; rm -rf /" }, "invalid_target"],
    ["nmap", { target: "10.0.0.1", extra_args: "-oN /x" }, "invalid_arguments"],
    ["nmap", { target: "10.0.0.1", ports: "0" }, "invalid_arguments"],
    ["zmap", { target: "10.0.0.1" }, "tool_not_found"],
  ];

function dispatcher(): Dispatcher {
  const { config } = loadConfig({ env: {}, file: null });
  const rules = rulesOf({
    guardrails: guardrailsOf(config, []),
    enabled: TOOL_NAMES,
    resultTokensMax: config.mcp.max_result_tokens,
    cacheTtlMs: 0,
    configHash: "",
    policy: ALLOWING,
  });
  const breaker = {
    failureThreshold: 5,
    successThreshold: 2,
    recoveryTimeoutMs: 30_000,
    backoffMultiplier: 2,
    recoveryTimeoutMsMax: 600_000,
    jitter: 0.1,
  };
  const limit = { permits: 8, queueMax: 64 };
  return new Dispatcher({
    rules: () => rules,
    isolates: {
      of: () =>
        Promise.reject(new Error("Cannot measure: a refusal got through")),
    },
    host: { rawSockets: () => Promise.resolve(true) },
    breakers: new Breakers<ToolName>({
      tools: { nmap: breaker, masscan: breaker, gobuster: breaker },
      now: () => performance.now(),
      wallNow: Date.now,
      random: Math.random,
    }),
    permits: new Permits<ToolName>({
      ...limit,
      tools: { nmap: limit, masscan: limit, gobuster: limit },
    }),
    scans: new KeptScans(),
    metrics: new Metrics({ tools: TOOL_NAMES, wallNow: Date.now }),
    // What an entry of the audit log costs is the disk's to say.
    audit: { append: () => Promise.resolve() },
    live: { tell: () => {}, isWatched: () => false, tellOutput: () => {} },
    quotas: quotasOf(),
    approvals: {
      ask: () => Promise.reject(new Error("Cannot measure: it was asked for")),
      granted: () => Promise.resolve(null),
      started: () => Promise.resolve(),
    },
    refuseRevoked: () => Promise.resolve(),
    switchedOff: () => false,
    onEvent: () => {},
    wallNow: Date.now,
    random: (bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
  });
}

async function refused(subject: Dispatcher, n: number): Promise<void> {
  const [tool, request, code] = REQUESTS[n % REQUESTS.length] ?? ["", {}, ""];
  const { signal } = new AbortController();
  try {
    await subject.call({
      who: SOMEONE,
      principal: LOCAL,
      tool,
      arguments: request,
      signal,
    });
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === code) return;
    throw thrown;
  }
  throw new Error(`Cannot measure: ${JSON.stringify(request)} was let through`);
}

/**
 * Measures refusals.
 *
 * @param options How much to measure.
 * @returns Refusals a second.
 */
export async function refusals(options: BenchOptions): Promise<Result[]> {
  const subject = dispatcher();
  const rounds = Math.max(3, Math.ceil(options.rounds / 20));
  const rates: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const start = performance.now();
    for (let n = 0; n < BATCH; n++) await refused(subject, n);
    const rate = BATCH * 1_000 / (performance.now() - start);
    if (round >= 0) rates.push(rate);
  }
  return [single({
    name: "refused requests through dispatch",
    unit: "/s",
    subject: median(rates),
    goal: { atLeast: 20_000 },
    rounds,
    note: "without the log",
  })];
}
