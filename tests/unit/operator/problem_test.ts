import assert from "node:assert/strict";
import { HTTPException } from "hono/http-exception";
import { AppError } from "@/error/app_error.ts";
import { ERROR_CODES } from "@/error/code.ts";
import { HttpError } from "@/operator/http_error.ts";
import { failureOf, problemAnswer } from "@/operator/problem.ts";
import { verifies } from "../../requirements.ts";

const OCCURRENCE = { requestId: "req-7", traceId: "a".repeat(32) };

Deno.test("problemAnswer() has words for every code, and its status", async () => {
  verifies("http.problems");
  const titles = new Set<string>();
  for (const code of ERROR_CODES) {
    const answer = problemAnswer(new AppError(code, "Cannot"), OCCURRENCE);
    const problem = await answer.json();
    assert.equal(problem.type, `/problems/${code}`);
    assert.equal(problem.status, answer.status);
    assert.equal(problem.instance, "req-7");
    titles.add(problem.title);
  }
  assert.equal(titles.size, ERROR_CODES.length);
});

Deno.test("problemAnswer() says more where a route has more to say, and nothing in the place of its own words", async () => {
  const answer = problemAnswer(
    new HttpError(405, "invalid_arguments", "Cannot", { allow: "GET" }),
    OCCURRENCE,
    {
      status: 416,
      members: { size: 7, code: "forged", status: 200 },
      headers: { "content-range": "bytes */7" },
    },
  );
  const problem = await answer.json();
  assert.equal(answer.status, 416);
  assert.equal(answer.headers.get("content-range"), "bytes */7");
  assert.equal(answer.headers.get("allow"), "GET");
  assert.deepEqual(
    [problem.size, problem.code, problem.status],
    [7, "invalid_arguments", 416],
  );
});

Deno.test("problemAnswer() names the guardrail that refused", async () => {
  verifies("error.guardrail");
  const error = new AppError("target_not_allowed", "Cannot scan it: no", {
    guardrail: "scope",
  });
  const { code, detail, guardrail } = await problemAnswer(error, OCCURRENCE)
    .json();
  assert.deepEqual([code, detail, guardrail], [
    "target_not_allowed",
    "Cannot scan it: no",
    "scope",
  ]);
});

Deno.test("failureOf() takes over none of the framework's words", () => {
  verifies("http.problems");
  for (
    const [thrown, code, words] of [
      [
        new HTTPException(400, { message: "secret" }),
        "invalid_arguments",
        /it is not JSON/,
      ],
      [
        new HTTPException(415, { message: "secret" }),
        "invalid_arguments",
        /application\/json/,
      ],
      [new HTTPException(418, { message: "secret" }), "internal", /see the/],
      [new TypeError("secret"), "internal", /see the server log/],
      ["secret", "internal", /see the server log/],
      [new AppError("conflict", "Cannot: it is so"), "conflict", /it is so/],
    ] as const
  ) {
    const error = failureOf(thrown);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.doesNotMatch(error.message, /secret/);
  }
});
