/**
 * The app around a few routes of a test, with callers and a configuration that the test says.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { loadConfig } from "@/config/load.ts";
import type { Config } from "@/config/schema.ts";
import { AppError } from "@/error/app_error.ts";
import { ScopeError } from "@/identity/authorize.ts";
import type { Principal } from "@/identity/principal.ts";
import type { Log, Properties } from "@/log/log.ts";
import { type AppOptions, createApp } from "@/operator/app.ts";
import type { OperatorEnv, Session } from "@/operator/env.ts";

/** The one caller whose credentials are good. */
export const CALLER: Principal = {
  kind: "key",
  subject: "key:1",
  client: "ci",
  tenant: "default",
  roles: new Set(["viewer"]),
  scopes: null,
};

/** Its credentials. */
export const GOOD = { authorization: "Bearer good" };

/** The defaults, with some keys of the section `server` set otherwise. */
export function configOf(
  server: Partial<Config["server"]> = {},
  identity: Partial<Config["identity"]> = {},
): Config {
  const { config } = loadConfig({ file: null, env: {} });
  return {
    ...config,
    server: { ...config.server, ...server },
    identity: { ...config.identity, ...identity },
  };
}

/** What was logged. */
export interface Logged {
  readonly level: string;
  readonly message: string;
  readonly properties: Properties;
}

/** A log that keeps what it is told. */
export function keepingLog(): Log & { readonly lines: Logged[] } {
  const lines: Logged[] = [];
  const at = (level: string) => (message: string, properties = {}) => {
    lines.push({ level, message, properties });
  };
  return {
    ...{ lines, debug: at("debug"), info: at("info") },
    ...{ warn: at("warn"), error: at("error") },
  };
}

const Thing = z.strictObject({
  name: z.string().max(8),
  port: z.int().min(1).max(65_535).optional(),
});

/** Routes that show what the app gives to a route. */
export function testRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.get("/seen", (c) =>
    c.json({
      address: c.get("address"),
      trace: c.get("traceId"),
      client: c.get("session").principal.client,
      destination: c.get("destination"),
    }));
  app.get("/long", (c) => c.json({ text: "a".repeat(5_000) }));
  app.get(
    "/stream",
    () =>
      new Response("data: 1\n\n", {
        headers: { "content-type": "text/event-stream" },
      }),
  );
  app.get("/fault", () => {
    throw new TypeError("secret in /etc/passwd");
  });
  app.get("/forbidden", () => {
    throw new AppError("forbidden", "Cannot do this: ask an admin");
  });
  app.get("/narrow", () => {
    throw new ScopeError("Cannot do this: it takes a scope", "scan:nmap");
  });
  app.get("/approval", () => {
    throw new AppError("approval_required", "Cannot scan yet", {
      approval: { id: "apr_1", byClientUser: false },
    });
  });
  app.get("/busy", () => {
    throw new AppError("queue_full", "Cannot wait: full", { retryAfter: 2.4 });
  });
  app.openapi(
    createRoute({
      method: "post",
      path: "/things/{id}",
      tags: ["Things"],
      summary: "Makes a <thing>",
      request: {
        params: z.object({ id: z.string().max(4) }),
        body: {
          required: true,
          content: {
            "application/json": { schema: Thing, example: { name: "it's" } },
          },
        },
      },
      responses: {
        200: {
          description: "It",
          content: { "application/json": { schema: Thing } },
        },
      },
    }),
    (c) => c.json(c.req.valid("json"), 200),
  );
}

/** An app for tests, and what it was asked. */
export function fakeApp(options: Partial<AppOptions> = {}): {
  readonly app: OpenAPIHono<OperatorEnv>;
  readonly log: ReturnType<typeof keepingLog>;
  readonly asked: (readonly [string | null, string])[];
} {
  const log = keepingLog();
  const asked: (readonly [string | null, string])[] = [];
  const config = configOf();
  const app = createApp({
    authenticate: (authorization, address) => {
      asked.push([authorization, address]);
      return authorization === GOOD.authorization
        ? Promise.resolve(CALLER)
        : Promise.reject(
          new AppError("unauthenticated", "Cannot tell who calls: send a key"),
        );
    },
    sessionOf: (principal) => ({ principal }) as unknown as Session,
    limit: () => ({ limit: 600, remaining: 599, resetSeconds: 42.2 }),
    openMetrics: () => false,
    config: () => config,
    version: "1.2.3",
    mcp: {
      handle: (request, _session, { body }) =>
        Promise.resolve(
          Response.json({ method: request.method, got: body ?? null }),
        ),
    },
    health: () => Promise.resolve({ status: "healthy", checks: [] }),
    metrics: (form) => Promise.resolve(`# ${form}\n`),
    log,
    routes: testRoutes,
    ...options,
  });
  return { app, log, asked };
}
