import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { verifies } from "../../requirements.ts";
import { configOf, fakeApp, GOOD } from "./fake_app.ts";

const BASE = "http://127.0.0.1:8080";

type Problem = Record<string, unknown>;

async function problem(answer: Response): Promise<Problem> {
  assert.equal(
    answer.headers.get("content-type"),
    "application/problem+json",
  );
  return await answer.json();
}

function post(body: BodyInit, headers: Record<string, string> = {}) {
  return {
    method: "POST",
    body,
    headers: { ...GOOD, "content-type": "application/json", ...headers },
  };
}

Deno.test("createApp() answers health, liveness, readiness and metadata to anybody, and nothing else", async () => {
  verifies("http.open");
  const { app, asked } = fakeApp();
  for (
    const [path, status] of [
      ["/health", 200],
      ["/health/live", 200],
      ["/health/ready", 200],
      ["/.well-known/oauth-protected-resource", 200],
      ["/.well-known/oauth-protected-resource/mcp", 200],
      ["/metrics", 401],
      ["/seen", 401],
      ["/openapi.json", 401],
      ["/docs", 401],
      ["/problems/internal", 401],
      ["/mcp", 401],
      ["/nowhere", 401],
      ["/health/", 401],
      ["//health", 401],
      ["/health/../seen", 401],
    ] as const
  ) {
    const answer = await app.request(`${BASE}${path}`);
    await answer.body?.cancel();
    assert.equal(answer.status, status, path);
  }
  assert.ok(asked.length > 0);
});

Deno.test("createApp() gives a route its caller, address, trace and destination", async () => {
  verifies("http.trace");
  const { app, asked } = fakeApp();
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const answer = await app.request(`${BASE}/seen`, {
    headers: { ...GOOD, traceparent: `00-${trace}-b7ad6b7169203331-01` },
  }, { remoteAddr: { hostname: "::ffff:192.0.2.7" } });
  assert.deepEqual(await answer.json(), {
    address: "192.0.2.7",
    trace,
    client: "ci",
    destination: { authority: "127.0.0.1:8080", scheme: "http" },
  });
  assert.deepEqual(asked, [["Bearer good", "192.0.2.7"]]);
  assert.match(
    answer.headers.get("traceparent") ?? "",
    new RegExp(`^00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`),
  );
});

Deno.test("createApp() marks every answer, whatever became of the request", async () => {
  verifies("http.trace");
  const { app } = fakeApp();
  for (
    const [path, headers] of [
      ["/health", {}],
      ["/seen", GOOD],
      ["/seen", {}],
      ["/nowhere", GOOD],
      ["/fault", GOOD],
      ["/health", { host: "evil.example" }],
    ] as const
  ) {
    const answer = await app.request(`${BASE}${path}`, {
      headers: { ...headers, "x-request-id": "req-7" },
    });
    await answer.body?.cancel();
    for (
      const [name, value] of [
        ["x-request-id", "req-7"],
        ["x-content-type-options", "nosniff"],
        ["referrer-policy", "no-referrer"],
        ["cross-origin-resource-policy", "same-origin"],
        [
          "content-security-policy",
          "default-src 'none'; frame-ancestors 'none'",
        ],
      ] as const
    ) assert.equal(answer.headers.get(name), value, `${path} ${name}`);
    assert.match(answer.headers.get("vary") ?? "", /Origin/);
    assert.match(
      answer.headers.get("cache-control") ?? "",
      /^(?:no-store|private, no-cache)$/,
    );
    // Health is asked for all the time, by what has no traces.
    assert.match(
      answer.headers.get("traceparent") ?? "none",
      path === "/health" ? /^none$/ : /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/,
    );
  }
});

Deno.test("createApp() says how many requests are left", async () => {
  const { app } = fakeApp();
  const { headers } = await app.request(`${BASE}/nowhere`, { headers: GOOD });
  assert.equal(headers.get("ratelimit-policy"), '"requests";q=600;w=60');
  assert.equal(headers.get("ratelimit"), '"requests";r=599;t=43');
});

