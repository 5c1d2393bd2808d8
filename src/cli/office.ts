/**
 * Gathers what operators work with out of a running engine.
 *
 * @module
 */
import { AuditCursors } from "@/administration/audit_cursor.ts";
import type { Office } from "@/administration/office.ts";
import { ToolBoard } from "@/administration/tools.ts";
import type { Approval } from "@/approvals/approval.ts";
import { auditFolder } from "@/audit/files.ts";
import type { Config } from "@/config/schema.ts";
import { boundOf } from "@/config/complaint.ts";
import type { TenantView } from "@/dispatch/administration.ts";
import { toAppError } from "@/error/app_error.ts";
import { openApiKeys } from "@/identity/open.ts";
import { tenantsOf } from "@/identity/tenants.ts";
import { HOUSE, principalOf } from "@/identity/principal.ts";
import { log } from "@/log/log.ts";
import { type CaseDefaults, testCases } from "@/policy/cases.ts";
import { explainRequest } from "@/policy/explain.ts";
import { parseTarget } from "@/scope/target.ts";
import { configBody } from "./config_view.ts";
import type { Runtime } from "./runtime.ts";

const main = log("main");

/**
 * Opens what operators work with.
 *
 * @param runtime The engine, its history open and its policies ready.
 * @returns What they work with.
 * @throws {AppError} If the identity key cannot be used.
 */
export async function openOffice(runtime: Runtime): Promise<Office> {
  const { parts } = runtime;
  const config = () => runtime.loaded.config;
  const keys = await openApiKeys(config(), await parts.store(), {
    wallNow: Date.now,
    now: () => performance.now(),
    tenants: () => tenantsOf(config().identity),
    onWarning: (message, cause) =>
      main.warn("identity", { message, detail: String(cause ?? "") }),
  });
  // Ready before anybody is served, and after every reload that took.
  await parts.policies.ready();
  return {
    config,
    keys,
    records: parts.records,
    approvals: parts.approvals,
    events: parts.events,
    live: parts.events,
    auditFiles: auditFolder(`${config().state.folder}/audit`),
    auditCursors: new AuditCursors(),
    board: new ToolBoard({
      config,
      capabilities: () => runtime.capabilities(),
      breakers: parts.breakers,
      switches: parts.switches,
    }),
    configuration: () => configBody(runtime.loaded),
    reload: (who) => runtime.reload(`asked by ${who}`),
    tenants: () => tenantViews(runtime),
    policies: async () => {
      const policies = await parts.policies.ready();
      return {
        hash: policies.hash,
        views: policies.views,
        validate: (text) => policies.validate(text),
        test: (cases) => testCases(policies, cases, caseDefaults(runtime)),
        explain: (request) =>
          explainRequest(policies, request, caseDefaults(runtime)),
      };
    },
    stats: (tenant) => statsOf(runtime, tenant),
    carryOut: (approval) => carryOut(runtime, approval),
  };
}

/** What a case does not say is as it is on this server now. */
function caseDefaults(runtime: Runtime): CaseDefaults {
  const { scope } = runtime.rules;
  return {
    now: Date.now(),
    intrusiveAllowed: runtime.rules.guardrails.allowIntrusive,
    inScope: (network) => {
      const { verdicts } = scope.judge([parseTarget(network)], new Map());
      return verdicts.every(({ guardrail, allowed }) =>
        allowed || guardrail !== "scope"
      );
    },
  };
}

function tenantViews(runtime: Runtime): readonly TenantView[] {
  const { config } = runtime.loaded;
  return [...tenantsOf(config.identity)].map((name) => ({
    name,
    subnets: subnetsOf(config, name),
    quotas: runtime.parts.quotas.use(name),
  }));
}

function subnetsOf({ security }: Config, tenant: string): string[] {
  return security.tenant_subnets.map(boundOf)
    .filter(({ name }) => name === tenant).map(({ subnet }) => subnet);
}

function statsOf(
  runtime: Runtime,
  tenant: string,
): Readonly<Record<string, unknown>> {
  const { metrics, permits, breakers, quotas, events } = runtime.parts;
  const { listeners, dropped } = events.state;
  // Counters over all tenants say what the others do: those are for whoever runs the server.
  const server = tenant !== HOUSE ? {} : {
    tools: metrics.statistics(),
    permits: permits.byTool(),
    breakers: breakers.statistics(),
    events: { listeners, dropped },
  };
  return inSnakeCase({
    ...server,
    tenant: {
      name: tenant,
      ...permits.statsBy(tenant),
      quotas: quotas.use(tenant),
    },
  }) as Readonly<Record<string, unknown>>;
}

/** Names of fields as every answer has them. Values that are names stay as they are. */
function inSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      inSnakeCase(one),
    ]),
  );
}

/** Scans what was approved. Whoever asked may be gone: the scan goes on in the background. */
async function carryOut(runtime: Runtime, approval: Approval): Promise<void> {
  const { requester, tenant, tool } = approval;
  const principal = principalOf({ ...requester, tenant });
  const { client, subject } = principal;
  try {
    await runtime.refuseRevoked(subject);
    await runtime.call({
      tool,
      arguments: { ...approval.arguments, background: true },
      who: { client, tenant, subject, transport: "http", address: null },
      principal,
      signal: new AbortController().signal,
    });
  } catch (thrown) {
    // The approval holds: the requester can make the call again, and hears then what is wrong.
    const { message } = toAppError(thrown);
    main.warn("an approved request was not scanned", {
      approval: approval.id,
      message,
    });
  }
}
