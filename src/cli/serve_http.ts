/**
 * `serve-http`: the HTTP server for a team, around the same engine as every other command.
 *
 * The order is that of `serve`, with one more rule: nobody is let in before the policies are known to be
 * sound and there is something to prove a caller by.
 *
 * @module
 */
import { OperatorSession } from "@/administration/operator_session.ts";
import { isLoopback } from "@/config/complaint.ts";
import type { Config } from "@/config/schema.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { openAuthenticator, openTokens } from "@/identity/open.ts";
import { tenantsOf } from "@/identity/tenants.ts";
import { after } from "@/health/after.ts";
import type { Authenticator } from "@/identity/authenticator.ts";
import type { ApiKeys } from "@/identity/keys.ts";
import { type Hold, Leases } from "@/identity/leases.ts";
import { keyIdOf, type Principal } from "@/identity/principal.ts";
import { RateLimits } from "@/identity/rate_limits.ts";
import { flushLog, log } from "@/log/log.ts";
import { McpHttp } from "@/mcp/http.ts";
import { createApp } from "@/operator/app.ts";
import { eventStream } from "@/operator/event_stream.ts";
import { leased } from "@/operator/leased.ts";
import { Places } from "@/operator/places.ts";
import { addRoutes } from "@/operator/routes.ts";
import type { RouteDeps } from "@/operator/routes/deps.ts";
import {
  type HttpServer,
  readTls,
  serveHttp as listen,
} from "@/operator/serve.ts";
import { openSocket } from "@/operator/socket.ts";
import { TOOLS } from "@/tools/registry.ts";
import { openOffice } from "./office.ts";
import { Runtime } from "./runtime.ts";
import { defined } from "./runtime_log.ts";
import { EXIT, type World } from "./world.ts";

const main = log("main");
const http = log("http");

/**
 * Serves until the process is told to stop; then every scan is ended.
 *
 * @param world The process.
 * @returns The exit code.
 */
export async function serveHttp(world: World): Promise<number> {
  try {
    await using runtime = await Runtime.start(world, {
      server: true,
      transport: "http",
    });
    await runtime.openHistory();
    await runtime.parts.policies.ready();
    await using face = await Face.open(runtime, world);
    const { url } = face;
    main.info("serving", { url });
    world.printError(`serving on ${url}\n`);
    await Promise.race([face.finished, aborted(world.stop)]);
    const grace = runtime.loaded.config.server.shutdown_grace_seconds * 1000;
    await Promise.all([runtime.drained(), face.shutdown(grace)]);
    return EXIT.ok;
  } catch (thrown) {
    const { message, detail } = toAppError(thrown);
    main.error("the server cannot start", {
      message,
      ...(detail === undefined ? {} : { detail }),
    });
    world.printError(`${message}\n`);
    await flushLog();
    return EXIT.fault;
  }
}

/** The HTTP face of an engine. */
class Face implements AsyncDisposable {
  readonly #server: HttpServer;
  readonly #mcp: McpHttp;
  readonly #limits: RateLimits;

  private constructor(server: HttpServer, mcp: McpHttp, limits: RateLimits) {
    this.#server = server;
    this.#mcp = mcp;
    this.#limits = limits;
  }

  /** Listens. */
  static async open(runtime: Runtime, world: World): Promise<Face> {
    const config = () => runtime.loaded.config;
    const office = await openOffice(runtime);
    const authenticator = await authenticatorOf(runtime, office.keys);
    await refuseOpenDoor(config(), runtime);
    const leases = leasesOf(office.keys, config);
    const limits = limitsOf(runtime);
    const mcp = mcpOf(runtime, world);
    const app = createApp({
      authenticate: (header, address) =>
        authenticator.authenticate(header, address),
      sessionOf: (principal, from, traceId) =>
        new OperatorSession(runtime, office, principal, from, traceId),
      limit: (principal) => limits.take(principal),
      standing: (principal) => limits.view(principal),
      openMetrics: () => config().server.open_metrics,
      config,
      version: world.version,
      mcp: {
        handle: async (request, session, from) => {
          const answer = await mcp.handle(request, session, from);
          // A call is answered once it was proved; the stream of a session has no end of its own.
          return request.method === "GET"
            ? leased(answer, leases.hold(session.principal))
            : answer;
        },
      },
      health: () => runtime.health(),
      metrics: (form) => runtime.metrics(form),
      log: http,
      routes: (routes) =>
        addRoutes(routes, {
          version: world.version,
          wallNow: Date.now,
          ...liveRoutes(config, leases),
        }),
    });
    const { host, port, tls_certificate_file, tls_key_file } = config().server;
    const server = listen(app, {
      host,
      port,
      tls: tls_certificate_file === null || tls_key_file === null
        ? null
        : await readTls(tls_certificate_file, tls_key_file),
      log: http,
      closeStreams: () => leases[Symbol.dispose](),
    });
    return new Face(server, mcp, limits);
  }

  get url(): string {
    return this.#server.url;
  }

  get finished(): Promise<void> {
    return this.#server.finished;
  }