Deno.test("createApp() refuses who asks too often, with the time to wait", async () => {
  verifies("http.limits");
  const { app } = fakeApp({
    limit: () => {
      throw new AppError("rate_limited", "Cannot answer: too many requests", {
        retryAfter: 7.2,
      });
    },
  });
  const answer = await app.request(`${BASE}/seen`, { headers: GOOD });
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get("retry-after"), "8");
  assert.equal(answer.headers.get("ratelimit"), '"requests";r=0;t=8');
  assert.equal((await problem(answer))["retry_after"], 7.2);
});

Deno.test("createApp() writes failures as problem details", async () => {
  verifies("http.problems");
  const { app } = fakeApp();
  const answer = await app.request(`${BASE}/nowhere?a=1`, {
    headers: { ...GOOD, "x-request-id": "req-7" },
  });
  assert.equal(answer.status, 404);
  const { trace_id, ...rest } = await problem(answer);
  assert.match(String(trace_id), /^[0-9a-f]{32}$/);
  assert.deepEqual(rest, {
    type: "/problems/not_found",
    title: "Not found",
    status: 404,
    detail: "Cannot find the path: there is no such route; GET /docs lists all",
    code: "not_found",
    instance: "req-7",
  });
  const approval = await app.request(`${BASE}/approval`, { headers: GOOD });
  assert.equal(approval.status, 403);
  assert.equal((await problem(approval))["approval_id"], "apr_1");
  const busy = await app.request(`${BASE}/busy`, { headers: GOOD });
  assert.equal(busy.status, 503);
  assert.equal(busy.headers.get("retry-after"), "3");
  await busy.body?.cancel();
});

Deno.test("createApp() keeps the words of an unknown failure to the log", async () => {
  verifies("http.problems");
  const { app, log } = fakeApp();
  const answer = await app.request(`${BASE}/fault`, { headers: GOOD });
  assert.equal(answer.status, 500);
  const text = await answer.text();
  assert.match(text, /"code":"internal"/);
  assert.doesNotMatch(text, /passwd|TypeError|secret|\.ts/);
  assert.equal(log.lines.length, 1);
  assert.match(
    String(log.lines[0]?.properties["detail"]),
    /TypeError: secret in/,
  );
});

Deno.test("createApp() says how to get credentials", async () => {
  verifies("http.challenge");
  const { app } = fakeApp();
  const metadata =
    `resource_metadata="${BASE}/.well-known/oauth-protected-resource`;
  for (
    const [path, headers, status, value] of [
      ["/seen", {}, 401, `Bearer ${metadata}"`],
      ["/mcp", {}, 401, `Bearer ${metadata}/mcp"`],
      [
        "/seen",
        { authorization: "Bearer bad" },
        401,
        `Bearer error="invalid_token", ${metadata}"`,
      ],
      [
        "/narrow",
        GOOD,
        403,
        `Bearer error="insufficient_scope", scope="scan:nmap", ${metadata}"`,
      ],
      // A role is nothing that a client could ask for.
      ["/forbidden", GOOD, 403, null],
      ["/approval", GOOD, 403, null],
      ["/health", { origin: "https://evil.example" }, 403, null],
    ] as const
  ) {
    const answer = await app.request(`${BASE}${path}`, { headers });
    const text = await answer.text();
    assert.equal(answer.status, status, path);
    assert.equal(answer.headers.get("www-authenticate"), value, path);
    assert.doesNotMatch(text, /Bearer/);
  }
});

Deno.test("createApp() tells where tokens come from", async () => {
  verifies("http.challenge");
  const config = configOf({ public_url: "https://soc.example.com" }, {
    issuer: "https://login.example.com/realms/soc",
  });
  const { app } = fakeApp({ config: () => config });
  const answer = await app.request(
    `${BASE}/.well-known/oauth-protected-resource/mcp`,
  );
  assert.deepEqual(await answer.json(), {
    resource: "https://soc.example.com/mcp",
    authorization_servers: ["https://login.example.com/realms/soc"],
    bearer_methods_supported: ["header"],
    scopes_supported: [
      "read",
      "scan:nmap",
      "scan:masscan",
      "scan:gobuster",
      "cancel",
      "approve",
      "admin",
    ],
    resource_name: "Security MCP Server",
  });
  assert.equal(
    answer.headers.get("strict-transport-security"),
    "max-age=31536000",
  );
  const plain = await fakeApp().app.request(
    `${BASE}/.well-known/oauth-protected-resource`,
  );
  const { resource, authorization_servers } = await plain.json();
  assert.deepEqual([resource, authorization_servers], [BASE, undefined]);
});

