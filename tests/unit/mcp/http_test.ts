/**
 * MCP over HTTP, request by request: whose a session is, what ends it, and every bound.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { HOUSE, type Principal } from "@/identity/principal.ts";
import type { McpHttp } from "@/mcp/http.ts";
import { verifies } from "../../requirements.ts";
import { ENDPOINT, mcpHttp, principal } from "./fixtures/connect_http.ts";
import { FakeEngine, fakeScan } from "./fixtures/fake_engine.ts";

const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
} as const;

interface Sent {
  readonly method?: string;
  readonly session?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

function send(
  http: McpHttp,
  engine: FakeEngine,
  { method = "POST", session, headers, body, signal }: Sent,
): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return http.handle(
    new Request(ENDPOINT, {
      method,
      headers: {
        ...HEADERS,
        ...(session === undefined ? {} : { "mcp-session-id": session }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: text }),
      ...(signal === undefined ? {} : { signal }),
    }),
    engine,
  );
}

function rpc(id: number, method: string, params: object = {}): object {
  return { jsonrpc: "2.0", id, method, params };
}

function callOf(id: number, target: string): object {
  return rpc(id, "tools/call", {
    name: "nmap",
    arguments: { target },
    _meta: { progressToken: id },
  });
}

const INITIALIZE = (protocolVersion: string) =>
  rpc(0, "initialize", {
    protocolVersion,
    capabilities: {},
    clientInfo: { name: "raw", version: "1" },
  });

/** Opens a session and gives its id. */
async function open(
  http: McpHttp,
  engine: FakeEngine,
  version = "2025-11-25",
): Promise<string> {
  const response = await send(http, engine, { body: INITIALIZE(version) });
  assert.equal(response.status, 200);
  await response.text();
  const session = response.headers.get("mcp-session-id") ?? "";
  const told = await send(http, engine, {
    session,
    body: { jsonrpc: "2.0", method: "notifications/initialized" },
  });
  assert.equal(told.status, 202);
  return session;
}

function engineOf(change: Partial<Principal> = {}): FakeEngine {
  const engine = new FakeEngine();
  engine.principal = principal(change);
  return engine;
}

/** The messages of a stream, as far as it has come. */
async function* messagesOf(
  response: Response,
): AsyncGenerator<{ id?: number; method?: string; result?: object }, void> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.+)$/m.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data);
    }
  }
}

/** The answer of a stream. */
// deno-lint-ignore no-explicit-any -- a test reads what it expects
async function answerOf(response: Response): Promise<any> {
  for await (const message of messagesOf(response)) {
    if (message.id !== undefined) return message;
  }
  return assert.fail("no answer");
}

/** The names of the tools of an answer. */
async function toolNames(response: Response): Promise<readonly string[]> {
  for await (const { result } of messagesOf(response)) {
    const { tools } = result as { tools: { name: string }[] };
    return tools.map(({ name }) => name);
  }
  return assert.fail("no answer");
}

/** The ids of the events of a text. */
function eventIds(text: string): readonly string[] {
  return [...text.matchAll(/^id: (.+)$/gm)].map(([, id = ""]) => id);
}

/** Waits until something holds, a little while. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !holds(); turn++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.ok(holds());
}

/** Reads a stream to its end, which has to come in a little while. */
async function ended(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  let over = false;
  const reading = (async () => {
    for (;;) if ((await reader.read()).done) break;
    over = true;
  })();
  reading.catch(() => {});
  await until(() => over);
}

/** A call that runs: its response and the reader that took its first event. */
async function running(
  http: McpHttp,
  engine: FakeEngine,
  session: string,
  id = 1,
): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await send(http, engine, {
    session,
    body: callOf(id, "slow"),
    headers: { "mcp-protocol-version": "2025-11-25" },
  });
  assert.equal(response.status, 200);
  const reader = (response.body ?? assert.fail("no body")).getReader();
  await reader.read();
  await until(() => engine.calls.length >= id);
  return reader;
}

