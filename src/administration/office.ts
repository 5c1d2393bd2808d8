/**
 * What operators work with, gathered by the composition root.
 *
 * @module
 */
import type { Approval } from "@/approvals/approval.ts";
import type { Approvals } from "@/approvals/approvals.ts";
import type { AuditFiles } from "@/audit/files.ts";
import type { Config } from "@/config/schema.ts";
import type {
  PolicyCase,
  PolicyVerdict,
  PolicyView,
  ReloadAnswer,
  TenantView,
} from "@/dispatch/administration.ts";
import type { Teller } from "@/events/event.ts";
import type { EventLog } from "@/events/event_log.ts";
import type { ApiKeys } from "@/identity/keys.ts";
import type { PolicyExplanation } from "@/policy/explain.ts";
import type { AuditCursors } from "./audit_cursor.ts";
import type { Records } from "./records.ts";
import type { ToolBoard } from "./tools.ts";

/** The policies in force. */
export interface PolicyBoard {
  readonly hash: string;
  readonly views: readonly PolicyView[];
  /** @returns What is wrong with a text; nothing if it is sound. */
  validate(text: string): Promise<readonly string[]>;
  /** Judges cases. */
  test(cases: readonly PolicyCase[]): Promise<readonly PolicyVerdict[]>;
  /** Says what is decided of a case's request, and why. */
  explain(request: PolicyCase["request"]): Promise<PolicyExplanation>;
}

/** What operators work with. */
export interface Office {
  readonly config: () => Config;
  readonly records: Records;
  readonly board: ToolBoard;
  readonly approvals: Approvals;
  readonly auditFiles: AuditFiles;
  readonly auditCursors: AuditCursors;
  readonly events: EventLog;
  readonly live: Teller;
  readonly keys: ApiKeys;
  /** The configuration in force, without secrets, with where each value comes from. */
  readonly configuration: () => Readonly<Record<string, unknown>>;
  /** Reads the configuration and the policies again. */
  readonly reload: (who: string) => Promise<ReloadAnswer>;
  /** Every tenant with its subnets and quotas. */
  readonly tenants: () => readonly TenantView[];
  readonly policies: () => Promise<PolicyBoard>;
  /** Counters since the start, those of a tenant among them. */
  readonly stats: (tenant: string) => Readonly<Record<string, unknown>>;
  /** Scans in the background what was approved, in the name of whoever asked. */
  readonly carryOut: (approval: Approval) => Promise<void>;
}
