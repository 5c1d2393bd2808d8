import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { verifies } from "../../../requirements.ts";
import { fakeTool } from "../fixtures/fake_session.ts";
import { RoutesApp } from "../fixtures/routes_app.ts";

Deno.test("GET /tools shows every tool with its breaker, arguments and limits", async () => {
  verifies("http.answers.schema");
  const app = new RoutesApp();
  app.session.toolsNow = [fakeTool(), fakeTool({ name: "masscan" })];
  const { status, body } = await app.ask("GET", "/tools");
  assert.equal(status, 200);
  const tools = body["tools"] as readonly Record<string, unknown>[];
  assert.deepEqual(tools.map(({ name }) => name), ["nmap", "masscan"]);
  assert.deepEqual(tools[0]?.["breaker"], {
    tool: "nmap",
    state: "closed",
    forced: null,
    failures: 0,
    retry_after_seconds: null,
  });
});

Deno.test("GET /tools/{name} refuses a tool that there is not", async () => {
  const { status, body } = await new RoutesApp().ask("GET", "/tools/nikto");
  assert.equal(status, 404);
  assert.equal(body["code"], "tool_not_found");
  assert.match(String(body["detail"]), /nmap, masscan, gobuster/);
});

Deno.test("POST /tools/{name}/enable and /disable ask the session", async () => {
  const app = new RoutesApp();
  const off = await app.ask("POST", "/tools/nmap/disable");
  const on = await app.ask("POST", "/tools/nmap/enable");
  assert.deepEqual(
    [off.body["enabled"], off.body["disabled_by"], on.body["enabled"]],
    [false, "operator", true],
  );
  assert.deepEqual(app.session.asked, [
    ["setTool", "nmap", false],
    ["setTool", "nmap", true],
  ]);
});

