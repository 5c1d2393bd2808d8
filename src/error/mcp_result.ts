/**
 * The words of every error code in a tool result with `isError`: they tell a model what was wrong and
 * what to do next. `mcp/result.ts` puts them into the result, whose `structuredContent.error` tells a
 * program the same.
 *
 * A result and not a protocol error, because a model sees results and can mend its call, while a
 * protocol error ends in the client's log. The one exception is `tool_not_found`: the protocol asks
 * for an error with code -32602 there, and the adapter answers so.
 *
 * @module
 */
import type { ErrorBody } from "./app_error.ts";
import type { ErrorCode } from "./code.ts";

/** What a model should do after each code. A `Record`, so that a new code needs its line. */
const NEXT: Readonly<Record<ErrorCode, string>> = {
  tool_not_found: "List the tools and call one of them by its exact name.",
  tool_disabled:
    "The operator switched this tool off; use another tool or tell the user.",
  circuit_open:
    "Wait for retry_after and call once; where there is none, use another tool or tell the user.",
  invalid_arguments:
    "Correct the named argument by the tool's input schema and call again.",
  invalid_target:
    "Give an address, a CIDR, a range or an allowed host name, and call again.",
  target_not_allowed:
    "Read policy://guardrails and choose a target in scope; do not retry this one.",
  network_too_large:
    "Split the network as the message says and scan one part a call.",
  intrusive_not_allowed:
    "Leave the intrusive option out; only the operator can allow it.",
  policy_denied:
    "Policy forbids this call; tell the user and do not look for a way around it.",
  approval_required:
    "A person has to approve this first; tell the user and wait.",
  rate_limited: "Wait for retry_after, then call again.",
  quota_exceeded:
    "The quota is used up; tell the user or wait for its renewal.",
  queue_full:
    "Too many scans wait; wait for retry_after or for one of your scans to end.",
  timeout:
    "Use what was found so far; scan fewer hosts or ports, or raise timeout_seconds.",
  output_limit:
    "Use what was found so far; scan fewer hosts or ports in one call.",
  tool_failed:
    "Check the arguments with plan: true; if they are right, tell the user.",
  tool_unavailable:
    "Try once more after a moment; if it stays so, the operator should run doctor.",
  cancelled:
    "The scan was cancelled on request; start it again only if asked to.",
  interrupted: "The server stopped during the scan; start it again.",
  unauthenticated: "Send valid credentials; a retry without them is refused.",
  forbidden: "These credentials do not allow this; tell the user.",
  not_found: "Check the id; scan_list names the scans that exist.",
  conflict: "Read the present state with scan_status and decide again.",
  payload_too_large: "Send less in one call.",
  internal: "This is a fault of the server; tell the user to look at its log.",
};

/**
 * Says an error in the words of a result: message, code and the next step.
 *
 * @param error The error.
 * @returns Two lines of text.
 */
export function errorText(error: ErrorBody): string {
  const wait = error.retry_after === undefined
    ? ""
    : ` retry_after: ${error.retry_after} s.`;
  const by = error.guardrail === undefined
    ? ""
    : ` Guardrail: ${error.guardrail}.`;
  return `${error.message}\nError: ${error.code}.${by}${wait} Next: ${
    NEXT[error.code]
  }`;
}
