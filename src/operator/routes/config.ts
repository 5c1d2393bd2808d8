/**
 * The configuration in force, and its reload.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { OperatorEnv } from "../env.ts";
import { HttpError } from "../http_error.ts";
import { problemAnswer } from "../problem.ts";
import { jsonAnswer, NoQuery, SECURED } from "../schemas/kinds.ts";
import { problems, ProblemSchema } from "../schemas/problem.ts";
import { ConfigSchema, ReloadSchema } from "../schemas/server.ts";
import { refusal } from "./refuse.ts";

const tags = ["Configuration"];

const show = createRoute({
  method: "get",
  path: "/config",
  operationId: "getConfig",
  summary: "The configuration in force, without its secrets",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(ConfigSchema, "The configuration.", {
      config: { security: { max_network_size: 1_024 } },
      origins: {
        "security.max_network_size": { origin: "default", place: null },
      },
      warnings: [],
    }),
    ...problems(),
  },
});

const reload = createRoute({
  method: "post",
  path: "/config/reload",
  operationId: "reloadConfig",
  summary: "Read the configuration and the policies again",
  description:
    "Of configuration and policies the one that is wrong stays as it was, and the answer is 422 with problems; the other is taken.",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(ReloadSchema, "What came of it.", {
      applied: true,
      problems: [],
      waiting: ["server.port"],
    }),
    ...problems(),
    422: {
      description:
        "The configuration or the policies cannot be used; that one stays as it was.",
      content: {
        "application/problem+json": {
          schema: ProblemSchema.extend(ReloadSchema.shape).openapi(
            "ReloadProblem",
            { description: "A problem with what came of the reload." },
          ),
        },
      },
    },
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function configRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(
    show,
    async (c) => c.json({ ...await c.get("session").configuration() }, 200),
    refusal(show),
  );
  app.openapi(reload, async (c) => {
    const { applied, problems, waiting } = await c.get("session").reload();
    const answer = { applied, problems: [...problems], waiting: [...waiting] };
    if (applied) return c.json(answer, 200);
    const { requestId, traceId } = c.var;
    return problemAnswer(
      notTaken(problems),
      { requestId, traceId },
      { members: answer },
    ) as never;
  }, refusal(reload));
}

/** Whoever only looks at the status has to hear that the files are not in force. */
function notTaken(problems: readonly string[]): HttpError {
  const many = problems.length === 1
    ? "one thing is"
    : `${problems.length} things are`;
  return new HttpError(
    422,
    "invalid_arguments",
    `Cannot take all that the files say: ${many} wrong with them, as "problems" tells; correct them and reload again`,
  );
}
