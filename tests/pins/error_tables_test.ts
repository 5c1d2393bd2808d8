/**
 * What every error code becomes on the wire. Clients and alarms rely on it, so the tables stand here
 * once more, as literals.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ERROR_CODES } from "@/error/code.ts";
import { httpStatus } from "@/error/http_status.ts";
import { errorAnswer } from "@/mcp/result.ts";
import { verifies } from "../requirements.ts";

verifies("mcp.errors.pinned", "http.errors.pinned");

const TABLE: readonly (readonly [string, number, string])[] = [
  [
    "tool_not_found",
    404,
    "List the tools and call one of them by its exact name.",
  ],
  [
    "tool_disabled",
    403,
    "The operator switched this tool off; use another tool or tell the user.",
  ],
  [
    "circuit_open",
    503,
    "Wait for retry_after and call once; where there is none, use another tool or tell the user.",
  ],
  [
    "invalid_arguments",
    400,
    "Correct the named argument by the tool's input schema and call again.",
  ],
  [
    "invalid_target",
    400,
    "Give an address, a CIDR, a range or an allowed host name, and call again.",
  ],
  [
    "target_not_allowed",
    403,
    "Read policy://guardrails and choose a target in scope; do not retry this one.",
  ],
  [
    "network_too_large",
    422,
    "Split the network as the message says and scan one part a call.",
  ],
  [
    "intrusive_not_allowed",
    403,
    "Leave the intrusive option out; only the operator can allow it.",
  ],
  [
    "policy_denied",
    403,
    "Policy forbids this call; tell the user and do not look for a way around it.",
  ],
  [
    "approval_required",
    403,
    "A person has to approve this first; tell the user and wait.",
  ],
  ["rate_limited", 429, "Wait for retry_after, then call again."],
  [
    "quota_exceeded",
    429,
    "The quota is used up; tell the user or wait for its renewal.",
  ],
  [
    "queue_full",
    503,
    "Too many scans wait; wait for retry_after or for one of your scans to end.",
  ],
  [
    "timeout",
    504,
    "Use what was found so far; scan fewer hosts or ports, or raise timeout_seconds.",
  ],
  [
    "output_limit",
    502,
    "Use what was found so far; scan fewer hosts or ports in one call.",
  ],
  [
    "tool_failed",
    502,
    "Check the arguments with plan: true; if they are right, tell the user.",
  ],
  [
    "tool_unavailable",
    503,
    "Try once more after a moment; if it stays so, the operator should run doctor.",
  ],
  [
    "cancelled",
    409,
    "The scan was cancelled on request; start it again only if asked to.",
  ],
  ["interrupted", 503, "The server stopped during the scan; start it again."],
  [
    "unauthenticated",
    401,
    "Send valid credentials; a retry without them is refused.",
  ],
  ["forbidden", 403, "These credentials do not allow this; tell the user."],
  ["not_found", 404, "Check the id; scan_list names the scans that exist."],
  [
    "conflict",
    409,
    "Read the present state with scan_status and decide again.",
  ],
  ["payload_too_large", 413, "Send less in one call."],
  [
    "internal",
    500,
    "This is a fault of the server; tell the user to look at its log.",
  ],
];

Deno.test("every error code has one HTTP status and one next step", () => {
  assert.deepEqual(
    ERROR_CODES.map((code) => {
      const { text } = errorAnswer({ code, message: "m" });
      return [code, httpStatus(code), text];
    }),
    TABLE.map(([code, status, next]) => [
      code,
      status,
      `m\nError: ${code}. Next: ${next}`,
    ]),
  );
});

Deno.test("errorAnswer() makes an answer with isError, text and structured error", () => {
  assert.deepEqual(
    errorAnswer({
      code: "rate_limited",
      message: "Cannot scan: too many calls",
      retry_after: 2,
    }),
    {
      isError: true,
      text:
        "Cannot scan: too many calls\nError: rate_limited. retry_after: 2 s. Next: Wait for retry_after, then call again.",
      structuredContent: {
        error: {
          code: "rate_limited",
          message: "Cannot scan: too many calls",
          retry_after: 2,
        },
      },
    },
  );
});

Deno.test("no fault of the server has a client's status", () => {
  const server = [
    "circuit_open",
    "queue_full",
    "timeout",
    "output_limit",
    "tool_failed",
    "tool_unavailable",
    "interrupted",
    "internal",
  ];
  assert.deepEqual(
    ERROR_CODES.filter((code) => httpStatus(code) >= 500),
    server,
  );
});
