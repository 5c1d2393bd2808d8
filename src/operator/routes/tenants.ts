/**
 * Tenants, their networks and their quotas.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { OperatorEnv } from "../env.ts";
import { TenantsSchema } from "../schemas/administration.ts";
import { jsonAnswer, NoQuery, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { refusal } from "./refuse.ts";

const list = createRoute({
  method: "get",
  path: "/v1/tenants",
  operationId: "listTenants",
  summary: "The tenants that the caller sees",
  tags: ["Tenants"],
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(TenantsSchema, "The tenants.", {
      tenants: [{
        name: "red",
        subnets: ["10.1.0.0/16"],
        quotas: [{
          name: "scans_per_hour",
          limit: 100,
          used: 7,
          reset_seconds: 1_800,
        }],
      }],
    }),
    ...problems(),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function tenantRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const tenants = (await c.get("session").tenants()).map((tenant) => ({
      name: tenant.name,
      subnets: [...tenant.subnets],
      quotas: tenant.quotas.map(({ name, limit, used, resetSeconds }) => ({
        name,
        limit,
        used,
        reset_seconds: resetSeconds,
      })),
    }));
    return c.json({ tenants }, 200);
  }, refusal(list));
}
