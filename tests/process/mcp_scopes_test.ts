/**
 * What a client hears whose credentials lack a scope or a role: over MCP and over the HTTP API, with the
 * real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { InsufficientScopeError } from "@modelcontextprotocol/client";
import { verifies } from "../requirements.ts";
import { type Answer, HttpServer, type TestKey } from "../support/http.ts";
import { copyStandIn } from "../support/stand_ins.ts";
import { callTool } from "../unit/mcp/fixtures/ask.ts";
import { GENERATIONS } from "../unit/mcp/fixtures/connect.ts";
import { clientFor, connectHttp } from "../unit/mcp/fixtures/connect_http.ts";
import { auditOf, scansOf } from "./fixtures/team.ts";

/** The SDKs' HTTP clients leave requests behind when they close. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

const TARGET = { target: "127.0.0.1", ports: "22" };

function challengeOf(server: HttpServer, scope: string, path = ""): string {
  return `Bearer error="insufficient_scope", scope="${scope}", resource_metadata="${server.url}/.well-known/oauth-protected-resource${path}"`;
}

function call(name: string, given: object): object {
  return {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: given },
  };
}

/** Opens a session of an older client; gives what sends in it. */
async function session(
  server: HttpServer,
  { secret }: TestKey,
  version: string,
): Promise<(body: unknown) => Promise<Answer>> {
  const accept = "application/json, text/event-stream";
  const opened = await server.ask("/mcp", {
    key: secret,
    headers: { accept },
    body: {
      jsonrpc: "2.0",
      id: 0,
      method: "initialize",
      params: {
        protocolVersion: version,
        capabilities: {},
        clientInfo: { name: "raw", version: "1" },
      },
    },
  });
  const id = opened.headers.get("mcp-session-id") ?? "";
  assert.notEqual(id, "", opened.text);
  return (body) =>
    server.ask("/mcp", {
      key: secret,
      headers: { accept, "mcp-session-id": id },
      body,
    });
}

Deno.test("a missing scope is named by the status and the challenge, a missing role is not", async () => {
  verifies("mcp.scope_challenge", "http.challenge");
  await using copy = await copyStandIn("canned");
  await using server = await HttpServer.start({ path: [copy.path] });
  const [reader, viewer, scanner] = await server.keys([
    { name: "reader", scopes: ["read"] },
    { name: "viewer", roles: ["viewer"] },
    { name: "scanner", scopes: ["scan:nmap"] },
  ]) as [TestKey, TestKey, TestKey];

  const ask = (key: TestKey, path: string, body?: unknown) =>
    server.ask(path, { key: key.secret, ...body !== undefined && { body } });
  const rows = [
    [reader, "/tools/nmap/execute", TARGET, challengeOf(server, "scan:nmap")],
    [scanner, "/v1/scans", undefined, challengeOf(server, "read")],
    [viewer, "/tools/nmap/execute", TARGET, null],
    [viewer, "/v1/keys", undefined, null],
    [scanner, "/v1/keys", undefined, null],
  ] as const;
  for (const [key, path, body, challenge] of rows) {
    const { status, headers, json } = await ask(key, path, body);
    assert.deepEqual([status, json.code], [403, "forbidden"], path);
    assert.equal(headers.get("www-authenticate"), challenge, path);
  }

  const send = await session(server, reader, "2025-11-25");
  const refused = await send(call("nmap", TARGET));
  assert.equal(refused.status, 403, refused.text);
  assert.equal(
    refused.headers.get("www-authenticate"),
    challengeOf(server, "scan:nmap", "/mcp"),
  );
  assert.deepEqual([refused.json.status, refused.json.code], [
    403,
    "forbidden",
  ]);
  assert.match(refused.json.detail, /it takes the scope scan:nmap/);
  const cancel = await send(call("scan_cancel", { scan_id: "none" }));
  assert.equal(
    cancel.headers.get("www-authenticate"),
    challengeOf(server, "cancel", "/mcp"),
  );
  // The session lives on.
  const listed = await send(call("scan_list", {}));
  assert.equal(listed.status, 200);
  assert.equal(listed.headers.get("www-authenticate"), null);

  // A role is what lacks here: that is for the model to read.
  const other = await session(server, viewer, "2025-11-25");
  const told = await other(call("nmap", TARGET));
  assert.equal(told.status, 200);
  assert.match(told.text, /"isError":true/);
  assert.match(told.text, /it takes the role operator/);

  // What else a batch holds is answered.
  const batches = await session(server, reader, "2025-03-26");
  const batch = await batches([
    call("nmap", TARGET),
    { jsonrpc: "2.0", id: 2, method: "tools/list" },
  ]);
  assert.equal(batch.status, 200);
  assert.match(batch.text, /it takes the scope scan:nmap/);
  assert.match(batch.text, /"scan_list"/);

  assert.deepEqual(await scansOf(copy), []);
  const refusals = (await auditOf(server.folder)).filter((
    { kind, outcome, who, tool },
  ) =>
    kind === "decision" && outcome === "refused" && tool === "nmap" &&
    who.subject === `key:${reader.id}`
  );
  assert.deepEqual(
    refusals.map(({ code, rule }) => [code, rule]),
    // Over the HTTP API, by itself over MCP, in a batch: each once.
    [["forbidden", "role"], ["forbidden", "role"], ["forbidden", "role"]],
  );
});

Deno.test(
  "the SDKs' clients hear which scope a call takes",
  SDK_CLIENT,
  async () => {
    verifies("mcp.scope_challenge");
    await using copy = await copyStandIn("canned");
    await using server = await HttpServer.start({ path: [copy.path] });
    const [reader] = await server.keys([{ scopes: ["read"] }]) as [TestKey];
    for (const generation of GENERATIONS) {
      const client = clientFor(generation);
      await connectHttp(client, generation, (url, init) => {
        const headers = new Headers(init?.headers);
        headers.set("authorization", `Bearer ${reader.secret}`);
        return fetch(url, { ...init, headers });
      }, new URL(`${server.url}/mcp`));
      await assert.rejects(
        callTool(client, generation, "nmap", TARGET),
        (error: unknown) => {
          if (error instanceof InsufficientScopeError) {
            assert.equal(error.requiredScope, "scan:nmap");
            return true;
          }
          // A client without a user to ask says what it was sent.
          assert.match(String(error), /it takes the scope scan:nmap/);
          return generation.startsWith("v1");
        },
        generation,
      );
      const { isError } = await callTool(client, generation, "scan_list", {});
      assert.equal(isError, false, "it goes on");
      await client.close();
    }
    assert.deepEqual(await scansOf(copy), []);
  },
);
