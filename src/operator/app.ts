/**
 * The HTTP face of the program: what every request goes through, from its first header to the last
 * byte of its answer, in the order in which it stands here.
 *
 *  1. a request id and a trace, so that whatever comes of it can be found again;
 *  2. its target: a method and a length that HTTP servers take;
 *  3. Host, against DNS rebinding, and Origin, against foreign web pages;
 *  4. the announced length and form of its body;
 *  5. who calls: credentials, unless the route is an open one;
 *  6. how often;
 *  7. its body, bounded in bytes, time and depth before anything parses it, and with all others in bytes;
 *  8. the route;
 *  9. ETag and gzip;
 * 10. problem details for what failed, and the fields that every answer has.
 *
 * It is one function that the framework calls, not one for each step: a request that is refused costs
 * as little as can be, and the order is not spread over ten files. The body is read after the caller is
 * known, so that nobody without credentials has the server hold a megabyte.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, Next } from "hono";
import type { From } from "@/audit/entry.ts";
import type { Config } from "@/config/schema.ts";
import { AppError } from "@/error/app_error.ts";
import { ScopeError } from "@/identity/authorize.ts";
import type { Principal } from "@/identity/principal.ts";
import type { Log } from "@/log/log.ts";
import type { ExpositionKind } from "@/metrics/exposition.ts";
import { checkAnnounced, readBody } from "./body.ts";
import { BodyBudget, type BodyShare } from "./body_budget.ts";
import { challenge, type ChallengeError } from "./challenge.ts";
import { documentRoutes } from "./document_routes.ts";
import { dressed } from "./entity.ts";
import type { OperatorEnv, Session } from "./env.ts";
import { addFields, type Marks } from "./fields.ts";
import { HttpError } from "./http_error.ts";
import { type FillRandom, RandomHex, requestIdOf, traceOf } from "./ids.ts";
import { Methods } from "./methods.ts";
import { type HealthView, isOpen, openRoutes } from "./open_routes.ts";
import {
  type Destination,
  isPreflight,
  originOf,
  preflightAnswer,
} from "./origin_rule.ts";
import {
  failureOf,
  problemAnswer,
  statusOf,
  validationError,
} from "./problem.ts";
import { plainAddress } from "./proxies.ts";
import type { RateStand } from "./rate_fields.ts";
import { type Rules, rulesOf } from "./rules.ts";

/** Longest address of a request, in characters. */
export const TARGET_LENGTH_MAX = 8_192;

/** What the app is made of. */
export interface AppOptions {
  /** Proves who calls. @throws {AppError} `unauthenticated`, `rate_limited`. */
  readonly authenticate: (
    authorization: string | null,
    address: string,
  ) => Promise<Principal>;
  /** Binds the program to a caller. */
  readonly sessionOf: (
    principal: Principal,
    from: From,
    traceId: string,
  ) => Session;
  /** Counts a request; null where nothing bounds it. @throws {AppError} `rate_limited`. */
  readonly limit: (
    principal: Principal,
  ) => RateStand | null | Promise<RateStand | null>;
  /** How somebody stands, without counting anything: for the answer to who was refused. */
  readonly standing?: (principal: Principal) => Promise<RateStand | null>;
  /** Whether metrics answer without credentials. */
  readonly openMetrics: () => boolean;
  /** The configuration in force. */
  readonly config: () => Config;
  readonly version: string;
  /** Answers MCP over streamable HTTP. */
  readonly mcp: {
    handle(
      request: Request,
      session: Session,
      from: {
        readonly address: string;
        /** Counts one request more: a batch is several. @throws {AppError} `rate_limited`. */
        readonly take: () => Promise<unknown>;
        /** The body, which is read already. */
        readonly body?: string;
      },
    ): Promise<Response>;
  };
  readonly health: () => Promise<HealthView>;
  readonly metrics: (form: ExpositionKind) => Promise<string>;
  readonly log: Log;
  /** Adds the routes of operators. */
  readonly routes: (app: OpenAPIHono<OperatorEnv>) => void;
  /** @default crypto.getRandomValues */
  readonly fillRandom?: FillRandom;
  /** A monotonic clock in milliseconds. @default performance.now */
  readonly now?: () => number;
}

type Asked = Context<OperatorEnv>;

/** What is known of a request so far. */
interface Visit {
  readonly requestId: string;
  readonly traceId: string;
  readonly traceparent: string;
  readonly rules: Rules;
  readonly open: boolean;
  page: string | null;
  stand: RateStand | null;
  /** What its body takes of the room for all; null while there is none. */
  share: BodyShare | null;
}

/**
 * Makes the app.
 *
 * @param options What it is made of.
 * @returns The app: `fetch(request, info)` answers a request, with the runtime's word on where it
 * comes from as `info`.
 */
