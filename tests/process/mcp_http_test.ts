/**
 * MCP over HTTP through real sockets: clients of both generations at every revision, and connections
 * that break.
 *
 * @module
 */
import assert from "node:assert/strict";
import { McpHttp } from "@/mcp/http.ts";
import { verifies } from "../requirements.ts";
import { serveConformance, serveMcp } from "../support/conformance_server.ts";
import { type Relay, startRelay } from "../support/relay.ts";
import { type CallOptions, callTool } from "../unit/mcp/fixtures/ask.ts";
import {
  type AnyClient,
  type Generation,
  GENERATIONS,
} from "../unit/mcp/fixtures/connect.ts";
import {
  clientFor,
  connectHttp,
  principal,
} from "../unit/mcp/fixtures/connect_http.ts";
import {
  FAKE_FIELDS,
  FakeEngine,
  fakeScan,
} from "../unit/mcp/fixtures/fake_engine.ts";

/** The SDKs' HTTP clients leave requests behind when they close. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

/** Those that can read on: 2026-07-28 knows no resumption, there a client calls again. */
const RESUMING: readonly Generation[] = [
  "v2 at 2025-11-25",
  "v1 at 2025-11-25",
  "v1 at 2025-06-18",
];

interface Joined extends AsyncDisposable {
  readonly client: AnyClient;
  readonly engine: FakeEngine;
  readonly relay: Relay;
}