Deno.test("McpHttp.handle() gives every session an id that nobody guesses", async () => {
  await using http = mcpHttp();
  const engine = engineOf();
  const ids = [await open(http, engine), await open(http, engine)];
  for (const id of ids) assert.match(id, /^[0-9a-f]{64}$/);
  assert.notEqual(ids[0], ids[1]);
});

Deno.test("McpHttp.handle() answers another caller that there is no such session", async () => {
  verifies("mcp.http.session_owner");
  await using http = mcpHttp();
  const engine = engineOf();
  const session = await open(http, engine);
  const others = [
    engineOf({ subject: "key:2" }),
    engineOf({ tenant: "other" }),
    engineOf({ subject: "key:2", tenant: "other" }),
  ];
  const requests: readonly Sent[] = [
    { session, body: rpc(1, "tools/list") },
    { session, body: callOf(2, "10.0.0.1") },
    {
      session,
      body: {
        jsonrpc: "2.0",
        method: "notifications/cancelled",
        params: { requestId: 1 },
      },
    },
    { session, body: INITIALIZE("2025-11-25") },
    { session, method: "GET" },
    { session, method: "GET", headers: { "last-event-id": "x_1" } },
    { session, method: "DELETE" },
    { session: "f".repeat(64), body: rpc(1, "tools/list") },
  ];
  for (const other of others) {
    for (const request of requests) {
      const response = await send(http, other, request);
      assert.equal(response.status, 404, JSON.stringify(request));
      assert.deepEqual(await response.json(), {
        jsonrpc: "2.0",
        id: null,
        error: {
          code: -32_001,
          message:
            "Cannot read the message: there is no such session; initialize anew",
        },
      });
    }
    assert.deepEqual(other.calls, []);
  }
  assert.equal(http.sessionCount, 1);
});

Deno.test("McpHttp.handle() serves each request of a session with its own engine", async () => {
  await using http = mcpHttp();
  const session = await open(http, engineOf());
  const narrowed = engineOf({ scopes: new Set(["read"]) });
  const response = await send(http, narrowed, {
    session,
    body: rpc(1, "tools/list"),
  });
  assert.deepEqual(await toolNames(response), [
    "scan_status",
    "scan_results",
    "scan_list",
    "scan_diff",
    "inventory",
  ]);
});

/** A call as a client of 2026-07-28 sends it. */
function modern(id: number, name: string, given: object): Sent {
  const version = "2026-07-28";
  return {
    headers: {
      "mcp-protocol-version": version,
      "mcp-method": "tools/call",
      "mcp-name": name,
    },
    body: rpc(id, "tools/call", {
      name,
      arguments: given,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    }),
  };
}

Deno.test("McpHttp.handle() refuses a call that the scopes do not reach, once the engine has", async () => {
  verifies("mcp.scope_challenge");
  await using http = mcpHttp();
  const session = await open(http, engineOf());
  const cases = [
    ["nmap", { target: "10.0.0.1" }, ["read"], "scan:nmap"],
    ["nmap", { target: "10.0.0.1", plan: true }, ["read"], "scan:nmap"],
    ["scan_cancel", { scan_id: "scan-0001" }, ["read"], "cancel"],
    ["scan_status", { scan_id: "scan-0001" }, ["scan:nmap"], "read"],
    ["scan_list", {}, ["scan:nmap"], "read"],
  ] as const;
  for (const [name, given, scopes, scope] of cases) {
    const engine = engineOf({ scopes: new Set(scopes) });
    const older = {
      session,
      body: rpc(1, "tools/call", { name, arguments: given }),
    };
    for (const sent of [older, modern(1, name, given)]) {
      const before = engine.calls.length + engine.readings.length;
      await assert.rejects(send(http, engine, sent), {
        code: "forbidden",
        scope,
      });
      const after = engine.calls.length + engine.readings.length;
      if (name !== "scan_cancel") assert.equal(after, before + 1, name);
    }
  }
  assert.deepEqual(http.errors, []);
});