export function createApp(options: AppOptions): OpenAPIHono<OperatorEnv> {
  const app = new OpenAPIHono<OperatorEnv>({
    defaultHook: (result) => {
      if (!result.success) throw validationError(result);
    },
  });
  const way = wayOf(options);
  app.use("*", way);
  openRoutes(app, {
    ...options,
    now: options.now ?? (() => performance.now()),
  });
  app.on(
    ["GET", "POST", "DELETE"],
    "/mcp",
    async (c) =>
      options.mcp.handle(c.req.raw, c.get("session"), {
        address: c.get("address"),
        take: async () => await options.limit(c.get("session").principal),
        ...(await textOf(c)),
      }),
  );
  options.routes(app);
  documentRoutes(
    app,
    options.version,
    () => options.config().server.public_url,
  );
  let methods: Methods | null = null;
  app.notFound((c) => {
    methods ??= new Methods(app.routes);
    return missing(c, methods.of(c.req.path));
  });
  app.onError((error, c) =>
    problemAnswer(told(error, c, options.log), occurrenceOf(c))
  );
  return app;
}

/** The way of a request, top to bottom. */
function wayOf(
  options: AppOptions,
): (c: Asked, next: Next) => Promise<void> {
  const random = new RandomHex(
    options.fillRandom ?? ((bytes) => crypto.getRandomValues(bytes)),
  );
  const rules = rulesOf(options.config);
  const budget = new BodyBudget(() => options.config().server.max_body_bytes);
  return async (c, next) => {
    const { headers } = c.req.raw;
    const requestId = requestIdOf(headers.get("x-request-id"), random);
    const { traceId, traceparent } = traceOf(
      headers.get("traceparent"),
      random,
    );
    const open = isOpen(c.req.path, options.openMetrics());
    c.set("requestId", requestId);
    c.set("traceId", traceId);
    const visit: Visit = {
      ...{ requestId, traceId, traceparent, open },
      ...{ rules: rules(), page: null, stand: null, share: null },
    };
    try {
      const preflight = check(c, visit);
      if (preflight !== null) c.res = preflight;
      else {
        if (!visit.open) await admit(c, visit, options, budget);
        await next();
      }
    } catch (thrown) {
      const error = told(thrown, c, options.log);
      if (error.code === "rate_limited") {
        visit.stand ??= await standing(c, options) ?? noneLeft(visit, error);
      }
      c.res = problemAnswer(error, visit);
    } finally {
      visit.share?.[Symbol.dispose]();
    }
    if (isDressed(c, visit)) await dress(c, visit);
    mark(c, visit);
  };
}

/** The checks that every request meets. An answer without a route is returned. */
function check(c: Asked, visit: Visit): Response | null {
  const request = c.req.raw;
  const { headers } = request;
  const { rules } = visit;
  checkTarget(request);
  const destination = destinationOf(c, visit);
  visit.page = rules.origins.check(headers.get("origin"), destination);
  return visit.page !== null && isPreflight(request)
    ? preflightAnswer(visit.page)
    : null;
}

/** The checks of who calls and how often, and the body. */
async function admit(
  c: Asked,
  visit: Visit,
  options: AppOptions,
  budget: BodyBudget,
): Promise<void> {
  const { headers } = c.req.raw;
  const { rules } = visit;
  checkAnnounced(c.req.raw, rules.body.bytesMax);
  const address = c.get("address");
  const principal = await options.authenticate(
    headers.get("authorization"),
    address,
  );
  c.set(
    "session",
    options.sessionOf(
      principal,
      { client: principal.client, transport: "http", address },
      visit.traceId,
    ),
  );
  visit.stand = await options.limit(principal);
  await takeBody(c, visit, budget);
}

/** A tunnel and an echo of credentials are no business of this server. */
function checkTarget({ method, url }: Request): void {
  if (method === "TRACE" || method === "CONNECT") {
    throw new HttpError(
      405,
      "invalid_arguments",
      `Cannot answer ${method}: no path has it; use GET or POST`,
      { allow: "GET, HEAD, POST, DELETE, OPTIONS" },
    );
  }
  if (url.length > TARGET_LENGTH_MAX) {
    throw new HttpError(
      414,
      "payload_too_large",
      `Cannot read the request's address: it has more than ${TARGET_LENGTH_MAX} characters; send long values in a body`,
    );
  }
}

/** What the runtime says of a connection. */
interface ConnectionInfo {
  readonly remoteAddr?: { readonly hostname?: string };
}

/** Finds out who calls from where and which of our names was called. */
function destinationOf(c: Asked, { rules, open }: Visit): Destination {
  const request = c.req.raw;
  let scheme = rules.scheme;
  // The peer's address costs a call into the runtime, so it is asked for where it is used.
  if (!open || rules.proxies.any) {
    const info = c.env as ConnectionInfo | undefined;
    const peer = info?.remoteAddr?.hostname ?? "127.0.0.1";
    const caller = rules.proxies.any
      ? rules.proxies.callerOf(peer, request.headers)
      : { address: plainAddress(peer), scheme: null };
    c.set("address", caller.address);
    scheme = caller.scheme ?? scheme;
  }
  const destination = { authority: rules.hosts.check(request), scheme };
  c.set("destination", destination);
  return destination;
}

