/**
 * The tools: their state, and calls.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { ToolState } from "@/dispatch/administration.ts";
import { WHOLE_CALL_FIELDS } from "@/dispatch/call.ts";
import { AppError, type ErrorBody } from "@/error/app_error.ts";
import { headOf } from "@/scans/summary.ts";
import { fieldsSchema, shown } from "@/tools/field.ts";
import { TOOLS } from "@/tools/registry.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import type { OperatorEnv } from "../env.ts";
import { HttpError } from "../http_error.ts";
import { problemAnswer } from "../problem.ts";
import { breakerView } from "./breakers.ts";
import { idText, jsonAnswer, NoQuery, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import {
  PlanSchema,
  ScanHeadSchema,
  ScanProblemSchema,
  ScanSchema,
} from "../schemas/scan.ts";
import { ToolSchema, ToolsSchema } from "../schemas/server.ts";
import { fromOf } from "./caller.ts";
import { PLAN_EXAMPLE, SCAN_EXAMPLE, SCAN_HEAD_EXAMPLE } from "./examples.ts";
import { refusal } from "./refuse.ts";
import { planView, scanHeadView, scanView } from "./scan_view.ts";

const tags = ["Tools"];

const NameParams = z.strictObject({
  name: idText.openapi({
    description: `One of ${TOOL_NAMES.join(", ")}.`,
    example: "nmap",
  }),
});

const TOOL_EXAMPLE = {
  name: "nmap" as const,
  enabled: true,
  disabled_by: null,
  version: "7.93",
  absence: null,
  breaker: {
    tool: "nmap" as const,
    state: "closed",
    forced: null,
    failures: 0,
    retry_after_seconds: null,
  },
  schema: { type: "object", required: ["target"] },
  limits: { cpu_seconds: 600 },
};

const list = createRoute({
  method: "get",
  path: "/tools",
  operationId: "listTools",
  summary: "All tools and their state",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(ToolsSchema, "The tools.", { tools: [TOOL_EXAMPLE] }),
    ...problems(),
  },
});

const one = createRoute({
  method: "get",
  path: "/tools/{name}",
  operationId: "getTool",
  summary: "A tool: its arguments, limits and breaker",
  tags,
  security: SECURED,
  request: { params: NameParams, query: NoQuery },
  responses: {
    200: jsonAnswer(ToolSchema, "The tool.", TOOL_EXAMPLE),
    ...problems(404),
  },
});

const enable = createRoute({
  method: "post",
  path: "/tools/{name}/enable",
  operationId: "enableTool",
  summary: "Let a tool be called again",
  tags,
  security: SECURED,
  request: { params: NameParams, query: NoQuery },
  responses: {
    200: jsonAnswer(ToolSchema, "The tool as it is now.", TOOL_EXAMPLE),
    ...problems(404, 409),
  },
});

const disable = createRoute({
  method: "post",
  path: "/tools/{name}/disable",
  operationId: "disableTool",
  summary: "Let a tool be called no more",
  description: "Scans that run go on.",
  tags,
  security: SECURED,
  request: { params: NameParams, query: NoQuery },
  responses: {
    200: jsonAnswer(ToolSchema, "The tool as it is now.", {
      ...TOOL_EXAMPLE,
      enabled: false,
      disabled_by: "operator" as const,
    }),
    ...problems(404, 409),
  },
});

/** A scan that was made and did not succeed is told with what it found. */
const withScan = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: ScanProblemSchema } },
});

