/**
 * What the server says of itself: health, tools, breakers and configuration.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";
import { HEALTH_STATUSES } from "@/health/check.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import { anyObject, time } from "./kinds.ts";

/** The health of everything. */
export const HealthSchema = z.object({
  status: z.enum(HEALTH_STATUSES),
  at: time,
  duration_ms: z.number(),
  checks: z.array(z.object({
    name: z.string(),
    priority: z.enum(["critical", "important", "informational"]),
    status: z.enum(HEALTH_STATUSES),
    message: z.string(),
    detail: anyObject,
    duration_ms: z.number(),
  })),
  statistics: z.record(
    z.string(),
    z.object({
      count: z.int(),
      success: z.int(),
      failure: z.int(),
      timeout: z.int(),
      min: z.number().nullable(),
      max: z.number().nullable(),
      mean: z.number().nullable(),
      p50: z.number().nullable(),
      p95: z.number().nullable(),
      p99: z.number().nullable(),
      recent_failure_rate: z.number().nullable(),
    }),
  ).openapi({ description: "Each tool's figures, times in seconds." }),
}).openapi("Health");

/** That the process answers. */
export const LiveSchema = z.object({ status: z.literal("alive") })
  .openapi("Live");

/** Whether calls are taken. */
export const ReadySchema = z.object({
  status: z.enum(["ready", "not_ready"]),
  health: z.enum(HEALTH_STATUSES).nullable().openapi({
    description: "Null while the server starts or stops.",
  }),
}).openapi("Ready");

/** Counters since the start. */
export const StatsSchema = anyObject.openapi("Stats", {
  description: "Counters since the start.",
});

/** A breaker. */
export const BreakerSchema = z.object({
  tool: z.enum(TOOL_NAMES),
  state: z.string(),
  forced: z.enum(["open"]).nullable().openapi({
    description: "What an operator forced.",
  }),
  failures: z.int(),
  retry_after_seconds: z.number().nullable(),
}).openapi("Breaker");

/** All breakers. */
export const BreakersSchema = z.object({ breakers: z.array(BreakerSchema) })
  .openapi("Breakers");

/** What a breaker is forced to. */
export const BreakerChange = z.strictObject({
  state: z.enum(["open", "closed", "auto"]).openapi({
    description: "auto lets go of it.",
  }),
}).openapi("BreakerChange");

/** A tool. */
export const ToolSchema = z.object({
  name: z.enum(TOOL_NAMES),
  enabled: z.boolean(),
  disabled_by: z.enum(["configuration", "operator"]).nullable(),
  version: z.string().nullable().openapi({
    description: "Null where it is not installed or has not answered yet.",
  }),
  absence: z.string().nullable().openapi({
    description: "Why it did not answer.",
  }),
  breaker: BreakerSchema,
  schema: anyObject.openapi({
    description: "JSON Schema of a call's arguments.",
  }),
  limits: z.record(z.string(), z.number()).openapi({
    description: "What its process may use.",
  }),
}).openapi("Tool");

/** All tools. */
export const ToolsSchema = z.object({ tools: z.array(ToolSchema) })
  .openapi("Tools");

/** The configuration in force. */
export const ConfigSchema = anyObject.openapi("Config", {
  description:
    "The configuration in force without its secrets, and where each value comes from.",
});

/** What came of a reload. */
export const ReloadSchema = z.object({
  applied: z.boolean().openapi({
    description:
      "Whether configuration and policies are in force as their files say.",
  }),
  problems: z.array(z.string()).openapi({
    description:
      "What is wrong with the configuration or the policies; that one stays as it was.",
  }),
  waiting: z.array(z.string()).openapi({
    description: "Keys whose new values wait for the next start.",
  }),
}).openapi("Reload");
