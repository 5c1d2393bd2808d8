/**
 * What operators may do besides scanning: one port, bound to one caller, so that an adapter can ask for
 * nothing that the caller may not have. Every method throws `forbidden` where the caller's roles or
 * scopes do not reach, and shows nothing of another tenant.
 *
 * @module
 */
import type { Approval, ApprovalStatus } from "@/approvals/approval.ts";
import type { LiveEvent } from "@/events/event.ts";
import type { ApiKey, IssuedKey } from "@/identity/keys.ts";
import type { Role, Scope } from "@/identity/principal.ts";
import type { PolicyExplanation } from "@/policy/explain.ts";
import type { PolicyCase, PolicyVerdict, PolicyView } from "@/policy/view.ts";
import type { Page, PageOptions } from "@/store/scan_record.ts";
import type { ToolName } from "@/tools/tool.ts";

/** A tool and its state. */
export interface ToolState {
  readonly name: ToolName;
  /** Whether it may be called: `enabled` of the configuration and of the operators both. */
  readonly enabled: boolean;
  /** Why not, or null. */
  readonly disabledBy: "configuration" | "operator" | null;
  readonly version: string | null;
  readonly absence: string | null;
  readonly breaker: BreakerState;
  /** JSON Schema of a request's arguments. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** What its process may use, in the names of the configuration. */
  readonly limits: Readonly<Record<string, number>>;
}

/** A breaker as an operator sees it. */
export interface BreakerState {
  readonly tool: ToolName;
  readonly state: string;
  /** What an operator forced, or null. */
  readonly forced: "open" | null;
  readonly failures: number;
  /** Seconds until it is tried again, or null. */
  readonly retryAfterSeconds: number | null;
}

/** An API key without its secret. */
export type KeyView = ApiKey;

/** What a new key is made of. */
export interface NewKey {
  readonly name: string;
  /** The caller's own where it is left out; another one only for admins of the house. */
  readonly tenant?: string;
  readonly roles: readonly Role[];
  readonly scopes?: readonly Scope[] | null;
  /** Seconds it is good for; null for ever. */
  readonly expiresInSeconds?: number | null;
}

/** A key that was made: its secret is shown this once. */
export type MadeKey = IssuedKey;

/** A tenant. */
export interface TenantView {
  readonly name: string;
  readonly subnets: readonly string[];
  /** Quotas with what is used of them; null has no bound. */
  readonly quotas: readonly {
    readonly name: string;
    readonly limit: number | null;
    readonly used: number;
    readonly resetSeconds: number;
  }[];
}

/** One entry of the audit log as it stands there, in `snake_case`. */
export type AuditLine = Readonly<Record<string, unknown>>;

/** Which entries of the audit log. */
export interface AuditFilter {
  readonly since?: string;
  readonly until?: string;
  readonly kind?: string;
  readonly scanId?: string;
}

export type { PolicyCase, PolicyVerdict, PolicyView };

/** Where to begin with events, and which. */
export interface Listening {
  /** The id of the last event that was seen, or null for what comes from now on. */
  readonly after: string | null;
  /** Only of this scan. */
  readonly scanId?: string;
  /** Whether what scans print is told too. */
  readonly output?: boolean;
  readonly signal: AbortSignal;
}

/** What came of reading the configuration and the policies again. */
export interface ReloadAnswer {
  /** Whether both are in force as their files say. */
  readonly applied: boolean;
  /** What is wrong: it stays as it was. */
  readonly problems: readonly string[];
  /** Keys whose new values wait for the next start. */
  readonly waiting: readonly string[];
}

/** The operators' port. */
export interface Administration {
  tools(): Promise<readonly ToolState[]>;
  /** @throws {AppError} `tool_not_found`, `conflict` if the configuration switched it off. */
  setTool(name: string, enabled: boolean): Promise<ToolState>;
  breakers(): Promise<readonly BreakerState[]>;
  /** `auto` lets go of it. @throws {AppError} `tool_not_found`. */
  forceBreaker(
    name: string,
    to: "open" | "closed" | "auto",
  ): Promise<BreakerState>;
  /** The configuration in force, without secrets, with where each value comes from. */
  configuration(): Promise<Readonly<Record<string, unknown>>>;
  /** @returns What came of reading the configuration and the policies again. */
  reload(): Promise<ReloadAnswer>;
  auditEntries(
    filter: AuditFilter,
    page: PageOptions,
  ): Promise<Page<AuditLine>>;
  approvals(
    filter: { readonly status?: ApprovalStatus },
    page: PageOptions,
  ): Promise<Page<Approval>>;
  /** @throws {AppError} `not_found`. */
  approval(id: string): Promise<Approval>;
  /**
   * Decides. A granted request is scanned in the background at once.
   *
   * @throws {AppError} `not_found`; `conflict` if it is decided or expired; `forbidden` to its requester.
   */
  decide(
    id: string,
    decision: "grant" | "deny",
    note: string | null,
  ): Promise<Approval>;
  keys(): Promise<readonly KeyView[]>;
  createKey(key: NewKey): Promise<MadeKey>;
  /** The same key with another secret; the old one stays good for a while. @throws {AppError} `not_found`. */
  rotateKey(id: string, overlapSeconds: number): Promise<MadeKey>;
  /** @throws {AppError} `not_found`. */
  revokeKey(id: string): Promise<KeyView>;
  tenants(): Promise<readonly TenantView[]>;
  policies(): Promise<{
    readonly hash: string;
    readonly policies: readonly PolicyView[];
  }>;
  /** @returns What is wrong with it; nothing if it is sound. */
  validatePolicy(text: string): Promise<readonly string[]>;
  /** Judges cases by the policies in force. Nothing is scanned or recorded. */
  testPolicies(
    cases: readonly PolicyCase[],
  ): Promise<readonly PolicyVerdict[]>;
  /** Says what the policies in force decide of a case's request, and why. Nothing is recorded. */
  explainPolicies(request: PolicyCase["request"]): Promise<PolicyExplanation>;
  /** Counters since the start, as JSON. */
  stats(): Promise<Readonly<Record<string, unknown>>>;
  /** Live events that the caller may see, in order. Ends with the signal, or when it is too slow. */
  listen(listening: Listening): AsyncIterable<LiveEvent>;
}
