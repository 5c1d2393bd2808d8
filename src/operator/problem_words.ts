/**
 * The words of every error code for an operator: what kind of problem it is and what to do next. A
 * model gets others, in `error/mcp_result.ts`: it calls tools, and a person or a program routes.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";

/** The words of a code. */
export interface ProblemWords {
  /** The kind of problem: the same for every occurrence. */
  readonly title: string;
  /** What to do next. */
  readonly next: string;
}

/** A `Record`, so that a new code without words does not compile. */
export const PROBLEM_WORDS: Readonly<Record<ErrorCode, ProblemWords>> = {
  tool_not_found: {
    title: "Tool not found",
    next: "List the tools with GET /tools and use one of their names.",
  },
  tool_disabled: {
    title: "Tool switched off",
    next:
      "An admin switches it on with POST /tools/{name}/enable, or in the configuration.",
  },
  circuit_open: {
    title: "Tool at rest",
    next:
      "Wait for retry_after. GET /v1/breakers says why; an admin may force it closed or, where an admin stopped it, release it.",
  },
  invalid_arguments: {
    title: "Invalid arguments",
    next: "Correct what detail names and send the request again.",
  },
  invalid_target: {
    title: "Invalid target",
    next: "Give an address, a CIDR, a range or an allowed host name.",
  },
  target_not_allowed: {
    title: "Target not allowed",
    next:
      "Choose a target in scope; security.allowed_subnets and allowed_host_suffixes are the operator's.",
  },
  network_too_large: {
    title: "Network too large",
    next: "Split the network as detail says and scan one part a request.",
  },
  intrusive_not_allowed: {
    title: "Intrusive option not allowed",
    next:
      "Leave the option out, or have the operator set security.allow_intrusive and a policy that permits it.",
  },
  policy_denied: {
    title: "Denied by policy",
    next:
      "detail names the policy; POST /v1/policies/explain shows what each one says.",
  },
  approval_required: {
    title: "Approval required",
    next:
      "Have an approver decide on /v1/approvals/{approval_id}; the scan starts by itself when it is granted.",
  },
  rate_limited: {
    title: "Too many requests",
    next: "Wait for retry_after; the RateLimit field says how many are left.",
  },
  quota_exceeded: {
    title: "Quota used up",
    next: "Wait for its renewal; GET /v1/tenants shows what is used.",
  },
  queue_full: {
    title: "No room now",
    next:
      "Wait for retry_after; detail says what is full. A scan that waits is cancelled with DELETE /v1/scans/{id}.",
  },
  timeout: {
    title: "Time is up",
    next:
      "Scan fewer hosts or ports, or raise timeout_seconds. What was found so far is kept.",
  },
  output_limit: {
    title: "Too much output",
    next: "Scan fewer hosts or ports. What was found so far is kept.",
  },
  tool_failed: {
    title: "Tool failed",
    next:
      "Send the request with plan: true to see what would be run; the server's log has the tool's own words.",
  },
  tool_unavailable: {
    title: "Tool or store unavailable",
    next: "Try again after a moment; GET /health and the command doctor tell.",
  },
  cancelled: {
    title: "Scan cancelled",
    next: "Start it again if it is still wanted.",
  },
  interrupted: {
    title: "Scan interrupted",
    next: "The server stopped during the scan; start it again.",
  },
  unauthenticated: {
    title: "Credentials needed",
    next:
      "Send Authorization: Bearer with an API key or a token that is good still.",
  },
  forbidden: {
    title: "Not allowed",
    next:
      "Use credentials whose roles and scopes reach this, or call as detail says.",
  },
  not_found: {
    title: "Not found",
    next: "Check the path and the id; lists name what there is.",
  },
  conflict: {
    title: "Conflict with the present state",
    next: "Read the present state and decide again.",
  },
  payload_too_large: {
    title: "Request too large",
    next: "Send less in one request.",
  },
  internal: {
    title: "Fault of the server",
    next:
      "The server's log has more under this request's id; tell the operator.",
  },
};