Deno.test("POST /tools/{name}/execute answers with the scan, whole", async () => {
  const app = new RoutesApp();
  const { status, body } = await app.ask("POST", "/tools/nmap/execute", {
    body: { target: "10.0.0.0/28" },
  });
  assert.equal(status, 200);
  assert.equal(body["status"], "succeeded");
  assert.equal((body["report"] as { hosts: unknown[] }).hosts.length, 3);
  const [call] = app.session.engine.calls;
  assert.deepEqual(call?.who, {
    client: "ci",
    transport: "http",
    address: "127.0.0.1",
  });
  assert.equal(call?.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
});

Deno.test("POST /tools/{name}/execute says that an earlier scan answered", async () => {
  const { body } = await new RoutesApp().ask("POST", "/tools/nmap/execute", {
    body: { target: "cached" },
  });
  assert.deepEqual([body["cached"], body["age_seconds"]], [true, 42]);
});

Deno.test("POST /tools/{name}/execute accepts a background scan and says where it is", async () => {
  const { status, headers, body } = await new RoutesApp().ask(
    "POST",
    "/tools/nmap/execute",
    { body: { target: "10.0.0.1", background: true } },
  );
  assert.equal(status, 202);
  assert.equal(headers.get("location"), `/v1/scans/${body["scan_id"]}`);
  assert.equal(body["status"], "queued");
});

Deno.test("POST /tools/{name}/execute plans, and a refused plan is an answer", async () => {
  const { status, body } = await new RoutesApp().ask(
    "POST",
    "/tools/nmap/execute",
    { body: { target: "10.0.0.1", plan: true } },
  );
  assert.equal(status, 200);
  const plan = body["plan"] as Record<string, unknown>;
  assert.deepEqual([plan["allowed"], plan["timeout_seconds"]], [false, 300]);
});

Deno.test("POST /tools/{name}/execute tells a scan that failed with its code's status and what was found", async () => {
  verifies("http.execute.failed_scan", "http.answers.schema");
  const { status, headers, body } = await new RoutesApp().ask(
    "POST",
    "/tools/nmap/execute",
    { body: { target: "late" } },
  );
  assert.equal(status, 504);
  assert.equal(headers.get("content-type"), "application/problem+json");
  assert.equal(body["code"], "timeout");
  assert.equal(body["detail"], "Cannot go on: 1 s over");
  const scan = body["scan"] as Record<string, unknown>;
  assert.equal(scan["status"], "timed_out");
  assert.equal((scan["report"] as { hosts: unknown[] }).hosts.length, 3);
});

Deno.test("POST /tools/{name}/execute has the status of a refusal", async () => {
  const cases: readonly (readonly [string, unknown, number, string])[] = [
    ["nmap", { target: "8.8.8.8" }, 403, "target_not_allowed"],
    ["nmap", { target: "busy" }, 503, "queue_full"],
    ["nmap", { target: "broken" }, 500, "internal"],
    ["nikto", { target: "10.0.0.1" }, 404, "tool_not_found"],
    ["nmap", {}, 400, "invalid_arguments"],
    ["nmap", [], 400, "invalid_arguments"],
    ["nmap", "{", 400, "invalid_arguments"],
    ["nmap", { target: "10.0.0.1", max_tokens: 900 }, 400, "invalid_arguments"],
  ];
  for (const [tool, body, status, code] of cases) {
    const answer = await new RoutesApp().ask("POST", `/tools/${tool}/execute`, {
      body,
    });
    assert.deepEqual([answer.status, answer.body["code"]], [status, code]);
    assert.ok(!answer.text.includes("/etc/shadow"));
  }
});

Deno.test("POST /tools/{name}/execute takes JSON only", async () => {
  const { status } = await new RoutesApp().ask("POST", "/tools/nmap/execute", {
    body: "target=10.0.0.1",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  assert.equal(status, 415);
});

Deno.test("POST /tools/{name}/execute takes the Idempotency-Key, bare or quoted", async () => {
  verifies("http.execute.idempotency");
  for (const key of ["abc-1", '"abc-1"']) {
    const app = new RoutesApp();
    await app.ask("POST", "/tools/nmap/execute", {
      body: { target: "10.0.0.1" },
      headers: { "idempotency-key": key },
    });
    assert.deepEqual(app.session.engine.calls[0]?.arguments, {
      target: "10.0.0.1",
      idempotency_key: "abc-1",
    });
  }
});

Deno.test("POST /tools/{name}/execute refuses two keys that differ, and a key that is none", async () => {
  verifies("http.execute.idempotency");
  const cases = [
    ["a", { idempotency_key: "b" }, 409],
    ["a", { idempotency_key: "a" }, 200],
    ["a b", {}, 400],
    ["", {}, 400],
    ["x".repeat(200), {}, 400],
  ] as const;
  for (const [key, more, status] of cases) {
    const answer = await new RoutesApp().ask("POST", "/tools/nmap/execute", {
      body: { target: "10.0.0.1", ...more },
      headers: { "idempotency-key": key },
    });
    assert.equal(answer.status, status, key);
  }
});

Deno.test("POST /tools/{name}/execute aborts the call when the client goes", async () => {
  verifies("http.execute.disconnect");
  const app = new RoutesApp();
  const client = new AbortController();
  const asked = app.ask("POST", "/tools/nmap/execute", {
    body: { target: "slow" },
    signal: client.signal,
  });
  while (app.session.engine.calls.length === 0) await Promise.resolve();
  client.abort();
  const { status, body } = await asked;
  assert.deepEqual([status, body["code"]], [409, "cancelled"]);
  assert.deepEqual(app.session.engine.aborted, ["slow"]);
});

Deno.test("GET /v1/breakers and POST /v1/breakers/{tool} show and force breakers", async () => {
  const app = new RoutesApp();
  assert.equal((await app.ask("GET", "/v1/breakers")).status, 200);
  const forced = await app.ask("POST", "/v1/breakers/nmap", {
    body: { state: "open" },
  });
  assert.deepEqual(forced.body["forced"], "open");
  const unknown = await app.ask("POST", "/v1/breakers/nikto", {
    body: { state: "auto" },
  });
  assert.equal(unknown.status, 404);
  const wrong = await app.ask("POST", "/v1/breakers/nmap", {
    body: { state: "ajar" },
  });
  assert.match(
    String(wrong.body["detail"]),
    /the field "state": expected one of open, closed, auto/,
  );
});

Deno.test("every route of the administration passes on that the caller may not", async () => {
  const routes = [
    ["GET", "/tools"],
    ["GET", "/stats"],
    ["GET", "/config"],
    ["POST", "/config/reload"],
    ["GET", "/v1/audit"],
    ["GET", "/v1/approvals"],
    ["GET", "/v1/approvals/apr_1"],
    ["GET", "/v1/breakers"],
    ["GET", "/v1/keys"],
    ["DELETE", "/v1/keys/k2"],
    ["GET", "/v1/tenants"],
    ["GET", "/v1/policies"],
  ] as const;
  for (const [method, path] of routes) {
    const app = new RoutesApp();
    app.session.fault = new AppError("forbidden", "Cannot do that");
    const { status, body } = await app.ask(method, path);
    assert.deepEqual([status, body["code"]], [403, "forbidden"], path);
  }
});