Deno.test("McpHttp.handle() answers whatever else the caller may not do by a result", async () => {
  verifies("mcp.scope_challenge");
  await using http = mcpHttp();
  const session = await open(http, engineOf());
  const narrow: Partial<Principal> = { scopes: new Set(["read"]) };
  const cases: readonly (readonly [Partial<Principal>, unknown])[] = [
    // The role is missing as well: no scope would help.
    [{ ...narrow, roles: new Set(["viewer"]) }, callOf(1, "10.0.0.1")],
    [narrow, rpc(1, "tools/call", { name: "none", arguments: {} })],
    [narrow, rpc(1, "tools/call", { name: "scan_list", arguments: {} })],
    [narrow, rpc(1, "tools/call", { name: 7 })],
    [narrow, rpc(1, "tools/call")],
    [narrow, rpc(1, "resources/read", { uri: "scan://scan-0001" })],
    [narrow, { ...rpc(1, "tools/call", { name: "nmap" }), id: undefined }],
    [narrow, { ...rpc(1, "tools/call", { name: "nmap" }), id: {} }],
  ];
  for (const [change, body] of cases) {
    const response = await send(http, engineOf(change), { session, body });
    assert.notEqual(response.status, 403, JSON.stringify(body));
    await response.text();
  }
  const batches = await open(http, engineOf(), "2025-03-26");
  const batch = await send(http, engineOf(narrow), {
    session: batches,
    body: [callOf(1, "10.0.0.1"), rpc(2, "tools/list")],
  });
  assert.equal(batch.status, 200);
  await batch.text();
});

const TOOLS: readonly (readonly [Partial<Principal>, readonly string[]])[] = [
  [{ roles: new Set(["operator"]), scopes: new Set(["scan:nmap"]) }, ["nmap"]],
  [{ roles: new Set(["viewer"]) }, [
    "scan_status",
    "scan_results",
    "scan_list",
    "scan_diff",
    "inventory",
  ]],
  [{ roles: new Set(["viewer"]), scopes: new Set(["scan:nmap"]) }, []],
  [
    {
      roles: new Set(["operator"]),
      scopes: new Set(["scan:gobuster", "cancel"]),
    },
    ["gobuster", "scan_cancel"],
  ],
  [{ roles: new Set(["operator"]), scopes: new Set(["cancel"]) }, [
    "scan_cancel",
  ]],
  [{ roles: new Set(["approver"]), scopes: new Set(["approve"]) }, []],
  [{ roles: new Set() }, []],
];

for (const [change, expected] of TOOLS) {
  const roles = [...change.roles ?? []].join(" ");
  const scopes = change.scopes ? [...change.scopes].join(" ") : "all scopes";
  Deno.test(`tools/list shows what the caller may use (${roles}; ${scopes})`, async () => {
    verifies("mcp.tools.by_scope");
    await using http = mcpHttp();
    const engine = engineOf(change);
    const session = await open(http, engine);
    const response = await send(http, engine, {
      session,
      body: rpc(1, "tools/list"),
    });
    assert.deepEqual(await toolNames(response), expected);
  });
}

Deno.test("policy://guardrails is read by whoever may see the tools", async () => {
  verifies("dispatch.capabilities");
  await using http = mcpHttp();
  for (
    const [scopes, seen] of [
      [null, true],
      [["read"], true],
      [["scan:nmap"], true],
      [["approve"], false],
    ] as const
  ) {
    const engine = engineOf({
      roles: new Set(["viewer", "approver"]),
      scopes: scopes === null ? null : new Set(scopes),
    });
    const session = await open(http, engine);
    const answer = await send(http, engine, {
      session,
      body: rpc(1, "resources/read", { uri: "policy://guardrails" }),
    });
    const text = await answer.text();
    assert.equal(text.includes("allow_intrusive"), seen, text.slice(0, 300));
    assert.equal(text.includes('(\\"tools\\")'), !seen, text.slice(0, 300));
  }
});

