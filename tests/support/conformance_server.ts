/**
 * What the protocol's official conformance suite wants to find: tools, resources and prompts with fixed
 * names, behind this project's own transport, sessions and bounds. It exists for the tests alone.
 *
 * @module
 */
import {
  hostHeaderValidationResponse,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
  ResourceNotFoundError,
  Server,
  type ServerContext,
  type StandardSchemaV1,
} from "@modelcontextprotocol/server";
import type { Engine } from "@/dispatch/engine.ts";
import { McpHttp } from "@/mcp/http.ts";
import { FAKE_FIELDS, FakeEngine } from "../unit/mcp/fixtures/fake_engine.ts";

/** One red pixel. */
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/** A wave without samples. */
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

type Json = Readonly<Record<string, unknown>>;

interface FixtureTool {
  readonly properties?: Json;
  readonly inputSchema?: Json;
  readonly run: (
    args: Json,
    context: ServerContext,
  ) => object | Promise<object>;
}

function text(said: string): { type: "text"; text: string } {
  return { type: "text", text: said };
}

const image = { type: "image", data: PNG, mimeType: "image/png" };

function resource(uri: string, mimeType: string, said: string): object {
  return { type: "resource", resource: { uri, mimeType, text: said } };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function elicit(
  context: ServerContext,
  message: string,
  requestedSchema: Json,
): Promise<object> {
  const answer = await context.mcpReq.send({
    method: "elicitation/create",
    params: { mode: "form", message, requestedSchema },
  });
  const { action, content } = answer as { action: string; content?: unknown };
  return {
    content: [
      text(
        `Elicitation completed: action=${action}, content=${
          JSON.stringify(content)
        }`,
      ),
    ],
  };
}

function options(prefix: string, titles: readonly string[]): readonly object[] {
  return titles.map((title, at) => ({ const: `${prefix}${at + 1}`, title }));
}

const PLAIN_OPTIONS = ["option1", "option2", "option3"];

const TOOLS: Readonly<Record<string, FixtureTool>> = {
  test_simple_text: {
    run: () => ({
      content: [text("This is a simple text response for testing.")],
    }),
  },
  test_image_content: { run: () => ({ content: [image] }) },
  test_audio_content: {
    run: () => ({
      content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }],
    }),
  },
  test_embedded_resource: {
    run: () => ({
      content: [
        resource(
          "test://embedded-resource",
          "text/plain",
          "This is an embedded resource content.",
        ),
      ],
    }),
  },
  test_multiple_content_types: {
    run: () => ({
      content: [
        text("Multiple content types test:"),
        image,
        resource(
          "test://mixed-content-resource",
          "application/json",
          '{"test":"data","value":123}',
        ),
      ],
    }),
  },
  test_tool_with_logging: {
    run: async (_, { mcpReq }) => {
      await mcpReq.log("info", "Tool execution started");
      await pause(50);
      await mcpReq.log("info", "Tool processing data");
      await pause(50);
      await mcpReq.log("info", "Tool execution completed");
      return { content: [text("Logged three times.")] };
    },
  },
  test_error_handling: {
    run: () => ({
      isError: true,
      content: [text("This tool intentionally returns an error for testing")],
    }),
  },
  test_tool_with_progress: {
    run: async (_, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined) {
          await mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress, total: 100 },
          });
        }
        await pause(50);
      }
      return { content: [text("Done.")] };
    },
  },
  test_sampling: {
    properties: { prompt: { type: "string" } },
    run: async ({ prompt }, { mcpReq }) => {
      const answer = await mcpReq.send({
        method: "sampling/createMessage",
        params: {
          messages: [{ role: "user", content: text(String(prompt)) }],
          maxTokens: 100,
        },
      });
      return {
        content: [text(`LLM response: ${JSON.stringify(answer)}`)],
      };
    },
  },
  test_elicitation: {
    properties: { message: { type: "string" } },
    run: ({ message }, context) =>
      elicit(context, String(message), {
        type: "object",
        properties: {
          username: { type: "string", description: "User's response" },
          email: { type: "string", description: "User's email address" },
        },
        required: ["username", "email"],
      }),
  },
  test_elicitation_sep1034_defaults: {
    run: (_, context) =>
      elicit(context, "Defaults of every primitive type", {
        type: "object",
        properties: {
          name: { type: "string", default: "John Doe" },
          age: { type: "integer", default: 30 },
          score: { type: "number", default: 95.5 },
          status: {
            type: "string",
            enum: ["active", "inactive", "pending"],
            default: "active",
          },
          verified: { type: "boolean", default: true },
        },
      }),
  },
  test_elicitation_sep1330_enums: {
    run: (_, context) =>
      elicit(context, "Every kind of choice", {
        type: "object",
        properties: {
          untitledSingle: { type: "string", enum: PLAIN_OPTIONS },
          titledSingle: {
            type: "string",
            oneOf: options("value", ["First Option", "Second", "Third"]),
          },
          legacyEnum: {
            type: "string",
            enum: ["opt1", "opt2", "opt3"],
            enumNames: ["Option One", "Option Two", "Option Three"],
          },
          untitledMulti: {
            type: "array",
            items: { type: "string", enum: PLAIN_OPTIONS },
          },
          titledMulti: {
            type: "array",
            items: { anyOf: options("value", ["First Choice", "Second"]) },
          },
        },
      }),
  },
  json_schema_2020_12_tool: {
    inputSchema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          type: "object",
          properties: {
            street: { type: "string" },
            city: { type: "string" },
          },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
      },
      additionalProperties: false,
    },
    run: () => ({ content: [text("Kept.")] }),
  },
  test_reconnection: {
    run: async (_, { http }) => {
      http?.closeSSE?.();
      await pause(100);
      return { content: [text("The client came back.")] };
    },
  },
};

