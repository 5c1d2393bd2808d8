import assert from "node:assert/strict";
import { healthJson } from "@/health/health_json.ts";
import { Statistics } from "@/metrics/statistics.ts";
import { HealthSchema } from "@/operator/schemas/server.ts";
import { verifies } from "../../../requirements.ts";
import { RoutesApp } from "../fixtures/routes_app.ts";

Deno.test("GET /stats and GET /config show what the session says", async () => {
  const app = new RoutesApp();
  const stats = await app.ask("GET", "/stats");
  assert.deepEqual(stats.body, { uptime_seconds: 7, nested: { calls: 3 } });
  const config = await app.ask("GET", "/config");
  assert.deepEqual(config.body, { config: {}, origins: {} });
});

Deno.test("POST /config/reload tells what was wrong, and what waits for a start", async () => {
  verifies("http.reload_refused");
  const app = new RoutesApp();
  const { status, body, headers } = await app.ask("POST", "/config/reload");
  assert.equal(status, 422);
  assert.equal(headers.get("content-type"), "application/problem+json");
  const { instance: _id, trace_id: _trace, ...told } = body;
  assert.deepEqual(told, {
    type: "/problems/invalid_arguments",
    title: "Invalid arguments",
    status: 422,
    detail:
      'Cannot take all that the files say: one thing is wrong with them, as "problems" tells; correct them and reload again',
    code: "invalid_arguments",
    applied: false,
    problems: ["security.max_network_size: expected a number"],
    waiting: ["server.port"],
  });
  app.session.reloadNow = { applied: true, problems: [], waiting: ["a.b"] };
  const taken = await app.ask("POST", "/config/reload");
  assert.equal(taken.status, 200);
  assert.deepEqual(taken.body, {
    applied: true,
    problems: [],
    waiting: ["a.b"],
  });
});

Deno.test("GET /v1/audit asks with times as the log writes them", async () => {
  const app = new RoutesApp();
  app.session.next = "n1";
  const { body, headers } = await app.ask(
    "GET",
    "/v1/audit?since=2026-01-31&until=2026-02-01T08:00:00%2B02:00&kind=decision&scan_id=scan-0001&limit=7&cursor=c1",
  );
  assert.equal(body["next_cursor"], "n1");
  assert.match(headers.get("link") ?? "", /cursor=n1/);
  assert.deepEqual(app.session.asked, [[
    "auditEntries",
    {
      since: "2026-01-31T00:00:00.000Z",
      until: "2026-02-01T06:00:00.000Z",
      kind: "decision",
      scanId: "scan-0001",
    },
    { limit: 7, cursor: "c1" },
  ]]);
});

Deno.test("GET /v1/approvals and /{id} show requests", async () => {
  const app = new RoutesApp();
  const list = await app.ask("GET", "/v1/approvals?status=pending");
  const approvals = list.body["approvals"] as Record<string, unknown>[];
  assert.equal(approvals[0]?.["expires_at"], "2026-01-02T04:04:05.000Z");
  assert.deepEqual(app.session.asked[0], [
    "approvals",
    { status: "pending" },
    { limit: 50, cursor: null },
  ]);
  const one = await app.ask("GET", "/v1/approvals/apr_1");
  assert.equal(one.body["status"], "pending");
  assert.equal((await app.ask("GET", "/v1/approvals/apr_2")).status, 404);
});

Deno.test("POST /v1/approvals/{id} grants and denies", async () => {
  const app = new RoutesApp();
  const granted = await app.ask("POST", "/v1/approvals/apr_1", {
    body: { decision: "grant", note: "in the window" },
  });
  assert.deepEqual(
    [granted.body["status"], granted.body["scan_id"]],
    ["granted", "scan-0009"],
  );
  await app.ask("POST", "/v1/approvals/apr_1", { body: { decision: "deny" } });
  assert.deepEqual(app.session.asked, [
    ["decide", "apr_1", "grant", "in the window"],
    ["decide", "apr_1", "deny", null],
  ]);
});

Deno.test("POST /v1/keys shows the secret once and lets nothing keep it", async () => {
  verifies("http.keys.secret_once");
  const app = new RoutesApp();
  const { status, headers, body } = await app.ask("POST", "/v1/keys", {
    body: { name: "nightly", roles: ["viewer"], expires_in_seconds: null },
  });
  assert.deepEqual([status, body["secret"]], [201, "SECRET-SHOWN-ONCE"]);
  assert.equal(headers.get("cache-control"), "no-store");
  assert.deepEqual(app.session.asked, [["createKey", {
    name: "nightly",
    roles: ["viewer"],
    expiresInSeconds: null,
  }]]);
  const list = await app.ask("GET", "/v1/keys");
  assert.ok(!list.text.includes("SECRET"));
});

Deno.test("POST /v1/keys/{id}/rotate and DELETE /v1/keys/{id} ask the session", async () => {
  verifies("http.keys.secret_once");
  const app = new RoutesApp();
  const rotated = await app.ask("POST", "/v1/keys/k2/rotate", {
    body: { overlap_seconds: 0 },
  });
  assert.equal(rotated.headers.get("cache-control"), "no-store");
  await app.ask("POST", "/v1/keys/k2/rotate", { body: {} });
  const bare = await app.ask("POST", "/v1/keys/k2/rotate");
  assert.equal(bare.status, 200);
  const revoked = await app.ask("DELETE", "/v1/keys/k2");
  assert.equal(revoked.body["revoked_at"], "2026-01-02T03:04:05.000Z");
  assert.deepEqual(app.session.asked, [
    ["rotateKey", "k2", 0],
    ["rotateKey", "k2", 3600],
    ["rotateKey", "k2", 3600],
    ["revokeKey", "k2"],
  ]);
});

