/**
 * How the server is, for people, orchestrators and collectors of metrics.
 *
 * What answers without credentials has its handlers in `open_routes.ts`, where they cost as little as
 * can be; here it is described, with the whole form of its answers.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { OperatorEnv } from "../env.ts";
import { jsonAnswer, NoQuery, OPEN, SECURED } from "../schemas/kinds.ts";
import { problems, problemsOnly } from "../schemas/problem.ts";
import {
  HealthSchema,
  LiveSchema,
  ReadySchema,
  StatsSchema,
} from "../schemas/server.ts";
import { refusal } from "./refuse.ts";

const tags = ["Server"];

const HEALTHY = {
  status: "healthy" as const,
  at: "2026-01-02T03:04:05.000Z",
  duration_ms: 3.2,
  checks: [{
    name: "isolates",
    priority: "critical" as const,
    status: "healthy" as const,
    message: "4 of 4 isolates are up",
    detail: { down: [], restarts: 0 },
    duration_ms: 0.1,
  }],
  statistics: {},
};

const health = createRoute({
  method: "get",
  path: "/health",
  operationId: "getHealth",
  summary: "Every check",
  tags,
  security: OPEN,
  responses: {
    200: jsonAnswer(HealthSchema, "Healthy.", HEALTHY),
    207: jsonAnswer(
      HealthSchema,
      "Degraded: scans are taken, and something needs an operator.",
      { ...HEALTHY, status: "degraded" },
    ),
    503: jsonAnswer(HealthSchema, "Unhealthy.", {
      ...HEALTHY,
      status: "unhealthy",
    }),
    ...problemsOnly(500),
  },
});

const live = createRoute({
  method: "get",
  path: "/health/live",
  operationId: "getLiveness",
  summary: "Whether the process answers",
  description: "Nothing is looked at: a failing check is no reason to restart.",
  tags,
  security: OPEN,
  responses: {
    200: jsonAnswer(LiveSchema, "It answers.", { status: "alive" }),
  },
});

const ready = createRoute({
  method: "get",
  path: "/health/ready",
  operationId: "getReadiness",
  summary: "Whether calls are taken",
  tags,
  security: OPEN,
  responses: {
    200: jsonAnswer(ReadySchema, "Calls are taken.", {
      status: "ready",
      health: "healthy",
    }),
    503: jsonAnswer(
      ReadySchema,
      "The server starts, stops, or is unhealthy.",
      { status: "not_ready", health: null },
    ),
    ...problemsOnly(500),
  },
});

const PROMETHEUS_EXAMPLE =
  '# TYPE mcp_tool_active gauge\nmcp_tool_active{tool="nmap"} 0\n';

const metrics = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "getMetrics",
  summary: "Metrics for a collector",
  description:
    "Prometheus text, or OpenMetrics with exemplars that carry trace_id if Accept prefers application/openmetrics-text. Open where the configuration says so.",
  tags,
  security: SECURED,
  responses: {
    200: {
      description: "The metrics.",
      content: {
        "text/plain": { schema: z.string(), example: PROMETHEUS_EXAMPLE },
        "application/openmetrics-text": {
          schema: z.string(),
          example: `${PROMETHEUS_EXAMPLE}# EOF\n`,
        },
      },
    },
    ...problems(),
  },
});

const stats = createRoute({
  method: "get",
  path: "/stats",
  operationId: "getStats",
  summary: "Counters since the start",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(StatsSchema, "The counters.", { uptime_seconds: 86_400 }),
    ...problems(),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function healthRoutes(app: OpenAPIHono<OperatorEnv>): void {
  for (const route of [health, live, ready, metrics]) {
    app.openAPIRegistry.registerPath(route);
  }
  app.openapi(
    stats,
    async (c) => c.json({ ...await c.get("session").stats() }, 200),
    refusal(stats),
  );
}
