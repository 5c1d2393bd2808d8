/**
 * What web pages of other origins may send and read.
 *
 * @module
 */
import assert from "node:assert/strict";
import { allowOrigin, preflightAnswer } from "@/operator/origin_rule.ts";
import { verifies } from "../../requirements.ts";
import { callTool } from "../mcp/fixtures/ask.ts";
import { GENERATIONS } from "../mcp/fixtures/connect.ts";
import {
  clientFor,
  connectHttp,
  fetchOf,
  mcpHttp,
  principal,
} from "../mcp/fixtures/connect_http.ts";
import { FakeEngine, fakeScan } from "../mcp/fixtures/fake_engine.ts";
import { RoutesApp } from "./fixtures/routes_app.ts";

const PAGE = "https://ui.example.com";

/** Browsers send it without asking. */
const SAFELISTED = ["accept"];

function listed(headers: Headers, name: string): Set<string> {
  const names = (headers.get(name) ?? "").split(", ");
  return new Set(names.map((one) => one.toLowerCase()));
}

Deno.test("preflightAnswer() allows every field that a client of MCP sends, at every revision", async () => {
  verifies("http.origin.clients");
  const sent = new Set<string>();
  for (const generation of GENERATIONS) {
    const engine = new FakeEngine();
    engine.principal = principal();
    engine.add(fakeScan());
    await using http = mcpHttp();
    const handle = fetchOf(http, engine);
    const client = clientFor(generation);
    await connectHttp(client, generation, (url, init) => {
      for (const name of new Headers(init?.headers).keys()) sent.add(name);
      return handle(url, init);
    });
    await client.listTools();
    await callTool(client, generation, "nmap", { target: "10.0.0.0/28" });
    await client.close();
  }
  // The fields by which the revisions differ are among what was seen: the comparison compares.
  for (const name of ["mcp-method", "mcp-name", "mcp-session-id"]) {
    assert.ok(sent.has(name), name);
  }
  const { headers } = preflightAnswer(PAGE);
  const allowed = listed(headers, "access-control-allow-headers");
  const missing = [...sent].filter((name) =>
    !allowed.has(name) && !SAFELISTED.includes(name)
  );
  assert.deepEqual(missing, []);
  for (const name of ["authorization", "last-event-id", "range", "if-range"]) {
    assert.ok(allowed.has(name), name);
  }
});

Deno.test("preflightAnswer() names the methods that routes have, and no others", () => {
  verifies("http.origin.clients");
  const { app } = new RoutesApp();
  const methods = new Set(
    app.routes.map(({ method }) => method).filter((one) => one !== "ALL"),
  );
  const { headers } = preflightAnswer(PAGE);
  assert.deepEqual(
    listed(headers, "access-control-allow-methods"),
    new Set([...methods, "HEAD"].map((one) => one.toLowerCase())),
  );
});

Deno.test("allowOrigin() lets a page read what it needs to go on", () => {
  const headers = new Headers();
  allowOrigin(headers, PAGE);
  const exposed = listed(headers, "access-control-expose-headers");
  for (
    const name of [
      "allow",
      "accept-ranges",
      "content-disposition",
      "content-range",
      "etag",
      "link",
      "location",
      "mcp-session-id",
      "ratelimit",
      "ratelimit-policy",
      "retry-after",
      "traceparent",
      "www-authenticate",
      "x-request-id",
    ]
  ) assert.ok(exposed.has(name), name);
});