Deno.test("GET /v1/tenants shows quotas", async () => {
  const { body } = await new RoutesApp().ask("GET", "/v1/tenants");
  assert.deepEqual(body, {
    tenants: [{
      name: "red",
      subnets: ["10.1.0.0/16"],
      quotas: [{
        name: "scans_per_hour",
        limit: null,
        used: 7,
        reset_seconds: 1800,
      }],
    }],
  });
});

Deno.test("policies are shown, validated and tested", async () => {
  verifies("http.answers.schema");
  const app = new RoutesApp();
  const list = await app.ask("GET", "/v1/policies");
  assert.equal(list.body["hash"], "0".repeat(64));
  app.session.policyProblems = ["line 1: unexpected end"];
  const check = await app.ask("POST", "/v1/policies/validate", {
    body: { text: "permit(" },
  });
  assert.deepEqual(check.body, {
    ok: false,
    problems: ["line 1: unexpected end"],
  });
  app.session.verdictsNow = [
    { name: "a", decision: "allow", policies: ["in-scope"], ok: true },
    { name: "b", decision: "deny", policies: [], ok: false },
    { name: "c", decision: "approval", policies: ["two"], ok: null },
  ];
  const cases = [
    { name: "a", request: { tool: "nmap" }, expect: "allow" },
    { name: "b", request: {} },
  ];
  const tested = await app.ask("POST", "/v1/policies/test", {
    body: { cases },
  });
  assert.deepEqual([tested.body["passed"], tested.body["failed"]], [1, 1]);
  assert.deepEqual(app.session.asked.at(-1), ["testPolicies", cases]);
});

Deno.test("what policies decide of a request is explained network by network", async () => {
  verifies("http.answers.schema");
  const app = new RoutesApp();
  const approval = {
    kind: "approval",
    policies: ["two"],
    demands: ["two@1"],
    byClientUser: true,
  } as const;
  app.session.explanationNow = {
    decision: approval,
    networks: [
      {
        network: "10.0.0.1",
        inScope: true,
        decision: { kind: "allow", policies: ["in-scope"] },
        applies: ["in-scope"],
      },
      {
        network: null,
        inScope: false,
        decision: approval,
        applies: ["in-scope", "two"],
      },
    ],
  };
  const request = { tool: "nmap", target: "10.0.0.1" };
  const { status, body } = await app.ask("POST", "/v1/policies/explain", {
    body: { request },
  });
  assert.equal(status, 200);
  assert.deepEqual(body, {
    decision: "approval",
    policies: ["two"],
    by_client_user: true,
    networks: [
      {
        network: "10.0.0.1",
        in_scope: true,
        decision: "allow",
        policies: ["in-scope"],
        applies: ["in-scope"],
      },
      {
        network: null,
        in_scope: false,
        decision: "approval",
        policies: ["two"],
        by_client_user: true,
        applies: ["in-scope", "two"],
      },
    ],
  });
  assert.deepEqual(app.session.asked, [["explainPolicies", request]]);
});

Deno.test("GET /events passes on where to begin; Last-Event-ID wins", async () => {
  const app = new RoutesApp();
  await app.ask("GET", "/events");
  await app.ask("GET", "/events?after=e-1-2&scan_id=scan-0001");
  await app.ask("GET", "/events?after=e-1-2", {
    headers: { "last-event-id": "e-1-9" },
  });
  await app.ask("GET", "/events", { headers: { "last-event-id": "" } });
  const plain = { after: null, scanId: null, output: false };
  assert.deepEqual(app.streams.splice(-1), [plain]);
  assert.deepEqual(app.streams, [
    plain,
    { ...plain, after: "e-1-2", scanId: "scan-0001" },
    { ...plain, after: "e-1-9" },
  ]);
  const wrong = await app.ask("GET", "/events?after=%00");
  assert.equal(wrong.status, 400);
});

Deno.test("GET /events adds the lines of output where it is asked to", async () => {
  verifies("events.output.asked");
  for (const [query, output] of [["true", true], ["false", false]] as const) {
    const app = new RoutesApp();
    await app.ask("GET", `/events?output=${query}`);
    assert.deepEqual(app.streams, [{ after: null, scanId: null, output }]);
  }
  const app = new RoutesApp();
  for (const query of ["", "1", "TRUE", "true&output=true"]) {
    const { status } = await app.ask("GET", `/events?output=${query}`);
    assert.equal(status, 400, query);
  }
});

Deno.test("GET /ws wants a handshake", async () => {
  const app = new RoutesApp();
  const { status, headers } = await app.ask("GET", "/ws");
  assert.deepEqual([status, headers.get("upgrade")], [426, "websocket"]);
  await app.app.request("/ws", { headers: { upgrade: "WebSocket" } });
  assert.deepEqual(app.streams, ["socket"]);
});

Deno.test("the schema of health is that of the server's health", () => {
  verifies("http.answers.schema");
  const statistics = new Statistics();
  statistics.record("success", 1.5);
  const json = healthJson({
    status: "degraded",
    at: 0,
    durationMs: 3.25,
    checks: [{
      name: "store",
      priority: "critical",
      status: "degraded",
      message: "2 results wait for the database",
      detail: { waiting: 2, nested: [1, null] },
      durationMs: 1,
    }],
  }, { nmap: statistics.read(), masscan: new Statistics().read() });
  assert.deepEqual(HealthSchema.parse(json), json);
});
