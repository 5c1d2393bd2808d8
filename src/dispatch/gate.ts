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

/** That a second person is missing. */
type Demand = PolicyDecision & { readonly kind: "approval" };

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
    const decision = await this.#decide(judged);
    record.decidedBy(decision.policies);
    if (decision.kind === "allow") return null;
    if (decision.kind === "deny") throw denied(decision);
    // Whoever is asked is asked for something that is on record.
    await record.requested();
    return await this.#approval(judged, question, decision);
  }

  /**
   * Judges a request that waited by the policies of now. What a second person said when it was made
   * holds as far as it goes: it answers the policies that demanded it then, as they were worded.
   *
   * @param judged The request.
   * @param answered The demands that were answered.
   * @param record Hears which policy decided.
   * @throws {AppError} `policy_denied`; `approval_required` if a policy demands now what was not answered.
   */
  async readmit(
    judged: Judged,
    answered: readonly string[],
    record: CallRecord,
  ): Promise<void> {
    const decision = await this.#decide(judged);
    record.decidedBy(decision.policies);
    if (decision.kind === "allow") return;
    if (decision.kind === "deny") throw denied(decision);
    if (answersAll(answered, decision)) return;
    // Nobody is asked here: whoever wanted the scan may not want it any more.
    throw new AppError(
      "approval_required",
      `Cannot scan: while the request waited, policy ${
        quoted(decision.policies)
      } came to demand an approval that it does not have; make the call again to ask for it`,
    );
  }

  /** What policy would say, for a plan. */
  async verdict(judged: Judged): Promise<Verdict> {
    const decision = await this.#decide(judged);
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
    demand: Demand,
  ): Promise<Approval> {
    const { approvals, answers } = this.#options;
    const { policies, demands, byClientUser } = demand;
    const { tenant, subject } = principal;
    const { digest } = question;
    const granted = await approvals.granted({ tenant, subject, digest });
    if (
      granted !== null && answersAll(granted.demands, demand) &&
      (granted.scanId === null || await answers(granted.scanId))
    ) {
      return granted;
    }
    const { id } = await approvals.ask({
      principal,
      tool,
      policies,
      demands,
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

  /** As if nobody had approved: what somebody did approve is held against what is demanded. */
  async #decide(judged: Judged): Promise<PolicyDecision> {
    const { policy, wallNow } = this.#options;
    return await policy().decide({
      ...requestOf(judged),
      at: wallNow(),
      approved: false,
    });
  }
}

/**
 * Whether an approval answers what is demanded. What was approved under one policy says nothing to
 * another that demands it now, nor to the same one in other words.
 */
function answersAll(answered: readonly string[], { demands }: Demand): boolean {
  return demands.every((demand) => answered.includes(demand));
}

function denied({ policies }: PolicyDecision): AppError {
  return new AppError(
    "policy_denied",
    policies.length === 0
      ? "Cannot scan: no policy permits it to these credentials; ask an operator, or use credentials with the role operator"
      : `Cannot scan: policy ${
        quoted(policies)
      } forbids it; ask an operator what is allowed`,
  );
}

function quoted(policies: readonly string[]): string {
  return policies.map((name) => `"${name}"`).join(", ");
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
