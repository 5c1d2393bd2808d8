/**
 * What the audit log holds of one call: what was asked, what was decided, and by which rule.
 *
 * Both are on the disk before anything is started for the call, and before it is answered. Where nothing
 * had to be started to find the decision, they go there in one write: so a refusal waits once. What
 * cannot be recorded does not happen.
 *
 * @module
 */
import type { Audit, DecisionEntry, Operation, Who } from "@/audit/entry.ts";
import { AppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import type { Labels } from "@/scope/rules.ts";
import type { Rules } from "./rules.ts";

/** A call as its record names it. */
export interface Recorded {
  readonly who: Who;
  readonly operation: Operation;
  /** The tool as the client named it. */
  readonly tool: string | null;
  readonly traceId: string;
}

/** The rule that an error without a guardrail's name comes from. */
const RULES: Readonly<Partial<Record<ErrorCode, string>>> = {
  tool_not_found: "tool_known",
  tool_disabled: "tool_enabled",
  circuit_open: "breaker",
  queue_full: "queue",
  invalid_arguments: "arguments",
  invalid_target: "arguments",
  not_found: "scan_known",
  cancelled: "caller",
  conflict: "idempotency_key",
  unauthenticated: "credentials",
  forbidden: "role",
  quota_exceeded: "quota",
  rate_limited: "rate_limit",
};

/** The record of one call. */
export class CallRecord {
  readonly #audit: Audit;
  readonly #call: Recorded;
  readonly #arguments: unknown;
  readonly #rules: Rules;
  #requested: Promise<void> | null = null;
  #rule: string | null = null;
  #policies: readonly string[] = [];
  #labels: Labels | null = null;

  /**
   * Nothing is recorded by this alone.
   *
   * @param audit The log.
   * @param call Whose call it is.
   * @param args The arguments as the client sent them.
   * @param rules The rules that it will be judged by.
   */
  constructor(audit: Audit, call: Recorded, args: unknown, rules: Rules) {
    this.#audit = audit;
    this.#call = call;
    this.#arguments = args;
    this.#rules = rules;
  }

  /**
   * Records a request at once: for what does something before it is decided.
   *
   * @param audit The log.
   * @param call Whose call it is.
   * @param args The arguments as the client sent them.
   * @param rules The rules that it will be judged by.
   * @returns The record; the request is on the disk.
   * @throws {AppError} If it cannot be recorded: then it must not be looked at.
   */
  static async begin(
    audit: Audit,
    call: Recorded,
    args: unknown,
    rules: Rules,
  ): Promise<CallRecord> {
    const record = new CallRecord(audit, call, args, rules);
    await record.requested();
    return record;
  }

  /**
   * Records the request, unless that was done. Before this, nothing may be started for the call.
   *
   * @returns A promise that resolves when the request is on the disk.
   * @throws {AppError} If it cannot be recorded: then it must not happen.
   */
  requested(): Promise<void> {
    return this.#requested ??= this.#audit.append({
      kind: "request",
      ...this.#call,
      arguments: this.#arguments,
    });
  }

  /** Notes what the call's scan is kept under. */
  under({ engagement, tags }: Labels): void {
    const labelled = engagement !== null || tags.length > 0;
    this.#labels = labelled ? { engagement, tags } : null;
  }

  /** Notes the guardrail that refuses, for the decision to come. */
  refusedBy(rule: string): void {
    this.#rule = rule;
  }

  /** Notes the policies that decided, for the decision to come. */
  decidedBy(policies: readonly string[]): void {
    this.#policies = policies;
  }

  /**
   * Records that the call is allowed.
   *
   * @param decision The rule, the target and the scan that it becomes.
   * @throws {AppError} If it cannot be recorded: then it must not happen.
   */
  async allowed(
    decision: Pick<DecisionEntry, "rule" | "target" | "scanId">,
  ): Promise<void> {
    await this.#decide({
      outcome: "allowed",
      code: null,
      message: null,
      ...decision,
    });
  }

  /**
   * Records that the call is refused.
   *
   * @param error Why.
   * @param scanId The scan that did not start, if it had a place already.
   * @throws {AppError} If it cannot be recorded.
   */
  async refused(error: AppError, scanId: string | null = null): Promise<void> {
    await this.#decide({
      outcome: "refused",
      rule: this.#rule ?? this.#policyRule(error.code) ?? RULES[error.code] ??
        "server",
      target: null,
      scanId,
      code: error.code,
      message: error.message,
    });
  }

  #policyRule(code: ErrorCode): string | null {
    if (code !== "policy_denied" && code !== "approval_required") return null;
    return `policy ${this.#policies.join(" ") || "(none permits it)"}`;
  }

  /** Behind the request, and in one write with it if that is still to be recorded. */
  async #decide(
    decision: Omit<
      DecisionEntry,
      | keyof Recorded
      | "kind"
      | "labels"
      | "configHash"
      | "policyHash"
      | "policies"
    >,
  ): Promise<void> {
    await Promise.all([
      this.requested(),
      this.#audit.append({
        kind: "decision",
        ...this.#call,
        labels: this.#labels,
        configHash: this.#rules.configHash,
        policyHash: this.#rules.policy.hash,
        policies: this.#policies,
        ...decision,
      }),
    ]);
  }
}