Deno.test("createApp() answers pages of its own origin and of those that are named, and no others", async () => {
  verifies("http.origin");
  const config = configOf({
    public_url: "https://soc.example.com",
    allowed_origins: ["https://ui.example.com"],
  });
  const { app } = fakeApp({ config: () => config });
  for (
    const [origin, status, allowed] of [
      [BASE, 200, null],
      ["https://soc.example.com", 200, null],
      ["https://ui.example.com", 200, "https://ui.example.com"],
      ["http://ui.example.com", 403, null],
      ["https://ui.example.com.evil.example", 403, null],
      ["https://127.0.0.1:8080", 403, null],
      ["http://127.0.0.1:8081", 403, null],
      ["null", 403, null],
      ["", 403, null],
    ] as const
  ) {
    for (const path of ["/seen", "/mcp", "/health"]) {
      const answer = await app.request(`${BASE}${path}`, {
        headers: { ...GOOD, origin },
      });
      await answer.body?.cancel();
      assert.equal(answer.status, status, `${origin} ${path}`);
      assert.equal(
        answer.headers.get("access-control-allow-origin"),
        allowed,
        origin,
      );
      assert.equal(
        answer.headers.get("access-control-allow-credentials"),
        null,
      );
    }
  }
});

Deno.test("createApp() answers the preflight of a named origin without credentials", async () => {
  verifies("http.origin");
  const config = configOf({ allowed_origins: ["https://ui.example.com"] });
  const { app, asked } = fakeApp({ config: () => config });
  const preflight = (origin: string) =>
    app.request(`${BASE}/things/1`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
  const yes = await preflight("https://ui.example.com");
  assert.equal(yes.status, 204);
  assert.match(
    yes.headers.get("access-control-allow-headers") ?? "",
    /Authorization/,
  );
  assert.equal(asked.length, 0);
  const no = await preflight("https://evil.example");
  await no.body?.cancel();
  assert.equal(no.status, 403);
  assert.equal(no.headers.get("access-control-allow-methods"), null);
});

Deno.test("createApp() refuses a Host that is not its own before anything else", async () => {
  verifies("http.host");
  const { app, asked } = fakeApp();
  for (const path of ["/health", "/seen", "/mcp"]) {
    const answer = await app.request(`http://evil.example${path}`, {
      headers: GOOD,
    });
    assert.equal(answer.status, 403, path);
    assert.equal((await problem(answer))["code"], "forbidden");
  }
  assert.equal(asked.length, 0);
});

Deno.test("createApp() takes another configuration into force at once", async () => {
  let config = configOf();
  const { app } = fakeApp({ config: () => config });
  const ask = async () => {
    const answer = await app.request("http://scan.lan/health");
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await ask(), 403);
  config = configOf({ allowed_hosts: ["scan.lan"] });
  assert.equal(await ask(), 200);
});

Deno.test("createApp() says which methods a path has", async () => {
  verifies("http.methods");
  const { app } = fakeApp();
  for (
    const [method, path, status, allow] of [
      ["POST", "/seen", 405, "GET, HEAD, OPTIONS"],
      ["GET", "/things/1", 405, "OPTIONS, POST"],
      ["OPTIONS", "/things/1", 204, "OPTIONS, POST"],
      ["OPTIONS", "/nowhere", 404, null],
      ["PUT", "/mcp", 405, "DELETE, GET, HEAD, OPTIONS, POST"],
      ["BREW", "/seen", 405, "GET, HEAD, OPTIONS"],
      ["DELETE", "/nowhere", 404, null],
    ] as const
  ) {
    const answer = await app.request(`${BASE}${path}`, {
      method,
      headers: GOOD,
    });
    await answer.body?.cancel();
    assert.equal(answer.status, status, `${method} ${path}`);
    assert.equal(answer.headers.get("allow"), allow, `${method} ${path}`);
  }
});

Deno.test("createApp() answers HEAD as GET without the body", async () => {
  verifies("http.methods");
  const { app } = fakeApp();
  const get = await app.request(`${BASE}/long`, { headers: GOOD });
  const head = await app.request(`${BASE}/long`, {
    method: "HEAD",
    headers: GOOD,
  });
  const { byteLength } = await get.arrayBuffer();
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
  assert.equal(head.headers.get("etag"), get.headers.get("etag"));
  assert.equal(head.headers.get("content-length"), String(byteLength));
  const stream = await app.request(`${BASE}/stream`, {
    method: "HEAD",
    headers: GOOD,
  });
  assert.equal(stream.status, 200);
  assert.equal(stream.body, null);
});

Deno.test("createApp() refuses what is not the JSON that a route takes, and says where", async () => {
  const { app } = fakeApp();
  const deep = `${"[".repeat(65)}${"]".repeat(65)}`;
  for (
    const [path, init, status, detail] of [
      ["/things/1", post("{"), 400, /it is not JSON/],
      ["/things/1", post(""), 400, /it is not JSON/],
      ["/things/1", post(deep), 400, /nested deeper than 64/],
      ["/things/1", post(new Uint8Array([0x22, 0xff, 0x22])), 400, /not UTF-8/],
      [
        "/things/1",
        post('{"name":"a"}', { "content-type": "text/plain" }),
        415,
        /application\/json/,
      ],
      [
        "/things/1",
        post('{"name":"hunter2-hunter2"}'),
        400,
        /body\.name: too big/,
      ],
      [
        "/things/1",
        post('{"name":"a","port":"x"}'),
        400,
        /body\.port: expected number/,
      ],
      [
        "/things/1",
        post('{"name":"a","pass\\u001bword":1}'),
        400,
        /body: it has no "pass\ufffdword"/,
      ],
      ["/things/12345", post('{"name":"a"}'), 400, /path\.id: too big/],
    ] as const
  ) {
    const answer = await app.request(`${BASE}${path}`, init);
    const { detail: said, code } = await problem(answer);
    assert.equal(answer.status, status, String(said));
    assert.match(String(said), detail);
    assert.equal(code, "invalid_arguments");
    assert.doesNotMatch(String(said), /hunter2/);
  }
  const good = await app.request(`${BASE}/things/1`, post('{"name":"a"}'));
  assert.deepEqual(await good.json(), { name: "a" });
});

Deno.test("createApp() reads no more of a body than it may have", async () => {
  verifies("http.body");
  const config = configOf({ max_body_bytes: 1_024 });
  const { app, asked } = fakeApp({ config: () => config });
  const announced = await app.request(
    `${BASE}/things/1`,
    post("{}", { "content-length": "1025", authorization: "Bearer bad" }),
  );
  assert.equal(announced.status, 413);
  assert.equal((await problem(announced))["code"], "payload_too_large");
  assert.equal(asked.length, 0);
  let sent = 0;
  let ended = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 512;
      controller.enqueue(new Uint8Array(512).fill(0x20));
    },
    cancel: () => {
      ended = true;
    },
  });
  const streamed = await app.request(`${BASE}/things/1`, post(endless));
  assert.equal(streamed.status, 413);
  await streamed.body?.cancel();
  assert.ok(ended);
  assert.ok(sent < 8_192, `${sent} bytes were taken`);
});