Deno.test("McpHttp.handle() shows the server's metrics to the house only", async () => {
  await using http = mcpHttp();
  for (const [tenant, seen] of [[HOUSE, true], ["other", false]] as const) {
    const engine = engineOf({ tenant });
    const session = await open(http, engine);
    const listing = await send(http, engine, {
      session,
      body: rpc(1, "resources/list"),
    });
    assert.equal((await listing.text()).includes("server://metrics"), seen);
    const reading = await send(http, engine, {
      session,
      body: rpc(2, "resources/read", { uri: "server://metrics" }),
    });
    assert.equal((await reading.text()).includes("mcp_tool_active"), seen);
  }
});

Deno.test("no way through MCP reaches a scan that the engine does not give", async () => {
  verifies("mcp.tenant");
  await using http = mcpHttp();
  const owner = engineOf();
  owner.add(fakeScan({ id: "scan-0001", target: "10.99.0.1" }));
  // What an engine bound to another tenant does: it knows no such scan.
  const other = engineOf({ subject: "key:2", tenant: "other" });
  const session = await open(http, other);
  const asks: readonly object[] = [
    ...[
      "scan://scan-0001",
      "scan://scan-0001/hosts",
      "scan://scan-0001/raw",
      "scan://scan-0001/report.html",
    ].map((uri, at) => rpc(10 + at, "resources/read", { uri })),
    ...["scan_status", "scan_results", "scan_diff", "scan_cancel"].map((
      name,
      at,
    ) =>
      rpc(20 + at, "tools/call", {
        name,
        arguments: { scan_id: "scan-0001" },
      })
    ),
    rpc(30, "tools/call", { name: "scan_list", arguments: {} }),
    rpc(31, "tools/call", { name: "inventory", arguments: {} }),
    rpc(32, "resources/list"),
    rpc(33, "completion/complete", {
      ref: { type: "ref/resource", uri: "scan://{id}" },
      argument: { name: "id", value: "scan" },
    }),
  ];
  for (const body of asks) {
    const response = await send(http, other, { session, body });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.doesNotMatch(text, /10\.99\.0\.1|"scan_id":"scan-0001"/);
  }
  assert.deepEqual(owner.read, []);
  await assert.rejects(
    other.scan("scan-0001"),
    (error: AppError) => error.code === "not_found",
  );
});

Deno.test("McpHttp.handle() cancels a call that another request cancels, and closes its stream", async () => {
  verifies("mcp.http.cancel");
  await using http = mcpHttp();
  const engine = engineOf();
  const session = await open(http, engine);
  const reader = await running(http, engine, session);
  const response = await send(http, engine, {
    session,
    body: {
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: 1 },
    },
  });
  assert.equal(response.status, 202);
  await until(() => engine.aborted.length === 1);
  await ended(reader);
  // The id is free again: nothing of the cancelled call is left.
  const again = await running(http, engine, session);
  await again.cancel();
});

Deno.test("McpHttp.handle() lets a client come back for its answer, once", async () => {
  verifies("mcp.http.resume");
  let now = 0;
  await using http = mcpHttp({ now: () => now });
  const engine = engineOf();
  const session = await open(http, engine);
  const response = await send(http, engine, {
    session,
    body: callOf(1, "slow"),
    headers: { "mcp-protocol-version": "2025-11-25" },
  });
  const reader = (response.body ?? assert.fail("no body")).getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  await until(() => engine.calls.length === 1);
  const [lastEventId = ""] = eventIds(first);
  await reader.cancel();
  now = 59_000;
  http.sweep();
  assert.deepEqual(engine.aborted, []);
  engine.finish();
  const resume = (id: string) =>
    send(http, engine, {
      session,
      method: "GET",
      headers: { "last-event-id": id, "mcp-protocol-version": "2025-11-25" },
    });
  const text = await (await resume(lastEventId)).text();
  const answers = text.match(/"structuredContent"/g) ?? [];
  assert.equal(answers.length, 1, text);
  const last = eventIds(text).at(-1) ?? "";
  assert.doesNotMatch(await (await resume(last)).text(), /data: ./);
});

