/**
 * MCP over streamable HTTP, on one endpoint for every revision. Clients of 2026-07-28 are served
 * request by request; older ones get a session, because without one their cancellation would never
 * reach a scan.
 *
 * Whoever calls {@linkcode McpHttp.handle} has proved the caller's credentials; the engine that comes
 * with a request is bound to them. Each request is served with its own engine, also within a session:
 * roles and scopes may have changed since the session was opened.
 *
 * @module
 */
import {
  createMcpHandler,
  isLegacyRequest,
  type McpHttpHandler,
  type Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { Engine } from "@/dispatch/engine.ts";
import { toAppError } from "@/error/app_error.ts";
import { ScopeError } from "@/identity/authorize.ts";
import type { Principal } from "@/identity/principal.ts";
import { createQuestions, type Questions } from "./approval_question.ts";
import { noSession, readBody, refuse } from "./http_body.ts";
import { BATCH_MAX, HttpSession, opensSession } from "./http_session.ts";
import { watched } from "./http_stream.ts";
import { scopeRefusal } from "./scope_refusal.ts";
import {
  type CallerOf,
  createMcpServer,
  type McpServerInfo,
} from "./server.ts";

/** Most sessions. */
export const SESSIONS_MAX = 256;

/** Most sessions of one caller. */
export const SESSIONS_PER_SUBJECT_MAX = 16;

/** Most requests and streams of one caller at a time. */
export const EXCHANGES_PER_SUBJECT_MAX = 256;

/** How long a session lives that nobody uses. */
export const SESSION_IDLE_MS_MAX = 30 * 60_000;

/** How often it is looked for sessions and calls that nobody wants any more. */
export const SWEEP_MS = 5_000;

/**
 * How often something is sent on the stream of a call that runs. The runtime does not hear of a client
 * that goes before its answer has begun (Deno 2.9.6, where the body came after the head), and of one that
 * goes later it hears when it sends. So a call is answered by a stream from its beginning.
 */
export const KEEP_ALIVE_MS = 2_000;

/** Bytes of a session's id. */
const SESSION_ID_BYTES = 32;

/** Options of {@linkcode McpHttp}. */
export interface McpHttpOptions
  extends Omit<McpServerInfo, "transport" | "questions"> {
  /** Hears of what went wrong beside the protocol, for the log. */
  readonly onError: (error: Error) => void;
  /** @default {SESSIONS_MAX} */
  readonly sessionsMax?: number;
  /** @default {SESSIONS_PER_SUBJECT_MAX} */
  readonly sessionsPerSubjectMax?: number;
  /** @default {EXCHANGES_PER_SUBJECT_MAX} */
  readonly exchangesPerSubjectMax?: number;
}

/** What is known of a request besides its engine. */
export interface McpHttpFrom {
  /** The address that it came from, for the audit log. */
  readonly address: string | null;
  /** Counts one request more of the caller. @throws {AppError} `rate_limited`. */
  readonly take?: () => Promise<unknown>;
  /** @default {request.body} The body, where it was read already. */
  readonly body?: string;
}

/** Makes the server of a session or of a request. */
export type MakeServer = (info: McpServerInfo, callerOf: CallerOf) => Server;

interface Caller extends McpHttpFrom {
  readonly engine: Engine;
}

/** Serves MCP over HTTP. */
export class McpHttp implements AsyncDisposable {
  readonly #options: McpHttpOptions;
  readonly #make: MakeServer;
  readonly #questions: Questions = createQuestions();
  readonly #modern: McpHttpHandler;
  /** Answers what may take long. */
  readonly #calls: McpHttpHandler;
  readonly #sessions = new Map<string, HttpSession>();
  /** How many requests and streams each caller has open. */
  readonly #exchanges = new Map<string, number>();
  readonly #callers = new WeakMap<Request, Caller>();
  readonly #timer: ReturnType<typeof setInterval>;
  #closed = false;

  /**
   * @param options Version, fields, clocks and bounds.
   * @param make Makes the server that answers.
   */
  constructor(options: McpHttpOptions, make: MakeServer = createMcpServer) {
    this.#options = options;
    this.#make = make;
    const shared = { legacy: "reject", onerror: options.onError } as const;
    this.#modern = createMcpHandler(() => this.#server(), shared);
    this.#calls = createMcpHandler(() => this.#server(), {
      ...shared,
      responseMode: "sse",
      keepAliveMs: KEEP_ALIVE_MS,
    });
    this.#timer = setInterval(() => this.sweep(), SWEEP_MS);
  }

  /** How many sessions there are. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * Serves a request.
   *
   * @param request The request.
   * @param engine The engine, bound to the caller that the request's credentials prove.
   * @param from Where it came from.
   * @returns The response.
   * @throws {ScopeError} If the request is one call that the caller's scopes do not reach. It never
   * rejects otherwise.
   */
  async handle(
    request: Request,
    engine: Engine,
    from: McpHttpFrom = { address: null },
  ): Promise<Response> {
    if (this.#closed) return refuse(503, "the server is stopping");
    const subject = keyOf(engine.principal);
    const open = this.#exchanges.get(subject) ?? 0;
    const { exchangesPerSubjectMax = EXCHANGES_PER_SUBJECT_MAX } =
      this.#options;
    if (open >= exchangesPerSubjectMax) {
      const why =
        `${exchangesPerSubjectMax} requests are open; end one of them`;
      return refuse(429, why, { "retry-after": "5" });
    }
    this.#exchanges.set(subject, open + 1);
    const { body, ...rest } = from;
    this.#callers.set(request, { engine, ...rest });
    const done = () => this.#release(subject);
    try {
      return watched(await this.#route(request, engine, body), done);
    } catch (error) {
      done();
      // How to get wider credentials is for whoever took these to say.
      if (error instanceof ScopeError) throw error;
      this.#options.onError(
        error instanceof Error ? error : new Error(String(error)),
      );
      return refuse(500, "the server failed; its log says more");
    }
  }

  /** Ends what nobody wants any more. Called by a timer. */
  sweep(): void {
    const idleBefore = this.#options.now() - SESSION_IDLE_MS_MAX;
    for (const session of this.#sessions.values()) {
      session.sweep();
      if (session.isClosed || session.usedAt <= idleBefore) this.#end(session);
    }
  }

  /** Ends every session and request; their calls are cancelled. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all([
      this.#modern.close(),
      this.#calls.close(),
      ...sessions.map((session) => session.close()),
    ]);
  }

  async #route(
    request: Request,
    engine: Engine,
    text: string | undefined,
  ): Promise<Response> {
    switch (request.method) {
      case "POST":
        return await this.#post(request, engine, text);
      case "GET":
        return await this.#session(request, engine)?.get(request) ??
          this.#without(request);
      case "DELETE": {
        const session = this.#session(request, engine);
        if (session === undefined) return this.#without(request);
        const response = await session.delete(request);
        if (session.isClosed) this.#sessions.delete(session.id);
        return response;
      }
      default:
        return refuse(405, "use POST, GET or DELETE", {
          allow: "GET, POST, DELETE",
        });
    }
  }

  async #post(
    request: Request,
    engine: Engine,
    text: string | undefined,
  ): Promise<Response> {
    const body = await readBody(request, text);
    if (body.kind === "refused") return body.response;
    const { value, bytes } = body;
    if (!await isLegacyRequest(request, value)) {
      await this.#refuseUnreached(request, value);
      const handler = isCall(value) ? this.#calls : this.#modern;
      return await handler.fetch(request, { parsedBody: value });
    }
    const session = this.#session(request, engine);
    if (session !== undefined) {
      await this.#refuseUnreached(request, value);
      const over = await this.#countBatch(request, value);
      return over ?? await session.post(request, value, bytes);
    }
    if (hasSession(request) || !opensSession(value)) {
      return this.#without(request);
    }
    return await this.#open(request, engine, [value, bytes]);
  }

  async #refuseUnreached(request: Request, value: unknown): Promise<void> {
    const caller = this.#callers.get(request);
    if (caller === undefined) return;
    const { engine, address } = caller;
    const refusal = await scopeRefusal(engine, value, { address });
    if (refusal !== null) throw refusal;
  }

  /** A batch is as many requests as it holds: the first was counted when it came. */
  async #countBatch(
    request: Request,
    value: unknown,
  ): Promise<Response | null> {
    if (!Array.isArray(value)) return null;
    const take = this.#callers.get(request)?.take;
    try {
      for (let at = 1; at < Math.min(value.length, BATCH_MAX); at++) {
        await take?.();
      }
      return null;
    } catch (thrown) {
      const { code, message, retryAfter } = toAppError(thrown);
      if (code !== "rate_limited") throw thrown;
      const why = message.replace(/^Cannot take the request: /, "");
      return refuse(429, why, { "retry-after": String(retryAfter ?? 60) });
    }
  }

  /** Answers a request that is of no session and opens none. */
  #without(request: Request): Response {
    return hasSession(request)
      ? noSession()
      : refuse(400, "it names no session; initialize first");
  }

  /** The session that a request names, if it is the caller's. */
  #session(request: Request, { principal }: Engine): HttpSession | undefined {
    const session = this.#sessions.get(
      request.headers.get("mcp-session-id") ?? "",
    );
    if (session === undefined || session.isClosed) return undefined;
    const { subject, tenant } = session.owner;
    return subject === principal.subject && tenant === principal.tenant
      ? session
      : undefined;
  }

  async #open(
    request: Request,
    { principal }: Engine,
    [value, bytes]: readonly [unknown, number],
  ): Promise<Response> {
    if (!this.#makeRoom(principal)) {
      const why = "too many sessions have calls that run; end one of them";
      return refuse(429, why, { "retry-after": "30" });
    }
    const { subject, tenant } = principal;
    const session = new HttpSession({
      id: newSessionId(),
      owner: { subject, tenant },
      server: this.#server(),
      now: this.#options.now,
      onError: this.#options.onError,
    });
    this.#sessions.set(session.id, session);
    await session.start();
    const response = await session.post(request, value, bytes);
    if (response.status !== 200) this.#end(session);
    return response;
  }

  /** Ends the oldest idle session where there are too many. Returns whether there is room. */
  #makeRoom({ subject, tenant }: Principal): boolean {
    const {
      sessionsMax = SESSIONS_MAX,
      sessionsPerSubjectMax = SESSIONS_PER_SUBJECT_MAX,
    } = this.#options;
    const own = [...this.#sessions.values()].filter(({ owner }) =>
      owner.subject === subject && owner.tenant === tenant
    );
    if (own.length >= sessionsPerSubjectMax && !this.#endOldest(own)) {
      return false;
    }
    if (this.#sessions.size < sessionsMax) return true;
    // The tenant with the most sessions gives way: none drives out those of the others.
    const byTenant = Map.groupBy(
      this.#sessions.values(),
      ({ owner }) => owner.tenant,
    );
    const most = [...byTenant.values()].reduce((a, b) =>
      b.length > a.length ? b : a
    );
    return this.#endOldest(most) ||
      (most[0]?.owner.tenant !== tenant &&
        this.#endOldest(byTenant.get(tenant) ?? []));
  }

  #endOldest(sessions: readonly HttpSession[]): boolean {
    const idle = sessions.filter((session) => !session.isBusy);
    const [first, ...rest] = idle;
    if (first === undefined) return false;
    this.#end(
      rest.reduce((a, b) => b.usedAt < a.usedAt ? b : a, first),
    );
    return true;
  }

  #end(session: HttpSession): void {
    this.#sessions.delete(session.id);
    session.close().catch(this.#options.onError);
  }

  #server(): Server {
    return this.#make(
      {
        ...this.#options,
        transport: "http",
        questions: this.#questions,
      },
      (context) => this.#callerOf(context),
    );
  }

  /** The caller of the request that a message came in. */
  #callerOf({ http }: ServerContext): Caller {
    const caller = http?.req && this.#callers.get(http.req);
    if (caller) return caller;
    // Every message is handed on with its request; one without has no caller, so it gets nothing.
    throw new TypeError("a message without a request");
  }

  #release(subject: string): void {
    const open = (this.#exchanges.get(subject) ?? 1) - 1;
    if (open > 0) this.#exchanges.set(subject, open);
    else this.#exchanges.delete(subject);
  }
}

function isCall(value: unknown): boolean {
  return (value as { readonly method?: unknown } | null)?.method ===
    "tools/call";
}

function hasSession(request: Request): boolean {
  return request.headers.has("mcp-session-id");
}

function keyOf({ subject, tenant }: Principal): string {
  return JSON.stringify([tenant, subject]);
}

function newSessionId(): string {
  return [...crypto.getRandomValues(new Uint8Array(SESSION_ID_BYTES))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