  async shutdown(graceMs: number): Promise<void> {
    await Promise.all([
      this.#server.shutdown(graceMs),
      this.#mcp[Symbol.asyncDispose](),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown(0);
    await this.#limits[Symbol.asyncDispose]();
  }
}

/** Counts requests, by the limits of the moment. */
function limitsOf(runtime: Runtime): RateLimits {
  const { limits } = runtime.loaded.config;
  const counted = new RateLimits(limits, () => performance.now());
  runtime.onReconfigured((config) => counted.reconfigure(config.limits));
  runtime.parts.metrics.connect({ rateLimited: () => counted.refusals });
  return counted;
}

/** MCP at `/mcp`. */
function mcpOf(runtime: Runtime, { version }: World): McpHttp {
  const { nmap, masscan, gobuster } = TOOLS;
  const fields = {
    nmap: nmap.fields,
    masscan: masscan.fields,
    gobuster: gobuster.fields,
  };
  return new McpHttp({
    version,
    fields: () => fields,
    now: () => performance.now(),
    wallNow: Date.now,
    sessionsMax: runtime.loaded.config.server.max_streams,
    onError: ({ message }) => log("mcp").warn("protocol", { error: message }),
  });
}

/** Streams live as long as the credentials that opened them. */
function leasesOf(keys: ApiKeys, config: () => Config): Leases {
  return new Leases({
    isGood: async ({ subject, tenant }) => {
      const id = keyIdOf(subject);
      return id === null
        ? tenantsOf(config().identity).has(tenant)
        : await keys.isGood(id);
    },
    wallNow: Date.now,
    after,
  });
}

/** Server-Sent Events and WebSockets. */
function liveRoutes(
  config: () => Config,
  leases: Leases,
): Pick<RouteDeps, "events" | "socket"> {
  const onFault = ({ code, detail }: AppError) =>
    http.warn("a stream failed", defined({ code, detail }));
  const max = () => {
    const { server: { max_streams: all }, identity } = config();
    const alone = identity.tenants.length === 0;
    return { all, tenant: alone ? all : Math.ceil(all / 2) };
  };
  const streams = new Places(max, "event streams");
  const sockets = new Places(max, "WebSockets");
  return {
    events: (_request, session, { after: last, scanId, output }) =>
      holding(
        held(streams, leases, session.principal),
        (hold) =>
          eventStream((signal) => {
            const letGo = () => hold[Symbol.dispose]();
            signal.addEventListener("abort", letGo, { once: true });
            const cut = scanId === null ? {} : { scanId };
            return session.listen({ after: last, ...cut, output, signal });
          }, {
            heartbeatSeconds: config().events.heartbeat_seconds,
            signal: hold.signal,
            onFault,
          }),
      ),
    socket: (request, session) =>
      holding(
        held(sockets, leases, session.principal),
        (hold) =>
          openSocket(request, session, {
            signal: hold.signal,
            now: () => performance.now(),
            onFault,
            idleSeconds: config().events.heartbeat_seconds,
            onEnd: () => hold[Symbol.dispose](),
          }),
      ),
  };
}

/** Takes a place and holds on to the credentials; both are given back together. */
function held(places: Places, leases: Leases, principal: Principal): Hold {
  const place = places.take(principal.tenant);
  const lease = leases.hold(principal);
  return {
    signal: lease.signal,
    [Symbol.dispose]: () => {
      place[Symbol.dispose]();
      lease[Symbol.dispose]();
    },
  };
}

/** Begins a stream, and lets go of the hold where it does not begin. */
function holding(hold: Hold, begin: (hold: Hold) => Response): Response {
  try {
    return begin(hold);
  } catch (refused) {
    hold[Symbol.dispose]();
    throw refused;
  }
}

/** What proves who calls; what checks tokens is made anew with every configuration. */
async function authenticatorOf(
  runtime: Runtime,
  keys: ApiKeys,
): Promise<Authenticator> {
  const world = {
    wallNow: Date.now,
    now: () => performance.now(),
    onWarning: (message: string, cause: unknown) =>
      main.warn("identity", { message, detail: String(cause ?? "") }),
    fetch: (url: string, init: RequestInit) => fetch(url, init),
  };
  let tokens = await openTokens(runtime.loaded.config.identity, world);
  runtime.onReconfigured(async ({ identity }) => {
    tokens = await openTokens(identity, world);
  });
  runtime.watch(({ identity }) => {
    const watched = tokens;
    return identity.issuer === null || watched === null
      ? {}
      : { issuer: () => watched.look() };
  });
  return await openAuthenticator(keys, () => tokens);
}

/** Refuses to listen where others can call and nobody could prove who they are. */
async function refuseOpenDoor(
  { server, identity }: Config,
  runtime: Runtime,
): Promise<void> {
  if (isLoopback(server.host) || identity.issuer !== null) return;
  const store = await runtime.parts.store();
  if (await store.countKeys() > 0) return;
  throw new AppError(
    "unauthenticated",
    `Cannot listen on "${server.host}": no credentials exist, and other machines can reach it; ` +
      "make an API key (deno task keys create) or set identity.issuer, or listen on 127.0.0.1",
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