// Without the first connection having ended: the client knows better than this end.
for (const known of [true, false]) {
  Deno.test(`McpHttp.handle() gives a resumed stream what comes later, and the client keeps its call (${known ? "broken" : "seemingly whole"} connection)`, async () => {
    verifies("mcp.http.resume");
    let now = 0;
    await using http = mcpHttp({ now: () => now });
    const engine = engineOf();
    const session = await open(http, engine);
    const response = await send(http, engine, {
      session,
      body: callOf(1, "slow"),
      headers: { "mcp-protocol-version": "2025-11-25" },
    });
    const reader = (response.body ?? assert.fail("no body")).getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    await until(() => engine.calls.length === 1);
    if (known) await reader.cancel();
    const resumed = await send(http, engine, {
      session,
      method: "GET",
      headers: { "last-event-id": eventIds(first)[0] ?? "" },
    });
    assert.equal(resumed.status, 200);
    await ended(reader);
    now = 10 * 60_000;
    http.sweep();
    assert.deepEqual(engine.aborted, []);
    engine.finish();
    let answers = 0;
    for await (const { id } of messagesOf(resumed)) if (id === 1) answers++;
    assert.equal(answers, 1);
  });
}

Deno.test("McpHttp.sweep() cancels the calls of a client that does not come back", async () => {
  verifies("mcp.http.gone");
  let now = 0;
  await using http = mcpHttp({ now: () => now });
  const engine = engineOf();
  const session = await open(http, engine);
  const reader = await running(http, engine, session);
  await reader.cancel();
  now = 60_000;
  http.sweep();
  await until(() => engine.aborted.length === 1);
});

Deno.test("McpHttp.handle() cancels at once the call of a client of 2026-07-28 that goes", async () => {
  verifies("mcp.http.gone");
  await using http = mcpHttp();
  const engine = engineOf();
  const caller = new AbortController();
  const response = send(http, engine, {
    signal: caller.signal,
    headers: {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "nmap",
    },
    body: rpc(1, "tools/call", {
      name: "nmap",
      arguments: { target: "slow" },
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    }),
  });
  await until(() => engine.calls.length === 1);
  caller.abort();
  await until(() => engine.aborted.length === 1);
  // The answer had begun, so that the runtime hears of a client that goes.
  const { status, headers } = await response;
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/event-stream");
});

Deno.test("DELETE ends a session, and its calls are cancelled", async () => {
  await using http = mcpHttp();
  const engine = engineOf();
  const session = await open(http, engine);
  const reader = await running(http, engine, session);
  const response = await send(http, engine, { session, method: "DELETE" });
  assert.equal(response.status, 200);
  assert.deepEqual(engine.aborted, ["slow"]);
  await ended(reader);
  const after = await send(http, engine, {
    session,
    body: rpc(2, "tools/list"),
  });
  assert.equal(after.status, 404);
  assert.equal(http.sessionCount, 0);
});

Deno.test("McpHttp that stops cancels every call", async () => {
  const http = mcpHttp();
  const engine = engineOf();
  const reader = await running(http, engine, await open(http, engine));
  await http[Symbol.asyncDispose]();
  assert.deepEqual(engine.aborted, ["slow"]);
  await ended(reader);
  const response = await send(http, engine, { body: rpc(1, "tools/list") });
  assert.equal(response.status, 503);
});

