/**
 * The breakers of the tools, and forcing them.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { BreakerState } from "@/dispatch/administration.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import type { OperatorEnv } from "../env.ts";
import {
  idText,
  jsonAnswer,
  jsonBody,
  NoQuery,
  SECURED,
} from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import {
  BreakerChange,
  BreakerSchema,
  BreakersSchema,
} from "../schemas/server.ts";
import { refusal } from "./refuse.ts";

const tags = ["Breakers"];

const EXAMPLE = {
  tool: "nmap" as const,
  state: "open",
  forced: "open" as const,
  failures: 0,
  retry_after_seconds: null,
};

const list = createRoute({
  method: "get",
  path: "/v1/breakers",
  operationId: "listBreakers",
  summary: "All breakers",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(BreakersSchema, "The breakers.", { breakers: [EXAMPLE] }),
    ...problems(),
  },
});

const force = createRoute({
  method: "post",
  path: "/v1/breakers/{tool}",
  operationId: "forceBreaker",
  summary: "Force a breaker open or closed, or let go of it",
  tags,
  security: SECURED,
  request: {
    params: z.strictObject({
      tool: idText.openapi({
        description: `One of ${TOOL_NAMES.join(", ")}.`,
        example: "nmap",
      }),
    }),
    query: NoQuery,
    body: jsonBody(BreakerChange, { state: "open" }),
  },
  responses: {
    200: jsonAnswer(BreakerSchema, "The breaker as it is now.", EXAMPLE),
    ...problems(404, 413, 415),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function breakerRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const breakers = await c.get("session").breakers();
    return c.json({ breakers: breakers.map(breakerView) }, 200);
  }, refusal(list));
  app.openapi(force, async (c) => {
    const { tool } = c.req.valid("param");
    const { state } = c.req.valid("json");
    const breaker = await c.get("session").forceBreaker(tool, state);
    return c.json(breakerView(breaker), 200);
  }, refusal(force));
}

/**
 * Shows a breaker.
 *
 * @param breaker The breaker.
 * @returns The JSON.
 */
export function breakerView(
  breaker: BreakerState,
): z.infer<typeof BreakerSchema> {
  return {
    tool: breaker.tool,
    state: breaker.state,
    forced: breaker.forced,
    failures: breaker.failures,
    retry_after_seconds: breaker.retryAfterSeconds,
  };
}