Deno.test("createApp() refuses a packed body and another charset, and says what to send", async () => {
  verifies("http.body.form");
  const { app } = fakeApp();
  for (const path of ["/things/1", "/mcp"]) {
    for (
      const [name, value, detail] of [
        ["content-encoding", "gzip", /without that field/],
        ["content-encoding", "identity, br", /without that field/],
        ["content-encoding", "aws-chunked", /without that field/],
        ["content-type", "application/json; charset=utf-16", /UTF-8/],
        ["content-type", 'application/json;x=1; Charset="latin1"', /UTF-8/],
      ] as const
    ) {
      const answer = await app.request(
        `${BASE}${path}`,
        post('{"name":"a"}', { [name]: value }),
      );
      const { detail: said, code } = await problem(answer);
      assert.deepEqual(
        [answer.status, code],
        [415, "invalid_arguments"],
        `${path} ${value}`,
      );
      assert.match(String(said), detail);
      assert.equal(
        answer.headers.get("accept-encoding"),
        name === "content-encoding" ? "identity" : null,
      );
    }
    for (
      const [name, value] of [
        ["content-encoding", "Identity"],
        ["content-type", "application/json; charset=UTF-8"],
        ["content-type", 'application/json; charset="utf-8"'],
      ] as const
    ) {
      const answer = await app.request(
        `${BASE}${path}`,
        post('{"name":"a"}', { [name]: value }),
      );
      await answer.body?.cancel();
      assert.equal(answer.status, 200, `${path} ${value}`);
    }
  }
  // What has no body has no form of one.
  const { status } = await app.request(`${BASE}/seen`, {
    headers: { ...GOOD, "content-encoding": "gzip" },
  });
  assert.equal(status, 200);
});

