/**
 * Live events: as Server-Sent Events, and over a WebSocket.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { require as authorize } from "@/identity/authorize.ts";
import type { OperatorEnv } from "../env.ts";
import { HttpError } from "../http_error.ts";
import { idText, NoQuery, queryFlag, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import type { RouteDeps } from "./deps.ts";
import { refusal } from "./refuse.ts";

const tags = ["Live"];

const eventId = z.string().regex(
  /^[A-Za-z0-9_.:-]{0,128}$/,
  "it is no id of an event; leave it out to begin with what comes from now on",
);

const events = createRoute({
  method: "get",
  path: "/events",
  operationId: "streamEvents",
  summary: "Live events as Server-Sent Events",
  description:
    "Ends when the client is too slow; it comes again with the last id that it saw, in Last-Event-ID (which wins) or after. A scan_id that is unknown, or another tenant's, is no failure: the stream is silent.",
  tags,
  security: SECURED,
  request: {
    query: z.strictObject({
      after: eventId.optional().openapi({
        description: "The id of the last event that was seen.",
      }),
      scan_id: idText.optional().openapi({ description: "Of this scan only." }),
      output: queryFlag(
        "Also scan.output: the newest lines that each scan's tool prints, as it prints them. They are not kept: a client that comes again misses them.",
      ).optional(),
    }),
    headers: z.object({
      "last-event-id": eventId.optional().openapi({
        description: "The id of the last event that was seen.",
      }),
    }),
  },
  responses: {
    200: {
      description: "The stream: id, event and data, which is JSON.",
      content: {
        "text/event-stream": {
          schema: z.string(),
          example:
            'id: 0f3a5c7e9b1d2468-4-7\nevent: scan.started\ndata: {"scan_id":"01jgz7m5e8p4k2q9s6t3v0w1xy","tool":"nmap"}\n\n',
        },
      },
    },
    ...problems(),
  },
});

const socket = createRoute({
  method: "get",
  path: "/ws",
  operationId: "openSocket",
  summary: "Live events over a WebSocket",
  description:
    'The client subscribes to scans with messages of JSON: {"type":"subscribe","scan_id":"…"}, with "output":true also to the lines that their tools print (scan.output).',
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    101: {
      description: "The socket is open.",
      headers: {
        Upgrade: {
          description: "The protocol.",
          schema: { type: "string" as const },
          example: "websocket",
        },
      },
    },
    ...problems(426),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 * @param deps What they are given.
 */
export function liveRoutes(
  app: OpenAPIHono<OperatorEnv>,
  deps: RouteDeps,
): void {
  app.openapi(events, (c) => {
    const { after, scan_id, output } = c.req.valid("query");
    // A browser that comes again sends the address that it began with, and the header beside it.
    const seen = c.req.valid("header")["last-event-id"] || after || null;
    return deps.events(c.req.raw, c.get("session"), {
      after: seen,
      scanId: scan_id ?? null,
      output: output ?? false,
    }) as never;
  }, refusal(events));
  app.openapi(socket, (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      throw new HttpError(
        426,
        "invalid_arguments",
        "Cannot open a socket: this is no WebSocket handshake; send Upgrade: websocket",
        { Upgrade: "websocket", Connection: "Upgrade" },
      );
    }
    const session = c.get("session");
    // A socket on which nothing may be heard is not opened.
    authorize(session.principal, "events");
    return deps.socket(c.req.raw, session) as never;
  }, refusal(socket));
}