const RESOURCES: Readonly<Record<string, Json>> = {
  "test://static-text": {
    mimeType: "text/plain",
    text: "This is the content of the static text resource.",
  },
  "test://static-binary": { mimeType: "image/png", blob: PNG },
  "test://watched-resource": { mimeType: "text/plain", text: "Watched." },
};

const PROMPTS: Readonly<
  Record<string, {
    readonly arguments: readonly string[];
    readonly content: (args: Json) => readonly object[];
  }>
> = {
  test_simple_prompt: {
    arguments: [],
    content: () => [text("This is a simple prompt for testing.")],
  },
  test_prompt_with_arguments: {
    arguments: ["arg1", "arg2"],
    content: ({ arg1, arg2 }) => [
      text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
    ],
  },
  test_prompt_with_embedded_resource: {
    arguments: ["resourceUri"],
    content: ({ resourceUri }) => [
      resource(
        String(resourceUri),
        "text/plain",
        "Embedded resource content for testing.",
      ),
      text("Please process the embedded resource above."),
    ],
  },
  test_prompt_with_image: {
    arguments: [],
    content: () => [image, text("Please analyze the image above.")],
  },
};

const ANY_PARAMS: StandardSchemaV1<Json, Json> = {
  "~standard": {
    version: 1,
    vendor: "tests",
    validate: (value) => ({ value: value as Json }),
  },
};

/** Makes the server of a session. */
function fixtureServer(): Server {
  const server = new Server({ name: "conformance", version: "0.0.0" }, {
    capabilities: {
      tools: {},
      resources: { subscribe: true },
      prompts: {},
      completions: {},
      logging: {},
    },
  });
  const handle = (
    method: string,
    answer: (params: Json, context: ServerContext) => object | Promise<object>,
  ) =>
    server.setRequestHandler(
      method,
      { params: ANY_PARAMS },
      async (params: Json, context: ServerContext) => ({
        ...await answer(params, context),
      }),
    );
  handle("tools/list", () => ({
    tools: Object.entries(TOOLS).map(([name, tool]) => ({
      name,
      description: `The fixture ${name}.`,
      inputSchema: tool.inputSchema ??
        { type: "object", properties: tool.properties ?? {} },
    })),
  }));
  handle("tools/call", async ({ name, arguments: args }, context) => {
    const tool = TOOLS[String(name)];
    if (tool === undefined) throw new Error("no such tool");
    return await tool.run((args ?? {}) as Json, context);
  });
  addResources(handle);
  handle("prompts/list", () => ({
    prompts: Object.entries(PROMPTS).map(([name, prompt]) => ({
      name,
      description: `The fixture ${name}.`,
      arguments: prompt.arguments.map((argument) => ({
        name: argument,
        required: true,
      })),
    })),
  }));
  handle("prompts/get", ({ name, arguments: args }) => ({
    messages: (PROMPTS[String(name)]?.content((args ?? {}) as Json) ?? [])
      .map((content) => ({ role: "user", content })),
  }));
  handle("completion/complete", () => ({
    completion: { values: ["testValue1"], total: 1, hasMore: false },
  }));
  return server;
}

function addResources(
  handle: (
    method: string,
    answer: (params: Json) => object,
  ) => void,
): void {
  handle("resources/list", () => ({
    resources: Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({
      uri,
      name: uri,
      mimeType,
    })),
  }));
  handle("resources/templates/list", () => ({
    resourceTemplates: [
      { uriTemplate: "test://template/{id}/data", name: "template" },
    ],
  }));
  handle("resources/read", ({ uri }) => {
    const fixed = RESOURCES[String(uri)];
    if (fixed !== undefined) return { contents: [{ uri, ...fixed }] };
    const id = /^test:\/\/template\/(\w+)\/data$/.exec(String(uri))?.[1];
    if (id === undefined) throw new ResourceNotFoundError(String(uri));
    const data = { id, templateTest: true, data: `Data for ID: ${id}` };
    const mimeType = "application/json";
    return { contents: [{ uri, mimeType, text: JSON.stringify(data) }] };
  });
  handle("resources/subscribe", () => ({}));
  handle("resources/unsubscribe", () => ({}));
}

/** A listening server. */
export interface ConformanceServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves the fixtures on loopback.
 *
 * @returns The server.
 */
export function serveConformance(): ConformanceServer {
  return serveMcp(
    new McpHttp({
      version: "0.0.0",
      fields: () => FAKE_FIELDS,
      now: () => performance.now(),
      wallNow: () => Date.now(),
      onError: () => {},
    }, fixtureServer),
  );
}

/**
 * Serves MCP on loopback, to callers without credentials.
 *
 * @param http Ends with the server.
 * @param engine What every caller gets.
 * @returns The server.
 */
export function serveMcp(
  http: McpHttp,
  engine: Engine = new FakeEngine(),
): ConformanceServer {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    // As the real server, which checks these before it asks for credentials.
    (request) =>
      hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
        originValidationResponse(request, localhostAllowedOrigins()) ??
        http.handle(request, engine),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/mcp`,
    [Symbol.asyncDispose]: async () => {
      await http[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}
