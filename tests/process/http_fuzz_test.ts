/**
 * Every route of the API document, called with what the document allows and with what nobody should send,
 * by everybody who can call. The server is the whole program in a namespace without a network, with
 * stand-ins for the scanners.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { verifies } from "../requirements.ts";
import { HttpServer } from "../support/http.ts";
import { memoryOf } from "../support/processes.ts";
import { copyStandIn } from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";
import {
  type ApiDocument,
  type FuzzRequest,
  type KnownIds,
  requestsOf,
  statusesOf,
} from "./fixtures/openapi_requests.ts";

/** Requests of one run, and milliseconds after which no further one is sent. */
const REQUESTS = 2_000;
const FUZZ_MS = 40_000;

/** How many are under way at once. */
const AT_ONCE = 6;

/** Milliseconds within which every answer has to be there. */
const ANSWER_MS = 10_000;

/** Least that has to be sent for the run to mean anything, however slow the machine. */
const REQUESTS_LEAST = 400;

/** Least of the routes that has to have done what it is for: a fuzz that stops at the door finds nothing. */
const REACHED_LEAST = 20;

/** Resident bytes that the server may reach. */
const MEMORY_MAX = 768 * 1024 * 1024;

/** What stands before the routes refuses with these, whether a route names them or not. */
const OF_EVERY_ROUTE: ReadonlySet<number> = new Set([
  ...[204, 304, 400, 401, 403, 404, 405, 406, 413, 414, 415, 421, 429, 431],
  503,
]);

/** Paths that answer without credentials. */
const OPEN = /^\/(?:health(?:\/\w+)?|\.well-known\/.*)$/;

/** Something that is in the environment and the state of the server, and must be nowhere else. */
const CANARY = "c0ffee0badcafe00".repeat(4);