Deno.test("McpHttp.sweep() ends a session that nobody uses, and none whose call runs", async () => {
  let now = 0;
  await using http = mcpHttp({ now: () => now });
  const engine = engineOf();
  const busy = await open(http, engine);
  const idle = await open(http, engine);
  const reader = await running(http, engine, busy);
  now = 30 * 60_000 - 1;
  http.sweep();
  assert.equal(http.sessionCount, 2);
  now = 30 * 60_000;
  http.sweep();
  assert.equal(http.sessionCount, 1);
  const gone = await send(http, engine, {
    session: idle,
    body: rpc(1, "tools/list"),
  });
  assert.equal(gone.status, 404);
  assert.deepEqual(engine.aborted, []);
  await reader.cancel();
});

Deno.test("McpHttp.handle() ends a caller's oldest idle session where it has too many", async () => {
  verifies("mcp.http.bounds");
  let now = 0;
  await using http = mcpHttp({ now: () => now++, sessionsPerSubjectMax: 2 });
  const engine = engineOf();
  const other = await open(http, engineOf({ subject: "key:2" }));
  const [a, b] = [await open(http, engine), await open(http, engine)];
  // The first is used again, so the second is the oldest.
  const used = await send(http, engine, {
    session: a,
    body: rpc(1, "tools/list"),
  });
  await used.text();
  await open(http, engine);
  const alive = async (session: string, whose = engine) =>
    (await send(http, whose, {
      session,
      method: "POST",
      body: { jsonrpc: "2.0", method: "notifications/initialized" },
    })).status === 202;
  assert.deepEqual([await alive(a), await alive(b)], [true, false]);
  assert.ok(await alive(other, engineOf({ subject: "key:2" })));
});

Deno.test("McpHttp.handle() refuses a session where all that there may be are busy", async () => {
  verifies("mcp.http.bounds");
  await using http = mcpHttp({ sessionsMax: 1 });
  const engine = engineOf();
  const reader = await running(http, engine, await open(http, engine));
  const response = await send(http, engine, {
    body: INITIALIZE("2025-11-25"),
  });
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "30");
  await reader.cancel();
});

Deno.test("McpHttp.handle() ends a session of the tenant that has the most, so that none drives out the others'", async () => {
  verifies("mcp.http.bounds");
  let now = 0;
  await using http = mcpHttp({ now: () => now++, sessionsMax: 4 });
  const blue = engineOf({ subject: "key:b", tenant: "blue" });
  const quiet = await open(http, blue);
  for (let at = 0; at < 6; at++) {
    await open(http, engineOf({ subject: `key:${at}`, tenant: "red" }));
  }
  assert.equal(http.sessionCount, 4);
  const alive = await send(http, blue, {
    session: quiet,
    body: { jsonrpc: "2.0", method: "notifications/initialized" },
  });
  assert.equal(alive.status, 202);
});

Deno.test("McpHttp.handle() counts a batch as the requests that it holds", async () => {
  await using http = mcpHttp();
  const engine = engineOf();
  const session = await open(http, engine, "2025-03-26");
  let left = 3;
  const ask = (length: number) =>
    http.handle(
      new Request(ENDPOINT, {
        method: "POST",
        headers: { ...HEADERS, "mcp-session-id": session },
        body: JSON.stringify(
          Array.from({ length }, (_, at) => rpc(10 + at, "ping")),
        ),
      }),
      engine,
      {
        address: null,
        take: () =>
          left-- > 0 ? Promise.resolve() : Promise.reject(
            new AppError("rate_limited", "Cannot take it", { retryAfter: 7 }),
          ),
      },
    );
  const taken = await ask(4);
  await taken.text();
  assert.deepEqual([taken.status, left], [200, 0]);
  const refused = await ask(2);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("retry-after"), "7");
  assert.match(await refused.text(), /Cannot take it/);
});

