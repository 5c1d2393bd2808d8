/**
 * The whole program as one caller over HTTP sees it: the engine, and what operators do besides.
 *
 * Every method asks first whether the caller may, what changes anything is recorded before it happens,
 * and nothing of another tenant is shown.
 *
 * @module
 */
import type { Approval, ApprovalStatus } from "@/approvals/approval.ts";
import type { From, Operation } from "@/audit/entry.ts";
import { readEntries } from "@/audit/page.ts";
import type {
  Administration,
  AuditFilter,
  AuditLine,
  BreakerState,
  KeyView,
  Listening,
  MadeKey,
  NewKey,
  PolicyCase,
  PolicyVerdict,
  PolicyView,
  TenantView,
  ToolState,
} from "@/dispatch/administration.ts";
import type { Core } from "@/dispatch/session.ts";
import { Session } from "@/dispatch/session.ts";
import type { LiveEvent } from "@/events/event.ts";
import {
  type AuthorizedOperation,
  require as authorize,
  requireGrant,
} from "@/identity/authorize.ts";
import { HOUSE, type Principal } from "@/identity/principal.ts";
import type { PolicyExplanation } from "@/policy/explain.ts";
import type { Page, PageOptions } from "@/store/scan_record.ts";
import type { Office } from "./office.ts";

/** The program, bound to a caller. */
export class OperatorSession extends Session implements Administration {
  readonly #office: Office;
  readonly #from: From;
  readonly #traceId: string;

  /**
   * @param core The engine.
   * @param office What operators work with.
   * @param principal A caller whose credentials were proved.
   * @param from Where this request came from.
   * @param traceId Its trace: 32 hex digits.
   */
  constructor(
    core: Core,
    office: Office,
    principal: Principal,
    from: From,
    traceId: string,
  ) {
    super(core, principal);
    this.#office = office;
    this.#from = from;
    this.#traceId = traceId;
  }

  tools(): Promise<readonly ToolState[]> {
    authorize(this.principal, "tools");
    return this.#office.board.tools();
  }

