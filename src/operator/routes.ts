/**
 * All typed routes of the HTTP API. They read a request, ask the caller's session and show its answer;
 * what a caller may do is for the session to say.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { OperatorEnv } from "./env.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { auditRoutes } from "./routes/audit.ts";
import { breakerRoutes } from "./routes/breakers.ts";
import { configRoutes } from "./routes/config.ts";
import type { RouteDeps } from "./routes/deps.ts";
import { healthRoutes } from "./routes/health.ts";
import { inventoryRoutes } from "./routes/inventory.ts";
import { keyRoutes } from "./routes/keys.ts";
import { liveRoutes } from "./routes/live.ts";
import { policyRoutes } from "./routes/policies.ts";
import { scanPartRoutes } from "./routes/scan_parts.ts";
import { scanRoutes } from "./routes/scans.ts";
import { tenantRoutes } from "./routes/tenants.ts";
import { toolRoutes } from "./routes/tools.ts";

/**
 * Adds the routes.
 *
 * @param app The app.
 * @param deps What they are given.
 */
export function addRoutes(
  app: OpenAPIHono<OperatorEnv>,
  deps: RouteDeps,
): void {
  healthRoutes(app);
  toolRoutes(app);
  configRoutes(app);
  liveRoutes(app, deps);
  scanRoutes(app);
  scanPartRoutes(app, deps);
  inventoryRoutes(app);
  auditRoutes(app);
  approvalRoutes(app);
  breakerRoutes(app);
  keyRoutes(app);
  tenantRoutes(app);
  policyRoutes(app);
}