Deno.test("McpHttp.handle() bounds the requests of a caller that are open", async () => {
  verifies("mcp.http.bounds");
  await using http = mcpHttp({ exchangesPerSubjectMax: 2 });
  const engine = engineOf();
  const session = await open(http, engine);
  const readers = [
    await running(http, engine, session, 1),
    await running(http, engine, session, 2),
  ];
  const refused = await send(http, engine, {
    session,
    body: rpc(3, "tools/list"),
  });
  assert.equal(refused.status, 429);
  await readers[0]?.cancel();
  const taken = await send(http, engine, {
    session,
    body: rpc(3, "tools/list"),
  });
  assert.equal(taken.status, 200);
  await taken.body?.cancel();
  await readers[1]?.cancel();
});

Deno.test("McpHttp.handle() refuses a second request with an id that is in flight", async () => {
  await using http = mcpHttp();
  const engine = engineOf();
  const session = await open(http, engine);
  const reader = await running(http, engine, session);
  const again = await send(http, engine, { session, body: callOf(1, "x") });
  assert.equal(again.status, 400);
  assert.match(await again.text(), /with this id is in flight/);
  assert.equal(engine.calls.length, 1);
  await reader.cancel();
});

Deno.test("McpHttp.handle() bounds the requests of a session without an answer", async () => {
  verifies("mcp.http.bounds");
  await using http = mcpHttp();
  const engine = engineOf();
  const session = await open(http, engine);
  const bodies: Response[] = [];
  for (let id = 1; id <= 128; id++) {
    bodies.push(
      await send(http, engine, { session, body: callOf(id, "slow") }),
    );
  }
  const full = await send(http, engine, { session, body: callOf(129, "slow") });
  assert.equal(full.status, 429);
  assert.equal((await full.json()).id, 129);
  for (const { body } of bodies) await body?.cancel();
});

const REFUSED: readonly (readonly [
  what: string,
  sent: Sent,
  status: number,
  message: RegExp,
])[] = [
  [
    "another media type",
    { headers: { "content-type": "text/plain" }, body: "{}" },
    415,
    /send application\/json/,
  ],
  ["nothing", { body: "" }, 400, /it is empty/],
  ["what is no JSON", { body: "{" }, 400, /it is not JSON/],
  [
    "what is nested too deep",
    { body: "[".repeat(65) + "]".repeat(65) },
    400,
    /nested deeper than 64 levels/,
  ],
  [
    "what is too large",
    { body: `"${"x".repeat(4 * 1024 * 1024)}"` },
    413,
    /larger than 4194304 bytes/,
  ],
  [
    "what is declared too large",
    { headers: { "content-length": "4194305" }, body: "{}" },
    413,
    /larger than 4194304 bytes/,
  ],
  [
    "a request of no session",
    { body: rpc(1, "tools/list") },
    400,
    /initialize first/,
  ],
  ["a GET of no session", { method: "GET" }, 400, /initialize first/],
  ["a DELETE of no session", { method: "DELETE" }, 400, /initialize first/],
  ["another method", { method: "PUT" }, 405, /use POST, GET or DELETE/],
];

for (const [what, sent, status, message] of REFUSED) {
  Deno.test(`McpHttp.handle() refuses ${what}`, async () => {
    verifies("mcp.http.bounds");
    await using http = mcpHttp();
    const response = await send(http, engineOf(), sent);
    assert.equal(response.status, status);
    const body = await response.json();
    assert.deepEqual([body.jsonrpc, body.id], ["2.0", null]);
    assert.match(body.error.message, message);
    assert.equal(http.sessionCount, 0);
  });
}

Deno.test("McpHttp.handle() stops reading a body without a length that is too large", async () => {
  verifies("mcp.http.bounds");
  await using http = mcpHttp();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1024 * 1024));
    },
  });
  const response = await http.handle(
    new Request(ENDPOINT, { method: "POST", headers: HEADERS, body }),
    engineOf(),
  );
  assert.equal(response.status, 413);
  assert.ok(pulled <= 7, String(pulled));
});