/** A client whose connections go through a relay. */
async function join(generation: Generation): Promise<Joined> {
  const stack = new AsyncDisposableStack();
  const engine = new FakeEngine();
  engine.principal = principal();
  engine.add(fakeScan());
  const http = new McpHttp({
    version: "0.0.0-test",
    fields: () => FAKE_FIELDS,
    now: () => performance.now(),
    wallNow: () => Date.UTC(2026, 0, 3),
    onError: () => {},
  });
  const server = stack.use(serveMcp(http, engine));
  const url = new URL(server.url);
  const relay = stack.use(startRelay(Number(url.port)));
  url.port = String(relay.port);
  const client = clientFor(generation);
  await connectHttp(client, generation, fetch, url);
  stack.defer(() => client.close());
  return {
    client,
    engine,
    relay,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Waits until something holds, a little while. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !holds(); turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(holds());
}

/** Calls for a slow scan and waits until it runs. */
async function slow(
  { client }: Joined,
  generation: Generation,
  options: CallOptions = {},
): Promise<{ readonly answer: ReturnType<typeof callTool> }> {
  const runs = Promise.withResolvers<void>();
  const answer = callTool(client, generation, "nmap", { target: "slow" }, {
    ...options,
    onprogress: () => runs.resolve(),
  });
  // A failure before the first progress is the test's to see.
  await Promise.race([runs.promise, answer]);
  return { answer };
}

for (const generation of GENERATIONS) {
  Deno.test(
    `a client reads and calls over HTTP (${generation})`,
    SDK_CLIENT,
    async () => {
      verifies("mcp.http.revisions");
      await using joined = await join(generation);
      const { client } = joined;
      assert.equal((await client.listTools()).tools.length, 9);
      const { structured } = await callTool(client, generation, "nmap", {
        target: "10.0.0.0/28",
      });
      assert.equal(structured["status"], "succeeded");
      const { contents } = await client.readResource({
        uri: "scan://scan-0001",
      });
      assert.equal(contents[0]?.mimeType, "application/json");
    },
  );

  Deno.test(
    `a client's cancellation reaches the scan over HTTP (${generation})`,
    SDK_CLIENT,
    async () => {
      verifies("mcp.http.cancel");
      await using joined = await join(generation);
      const caller = new AbortController();
      const { answer } = await slow(joined, generation, {
        signal: caller.signal,
      });
      caller.abort();
      await assert.rejects(answer);
      await until(() => joined.engine.aborted.length === 1);
    },
  );
}

for (const generation of RESUMING) {
  Deno.test(
    `a client whose connection breaks comes back for its answer (${generation})`,
    SDK_CLIENT,
    async () => {
      verifies("mcp.http.resume");
      await using joined = await join(generation);
      const { relay, engine } = joined;
      const { answer } = await slow(joined, generation);
      relay.cut();
      engine.finish();
      relay.mend();
      const { structured } = await answer;
      assert.equal(structured["status"], "succeeded");
      assert.equal(engine.calls.length, 1);
      assert.deepEqual(engine.aborted, []);
    },
  );
}

Deno.test(
  "a client of 2026-07-28 whose connection breaks has its scan cancelled",
  SDK_CLIENT,
  async () => {
    verifies("mcp.http.gone");
    const generation = "v2 at 2026-07-28";
    await using joined = await join(generation);
    const caller = new AbortController();
    const { answer } = await slow(joined, generation, {
      signal: caller.signal,
    });
    joined.relay.cut();
    await until(() => joined.engine.aborted.length === 1);
    // The client itself would wait for its own timeout.
    caller.abort();
    await assert.rejects(answer);
  },
);

Deno.test(
  "a client of 2026-07-28 that goes before anything was said has its scan cancelled",
  SDK_CLIENT,
  async () => {
    const generation = "v2 at 2026-07-28";
    await using joined = await join(generation);
    const caller = new AbortController();
    // Without progress nothing is sent before the answer.
    const answer = callTool(joined.client, generation, "nmap", {
      target: "slow",
    }, { signal: caller.signal });
    await until(() => joined.engine.calls.length === 1);
    joined.relay.cut();
    await until(() => joined.engine.aborted.length === 1);
    // The client itself would wait for its own timeout.
    caller.abort();
    await assert.rejects(answer);
  },
);

/** A session without a client of an SDK, which would hide what the wire holds. */
interface Raw extends AsyncDisposable {
  readonly http: McpHttp;
  readonly engine: FakeEngine;
  /** Sends a message. */
  send(message: object, signal?: AbortSignal): Promise<Response>;
}

/** Opens one whose server has a clock of the test's own. */
async function openRaw(now: () => number): Promise<Raw> {
  await using stack = new AsyncDisposableStack();
  const engine = new FakeEngine();
  engine.principal = principal();
  const http = new McpHttp({
    version: "0.0.0-test",
    fields: () => FAKE_FIELDS,
    now,
    wallNow: () => Date.UTC(2026, 0, 3),
    onError: () => {},
  });
  const { url } = stack.use(serveMcp(http, engine));
  let session = {};
  const send = (message: object, signal?: AbortSignal) =>
    fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...session,
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
      ...signal && { signal },
    });
  const opened = await send({
    id: 0,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "raw", version: "1.0.0" },
    },
  });
  await opened.text();
  session = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25",
  };
  await (await send({ method: "notifications/initialized" })).text();
  const owned = stack.move();
  return {
    ...{ http, engine, send },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A call that runs until it is cancelled. */
const SLOW_CALL = {
  id: 1,
  method: "tools/call",
  params: { name: "nmap", arguments: { target: "slow" } },
};

Deno.test(
  "a call that another request cancels has its stream closed and its id free again",
  SDK_CLIENT,
  async () => {
    verifies("mcp.http.cancel");
    await using raw = await openRaw(() => performance.now());
    const { engine, send } = raw;
    const response = await send(SLOW_CALL);
    await until(() => engine.calls.length === 1);
    let closed = false;
    response.text().then(() => closed = true, () => {});
    const told = await send({
      method: "notifications/cancelled",
      params: { requestId: SLOW_CALL.id },
    });
    assert.equal(told.status, 202);
    await until(() => engine.aborted.length === 1);
    await until(() => closed);
    const again = await send(SLOW_CALL);
    assert.equal(again.status, 200);
    await again.body?.cancel();
  },
);

Deno.test(
  "a call whose client does not come back is cancelled, and its id free again",
  SDK_CLIENT,
  async () => {
    verifies("mcp.http.gone");
    let now = 0;
    await using raw = await openRaw(() => now);
    const { engine, http, send } = raw;
    const connection = new AbortController();
    const response = await send(SLOW_CALL, connection.signal);
    assert.equal(response.status, 200);
    await until(() => engine.calls.length === 1);
    connection.abort();
    // The server hears a moment later that the connection is gone; only then its time begins to run.
    await until(() => {
      now += 60_000;
      http.sweep();
      return engine.aborted.length === 1;
    });
    const again = await send(SLOW_CALL);
    assert.equal(again.status, 200);
    await again.body?.cancel();
  },
);

for (const generation of ["v1 at 2025-11-25", "v2 at 2025-11-25"] as const) {
  Deno.test(
    `a stream that the server closes early is gone on with (${generation})`,
    SDK_CLIENT,
    async () => {
      verifies("mcp.http.resume");
      await using server = serveConformance();
      const client = clientFor(generation);
      await connectHttp(client, generation, fetch, new URL(server.url));
      const { content } = await client.callTool({
        name: "test_reconnection",
        arguments: {},
      });
      assert.deepEqual(content, [
        { type: "text", text: "The client came back." },
      ]);
      await client.close();
    },
  );
}
