/**
 * The configuration in force, and its reload.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { OperatorEnv } from "../env.ts";
import { jsonAnswer, NoQuery, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
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
    "What is wrong is told with 200 and problems. Of configuration and policies the one that is wrong stays as it was; the other is taken.",
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
    return c.json(answer, 200);
  }, refusal(reload));
}