Deno.test("McpHttp.handle() counts the bytes of a body that was read already, and not its characters", async () => {
  verifies("mcp.http.bounds");
  await using http = mcpHttp();
  const request = () =>
    new Request(ENDPOINT, { method: "POST", headers: HEADERS });
  const statusOf = async (body: string) =>
    (await http.handle(request(), engineOf(), { address: "127.0.0.1", body }))
      .status;
  const third = Math.ceil(4 * 1024 * 1024 / 3);
  assert.equal(await statusOf(`"${"€".repeat(third)}"`), 413);
  assert.equal(await statusOf(`"${"x".repeat(third)}"`), 400);
});

const BATCHES: readonly (readonly [string, number])[] = [
  ["2025-11-25", 400],
  ["2025-06-18", 400],
  ["2025-03-26", 200],
];

for (const [version, status] of BATCHES) {
  Deno.test(`a batch at ${version} is answered with ${status}`, async () => {
    await using http = mcpHttp();
    const engine = engineOf();
    const session = await open(http, engine, version);
    const batch = [rpc(1, "ping"), rpc(2, "tools/list")];
    const response = await send(http, engine, { session, body: batch });
    assert.equal(response.status, status);
    if (status === 400) {
      assert.match(await response.text(), /no batches/);
      return;
    }
    const answered: unknown[] = [];
    for await (const { id } of messagesOf(response)) answered.push(id);
    assert.deepEqual(answered.sort(), [1, 2]);
    const long = await send(http, engine, {
      session,
      body: Array.from({ length: 33 }, (_, id) => rpc(id, "ping")),
    });
    assert.equal(long.status, 400);
  });
}

/** A call at 2026-07-28, with an answer of the client's user or without. */
function modernCall(target: string, more: object = {}): Sent {
  return {
    headers: {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "nmap",
    },
    body: rpc(1, "tools/call", {
      name: "nmap",
      arguments: { target },
      ...more,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
      },
    }),
  };
}

Deno.test("an approval by the client's user counts for the caller that was asked, and for what was asked", async () => {
  verifies("mcp.approval.elicit");
  await using http = mcpHttp();
  const engine = engineOf();
  const asking = await send(http, engine, modernCall("guarded"));
  const { result } = await answerOf(asking);
  assert.equal(result.resultType, "input_required");
  const { requestState } = result;
  const inputResponses = {
    approval: { action: "accept", content: { approve: true } },
  };
  const answered = async (whose: FakeEngine, more: object) =>
    await answerOf(await send(http, whose, modernCall("guarded", more)));
  for (const change of [{ subject: "key:2" }, { tenant: "other" }]) {
    const other = engineOf(change);
    const { result } = await answered(other, { inputResponses, requestState });
    assert.equal(result.structuredContent.error.code, "invalid_arguments");
    assert.deepEqual([other.approved, other.calls], [[], []]);
  }
  const forged = `${requestState.slice(0, -4)}AAAA`;
  for (const state of [forged, "v1.e30.AAAA", ""]) {
    const { error, result } = await answered(engine, {
      inputResponses,
      requestState: state,
    });
    assert.ok(error?.code === -32_602 || result.isError, state);
  }
  const bare = await answered(engine, { inputResponses });
  assert.equal(bare.result.structuredContent.error.code, "invalid_arguments");
  assert.deepEqual(engine.approved, []);
  // Ticked off or not: only a yes is one.
  const no = { approval: { action: "accept", content: { approve: false } } };
  const declined = await answered(engine, { inputResponses: no, requestState });
  assert.equal(declined.result.isError, true);
  assert.deepEqual(engine.approved, []);
  const yes = { inputResponses, requestState };
  assert.equal((await answered(engine, yes)).result.isError, undefined);
  assert.deepEqual(engine.approved.map(({ id }) => id), ["apr_1"]);
  // A client that sends its answer again, because the first got lost, is served.
  assert.equal((await answered(engine, yes)).result.isError, undefined);
});