  async setTool(name: string, enabled: boolean): Promise<ToolState> {
    const state = await this.#deed(
      "configure",
      "configure",
      enabled ? "tools/enable" : "tools/disable",
      { tool: name },
      () => this.#office.board.set(name, enabled),
    );
    const data = { tool: state.name, enabled: state.enabled };
    const whose = { tenant: null, scanId: null };
    this.#office.live.tell({ kind: "tool.changed", ...whose, data });
    return state;
  }

  breakers(): Promise<readonly BreakerState[]> {
    authorize(this.principal, "tools");
    return Promise.resolve(this.#office.board.breakers());
  }

  async forceBreaker(
    name: string,
    to: "open" | "closed" | "auto",
  ): Promise<BreakerState> {
    return await this.#deed(
      "configure",
      "configure",
      "breakers/force",
      { tool: name, state: to },
      () => this.#office.board.force(name, to),
    );
  }

  configuration(): Promise<Readonly<Record<string, unknown>>> {
    authorize(this.principal, "configure");
    return Promise.resolve(this.#office.configuration());
  }

  reload(): ReturnType<Administration["reload"]> {
    return this.#deed(
      "configure",
      "configure",
      "config/reload",
      {},
      () => this.#office.reload(this.principal.client),
    );
  }

  async auditEntries(
    { since, until, kind, scanId }: AuditFilter,
    { cursor, limit }: PageOptions,
  ): Promise<Page<AuditLine>> {
    authorize(this.principal, "audit");
    const { tenant } = this.principal;
    const { auditFiles, auditCursors } = this.#office;
    const isHouse = tenant === HOUSE;
    const { items, before } = await readEntries(
      auditFiles,
      {
        tenant,
        seesServer: isHouse,
        since: since ?? null,
        until: until ?? null,
        kind: kind ?? null,
        scanId: scanId ?? null,
      },
      await auditCursors.read(cursor, tenant),
      limit,
    );
    return {
      // Numbers go over all tenants: the gaps between a tenant's own would count the others' entries.
      items: items.map(({ seq, time, kind, fields }) => ({
        ...isHouse ? { seq } : {},
        time,
        kind,
        ...fields,
      })),
      next: before === null ? null : await auditCursors.write(before, tenant),
    };
  }

  async approvals(
    filter: { readonly status?: ApprovalStatus },
    page: PageOptions,
  ): Promise<Page<Approval>> {
    authorize(this.principal, "approvals");
    const { tenant } = this.principal;
    return await this.#office.approvals.list({ ...filter, tenant }, page);
  }

  async approval(id: string): Promise<Approval> {
    authorize(this.principal, "approvals");
    return await this.#office.approvals.get(id, this.principal.tenant);
  }

  async decide(
    id: string,
    decision: "grant" | "deny",
    note: string | null,
  ): Promise<Approval> {
    const decided = await this.#deed(
      "approve",
      "approve",
      `approvals/${decision}`,
      { id, note },
      () => this.#office.approvals.decide(id, this.principal, decision, note),
    );
    if (decided.status === "granted") await this.#office.carryOut(decided);
    return await this.#office.approvals.get(id, this.principal.tenant);
  }

  async keys(): Promise<readonly KeyView[]> {
    authorize(this.principal, "keys");
    return await this.#office.keys.list(this.#ownTenant);
  }

  createKey(asked: NewKey): Promise<MadeKey> {
    const { keys } = this.#office;
    const { tenant = this.principal.tenant } = asked;
    const key = { ...asked, tenant, id: keys.newId() };
    return this.#deed("keys", "keys", "keys/create", key, () => {
      requireGrant(this.principal, key);
      return keys.create(key, this.principal.subject);
    });
  }

  rotateKey(id: string, overlapSeconds: number): Promise<MadeKey> {
    const tenant = this.#ownTenant;
    return this.#deed(
      "keys",
      "keys",
      "keys/rotate",
      { id, overlap_seconds: overlapSeconds },
      () =>
        this.#office.keys.rotate(id, {
          tenant,
          overlapSeconds,
          by: this.principal.subject,
          check: (key) => requireGrant(this.principal, key),
        }),
    );
  }

  revokeKey(id: string): Promise<KeyView> {
    const tenant = this.#ownTenant;
    return this.#deed(
      "keys",
      "keys",
      "keys/revoke",
      { id },
      () => this.#office.keys.revoke(id, { tenant }),
    );
  }

  tenants(): Promise<readonly TenantView[]> {
    authorize(this.principal, "tenants");
    const { tenant } = this.principal;
    return Promise.resolve(
      this.#office.tenants().filter(({ name }) =>
        tenant === HOUSE || name === tenant
      ),
    );
  }

  async policies(): Promise<
    { readonly hash: string; readonly policies: readonly PolicyView[] }
  > {
    authorize(this.principal, "policies");
    const { hash, views } = await this.#office.policies();
    return { hash, policies: views };
  }

  async validatePolicy(text: string): Promise<readonly string[]> {
    authorize(this.principal, "policies");
    return await (await this.#office.policies()).validate(text);
  }

  async testPolicies(
    cases: readonly PolicyCase[],
  ): Promise<readonly PolicyVerdict[]> {
    authorize(this.principal, "policies");
    return await (await this.#office.policies()).test(cases);
  }

  async explainPolicies(
    request: PolicyCase["request"],
  ): Promise<PolicyExplanation> {
    authorize(this.principal, "policies");
    return await (await this.#office.policies()).explain(request);
  }

  stats(): Promise<Readonly<Record<string, unknown>>> {
    authorize(this.principal, "stats");
    return Promise.resolve(this.#office.stats(this.principal.tenant));
  }

  override metrics(form?: "prometheus" | "openmetrics"): Promise<string> {
    authorize(this.principal, "metrics");
    return super.metrics(form);
  }

  listen(
    { after, scanId, output, signal }: Listening,
  ): AsyncIterable<LiveEvent> {
    authorize(this.principal, "events");
    const { tenant } = this.principal;
    return this.#office.events.listen({
      tenant,
      seesServer: tenant === HOUSE,
      after,
      scanId: scanId ?? null,
      output: output ?? false,
      signal,
      queueMax: this.#office.config().events.client_queue,
    });
  }

  /** The tenant whose keys may be touched; null for everybody's, which the house may. */
  get #ownTenant(): string | null {
    const { tenant } = this.principal;
    return tenant === HOUSE ? null : tenant;
  }

  #deed<T>(
    needs: AuthorizedOperation,
    operation: Operation,
    what: string,
    asked: unknown,
    run: () => T | Promise<T>,
  ): Promise<T> {
    const who = this.who(this.#from);
    const traceId = this.#traceId;
    return this.#office.records.run(
      { who, operation, what, arguments: asked, traceId },
      () => authorize(this.principal, needs),
      run,
    );
  }
}
