/**
 * API keys: made, changed and taken back. A secret is in one answer only, which nothing may keep.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, type z } from "@hono/zod-openapi";
import type { KeyView, MadeKey } from "@/dispatch/administration.ts";
import { withoutUndefined } from "@/mcp/scan_tools.ts";
import { isoTime } from "@/scans/times.ts";
import type { OperatorEnv } from "../env.ts";
import {
  KeySchema,
  KeysSchema,
  MadeKeySchema,
  NewKeyBody,
  OVERLAP_DEFAULT,
  RotationBody,
} from "../schemas/administration.ts";
import {
  IdParams,
  jsonAnswer,
  jsonBody,
  NoQuery,
  SECURED,
} from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { refusal } from "./refuse.ts";

const tags = ["Keys"];

const EXAMPLE: z.input<typeof KeySchema> = {
  id: "k7q2m5e8p4k2",
  name: "ci",
  tenant: "red",
  roles: ["operator"],
  scopes: ["read", "scan:nmap"],
  created_at: "2026-01-02T03:04:05.000Z",
  created_by: "key:admin",
  expires_at: "2026-04-02T03:04:05.000Z",
  last_used_at: null,
  revoked_at: null,
};

const MADE: z.input<typeof MadeKeySchema> = {
  key: EXAMPLE,
  secret: "SECRET-SHOWN-ONCE",
};

/** Secrets are in no cache, neither in a proxy's nor in a browser's. */
const NO_STORE = "no-store";

const madeHeaders = {
  "Cache-Control": {
    description: "no-store: the secret is in this answer only.",
    schema: { type: "string" as const },
  },
};

const list = createRoute({
  method: "get",
  path: "/v1/keys",
  operationId: "listKeys",
  summary: "All keys, without their secrets",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(KeysSchema, "The keys.", { keys: [EXAMPLE] }),
    ...problems(),
  },
});

const create = createRoute({
  method: "post",
  path: "/v1/keys",
  operationId: "createKey",
  summary: "Make a key",
  tags,
  security: SECURED,
  request: {
    query: NoQuery,
    body: jsonBody(NewKeyBody, {
      name: "ci",
      roles: ["operator"],
      scopes: ["read", "scan:nmap"],
      expires_in_seconds: 7_776_000,
    }),
  },
  responses: {
    201: {
      ...jsonAnswer(MadeKeySchema, "The key with its secret.", MADE),
      headers: madeHeaders,
    },
    ...problems(404, 409, 413, 415),
  },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/keys/{id}/rotate",
  operationId: "rotateKey",
  summary: "Give a key another secret",
  tags,
  security: SECURED,
  request: {
    params: IdParams,
    query: NoQuery,
    body: jsonBody(RotationBody, { overlap_seconds: 3_600 }),
  },
  responses: {
    200: {
      ...jsonAnswer(MadeKeySchema, "The key with its new secret.", MADE),
      headers: madeHeaders,
    },
    ...problems(404, 409, 413, 415),
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/v1/keys/{id}",
  operationId: "revokeKey",
  summary: "Take a key back for good",
  tags,
  security: SECURED,
  request: { params: IdParams, query: NoQuery },
  responses: {
    200: jsonAnswer(KeySchema, "The key as it is now.", {
      ...EXAMPLE,
      revoked_at: "2026-02-02T03:04:05.000Z",
    }),
    ...problems(404),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function keyRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const keys = await c.get("session").keys();
    return c.json({ keys: keys.map(keyView) }, 200);
  }, refusal(list));
  app.openapi(create, async (c) => {
    const body = c.req.valid("json");
    const { tenant, scopes, expires_in_seconds } = body;
    const made = await c.get("session").createKey({
      name: body.name,
      roles: body.roles,
      ...withoutUndefined({
        tenant,
        scopes,
        expiresInSeconds: expires_in_seconds,
      }),
    });
    c.header("Cache-Control", NO_STORE);
    return c.json(madeView(made), 201);
  }, refusal(create));
  app.openapi(rotate, async (c) => {
    const { id } = c.req.valid("param");
    const { overlap_seconds = OVERLAP_DEFAULT } = c.req.valid("json");
    const made = await c.get("session").rotateKey(id, overlap_seconds);
    c.header("Cache-Control", NO_STORE);
    return c.json(madeView(made), 200);
  }, refusal(rotate));
  app.openapi(revoke, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(keyView(await c.get("session").revokeKey(id)), 200);
  }, refusal(revoke));
}

function madeView({ key, secret }: MadeKey): z.infer<typeof MadeKeySchema> {
  return { key: keyView(key), secret };
}

function keyView(key: KeyView): z.infer<typeof KeySchema> {
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant,
    roles: [...key.roles],
    scopes: key.scopes === null ? null : [...key.scopes],
    created_at: new Date(key.createdAt).toISOString(),
    created_by: key.createdBy,
    expires_at: isoTime(key.expiresAt),
    last_used_at: isoTime(key.lastUsedAt),
    revoked_at: isoTime(key.revokedAt),
  };
}