/** The words of a stack, and of places in a source. */
const STACK =
  /\n\s+at \S+ \(|\bat (?:async )?file:\/\/|\.ts:\d+:\d+|node_modules/;

/** Who calls; null has no credentials. */
type Caller = "none" | "viewer" | "operator" | "admin";

/** What came back of one request. */
interface Came {
  readonly request: FuzzRequest;
  readonly caller: Caller;
  readonly status: number;
  readonly headers: string;
  readonly type: string;
  readonly text: string;
}

/** What answers are judged by. */
interface Told {
  readonly document: ApiDocument;
  /** What an answer may never hold: the canary, anybody's key. */
  readonly secrets: readonly string[];
  /** Where things lie. */
  readonly places: readonly string[];
}

/** A server and the keys of those who call it. */
class Fuzzed implements AsyncDisposable, Told {
  readonly server: HttpServer;
  readonly keys: Readonly<Record<Caller, string | null>>;
  readonly document: ApiDocument;

  private constructor(
    server: HttpServer,
    keys: Readonly<Record<Caller, string | null>>,
    document: ApiDocument,
  ) {
    this.server = server;
    this.keys = keys;
    this.document = document;
  }

  static async start(path: string): Promise<Fuzzed> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(
      await HttpServer.start({
        ...{ path: [path], offline: true },
        env: {
          MCP_AUDIT_KEY: CANARY,
          CANARY_OF_THE_ENVIRONMENT: CANARY,
          MCP_LIMITS_REQUESTS_PER_MINUTE: "0",
          MCP_LIMITS_TENANT_REQUESTS_PER_MINUTE: "0",
        },
      }),
    );
    const [viewer, operator, admin] = await server.keys([
      { roles: ["viewer"] },
      { roles: ["operator"] },
      { roles: ["admin"] },
    ]);
    assert.ok(viewer && operator && admin);
    const { json } = await server.ask("/openapi.json", { key: viewer.secret });
    stack.move();
    return new Fuzzed(server, {
      ...{ none: null, viewer: viewer.secret },
      ...{ operator: operator.secret, admin: admin.secret },
    }, json);
  }

  /** Sends a request and reads its answer; that of a stream only as far as it has begun. */
  async send(request: FuzzRequest, caller: Caller): Promise<Came> {
    const { method, target, headers, body } = request;
    const key = this.keys[caller];
    const answer = await fetch(`${this.server.url}${target}`, {
      method,
      headers: { ...headers, ...key && { authorization: `Bearer ${key}` } },
      ...body !== null && { body },
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: "manual",
    });
    const type = answer.headers.get("content-type") ?? "";
    const isStream = type.startsWith("text/event-stream");
    if (isStream) await answer.body?.cancel();
    return {
      ...{ request, caller, type, status: answer.status },
      headers: JSON.stringify([...answer.headers]),
      text: isStream ? "" : await answer.text(),
    };
  }

  /** Makes a scan and a key, so that there is something to be asked for. */
  async known(): Promise<KnownIds> {
    const { json } = await this.server.ask("/tools/nmap/execute", {
      key: this.keys.operator,
      body: { target: "127.0.0.1", ports: "22,80" },
    });
    const { id } = await this.server.key({ roles: ["viewer"] });
    return { "/v1/scans/": [json.scan_id], "/v1/keys/": [id] };
  }

  get places(): readonly string[] {
    return [ROOT, this.server.folder.state];
  }

  get secrets(): readonly string[] {
    const keys = Object.values(this.keys).filter((key) => key !== null);
    return [CANARY, ...keys];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

/** Says what is wrong with an answer, or nothing. */
function faultOf(came: Came, fuzzed: Told): string | null {
  const { request, caller, status, type, text, headers } = came;
  const { route, method, target } = request;
  const documented = statusesOf(fuzzed.document, route, method);
  if (status === 500) return "it is 500";
  if (!documented.has(status) && !OF_EVERY_ROUTE.has(status)) {
    return `${status} is not documented`;
  }
  const path = target.split("?")[0] ?? "";
  if (caller === "none" && status < 400 && !OPEN.test(path)) {
    return `${status} without credentials`;
  }
  const isProblem = type.startsWith("application/problem+json");
  const isHealth = route.startsWith("/health") && status === 503;
  if (status >= 400 && method !== "HEAD" && !isHealth) {
    if (!isProblem && route !== "/mcp") return `an error of ${type}`;
    const body = jsonOf(text);
    if (
      isProblem && (typeof body?.code !== "string" || body.status !== status)
    ) {
      return "a problem without its code and status";
    }
  }
  const all = `${headers}\n${text}`;
  if (fuzzed.secrets.some((secret) => all.includes(secret))) {
    return "it tells a secret";
  }
  if (STACK.test(all)) return "it tells a stack";
  // The configuration names its folders, to whoever may see it; nothing else names any.
  const mayName = route === "/config" && status === 200;
  if (!mayName && fuzzed.places.some((place) => all.includes(place))) {
    return "it tells a path";
  }
  return null;
}

// deno-lint-ignore no-explicit-any -- any JSON
function jsonOf(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    // The caller says what it thinks of an answer that is no JSON.
    return null;
  }
}

/** What a run came to. */
interface Outcome {
  readonly sent: number;
  readonly faults: readonly string[];
  /** Methods and routes that did what they are for. */
  readonly reached: ReadonlySet<string>;
  /** The statuses of refusals. */
  readonly refused: ReadonlySet<number>;
}

/** Sends requests, several at once, until all are sent or the time is over. */
async function fuzz(
  fuzzed: Fuzzed,
  all: readonly (readonly [FuzzRequest, Caller])[],
): Promise<Outcome> {
  const reached = new Set<string>();
  const refused = new Set<number>();
  const until = performance.now() + FUZZ_MS;
  const faults: string[] = [];
  let next = 0;
  const work = async () => {
    while (next < all.length && performance.now() < until) {
      const [request, caller] = all[next++] ?? [];
      if (request === undefined || caller === undefined) return;
      const told = await fuzzed.send(request, caller).then(
        (came) => {
          const { method, route } = request;
          if (came.status >= 400) refused.add(came.status);
          else reached.add(`${method} ${route}`);
          return { fault: faultOf(came, fuzzed), text: came.text };
        },
        (thrown) => ({ fault: String(thrown), text: "" }),
      );
      if (told.fault === null) continue;
      const asked = JSON.stringify({ ...request, caller });
      faults.push(
        `${told.fault}: ${asked.slice(0, 1_500)} => ${told.text.slice(0, 500)}`,
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { sent: next, faults, reached, refused };
}

/** Starts by which the server finds out what a tool is and may, once; they scan nothing of anybody. */
const PROBES =
  /^\w+ (?:-?-?version|-V)$|^nmap -n --noninteractive --privileged -sS -Pn -p 1 -T4 127\.0\.0\.1$/i;

Deno.test(`up to ${REQUESTS} requests of every kind to every route are answered as documented and tell nothing`, async () => {
  verifies("http.fuzz");
  verifies("http.routes.garbage");
  await using copy = await copyStandIn("canned");
  await using fuzzed = await Fuzzed.start(copy.path);
  const { server, document } = fuzzed;
  assert.ok(Object.keys(document.paths).length > 30);
  // Any 32 bits: a run that fails is run again with its own.
  const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
  const told = `fast-check's seed is ${seed}`;
  const callers = fc.constantFrom<Caller>(
    ...["none", "viewer", "viewer", "operator", "operator"] as const,
    ...["admin", "admin", "admin"] as const,
  );
  const requests = requestsOf(document, await fuzzed.known());
  const before = (await copy.starts()).length;
  const all = fc.sample(fc.tuple(requests, callers), {
    ...{ seed, numRuns: REQUESTS },
  });
  const { sent, faults, reached, refused } = await fuzz(fuzzed, all);
  assert.deepEqual(faults.slice(0, 5), [], `${faults.length} faults, ${told}`);
  assert.ok(sent >= REQUESTS_LEAST, `${sent} were sent, ${told}`);
  assert.ok(reached.size >= REACHED_LEAST, `${[...reached]} ${told}`);
  for (const status of [400, 401, 403, 404, 405]) {
    assert.ok(refused.has(status), `nothing was refused by ${status}, ${told}`);
  }
  const starts = (await copy.starts()).slice(before).filter((start) =>
    !PROBES.test(start)
  );
  assert.deepEqual(starts, [], `scans were started, ${told}`);
  const health = await server.ask("/health");
  assert.ok([200, 207].includes(health.status), `${health.text} ${told}`);
  const { peak } = await memoryOf(server.pid);
  assert.ok(peak < MEMORY_MAX, `it took ${peak} bytes, ${told}`);
  for (const secret of fuzzed.secrets) {
    assert.ok(!server.stderr.includes(secret), `the log tells, ${told}`);
  }
  assert.doesNotMatch(server.stderr, /"level":"error"/, told);
  assert.deepEqual((await server.stop()).left, []);
});

Deno.test("the fuzz would see a fault", () => {
  const told: Told = {
    document: {
      paths: { "/v1/keys": { get: { responses: { 200: {}, 500: {} } } } },
      components: { schemas: {} },
    },
    ...{ secrets: [CANARY], places: ["/srv/state"] },
  };
  const request: FuzzRequest = {
    ...{ method: "GET", route: "/v1/keys", target: "/v1/keys" },
    ...{ headers: {}, body: null },
  };
  const sound = { code: "forbidden", status: 403 };
  const came: Came = {
    ...{ request, caller: "admin", status: 200, headers: "[]" },
    ...{ type: "application/json", text: "{}" },
  };
  const refused: Came = {
    ...{ ...came, status: 403, type: "application/problem+json" },
    text: JSON.stringify(sound),
  };
  assert.equal(faultOf(came, told), null);
  assert.equal(faultOf(refused, told), null);
  for (
    const [one, fault] of [
      [{ ...came, status: 500 }, "it is 500"],
      [{ ...came, status: 201 }, "201 is not documented"],
      [{ ...came, caller: "none" }, "200 without credentials"],
      [{ ...refused, type: "text/html" }, "an error of text/html"],
      [{ ...refused, text: "{}" }, "a problem without its code and status"],
      [{ ...came, headers: `["x","${CANARY}"]` }, "it tells a secret"],
      [{ ...came, text: "Error\n    at run (x)" }, "it tells a stack"],
      [{ ...came, text: "/srv/state/audit.key" }, "it tells a path"],
    ] as const
  ) {
    assert.equal(faultOf(one, told), fault);
  }
});
