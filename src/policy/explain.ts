/**
 * Why policies decide of a request as they do: the decision, and for each network of the request every
 * policy that applies to it.
 *
 * @module
 */
import { type CaseDefaults, parseCaseRequest } from "./cases.ts";
import type { NetworkExplanation, PolicySet } from "./engine.ts";
import type { PolicyDecision } from "./request.ts";
import type { Verdict } from "./view.ts";

/** What policies decide of a request, and why. */
export interface PolicyExplanation {
  readonly decision: PolicyDecision;
  readonly networks: readonly NetworkExplanation[];
}

/** A decision as data. */
export interface DecisionJson {
  decision: Verdict;
  policies: string[];
  /** With `approval`: whether the user of the MCP client may give it. */
  by_client_user?: boolean;
}

/** What policies say of one network, as data. */
export interface NetworkJson extends DecisionJson {
  network: string | null;
  in_scope: boolean;
  applies: string[];
}

/** What policies decide of a request and why, as data. */
export interface ExplanationJson extends DecisionJson {
  networks: NetworkJson[];
}

/**
 * Explains what policies decide of a request. Nothing is scanned or recorded.
 *
 * @param policies The policies.
 * @param request Untrusted JSON: a case's request.
 * @param defaults What it does not say.
 * @returns The decision and what led to it.
 * @throws {AppError} `invalid_arguments` or `invalid_target`; what `decide` throws.
 */
export async function explainRequest(
  policies: PolicySet,
  request: unknown,
  defaults: CaseDefaults,
): Promise<PolicyExplanation> {
  const parsed = parseCaseRequest(request, defaults);
  return {
    decision: await policies.decide(parsed),
    networks: await policies.explain(parsed),
  };
}

/**
 * Gives what policies decide and why as data.
 *
 * @param explanation What they say.
 * @returns JSON.
 */
export function explanationJson(
  { decision, networks }: PolicyExplanation,
): ExplanationJson {
  return {
    ...decisionJson(decision),
    networks: networks.map(({ network, inScope, decision, applies }) => ({
      network,
      in_scope: inScope,
      ...decisionJson(decision),
      applies: [...applies],
    })),
  };
}

function decisionJson(decision: PolicyDecision): DecisionJson {
  const head = { decision: decision.kind, policies: [...decision.policies] };
  return decision.kind === "approval"
    ? { ...head, by_client_user: decision.byClientUser }
    : head;
}