Deno.test("createApp() joins a body that comes in pieces of any size", async () => {
  verifies("http.body.budget");
  const { app } = fakeApp();
  const text = `{"name":"é"${" ".repeat(20_000)}}`;
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 4_096, 4_097, 65_536]) {
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at += size));
      },
    });
    const answer = await app.request(`${BASE}/mcp`, post(body));
    assert.equal((await answer.json()).got, text, String(size));
  }
});

Deno.test("createApp() does not read a body of somebody unknown", async () => {
  verifies("http.body");
  const { app } = fakeApp();
  let pulled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: () => {
      pulled = true;
    },
  }, { highWaterMark: 0 });
  const answer = await app.request(
    `${BASE}/things/1`,
    post(body, { authorization: "Bearer bad" }),
  );
  await answer.body?.cancel();
  assert.equal(answer.status, 401);
  assert.equal(pulled, false);
});

Deno.test("createApp() does not wait for a body for ever", async () => {
  verifies("http.body");
  const config = configOf({ request_timeout_seconds: 0.02 });
  const { app } = fakeApp({ config: () => config });
  const silent = new ReadableStream<Uint8Array>();
  const answer = await app.request(`${BASE}/things/1`, post(silent));
  assert.equal(answer.status, 408);
  assert.equal((await problem(answer))["code"], "timeout");
});

Deno.test("createApp() hands MCP its request with the body", async () => {
  const { app } = fakeApp();
  const answer = await app.request(`${BASE}/mcp`, post('{"jsonrpc":"2.0"}'));
  assert.deepEqual(await answer.json(), {
    method: "POST",
    got: '{"jsonrpc":"2.0"}',
  });
});

Deno.test("createApp() refuses targets that are no business of a server", async () => {
  const { app } = fakeApp();
  const long = await app.request(`${BASE}/${"a".repeat(8_200)}`);
  await long.body?.cancel();
  assert.equal(long.status, 414);
});

Deno.test("createApp() looks at its health once for all who ask within a moment", async () => {
  let looks = 0;
  let now = 0;
  let status = "degraded";
  const { app } = fakeApp({
    now: () => now,
    health: () => {
      looks += 1;
      return Promise.resolve({ status });
    },
  });
  const ask = async (path = "/health") => {
    const answer = await app.request(`${BASE}${path}`);
    await answer.body?.cancel();
    return answer.status;
  };
  assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [207, 207, 207]);
  assert.equal(looks, 1);
  status = "unhealthy";
  assert.equal(await ask(), 207);
  now = 1_001;
  assert.equal(await ask(), 503);
  assert.equal(await ask("/health/ready"), 503);
  assert.equal(await ask("/health/live"), 200);
  assert.equal(looks, 2);
});

Deno.test("createApp() is not ready while its health cannot be told", async () => {
  const { app } = fakeApp({
    health: () => Promise.reject(new AppError("tool_unavailable", "Not yet")),
  });
  const ready = await app.request(`${BASE}/health/ready`);
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { status: "not_ready", health: null });
  const health = await app.request(`${BASE}/health`);
  assert.equal(health.status, 503);
  assert.equal((await problem(health))["code"], "tool_unavailable");
});

Deno.test("createApp() writes metrics in the format that is asked for", async () => {
  verifies("http.open");
  const { app } = fakeApp({ openMetrics: () => true });
  const plain = await app.request(`${BASE}/metrics`);
  assert.equal(await plain.text(), "# prometheus\n");
  const open = await app.request(`${BASE}/metrics`, {
    headers: { accept: "application/openmetrics-text;version=1.0.0" },
  });
  assert.equal(await open.text(), "# openmetrics\n");
  assert.match(open.headers.get("content-type") ?? "", /openmetrics-text/);
});
