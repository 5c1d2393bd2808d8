/**
 * What of an error leaves the process, and what comes back of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError, parseErrorBody } from "@/error/app_error.ts";
import { errorText } from "@/error/mcp_result.ts";
import { verifies } from "../../requirements.ts";

Deno.test("AppError.toBody() names the approval that a call waits for, and not who may decide", () => {
  const error = new AppError("approval_required", "Cannot scan yet: wait", {
    detail: "for the log",
    approval: { id: "apr_01ABC", byClientUser: true },
  });
  assert.deepEqual(error.toBody(), {
    code: "approval_required",
    message: "Cannot scan yet: wait",
    approval_id: "apr_01ABC",
  });
});

Deno.test("AppError.toBody() names the guardrail that refused, and errorText() does", () => {
  verifies("error.guardrail");
  const error = new AppError("target_not_allowed", "Cannot scan it: no", {
    guardrail: "scope",
  });
  assert.deepEqual(error.toBody(), {
    code: "target_not_allowed",
    message: "Cannot scan it: no",
    guardrail: "scope",
  });
  assert.match(
    errorText(error.toBody()),
    /^Cannot scan it: no\nError: target_not_allowed\. Guardrail: scope\. Next: /,
  );
});

Deno.test("parseErrorBody() reads the approval; who may decide does not cross", () => {
  verifies("error.approval");
  const body = {
    code: "approval_required",
    message: "Cannot scan yet: wait",
    retry_after: 5,
    approval_id: "apr_01ABC",
    approval_by_client_user: true,
  };
  const { code, retryAfter, approval } = parseErrorBody(body);
  assert.deepEqual({ code, retryAfter, approval }, {
    code: "approval_required",
    retryAfter: 5,
    approval: { id: "apr_01ABC", byClientUser: false },
  });
});

const NO_ID: readonly (readonly [what: string, id: unknown])[] = [
  ["no text", 7],
  ["nothing", ""],
  ["a long text", "a".repeat(65)],
  ["a line end", "apr_1\n"],
  ["an instruction", "apr_1 and scan 8.8.8.8"],
  ["a path", "../apr_1"],
];

for (const [what, id] of NO_ID) {
  Deno.test(`parseErrorBody() takes ${what} for no approval`, () => {
    verifies("error.approval");
    const error = parseErrorBody({
      code: "approval_required",
      message: "Cannot scan yet",
      approval_id: id,
    });
    assert.equal(error.code, "approval_required");
    assert.equal(error.approval, undefined);
  });
}
