/**
 * The gate of policy: who may scan what, with what, when, and what needs a second person. It stands
 * behind the guardrails, so a policy can allow less than they do and never more.
 *
 * @module
 */
import type { Who } from "@/audit/entry.ts";
import type { Approval } from "@/approvals/approval.ts";
import type { ApprovalQuestion } from "@/approvals/approvals.ts";
import { AppError } from "@/error/app_error.ts";
import type { Principal } from "@/identity/principal.ts";
import type {
  PolicyDecision,
  PolicyEngine,
  PolicyRequest,
} from "@/policy/request.ts";
import type { Binding } from "@/scope/rules.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import type { Plan, ToolName, Verdict } from "@/tools/tool.ts";
import { allowed, refused } from "@/tools/verdict.ts";
import type { CallRecord } from "./record.ts";

/** Approvals as the gate needs them. */
export interface ApprovalDesk {
  /** The request as it waits: the same one for the same question. */
  ask(question: ApprovalQuestion): Promise<Approval>;
  /** A granted approval of exactly this request that is not expired, or null. */
  granted(
    asked: {
      readonly tenant: string;
      readonly subject: string;
      readonly digest: string;
    },
  ): Promise<Approval | null>;
  /** Says which scan came of it: it is used up by that. */
  started(id: string, scanId: string): Promise<void>;
}

/** What {@linkcode Gate} works with. */
export interface GateOptions {
  /** The policies of the moment. */
  readonly policy: () => PolicyEngine;
  readonly approvals: ApprovalDesk;
  /**
   * Whether the scan of an approval that is used up still answers the request. One that never started,
   * was cancelled or died with its server does not: then a second person is asked again.
   */
  readonly answers: (scanId: string) => Promise<boolean>;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
}

/** A request whose guardrails have nothing against it. */
export interface Judged {
  readonly who: Who;
  readonly principal: Principal;
  readonly tool: ToolName;
  readonly plan: Plan;
  readonly binding: Binding;
  readonly guardrails: Guardrails;
}

/** What is asked for, for a second person. */
export interface Question {
  /** As the request named it. */
  readonly target: string;
  /** The call's arguments as the client sent them. */
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly digest: string;
}

/** Judges requests by policy. */
export class Gate {
  readonly #options: GateOptions;

  /** @param options Policies and approvals. */
  constructor(options: GateOptions) {
    this.#options = options;
  }

  /**
   * Lets a request through or refuses it.
   *
   * @param judged The request.
   * @param question What a second person would be asked.
   * @param record Hears which policy decided.
   * @returns The approval that lets it through, or null if it needs none.
   * @throws {AppError} `policy_denied` or `approval_required`, each naming the policies.
   */
  async admit(
    judged: Judged,
    question: Question,
    record: CallRecord,
  ): Promise<Approval | null> {
    const decision = await this.#decide(judged, false);
    record.decidedBy(decision.policies);
    if (decision.kind === "allow") return null;
    if (decision.kind === "deny") throw denied(decision);
    return await this.#approval(judged, question, decision);
  }

  /**
   * Judges a request that a second person approved when it was made: for one that waited.
   *
   * @param judged The request.
   * @param approved Whether it was approved.
   * @param record Hears which policy decided.
   * @throws {AppError} `policy_denied`; `approval_required` if policy demands it now and did not then.
   */
  async readmit(
    judged: Judged,
    approved: boolean,
    record: CallRecord,
  ): Promise<void> {
    const decision = await this.#decide(judged, approved);
    record.decidedBy(decision.policies);
    if (decision.kind !== "allow") throw denied(decision);
  }

  /** What policy would say, for a plan. */
  async verdict(judged: Judged): Promise<Verdict> {
    const decision = await this.#decide(judged, false);
    const names = decision.policies.join(", ");
    switch (decision.kind) {
      case "allow":
        return allowed("policy", `allowed by ${names}`);
      case "deny":
        return refused("policy", "policy_denied", denied(decision).message);
      case "approval":
        return allowed(
          "policy",
          `needs the approval of a second person (${names}); the scan's request asks for it`,
        );
    }
  }

  async #approval(
    { principal, tool }: Judged,
    question: Question,
    { policies, byClientUser }: PolicyDecision & { readonly kind: "approval" },
  ): Promise<Approval> {
    const { approvals, answers } = this.#options;
    const { tenant, subject } = principal;
    const { digest } = question;
    const granted = await approvals.granted({ tenant, subject, digest });
    // What was approved under one policy says nothing to another that demands it now.
    if (
      granted !== null &&
      policies.every((id) => granted.policies.includes(id)) &&
      (granted.scanId === null || await answers(granted.scanId))
    ) {
      return granted;
    }
    const { id } = await approvals.ask({
      principal,
      tool,
      policies,
      byClientUser,
      ...question,
    });
    throw new AppError(
      "approval_required",
      `Cannot scan yet: a second person has to approve this (${id}, policy ${
        policies.join(", ")
      }); wait for it, then make the same call again`,
      { approval: { id, byClientUser } },
    );
  }

  async #decide(judged: Judged, approved: boolean): Promise<PolicyDecision> {
    const { policy, wallNow } = this.#options;
    return await policy().decide({
      ...requestOf(judged),
      at: wallNow(),
      approved,
    });
  }
}

function denied(
  { kind, policies }: Exclude<PolicyDecision, { readonly kind: "allow" }>,
): AppError {
  const names = policies.map((name) => `"${name}"`).join(", ");
  return new AppError(
    "policy_denied",
    kind === "approval"
      ? `Cannot scan: policy ${names} demands an approval that this request does not have; make the call again`
      : policies.length === 0
      ? "Cannot scan: no policy permits it to these credentials; ask an operator, or use credentials with the role operator"
      : `Cannot scan: policy ${names} forbids it; ask an operator what is allowed`,
  );
}

function requestOf(
  { who, principal, tool, plan, binding, guardrails }: Judged,
): Omit<PolicyRequest, "at" | "approved"> {
  const { networks, names, ports, rate, intrusive } = plan.facts;
  const { engagement, tags } = binding;
  return {
    principal: {
      subject: principal.subject,
      client: principal.client,
      tenant: principal.tenant,
      roles: [...principal.roles],
    },
    tool,
    mode: plan.scanType === "masscan" ? "syn" : plan.scanType,
    networks,
    names,
    engagement,
    tags,
    addresses: plan.addressCount,
    ports,
    rate,
    intrusive,
    intrusiveAllowed: guardrails.allowIntrusive,
    // The guardrails judged every target before: what they refuse does not come here.
    inScope: () => true,
    transport: who.transport,
    source: who.address,
  };
}
