/**
 * Policies for tests that are about something else, or that play them.
 *
 * @module
 */
import type {
  PolicyDecision,
  PolicyEngine,
  PolicyRequest,
} from "@/policy/request.ts";

/** Allows everything. */
export const ALLOWING: PolicyEngine = {
  hash: "0".repeat(64),
  decide: () => Promise.resolve({ kind: "allow", policies: ["allow-all"] }),
};

/** Policies that a test plays. */
export class FakePolicy implements PolicyEngine {
  readonly hash = "1".repeat(64);
  /** Everything that was asked. */
  readonly asked: PolicyRequest[] = [];
  /** What they say. */
  says: (request: PolicyRequest) => PolicyDecision;

  /** @param says What they say. */
  constructor(says: (request: PolicyRequest) => PolicyDecision) {
    this.says = says;
  }

  decide(request: PolicyRequest): Promise<PolicyDecision> {
    this.asked.push(request);
    return Promise.resolve().then(() => this.says(request));
  }
}