const execute = createRoute({
  method: "post",
  path: "/tools/{name}/execute",
  operationId: "executeTool",
  summary: "Scan, plan, or start a scan in the background",
  description: [
    "Waits for the scan. With background: true it answers 202 at once, and Location says where to look; with plan: true nothing is sent.",
    "A scan that was made and did not succeed has the status of its error, and the problem holds the scan with what it found until then.",
    "If the client goes away the scan is cancelled, unless it is in the background.",
  ].join(" "),
  tags,
  security: SECURED,
  request: {
    params: NameParams,
    query: NoQuery,
    headers: z.object({
      "idempotency-key": z.string().max(130).optional().openapi({
        description:
          "As idempotency_key in the body: the same key and arguments again give the same scan.",
        example: "8e03978e-40d5-43dd-bc93-6894a57f9324",
      }),
    }),
    body: {
      required: true,
      content: {
        "application/json": {
          schema: {
            anyOf: TOOL_NAMES.map((name) => ({ $ref: refOf(name) })),
          },
          examples: {
            scan: {
              summary: "nmap",
              value: { target: "10.0.0.0/28", ports: "22,80" },
            },
            background: {
              summary: "masscan in the background",
              value: { target: "10.0.0.0/24", ports: "443", background: true },
            },
          },
        },
      },
    },
  },
  responses: {
    200: {
      description:
        "The scan, which succeeded; or, with plan: true, what it would do.",
      content: {
        "application/json": {
          schema: z.union([ScanSchema, PlanSchema]),
          examples: {
            scan: { summary: "A scan", value: SCAN_EXAMPLE },
            plan: { summary: "A plan", value: PLAN_EXAMPLE },
          },
        },
      },
    },
    202: {
      ...jsonAnswer(
        ScanHeadSchema,
        "Accepted: the scan waits or runs.",
        SCAN_HEAD_EXAMPLE,
      ),
      headers: {
        Location: {
          description: "The scan.",
          schema: { type: "string" as const },
        },
      },
    },
    ...problems(404, 413, 415, 422),
    409: withScan(
      "The idempotency key belongs to another request, or the scan was cancelled.",
    ),
    502: withScan("The tool failed, or it printed too much."),
    503: withScan("The tool cannot be used now; or the server stopped."),
    504: withScan("The scan's time was over."),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function toolRoutes(app: OpenAPIHono<OperatorEnv>): void {
  for (const name of TOOL_NAMES) {
    const schema = fieldsSchema({
      ...TOOLS[name].fields,
      ...WHOLE_CALL_FIELDS,
    });
    app.openAPIRegistry.registerComponent("schemas", callName(name), schema);
  }
  app.openapi(list, async (c) => {
    const tools = (await c.get("session").tools()).map(toolView);
    return c.json({ tools }, 200);
  }, refusal(list));
  app.openapi(one, async (c) => {
    const { name } = c.req.valid("param");
    const tools = await c.get("session").tools();
    const tool = tools.find((tool) => tool.name === name);
    if (tool === undefined) throw unknownTool(name);
    return c.json(toolView(tool), 200);
  }, refusal(one));
  app.openapi(enable, async (c) => {
    const { name } = c.req.valid("param");
    return c.json(toolView(await c.get("session").setTool(name, true)), 200);
  }, refusal(enable));
  app.openapi(disable, async (c) => {
    const { name } = c.req.valid("param");
    return c.json(toolView(await c.get("session").setTool(name, false)), 200);
  }, refusal(disable));
  addExecute(app);
}

function addExecute(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(execute, async (c) => {
    const key = c.req.valid("header")["idempotency-key"];
    const answer = await c.get("session").call({
      who: fromOf(c),
      tool: c.req.valid("param").name,
      arguments: argumentsOf(await jsonOf(c), key),
      signal: c.req.raw.signal,
      traceId: c.get("traceId"),
    });
    switch (answer.kind) {
      case "plan":
        return c.json(planView(answer), 200);
      case "accepted":
        c.header("Location", `/v1/scans/${answer.scan.id}`);
        return c.json(scanHeadView(headOf(answer.scan)), 202);
      case "scan": {
        const scan = scanView(answer.scan, answer.cachedSeconds);
        if (answer.scan.error === null) return c.json(scan, 200);
        // It has the status of its error, which only the table knows.
        return await scanProblem(c, answer.scan.error, scan) as never;
      }
    }
  }, refusal(execute));
}

/**
 * Tells a scan that did not succeed: the problem is that of its error, with the scan beside it, so that
 * what was found until then is not lost.
 */
async function scanProblem(
  c: Context<OperatorEnv>,
  error: ErrorBody,
  scan: z.infer<typeof ScanSchema>,
): Promise<Response> {
  const { code, message, retry_after } = error;
  const failure = new AppError(
    code,
    message,
    retry_after === undefined ? {} : { retryAfter: retry_after },
  );
  const answer = problemAnswer(failure, {
    requestId: c.get("requestId"),
    traceId: c.get("traceId"),
  });
  const problem = await answer.json();
  return new Response(JSON.stringify({ ...problem, scan }), answer);
}

/**
 * Reads the body. Its form is for the engine to check, so no validator has read it before.
 *
 * @throws {AppError} `invalid_arguments`.
 */
async function jsonOf(c: Context<OperatorEnv>): Promise<unknown> {
  const type = c.req.header("content-type")?.split(";")[0]?.trim();
  if (type?.toLowerCase() !== "application/json") {
    throw new HttpError(
      415,
      "invalid_arguments",
      `Cannot read the body: its type is ${
        type === undefined ? "not said" : shown(type)
      }; send JSON with Content-Type: application/json`,
      { accept: "application/json" },
    );
  }
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says repeats the text; that it is no JSON is all there is to say.
    throw new AppError(
      "invalid_arguments",
      "Cannot read the body: it is not JSON; send an object with the tool's arguments",
    );
  }
}

/**
 * Puts the key of the header where the engine looks for it.
 *
 * @throws {AppError} `conflict` if the body names another one; `invalid_arguments`.
 */
function argumentsOf(body: unknown, header: string | undefined): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return body;
  }
  if (Object.hasOwn(body, "max_tokens")) {
    throw new AppError(
      "invalid_arguments",
      'Cannot use the field "max_tokens": answers are whole over HTTP; leave it out',
    );
  }
  if (header === undefined) return body;
  // As a structured field the key is a quoted text; many clients send it bare.
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (!/^[\x21-\x7e]{1,128}$/.test(key)) {
    throw new AppError(
      "invalid_arguments",
      'Cannot use the header "Idempotency-Key": expected 1 to 128 visible ASCII characters',
    );
  }
  if (Object.hasOwn(body, "idempotency_key")) {
    const named = (body as { idempotency_key: unknown }).idempotency_key;
    if (named !== key) {
      throw new AppError(
        "conflict",
        'Cannot tell which key is meant: the header "Idempotency-Key" and the field "idempotency_key" differ; send one of them',
      );
    }
  }
  return { ...body, idempotency_key: key };
}

function toolView(tool: ToolState): z.infer<typeof ToolSchema> {
  return {
    name: tool.name,
    enabled: tool.enabled,
    disabled_by: tool.disabledBy,
    version: tool.version,
    absence: tool.absence,
    breaker: breakerView(tool.breaker),
    schema: { ...tool.schema },
    limits: { ...tool.limits },
  };
}

function unknownTool(name: string): AppError {
  return new AppError(
    "tool_not_found",
    `Cannot find the tool ${shown(name)}: the tools are ${
      TOOL_NAMES.join(", ")
    }`,
  );
}

function callName(tool: string): string {
  return `${tool.charAt(0).toUpperCase()}${tool.slice(1)}Call`;
}

function refOf(tool: string): string {
  return `#/components/schemas/${callName(tool)}`;
}
