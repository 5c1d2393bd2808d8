/**
 * The routes that answer without credentials: health, for orchestrators and load balancers that have
 * none; where to get credentials; and, where the operator says so, metrics.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Config } from "@/config/schema.ts";
import { CONTENT_TYPES, type ExpositionKind } from "@/metrics/exposition.ts";
import {
  MCP_METADATA_PATH,
  METADATA_PATH,
  resourceMetadata,
} from "./challenge.ts";
import type { OperatorEnv, Session } from "./env.ts";
import { originOf } from "./origin_rule.ts";

/** Milliseconds for which one look at everything answers all who ask. */
export const HEALTH_KEPT_MS = 1_000;

const OPEN_PATHS: ReadonlySet<string> = new Set([
  "/health",
  "/health/live",
  "/health/ready",
  METADATA_PATH,
  MCP_METADATA_PATH,
]);

/** The health of everything. */
export interface HealthView {
  readonly status: string;
}

/** What these routes are given. */
export interface OpenRouteDeps {
  readonly config: () => Config;
  readonly health: () => Promise<HealthView>;
  readonly metrics: (form: ExpositionKind) => Promise<string>;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
}

/**
 * Tells whether a path answers without credentials.
 *
 * @param path The path of a request.
 * @param openMetrics Whether metrics do.
 * @returns Whether it does.
 */
export function isOpen(path: string, openMetrics: boolean): boolean {
  return OPEN_PATHS.has(path) || (openMetrics && path === "/metrics");
}

/**
 * Adds the routes.
 *
 * @param app What they are added to.
 * @param deps What they are given.
 */
export function openRoutes(
  app: OpenAPIHono<OperatorEnv>,
  deps: OpenRouteDeps,
): void {
  const health = keptHealth(deps);
  const healthAnswer = ({ status, text }: Kept) =>
    jsonAnswer(text, healthStatus(status));
  app.get("/health", (): Response | Promise<Response> => {
    const look = health();
    return look instanceof Promise
      ? look.then(healthAnswer)
      : healthAnswer(look);
  });
  app.get("/health/live", () => jsonAnswer('{"status":"alive"}', 200));
  app.get("/health/ready", async () => {
    const status = await statusOf(health);
    const ready = status !== null && status !== "unhealthy";
    return jsonAnswer(
      JSON.stringify({ status: ready ? "ready" : "not_ready", health: status }),
      ready ? 200 : 503,
    );
  });
  app.get("/metrics", async (c) => {
    const form = formOf(c.req.raw.headers.get("accept"));
    // Without a caller the route is an open one; a caller may have no right to what all tenants did.
    const session = c.get("session") as Session | undefined;
    const text = session === undefined
      ? deps.metrics(form)
      : session.metrics(form);
    const answer = new Response(await text);
    answer.headers.set("content-type", CONTENT_TYPES[form]);
    return answer;
  });
  for (
    const [path, resource] of [[METADATA_PATH, ""], [
      MCP_METADATA_PATH,
      "/mcp",
    ]] as const
  ) {
    app.get(path, (c) => {
      const { server, identity } = deps.config();
      const origin = server.public_url ?? originOf(c.get("destination"));
      const metadata = resourceMetadata(`${origin}${resource}`, identity);
      return jsonAnswer(JSON.stringify(metadata), 200);
    });
  }
}

/** A look at everything, as it is answered. */
interface Kept {
  readonly status: string;
  readonly text: string;
}

/**
 * One look serves all who ask within a moment: whoever asks without credentials cannot have the server
 * look at everything a thousand times a second.
 */
function keptHealth(
  { health, now }: OpenRouteDeps,
): () => Kept | Promise<Kept> {
  let kept: Kept | null = null;
  let until = -Infinity;
  let looking: Promise<Kept> | null = null;
  return () => {
    if (kept !== null && now() < until) return kept;
    // While it takes, everybody waits for this one; one that failed answers nobody else.
    looking ??= health().then((view) => {
      kept = { status: view.status, text: JSON.stringify(view) };
      until = now() + HEALTH_KEPT_MS;
      return kept;
    }).finally(() => looking = null);
    return looking;
  };
}

/** What an orchestrator wants to know; a look that failed says nothing good. */
async function statusOf(
  health: () => Kept | Promise<Kept>,
): Promise<string | null> {
  try {
    return (await health()).status;
  } catch {
    return null;
  }
}

function healthStatus(status: string): number {
  if (status === "healthy") return 200;
  return status === "degraded" ? 207 : 503;
}

/** A plain header map: made of a record it would cost more than the rest of the answer. */
function jsonAnswer(text: string, status: number): Response {
  const answer = new Response(text, { status });
  answer.headers.set("content-type", "application/json");
  return answer;
}

function formOf(accept: string | null): ExpositionKind {
  return accept?.includes("application/openmetrics-text") === true
    ? "openmetrics"
    : "prometheus";
}