/** Reads the body for whatever comes behind, in whichever form it asks for it. */
async function takeBody(
  c: Asked,
  visit: Visit,
  budget: BodyBudget,
): Promise<void> {
  const { body, method } = c.req.raw;
  if (body === null || method === "GET" || method === "HEAD") return;
  const share = budget.share(c.get("session").principal);
  visit.share = share;
  // The framework's own cache: its validators and readers take the text from here.
  c.req.bodyCache.text = Promise.resolve(
    await readBody(body, visit.rules.body, share),
  ) as unknown as string;
}

/** The body as it was read. The request itself is handed on without: a scan would hold on to both. */
async function textOf(c: Asked): Promise<{ readonly body?: string }> {
  return c.req.raw.bodyUsed ? { body: await c.req.text() } : {};
}

/** A path that is not there, or not with this method. */
function missing(c: Asked, methods: readonly string[]): Response {
  if (methods.length === 0) {
    throw new AppError(
      "not_found",
      "Cannot find the path: there is no such route; GET /docs lists all",
    );
  }
  const allow = methods.join(", ");
  if (c.req.method === "OPTIONS") {
    const answer = new Response(null, { status: 204 });
    answer.headers.set("allow", allow);
    return answer;
  }
  throw new HttpError(
    405,
    "invalid_arguments",
    `Cannot use the method here: this path has ${allow}; GET /docs shows what each does`,
    { allow },
  );
}

/** Makes a failure of what was thrown. What callers must not see goes to the log, and only there. */
function told(thrown: unknown, c: Asked, log: Log): AppError {
  const error = failureOf(thrown);
  const { requestId: request, traceId: trace } = occurrenceOf(c);
  const { code, detail } = error;
  const said = detail === undefined ? {} : { detail };
  const facts = { code, ...said, request, trace };
  if (error.code === "internal") {
    log.error("a request failed", { ...facts, cause: error.cause });
  } else if (statusOf(error) >= 500) log.warn("a request failed", facts);
  return error;
}

function occurrenceOf(c: Asked): { requestId: string; traceId: string } {
  return { requestId: c.get("requestId"), traceId: c.get("traceId") };
}

/** How somebody stands who was refused, if it is known who that is. */
async function standing(
  c: Asked,
  { standing }: AppOptions,
): Promise<RateStand | null> {
  const session = c.get("session") as Session | undefined;
  if (session === undefined || standing === undefined) return null;
  return await standing(session.principal);
}

/** The stand of a client that was refused for it. */
function noneLeft({ rules }: Visit, error: AppError): RateStand {
  return {
    limit: rules.config.limits.requests_per_minute,
    remaining: 0,
    resetSeconds: error.retryAfter ?? 60,
  };
}

/** Whether an answer may be tagged, packed or emptied: one to an orchestrator's look at health is not. */
function isDressed(c: Asked, { open }: Visit): boolean {
  const { headers, method } = c.req.raw;
  return method === "HEAD" || (method === "GET" && !open) ||
    headers.has("accept-encoding");
}

/** Tags and packs the answer. */
async function dress(c: Asked, visit: Visit): Promise<void> {
  let answer = c.res;
  // The connection is no longer HTTP.
  if (answer.status === 101) return;
  const { headers, method } = c.req.raw;
  const isRead = method === "GET" || method === "HEAD";
  const acceptEncoding = headers.get("accept-encoding");
  const taggable = isRead && !visit.open;
  if (taggable || acceptEncoding !== null) {
    answer = await dressed(answer, {
      taggable,
      acceptEncoding,
      ifNoneMatch: headers.get("if-none-match"),
    });
  }
  if (method === "HEAD" && answer.body !== null) {
    // A stream that nobody reads would wait for its reader for ever.
    await answer.body.cancel();
    answer = new Response(null, answer);
  }
  if (answer !== c.res) {
    c.res = undefined;
    c.res = answer;
  }
}

/** Marks the answer. */
function mark(c: Asked, visit: Visit): void {
  const { status, headers } = c.res;
  // The connection is no longer HTTP.
  if (status === 101) return;
  const reason = challengeOf(c);
  if (reason !== undefined) {
    const { server } = visit.rules.config;
    const origin = server.public_url ?? originOf(c.get("destination"));
    headers.set("www-authenticate", challenge(origin, c.req.path, reason));
  }
  const marks: Marks = {
    requestId: visit.requestId,
    traceparent: visit.open && !c.req.raw.headers.has("traceparent")
      ? null
      : visit.traceparent,
    page: visit.page,
    stand: visit.stand,
    strictTransport: visit.rules.strictTransport,
  };
  addFields(headers, marks);
}

/**
 * What is to be said of credentials; undefined for nothing. A role that is missing, a guardrail and a
 * policy are no matter of those: nothing that a client could ask for would get it further.
 */
function challengeOf(c: Asked): ChallengeError | undefined {
  const { error, res: { status } } = c;
  if (status === 401) {
    const sent = c.req.raw.headers.has("authorization");
    return sent ? { error: "invalid_token" } : null;
  }
  return status === 403 && error instanceof ScopeError
    ? { error: "insufficient_scope", scope: error.scope }
    : undefined;
}
