/**
 * Decides by Cedar's rules: what nothing permits is denied, and a `forbid` wins over every `permit`.
 *
 * A policy demands a second person by forbidding what is not approved, or by permitting only what is.
 * So a request that is denied is judged once more as if it were approved; if that allows it, all that is
 * missing is the approval.
 *
 * @module
 */
import type { Block } from "@/scope/block.ts";
import type { Cedar, CedarPolicies } from "./cedar.ts";
import { cedarRequest, type Subject } from "./cedar_request.ts";
import { distinctNetworks, NAMED_NETWORKS, subjectsOf } from "./networks.ts";
import { type ParsedPolicy, parsePolicies, validatePolicies } from "./parse.ts";
import { type PolicyProblem, problemLines } from "./problem.ts";
import type { PolicyDecision, PolicyEngine, PolicyRequest } from "./request.ts";
import type { PolicyView } from "./view.ts";

/** How a text that is validated is named. */
const TEXT_NAME = "policy";

/** A policy that permits everything: against it, whatever forbids shows itself. Never in force. */
const EVERYTHING = {
  id: "-everything",
  text: "permit (principal, action, resource);",
};

/** Decisions in a row; each takes a fraction of a millisecond, and others wait meanwhile. */
const BATCH = 16;

/** What policies say of one network. */
export interface NetworkExplanation {
  /** Null where no address is contacted. */
  readonly network: string | null;
  readonly inScope: boolean;
  readonly decision: PolicyDecision;
  /** Every policy that applies, whether it made the decision or not. */
  readonly applies: readonly string[];
}

/** Policies in force. */
export interface Policies {
  readonly hash: string;
  readonly schema: string;
  readonly policies: readonly ParsedPolicy[];
  /** What each policy says, by its `@id`: another text is another version. */
  readonly versions: ReadonlyMap<string, string>;
  readonly networks: readonly Block[];
}

/** The policies of a folder, ready to decide. */
export class PolicySet implements PolicyEngine {
  readonly hash: string;
  /** Every policy in force. */
  readonly views: readonly PolicyView[];
  readonly #cedar: Cedar;
  readonly #schema: string;
  readonly #networks: readonly Block[];
  readonly #byId: ReadonlyMap<string, PolicyView>;
  readonly #versions: ReadonlyMap<string, string>;
  readonly #all: CedarPolicies;
  /** What permits, where nothing forbids. */
  readonly #permits: CedarPolicies;

  /**
   * @param cedar Cedar.
   * @param parts Policies that are known to be sound.
   */
  constructor(
    cedar: Cedar,
    { hash, schema, policies, versions, networks }: Policies,
  ) {
    this.hash = hash;
    this.views = policies.map(({ view }) => view);
    this.#cedar = cedar;
    this.#schema = schema;
    this.#networks = distinctNetworks([...networks, ...NAMED_NETWORKS]);
    this.#byId = new Map(this.views.map((view) => [view.id, view]));
    this.#versions = versions;
    this.#all = this.#prepare(this.views);
    this.#permits = this.#prepare(this.#of("permit"));
  }

  async decide(request: PolicyRequest): Promise<PolicyDecision> {
    const permits = new Set<string>();
    const approvals = new Set<string>();
    const subjects = subjectsOf(request, this.#networks);
    for (const [index, subject] of subjects.entries()) {
      if (index % BATCH === BATCH - 1) await othersTurn();
      const decision = this.#decide(request, subject);
      if (decision.kind === "deny") return decision;
      const into = decision.kind === "allow" ? permits : approvals;
      for (const id of decision.policies) into.add(id);
    }
    return approvals.size === 0
      ? { kind: "allow", policies: [...permits].sort() }
      : this.#approval([...approvals]);
  }

  /**
   * Says what the policies find in a request, network by network.
   *
   * @param request The request.
   * @returns A finding for each network; the request is allowed if each one is.
   * @throws {AppError} As `decide`.
   */
  // deno-lint-ignore require-await
  async explain(
    request: PolicyRequest,
  ): Promise<readonly NetworkExplanation[]> {
    const forbids = this.#prepare([...this.#of("forbid"), EVERYTHING]);
    return subjectsOf(request, this.#networks).map((subject) => {
      const asked = cedarRequest(request, subject, request.approved);
      const applies = [this.#permits, forbids].flatMap((set) =>
        set.judge(asked).reason
      ).filter((id) => id !== EVERYTHING.id);
      return {
        ...subject,
        decision: this.#decide(request, subject),
        applies: applies.sort(),
      };
    });
  }

  /**
   * Checks the text of policies against the schema. Nothing comes into force.
   *
   * @param text Untrusted text.
   * @returns What is wrong with it, by lines; nothing if it is sound.
   */
  // deno-lint-ignore require-await
  async validate(text: string): Promise<readonly string[]> {
    const file = { name: TEXT_NAME, text };
    const { policies, problems } = parsePolicies(this.#cedar, file);
    if (problems.length > 0) return problemLines(problems);
    if (policies.length === 0) return ["it holds no policy"];
    const twice = duplicates(policies);
    if (twice.length > 0) return problemLines(twice);
    return problemLines(
      validatePolicies(this.#cedar, this.#schema, policies),
    );
  }

  #of(effect: PolicyView["effect"]): readonly PolicyView[] {
    return this.views.filter((view) => view.effect === effect);
  }

  #prepare(
    policies: readonly { readonly id: string; readonly text: string }[],
  ): CedarPolicies {
    const texts = policies.map(({ id, text }) => [id, text] as const);
    return this.#cedar.prepare(this.#schema, Object.fromEntries(texts));
  }

  #decide(request: PolicyRequest, subject: Subject): PolicyDecision {
    const asked = cedarRequest(request, subject, request.approved);
    const { decision, reason } = this.#all.judge(asked);
    const policies = [...reason].sort();
    if (decision === "allow") return { kind: "allow", policies };
    if (request.approved) return { kind: "deny", policies };
    const approved = this.#all.judge(cedarRequest(request, subject, true));
    // What an approval would not mend is the reason, and nothing besides.
    if (approved.decision === "deny") {
      return { kind: "deny", policies: [...approved.reason].sort() };
    }
    // A permit demands it as well where none holds both with and without it, whatever else forbids.
    const permitting = this.#permits.judge(asked).reason;
    const holds = approved.reason.some((id) => permitting.includes(id));
    return this.#approval(holds ? policies : [...policies, ...approved.reason]);
  }

  #approval(ids: readonly string[]): PolicyDecision {
    const policies = [...ids].sort();
    return {
      kind: "approval",
      policies,
      demands: policies.map((id) => `${id}@${this.#versions.get(id) ?? "?"}`),
      byClientUser: ids.length > 0 &&
        ids.every((id) =>
          this.#byId.get(id)?.annotations["approver"] === "client_user"
        ),
    };
  }
}

/**
 * Finds policies whose names are taken.
 *
 * @param policies The policies.
 * @returns A problem for each one behind the first of its name.
 */
export function duplicates(
  policies: readonly ParsedPolicy[],
): readonly PolicyProblem[] {
  const first = new Map<string, ParsedPolicy>();
  return policies.flatMap((policy) => {
    const { id, file } = policy.view;
    const other = first.get(id);
    if (other === undefined) {
      first.set(id, policy);
      return [];
    }
    return [{
      file,
      line: policy.line,
      message:
        `the name "${id}" is taken by ${other.view.file}:${other.line}; give each policy an @id of its own`,
    }];
  });
}

/** Lets everything else that waits come first. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
