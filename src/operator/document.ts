/**
 * The API's one document: OpenAPI 3.1, made of the schemas by which requests are really checked.
 *
 * @module
 */
import { type OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { OperatorEnv } from "./env.ts";
import { ProblemSchema, problemsOnly } from "./schemas/problem.ts";

type App = OpenAPIHono<OperatorEnv>;

/** The document, as the library gives it. */
export type ApiDocument = ReturnType<App["getOpenAPI31Document"]>;

/** Methods of an operation, in the order in which they are shown. */
export const OPERATION_METHODS = [
  "get",
  "post",
  "put",
  "patch",
  "delete",
] as const;

const INTRODUCTION = [
  "Scans networks with nmap, masscan and gobuster within rules that the operator set.",
  "Every request but those for health and for this server's metadata carries an API key or a token of the configured issuer as Authorization: Bearer.",
  "A failure is a problem document (RFC 9457) whose code is one of a closed list.",
].join(" ");

/**
 * Makes the document. Paths and schemas are in the order of the alphabet, so that it is the same
 * whatever the order of registration.
 *
 * @param app The app with all its routes.
 * @param version The program's version.
 * @returns The document.
 */
export function documentOf(app: App, version: string): ApiDocument {
  describeOwn(app);
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Security MCP Server",
      version,
      description: INTRODUCTION,
    },
    servers: [{ url: "/", description: "This server" }],
    security: [{ bearer: [] }],
  });
  const { paths = {}, components = {} } = document;
  for (const item of Object.values(paths)) addDefault(item);
  return {
    ...document,
    paths: sorted(paths),
    components: sorted(
      Object.fromEntries(
        Object.entries(components).map(([kind, members]) => [
          kind,
          sorted(members as Record<string, unknown>),
        ]),
      ),
    ),
  };
}

/** Every operation may fail in ways that are nobody's own. */
function addDefault(item: object): void {
  for (const method of OPERATION_METHODS) {
    const operation = (item as Record<string, { responses?: object }>)[method];
    if (operation === undefined) continue;
    operation.responses = {
      default: PROBLEM_RESPONSE,
      ...operation.responses,
    };
  }
}

const PROBLEM_RESPONSE = {
  description: "Any failure.",
  content: {
    "application/problem+json": {
      schema: { $ref: "#/components/schemas/Problem" },
    },
  },
};

/** Describes what this folder adds itself, unless somebody did. */
function describeOwn(app: App): void {
  const registry = app.openAPIRegistry;
  const paths = new Set(
    registry.definitions.flatMap((one) =>
      one.type === "route" ? [one.route.path] : []
    ),
  );
  registry.register("Problem", ProblemSchema);
  registry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description:
      "An API key of this server, or a token of the configured OpenID Connect issuer.",
  });
  for (const route of mcpRoutes()) registry.registerPath(route);
  for (const { path, ...route } of OWN) {
    if (paths.has(path)) continue;
    const { summary, type, open = false, statuses = [200] } = route;
    registry.registerPath({
      ...{ path, method: "get", summary, tags: [route.tag] },
      ...(open ? { security: [] } : {}),
      responses: Object.fromEntries(statuses.map((status) => [status, {
        description: STATUS_WORDS[status] ?? "The answer.",
        content: { [type]: { schema: route.schema ?? z.unknown() } },
      }])),
    });
  }
}

/** What `/mcp` answers: its messages are MCP's own, and so are the errors of its sessions. */
function mcpRoutes(): readonly RouteConfig[] {
  const json = { [JSON_TYPE]: { schema: z.unknown() } };
  const stream = { "text/event-stream": { schema: z.string() } };
  const session = {
    headers: z.object({ "mcp-session-id": z.string() }),
  };
  const shared = { path: "/mcp", tags: ["MCP"] };
  const lost = {
    400: { description: "It names no session.", content: json },
    404: {
      description: "The session is over, or another caller's.",
      content: json,
    },
  };
  // Refused before it is a message of MCP, or by MCP in its own form.
  const refused = Object.fromEntries(
    Object.entries(problemsOnly(413, 415, 503)).map(([status, problem]) => [
      status,
      { ...problem, content: { ...json, ...problem.content } },
    ]),
  );
  return [
    {
      ...shared,
      method: "post",
      summary: "Send a message of MCP",
      description:
        "Clients of revision 2026-07-28 need no session; initialize opens one for older ones.",
      request: { body: { required: true, content: json } },
      responses: {
        200: {
          description: "The answer, alone or behind what is told until then.",
          content: { ...json, ...stream },
        },
        202: { description: "Taken; it has no answer." },
        ...lost,
        ...refused,
      },
    },
    {
      ...shared,
      method: "get",
      summary: "Hear what a session is told, or go on where a stream broke",
      request: session,
      responses: {
        200: { description: "Events until one end leaves.", content: stream },
        ...lost,
      },
    },
    {
      ...shared,
      method: "delete",
      summary: "End a session, and cancel its calls",
      request: session,
      responses: { 200: { description: "It is over." }, ...lost },
    },
  ];
}

const STATUS_WORDS: Readonly<Record<number, string>> = {
  200: "It is so.",
  207: "Something is degraded.",
  503: "Something that is needed does not work.",
};

/** One of this folder's own paths. */
interface Own {
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly type: string;
  readonly schema?: z.ZodType;
  readonly open?: boolean;
  readonly statuses?: readonly number[];
}

const Metadata = z.object({
  resource: z.string(),
  authorization_servers: z.array(z.string()).optional(),
  bearer_methods_supported: z.array(z.string()),
  scopes_supported: z.array(z.string()),
  resource_name: z.string(),
});

const JSON_TYPE = "application/json";

const OWN: readonly Own[] = [
  {
    path: "/health",
    tag: "Health",
    summary: "The health of everything, with every check",
    type: JSON_TYPE,
    schema: z.looseObject({ status: z.string() }),
    open: true,
    statuses: [200, 207, 503],
  },
  {
    path: "/health/live",
    tag: "Health",
    summary: "Whether the process answers",
    type: JSON_TYPE,
    schema: z.object({ status: z.literal("alive") }),
    open: true,
  },
  {
    path: "/health/ready",
    tag: "Health",
    summary: "Whether calls are taken",
    type: JSON_TYPE,
    schema: z.object({
      status: z.enum(["ready", "not_ready"]),
      health: z.string().nullable(),
    }),
    open: true,
    statuses: [200, 503],
  },
  {
    path: "/metrics",
    tag: "Health",
    summary:
      "Metrics for Prometheus; OpenMetrics with exemplars where Accept asks for it",
    type: "text/plain",
    schema: z.string(),
  },
  {
    path: "/.well-known/oauth-protected-resource",
    tag: "Documentation",
    summary: "Where to get tokens for this server (RFC 9728)",
    type: JSON_TYPE,
    schema: Metadata,
    open: true,
  },
  {
    path: "/.well-known/oauth-protected-resource/mcp",
    tag: "Documentation",
    summary: "Where to get tokens for MCP (RFC 9728)",
    type: JSON_TYPE,
    schema: Metadata,
    open: true,
  },
  {
    path: "/openapi.json",
    tag: "Documentation",
    summary: "This document",
    type: JSON_TYPE,
  },
  {
    path: "/docs",
    tag: "Documentation",
    summary: "This document as a page",
    type: "text/html",
    schema: z.string(),
  },
];

function sorted<T extends object>(members: T): T {
  return Object.fromEntries(
    Object.entries(members).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0),
  ) as T;
}
