/**
 * The engine as one caller sees it: their tenant's scans and nothing of anybody else's.
 *
 * Whoever holds one has no way past it, so no adapter has to remember whose data it shows.
 *
 * @module
 */
import type { From, Who } from "@/audit/entry.ts";
import { require as authorize } from "@/identity/authorize.ts";
import { HOUSE, type Principal } from "@/identity/principal.ts";
import type { Scan, ScanFilter, ScanHead } from "@/scans/scan.ts";
import { boundsWithin } from "@/scope/rules.ts";
import { noScan } from "@/store/no_scan.ts";
import type { Call, ProvedCall } from "./call.ts";
import type {
  CallAnswer,
  Capabilities,
  Engine,
  Inventory,
  Own,
  ProvedReading,
  Reading,
} from "./engine.ts";

/** The engine before it is bound to a caller. */
export interface Core {
  call(call: ProvedCall): Promise<CallAnswer>;
  recordReading(reading: ProvedReading): Promise<void>;
  /** @throws {AppError} `not_found`. */
  scan(id: string): Promise<Scan>;
  scans(
    filter: ScanFilter,
  ): Promise<readonly ScanHead[]>;
  /** What is known over all scans of a tenant. */
  inventoryOf(tenant: string): Inventory;
  cancel(id: string, who: Who, principal: Principal): Promise<Scan>;
  /** Lets the user of an MCP client approve what that very user asked for. */
  approveByUser(id: string, who: Who, principal: Principal): Promise<void>;
  capabilities(): Promise<Capabilities>;
  health(): Promise<Readonly<Record<string, unknown>>>;
  metrics(form?: "prometheus" | "openmetrics"): Promise<string>;
  readonly vocabulary: Engine["vocabulary"];
  readonly resultTokensMax: number;
}

/** The engine, bound to a caller. */
export class Session implements Engine {
  readonly principal: Principal;
  readonly #core: Core;

  /**
   * @param core The engine.
   * @param principal A caller whose credentials were proved.
   */
  constructor(core: Core, principal: Principal) {
    this.#core = core;
    this.principal = principal;
  }

  call(call: Call): Promise<CallAnswer> {
    const { principal } = this;
    return this.#core.call({ ...call, who: this.who(call.who), principal });
  }

  recordReading(reading: Reading): Promise<void> {
    const { principal } = this;
    const who = this.who(reading.who);
    return this.#core.recordReading({ ...reading, who, principal });
  }

  async scan(id: string): Promise<Scan> {
    authorize(this.principal, "read");
    const scan = await this.#core.scan(id);
    if (scan.tenant !== this.principal.tenant) throw noScan();
    return scan;
  }

  async scans(filter: Own<ScanFilter>): Promise<readonly ScanHead[]> {
    authorize(this.principal, "read");
    const { tenant } = this.principal;
    return await this.#core.scans({ ...filter, tenant });
  }

  get inventory(): Inventory {
    authorize(this.principal, "read");
    return this.#core.inventoryOf(this.principal.tenant);
  }

  cancel(id: string, who: From): Promise<Scan> {
    return this.#core.cancel(id, this.who(who), this.principal);
  }

  approveByUser(id: string, who: From): Promise<void> {
    return this.#core.approveByUser(id, this.who(who), this.principal);
  }

  async capabilities(): Promise<Capabilities> {
    authorize(this.principal, "tools");
    const capabilities = await this.#core.capabilities();
    return ofTenant(capabilities, this.principal.tenant);
  }

  health(): Promise<Readonly<Record<string, unknown>>> {
    return this.#core.health();
  }

  metrics(form?: "prometheus" | "openmetrics"): Promise<string> {
    return this.#core.metrics(form);
  }

  get vocabulary(): Engine["vocabulary"] {
    return this.#core.vocabulary;
  }

  get resultTokensMax(): number {
    return this.#core.resultTokensMax;
  }

  /**
   * What the audit log is told. Over stdio a client says its name; elsewhere its credentials do, and
   * what it calls itself may stand behind that.
   */
  protected who(from: From): Who {
    const { kind, client, tenant, subject } = this.principal;
    const isNamed = kind === "local" || from.client.startsWith(`${client} (`);
    return {
      ...from,
      client: isNamed ? from.client : client,
      tenant,
      subject,
    };
  }
}

/**
 * The capabilities without what other tenants may scan: their names and networks are theirs. What the
 * configuration binds engagements and tags to is shown as far as it lies in the tenant's own subnets.
 */
function ofTenant(capabilities: Capabilities, tenant: string): Capabilities {
  if (tenant === HOUSE) return capabilities;
  const { guardrails } = capabilities;
  const { scope } = guardrails;
  const bounds = boundsWithin(scope.bounds, tenant)
    .filter(({ subnets }) => subnets.length > 0);
  return {
    ...capabilities,
    guardrails: { ...guardrails, scope: { ...scope, bounds } },
  };
}
