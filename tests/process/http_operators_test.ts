/**
 * What operators do to a running server, how it ends and comes back, and when it does not begin: all of
 * it with the real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { SignJWT } from "jose";
import {
  HttpFolder,
  HttpServer,
  type HttpServerOptions,
  prepareHttp,
  type TestKey,
} from "../support/http.ts";
import { freePort } from "../support/network.ts";
import { PASSWORD, startPostgres } from "../support/postgres.ts";
import { copyStandIn, standIn } from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";
import { makePair } from "../unit/identity/issuer.ts";
import { callTool } from "../unit/mcp/fixtures/ask.ts";
import { clientFor, connectHttp } from "../unit/mcp/fixtures/connect_http.ts";
import {
  askFor,
  auditOf,
  command,
  decide,
  ended,
  letGo,
  PRODUCTION,
  scan,
  scansOf,
  SECOND_PERSON,
  shippedAnd,
  until,
} from "./fixtures/team.ts";

const HOST = { target: "127.0.0.1", ports: "22" };

/** The SDKs' HTTP clients leave requests behind when they close. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

/** Whoever runs the server, and a client of it. */
async function houseOf(
  server: HttpServer,
): Promise<{ readonly admin: TestKey; readonly client: TestKey }> {
  const [admin, client] = await server.keys([
    { name: "admin", roles: ["admin"] },
    { name: "client" },
  ]) as [TestKey, TestKey];
  return { admin, client };
}

function post(server: HttpServer, { secret }: TestKey, path: string) {
  return server.ask(path, { key: secret, method: "POST" });
}

Deno.test(
  "a tool that an operator switches off is refused to everybody, over a restart, until it is switched on",
  SDK_CLIENT,
  async () => {
    verifies("http.operators");
    await using copy = await copyStandIn("canned");
    await using folder = await HttpFolder.make();
    const options = { folder, path: [copy.path], tenants: ["red"] };
    await using first = await HttpServer.start(options);
    const { admin, client } = await houseOf(first);
    const [theirs] = await first.keys([{
      tenant: "red",
      roles: ["admin"],
    }]) as [
      TestKey,
    ];
    for (const who of [client, theirs]) {
      const { status, json } = await post(first, who, "/tools/nmap/disable");
      assert.deepEqual([status, json.code], [403, "forbidden"]);
    }
    const off = await post(first, admin, "/tools/nmap/disable");
    assert.deepEqual(
      [off.status, off.json.enabled, off.json.disabled_by],
      [200, false, "operator"],
    );
    const refusedIn = async (server: HttpServer) => {
      const { json } = await scan(server, client, HOST);
      assert.equal(json.code, "tool_disabled");
      assert.match(json.detail, /"nmap": it is switched off by an operator/);
      const plan = await scan(server, client, { ...HOST, plan: true });
      assert.equal(plan.json.code, "tool_disabled");
      const shown = await server.ask("/tools/nmap", { key: client.secret });
      assert.deepEqual(
        [shown.json.enabled, shown.json.disabled_by],
        [false, "operator"],
      );
    };
    await refusedIn(first);
    await first.stop();

    await using second = await HttpServer.start(options);
    await refusedIn(second);
    // A model sees the tool, that it is switched off, and is told so when it calls.
    const generation = "v2 at 2025-11-25";
    const mcp = clientFor(generation);
    await connectHttp(mcp, generation, (url, init) => {
      const headers = new Headers(init?.headers);
      headers.set("authorization", `Bearer ${client.secret}`);
      return fetch(url, { ...init, headers });
    }, new URL(`${second.url}/mcp`));
    const { tools } = await mcp.listTools();
    assert.match(
      tools.find(({ name }) => name === "nmap")?.description ?? "",
      /Switched off by the operator/,
    );
    const called = await callTool(mcp, generation, "nmap", HOST);
    assert.equal(called.isError, true);
    assert.match(called.text, /switched off by an operator/);
    await mcp.close();
    assert.equal((await scansOf(copy)).length, 0);

    const on = await post(second, admin, "/tools/nmap/enable");
    assert.deepEqual([on.json.enabled, on.json.disabled_by], [true, null]);
    assert.equal((await scan(second, client, HOST)).status, 200);
    const unknown = await post(second, admin, "/tools/curl/disable");
    assert.deepEqual(
      [unknown.status, unknown.json.code],
      [404, "tool_not_found"],
    );
  },
);

Deno.test("what the configuration switches off no operator switches on", async () => {
  verifies("http.operators");
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    config: "gobuster:\n  enabled: false\n",
  });
  const { admin, client } = await houseOf(server);
  const refused = await post(server, admin, "/tools/gobuster/enable");
  assert.deepEqual([refused.status, refused.json.code], [409, "conflict"]);
  assert.match(refused.json.detail, /gobuster\.enabled/);
  const shown = await server.ask("/tools/gobuster", { key: client.secret });
  assert.deepEqual(
    [shown.json.enabled, shown.json.disabled_by],
    [false, "configuration"],
  );
});

Deno.test("a breaker is forced open and let go of", async () => {
  verifies("http.operators");
  await using server = await HttpServer.start({ path: [standIn("canned")] });
  const { admin, client } = await houseOf(server);
  const force = (key: TestKey, state: string) =>
    server.ask("/v1/breakers/nmap", { key: key.secret, body: { state } });
  assert.equal((await force(client, "open")).status, 403);
  const opened = await force(admin, "open");
  assert.deepEqual(
    [opened.json.state, opened.json.forced],
    ["forced_open", "open"],
  );
  const refused = await scan(server, client, HOST);
  assert.deepEqual([refused.status, refused.json.code], [503, "circuit_open"]);
  const closed = await force(admin, "closed");
  assert.deepEqual([closed.json.state, closed.json.forced], ["closed", null]);
  assert.equal((await scan(server, client, HOST)).status, 200);
  await force(admin, "open");
  assert.equal((await force(admin, "auto")).json.state, "closed");
  assert.equal((await force(admin, "ajar")).status, 400);
});

Deno.test("limits and tenants change with the file, asked for or not; an unsound file changes nothing", async () => {
  verifies("http.operators", "http.reload_refused");
  const text = (tenants: string, scans: number) =>
    `identity:\n  tenants: [${tenants}]\nlimits:\n  scans_per_hour: ${scans}\n`;
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    config: text("red", 1),
  });
  const { admin, client } = await houseOf(server);
  const file = server.folder.file("config.yaml");
  const newKey = (tenant: string) =>
    server.ask("/v1/keys", {
      key: admin.secret,
      body: { name: "theirs", tenant, roles: ["operator"] },
    });
  assert.equal((await scan(server, client, HOST)).status, 200);
  assert.equal(
    (await scan(server, client, HOST)).json.code,
    "quota_exceeded",
  );
  assert.equal((await newKey("green")).json.code, "invalid_arguments");

  await Deno.writeTextFile(
    file,
    `${text("red, green", 9)}security:\n  max_network_sise: 5\n`,
  );
  const refused = await post(server, admin, "/config/reload");
  assert.equal(refused.status, 422);
  assert.deepEqual(
    [refused.json.code, refused.json.applied, refused.json.problems.length],
    ["invalid_arguments", false, 1],
  );
  assert.match(
    refused.json.problems[0],
    /config\.yaml:6:\d+.*max_network_sise.*max_network_size/s,
  );
  assert.equal(
    (await scan(server, client, HOST)).json.code,
    "quota_exceeded",
  );
  assert.equal((await newKey("green")).status, 400, "the old file is in force");

  await Deno.writeTextFile(file, text("red, green", 2));
  const taken = await post(server, admin, "/config/reload");
  assert.deepEqual(taken.json, { applied: true, problems: [], waiting: [] });
  const made = await newKey("green");
  assert.equal(made.status, 201, made.text);
  assert.equal((await scan(server, client, HOST)).status, 200);
  const theirs = await server.ask("/tools/nmap/execute", {
    key: made.json.secret,
    body: HOST,
  });
  assert.equal(theirs.status, 200);

  // Nobody has to ask.
  await Deno.writeTextFile(file, text("red", 2));
  await until("the tenant's end", async () => {
    const { status } = await server.ask("/tools", { key: made.json.secret });
    return status === 401;
  });
  const { json } = await server.ask("/v1/tenants", { key: admin.secret });
  assert.deepEqual(
    json.tenants.map(({ name }: { name: string }) => name),
    ["default", "red"],
  );
});

Deno.test("what an issuer calls a role changes with the file", async () => {
  const pair = await makePair("k1");
  await using issuer = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ keys: [pair.jwk] }),
  );
  const port = issuer.addr.port;
  const url = `http://127.0.0.1:${port}`;
  const text = (names: string) =>
    [
      "identity:",
      "  tenants: [red]",
      `  issuer: ${url}`,
      `  jwks_url: ${url}/keys`,
      "  audience: scans",
      `  role_names: [${names}]`,
    ].join("\n");
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    net: [`127.0.0.1:${port}`],
    config: text("soc-lead=viewer"),
  });
  const { admin } = await houseOf(server);
  const secret = await new SignJWT({ tenant: "red", roles: ["soc-lead"] })
    .setProtectedHeader({ alg: "ES256", kid: "k1" })
    .setIssuer(url).setAudience("scans").setSubject("mx").setIssuedAt()
    .setExpirationTime("5m").sign(pair.privateKey);
  const key = { id: "", secret };
  const refused = await scan(server, key, HOST);
  assert.deepEqual([refused.status, refused.json.code], [403, "forbidden"]);
  await Deno.writeTextFile(
    server.folder.file("config.yaml"),
    text("soc-lead=operator"),
  );
  const { json } = await post(server, admin, "/config/reload");
  assert.deepEqual(json, { applied: true, problems: [], waiting: [] });
  const done = await scan(server, key, HOST);
  assert.equal(done.status, 200, done.text);
});

Deno.test("an issuer that a reload brings waits for the next start, and the answer says so", async () => {
  const text = (issuer: string) =>
    `identity:\n  tenants: [red]\n  audience: scans\n${issuer}`;
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    config: text(""),
  });
  const { admin } = await houseOf(server);
  await Deno.writeTextFile(
    server.folder.file("config.yaml"),
    text("  issuer: http://127.0.0.1:9\n"),
  );
  const { json } = await post(server, admin, "/config/reload");
  assert.deepEqual(json, {
    applied: true,
    problems: [],
    waiting: ["identity.issuer"],
  });
});

Deno.test("policies are looked at, tried and changed while the server runs; a wrong one changes nothing", async () => {
  verifies("http.operators", "policy.reload");
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    policies: await shippedAnd({}),
  });
  const { admin, client } = await houseOf(server);
  const folder = server.folder.file("policies");
  const get = async () =>
    (await server.ask("/v1/policies", { key: admin.secret })).json;
  const send = (path: string, body: unknown) =>
    server.ask(`/v1/policies/${path}`, { key: admin.secret, body });
  const reload = async () => (await post(server, admin, "/config/reload")).json;
  const before = await get();
  assert.match(before.hash, /^[0-9a-f]{64}$/);
  assert.deepEqual(
    before.policies.map(({ id }: { id: string }) => id).toSorted(),
    ["intrusive-only-where-allowed", "only-in-scope", "operators-may-scan"],
  );

  const sound = await send("validate", { text: SECOND_PERSON });
  assert.deepEqual(sound.json, { ok: true, problems: [] });
  const unsound = await send("validate", {
    text:
      '@id("wrong") forbid (principal, action, resource) when { context.intrusiv };',
  });
  assert.equal(unsound.json.ok, false);
  assert.match(unsound.json.problems.join(), /intrusiv/);
  const cases = [
    {
      name: "an operator",
      request: { tool: "nmap", target: "10.0.0.1", roles: ["operator"] },
      expect: "allow",
    },
    {
      name: "a viewer",
      request: { tool: "nmap", target: "10.0.0.1", roles: ["viewer"] },
      expect: "allow",
    },
  ];
  const tried = await send("test", { cases });
  assert.deepEqual([tried.json.passed, tried.json.failed], [1, 1]);
  assert.deepEqual(tried.json.verdicts[0], {
    name: "an operator",
    decision: "allow",
    policies: ["operators-may-scan"],
    ok: true,
  });
  assert.equal((await scan(server, client, HOST)).status, 200);

  const freeze = (from: string, to: string) =>
    Deno.writeTextFile(
      `${folder}/freeze.cedar`,
      `@id("freeze") forbid (principal, action in Action::"scan", resource)
       when { context.time.now >= datetime("${from}") && context.time.now < datetime("${to}") };`,
    );
  await freeze("2001-01-01", "2002-01-01");
  assert.deepEqual(await reload(), {
    applied: true,
    problems: [],
    waiting: [],
  });
  assert.equal((await scan(server, client, HOST)).status, 200, "it is over");
  await freeze("2001-01-01", "2999-01-01");
  assert.deepEqual(await reload(), {
    applied: true,
    problems: [],
    waiting: [],
  });
  const after = await get();
  assert.notEqual(after.hash, before.hash);
  assert.ok(after.policies.some(({ id }: { id: string }) => id === "freeze"));
  const frozen = await scan(server, client, HOST);
  assert.deepEqual([frozen.status, frozen.json.code], [403, "policy_denied"]);
  assert.match(frozen.json.detail, /policy "freeze" forbids it/);
  const now = await send("test", { cases: cases.slice(0, 1) });
  assert.deepEqual(now.json.verdicts[0].policies, ["freeze"]);

  await Deno.writeTextFile(
    `${folder}/wrong.cedar`,
    '@id("wrong") forbid (principal, action, resource) when { context.intrusiv };',
  );
  const kept = await reload();
  assert.equal(kept.applied, false);
  assert.match(kept.problems.join(), /wrong\.cedar.*intrusiv/s);
  assert.equal((await get()).hash, after.hash);
  assert.equal((await scan(server, client, HOST)).json.code, "policy_denied");

  // Nobody has to ask.
  await Deno.remove(`${folder}/wrong.cedar`);
  await Deno.remove(`${folder}/freeze.cedar`);
  await until(
    "the old policies",
    async () => (await get()).hash === before.hash,
  );
  assert.equal((await scan(server, client, HOST)).status, 200);
  const hashes = (await auditOf(server.folder)).filter(({ kind }) =>
    kind === "config_changed"
  ).map(({ outcome, policy_hash }) => [outcome, policy_hash]);
  assert.ok(
    hashes.some(([outcome, hash]) =>
      outcome === "applied" && hash === after.hash
    ),
  );
  assert.ok(hashes.some(([outcome]) => outcome === "refused"));
  assert.match(server.stderr, /"message":"policies".*wrong\.cedar/);
  assert.doesNotMatch(server.stderr, /\(undefined\)/);
});

Deno.test("what policies decide is explained over HTTP as in the terminal", async () => {
  verifies("policy.explained");
  await using server = await HttpServer.start({ path: [standIn("canned")] });
  const { admin } = await houseOf(server);
  const explain = (request: unknown) =>
    server.ask("/v1/policies/explain", {
      key: admin.secret,
      body: { request },
    });
  const rows = [
    [{ target: "10.0.0.1" }, ["--target", "10.0.0.1"], "allow"],
    [
      { target: ["10.0.0.1", "10.9.0.0/16"], roles: ["viewer"] },
      ["--target", "10.0.0.1,10.9.0.0/16", "--role", "viewer"],
      "deny",
    ],
    [
      { target: "8.8.8.8" },
      ["--target", "8.8.8.8", "--out-of-scope"],
      "deny",
    ],
  ] as const;
  for (const [request, args, decision] of rows) {
    const { status, json } = await explain(request);
    assert.equal(status, 200, JSON.stringify(json));
    assert.equal(json.decision, decision);
    const said = await command(server.folder, "policy", [
      "explain",
      "--json",
      ...args,
    ]);
    assert.deepEqual(json, JSON.parse(said.text));
  }
  const { json } = await explain({ target: "8.8.8.8" });
  assert.deepEqual(json, {
    decision: "deny",
    policies: ["only-in-scope"],
    networks: [{
      network: "8.8.8.8",
      in_scope: false,
      decision: "deny",
      policies: ["only-in-scope"],
      applies: ["only-in-scope", "operators-may-scan"],
    }],
  });
  const wrong = await explain({ target: "10.0.0.1", role: "viewer" });
  assert.deepEqual([wrong.status, wrong.json.code], [400, "invalid_arguments"]);
  assert.match(wrong.json.detail, /did you mean "roles"\?/);
});

Deno.test("no secret of the server is shown by any of its answers, nor logged", async () => {
  await using database = await startPostgres();
  await using folder = await HttpFolder.make();
  const auditKey = "c0ffee".repeat(12).slice(0, 64);
  const identityKey = "5ec2e7".repeat(12).slice(0, 64);
  await makeCertificate(folder);
  // The harness makes API keys with the key that lies in the state folder.
  for (
    const file of [folder.file("identity.key"), `${folder.state}/identity.key`]
  ) {
    await Deno.writeTextFile(file, `${identityKey}\n`, { mode: 0o600 });
  }
  const tlsKey = (await Deno.readTextFile(folder.file("tls.key")))
    .split("\n")[1] ?? "";
  assert.ok(tlsKey.length > 20);
  const url = await database.fresh();
  await using server = await HttpServer.start({
    folder,
    path: [standIn("canned")],
    net: [`127.0.0.1:${database.port}`],
    config: "server:\n  open_metrics: true\n",
    env: {
      MCP_DATABASE_URL: url,
      MCP_AUDIT_KEY: auditKey,
      MCP_IDENTITY_KEY_FILE: folder.file("identity.key"),
      MCP_SERVER_TLS_CERTIFICATE_FILE: folder.file("tls.crt"),
      MCP_SERVER_TLS_KEY_FILE: folder.file("tls.key"),
    },
  });
  const { admin } = await houseOf(server);
  using https = await clientOf(folder);
  const seen: string[] = [];
  for (
    const path of [
      "/config",
      "/health",
      "/stats",
      "/metrics",
      "/tools",
      "/v1/tenants",
      "/v1/keys",
      "/v1/audit?limit=100",
      "/openapi.json",
    ]
  ) {
    const answer = await fetch(`${server.url}${path}`, {
      client: https,
      headers: { authorization: `Bearer ${admin.secret}` },
    });
    const text = await answer.text();
    if (path !== "/health") assert.equal(answer.status, 200, path + text);
    seen.push(text);
  }
  assert.match(seen[0] ?? "", /"key_file":"\*\*\*REDACTED\*\*\*"/);
  assert.match(seen[0] ?? "", /"origin":"environment"/);
  seen.push(server.stderr);
  const all = seen.join("\n");
  for (
    const secret of [
      ...[auditKey, identityKey, tlsKey, PASSWORD],
      ...[encodeURIComponent(PASSWORD), admin.secret, url],
    ]
  ) assert.ok(!all.includes(secret), `shown: ${secret.slice(0, 8)}…`);
});

Deno.test("SIGTERM lets a background scan end, ends event streams, and leaves nothing behind", async () => {
  verifies("http.drain");
  await using copy = await copyStandIn("slow");
  await using folder = await HttpFolder.make();
  const options = { folder, path: [copy.path] };
  await using server = await HttpServer.start(options);
  const { client } = await houseOf(server);
  const events = await server.fetch("/events", { key: client.secret });
  assert.equal(events.status, 200);
  const heard = events.text();
  const { json } = await scan(server, client, { ...HOST, background: true });
  await until("the scanner", async () => await copy.alive() === 1);
  const end = server.stop();
  await until("its refusal of more", async () => {
    // A plan: a scan that came just before the signal would hold this up until it ends.
    const asked = { target: "127.0.0.2", plan: true };
    const answer = await scan(server, client, asked).catch(() => null);
    return answer === null || answer.status === 503;
  });
  assert.equal(await copy.alive(), 1, "the scan goes on");
  await copy.open();
  const { status, left } = await end;
  assert.deepEqual([status.code, status.signal, left], [0, null, []]);
  assert.match(await heard, /event: scan\.started\n/);
  assert.equal(await copy.alive(), 0);
  await using later = await HttpServer.start(options);
  const kept = await later.ask(`/v1/scans/${json.scan_id}`, {
    key: client.secret,
  });
  assert.equal(kept.json.status, "succeeded");
});

Deno.test("after kill -9 what ran is interrupted and what waited runs, each for whom it was", async () => {
  await using copy = await copyStandIn("slow");
  await using folder = await HttpFolder.make();
  const options: HttpServerOptions = {
    folder,
    path: [copy.path],
    tenants: ["red", "blue"],
    policies: await shippedAnd({ "second_person.cedar": SECOND_PERSON }),
    env: { MCP_NMAP_CONCURRENCY: "1" },
  };
  await using first = await HttpServer.start(options);
  const [red, blue, approver] = await first.keys([
    { name: "red", tenant: "red" },
    { name: "blue", tenant: "blue" },
    { name: "approver", tenant: "red", roles: ["approver"] },
  ]) as [TestKey, TestKey, TestKey];
  const start = async (key: TestKey, ports: string): Promise<string> => {
    const { status, json } = await scan(first, key, {
      ...{ target: "127.0.0.1", ports, background: true },
    });
    assert.equal(status, 202);
    return json.scan_id;
  };
  const runs = await start(red, "1");
  await until("the scanner", async () => await copy.alive() === 1);
  const approval = await askFor(first, red);
  const approved: string = (await decide(first, approver, approval)).json
    .scan_id;
  const waiting = await askFor(first, red, { ...PRODUCTION, ports: "99" });
  const theirs = await start(blue, "2");
  first.kill("SIGKILL");
  await first.ended;
  await copy.open();
  await until("the orphan's end", async () => await copy.alive() === 0);

  await using second = await HttpServer.start(options);
  assert.equal((await ended(second, red, runs)).status, "interrupted");
  using _gate = await letGo(copy, 2);
  const done = await ended(second, red, approved);
  assert.equal(done.status, "succeeded");
  assert.equal((await ended(second, blue, theirs)).status, "succeeded");
  const foreign = await second.ask(`/v1/scans/${theirs}`, { key: red.secret });
  assert.equal(foreign.status, 404);
  const { json } = await second.ask("/v1/approvals", { key: red.secret });
  assert.deepEqual(
    json.approvals.map((
      one: { id: string; status: string; scan_id: string | null },
    ) => [one.id, one.status, one.scan_id]),
    [[waiting, "pending", null], [approval, "granted", approved]],
  );
  const again = await scan(second, red, PRODUCTION);
  assert.deepEqual([again.status, again.json.scan_id], [200, approved]);
  assert.equal((await scansOf(copy)).length, 3);
  const resumed = (await auditOf(folder)).filter(({ kind, who }) =>
    kind === "request" && /queued before a restart/.test(who.client)
  );
  assert.deepEqual(
    resumed.map(({ who }) => [who.tenant, who.subject]).toSorted(),
    [["blue", `key:${blue.id}`], ["red", `key:${red.id}`]],
  );
});

/** How a server that refuses to start ended, and what it said. */
async function refusal(
  options: HttpServerOptions,
  port = freePort(),
): Promise<{ readonly code: number; readonly text: string }> {
  await using own = await HttpFolder.make();
  const folder = options.folder ?? own;
  const { program, args, env } = await prepareHttp(folder, port, {
    path: [standIn("canned")],
    ...options,
  });
  const { code, stderr, stdout } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.equal(stdout.length, 0);
  return { code, text: new TextDecoder().decode(stderr) };
}

Deno.test("a server that cannot serve as it should does not start: exit code 1 and one plain line", async () => {
  verifies("http.no_open_door", "policy.strict_load");
  await using folder = await HttpFolder.make();
  await makeCertificate(folder);
  await Deno.writeTextFile(folder.file("no.pem"), "no certificate\n");
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closed = freePort();
  const cases: readonly (readonly [
    string,
    HttpServerOptions,
    RegExp,
    number?,
  ])[] = [
    [
      "an open door",
      { env: { MCP_SERVER_HOST: "0.0.0.0" } },
      /^Cannot listen on "0\.0\.0\.0": no credentials exist, .*deno task keys create.* or listen on 127\.0\.0\.1$/m,
    ],
    [
      "a wrong policy",
      { policies: { "a.cedar": "permit (principal, action, resource" } },
      /^Cannot use the policies: 1 problem.*\n {2}a\.cedar:1: /m,
    ],
    [
      "no certificate",
      {
        folder,
        env: {
          MCP_SERVER_TLS_CERTIFICATE_FILE: folder.file("none.pem"),
          MCP_SERVER_TLS_KEY_FILE: folder.file("tls.key"),
        },
      },
      /^Cannot .*certificate/m,
    ],
    [
      "a certificate that is none",
      {
        folder,
        env: {
          MCP_SERVER_TLS_CERTIFICATE_FILE: folder.file("no.pem"),
          MCP_SERVER_TLS_KEY_FILE: folder.file("tls.key"),
        },
      },
      /^Cannot .*certificate/m,
    ],
    [
      "a taken port",
      {},
      new RegExp(`^Cannot .*${taken.addr.port}.* in use`, "m"),
      taken.addr.port,
    ],
    [
      "a database that is down",
      {
        net: [`127.0.0.1:${closed}`],
        env: {
          MCP_DATABASE_URL:
            `postgres://scanner:c4n4ry@127.0.0.1:${closed}/scans`,
        },
      },
      /^Cannot .*database/m,
    ],
  ];
  const outcomes = await Promise.all(
    cases.map(async ([name, options, pattern, port]) => {
      const { code, text } = await refusal(options, port);
      return { name, code, text, pattern };
    }),
  );
  for (const { name, code, text, pattern } of outcomes) {
    assert.equal(code, 1, `${name}: ${text}`);
    assert.match(text, pattern, `${name}: ${text}`);
    assert.doesNotMatch(text, /serving on|c4n4ry|\n {4}at /, name);
    const plain = text.split("\n").filter((line) => /^Cannot /.test(line));
    assert.equal(plain.length, 1, `${name}: ${text}`);
  }
});

Deno.test("a server with a certificate speaks HTTPS, and nothing else", async () => {
  verifies("http.tls");
  await using folder = await HttpFolder.make();
  await makeCertificate(folder);
  await using server = await HttpServer.start({
    folder,
    path: [standIn("canned")],
    env: {
      MCP_SERVER_TLS_CERTIFICATE_FILE: folder.file("tls.crt"),
      MCP_SERVER_TLS_KEY_FILE: folder.file("tls.key"),
    },
  });
  assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const { secret } = await server.key();
  using client = await clientOf(folder);
  const answer = await fetch(`${server.url}/tools/nmap/execute`, {
    client,
    method: "POST",
    headers: {
      "authorization": `Bearer ${secret}`,
      "content-type": "application/json",
    },
    body: JSON.stringify(HOST),
  });
  assert.equal(answer.status, 200, await answer.text());
  const refused = await fetch(`${server.url}/tools`, { client });
  await refused.body?.cancel();
  assert.equal(
    refused.headers.get("strict-transport-security"),
    "max-age=31536000",
  );
  assert.match(
    refused.headers.get("www-authenticate") ?? "",
    new RegExp(`resource_metadata="${server.url}/\\.well-known/`),
  );
  const plain = await fetch(server.url.replace("https", "http")).then(
    (response) => response.body?.cancel(),
    (thrown) => thrown,
  );
  assert.ok(plain instanceof Error, "plain HTTP is no answer");
});

Deno.test("behind a trusted proxy the caller is who the proxy says, and nobody else's word counts", async () => {
  verifies("http.proxies");
  const headers = (forwarded: string) => ({
    "x-forwarded-for": forwarded,
    "x-forwarded-proto": "https",
  });
  for (
    const [trusted, told] of [
      ["127.0.0.1/32,198.51.100.0/24", [
        ["192.0.2.7", "192.0.2.7"],
        // Whoever is not trusted says nothing of who stands behind it.
        ["203.0.113.9, 192.0.2.7", "192.0.2.7"],
        ["203.0.113.9, 198.51.100.7", "203.0.113.9"],
      ]],
      ["10.0.0.0/8", [["192.0.2.7", "127.0.0.1"]]],
    ] as const
  ) {
    await using server = await HttpServer.start({
      path: [standIn("canned")],
      env: {
        MCP_SERVER_TRUSTED_PROXIES: trusted,
        MCP_SERVER_PUBLIC_URL: "https://scan.example",
      },
    });
    const { secret } = await server.key();
    const refused = await server.ask("/tools", {
      headers: headers("192.0.2.7"),
    });
    assert.equal(refused.status, 401, refused.text);
    assert.equal(
      refused.headers.get("www-authenticate"),
      'Bearer resource_metadata="https://scan.example/.well-known/oauth-protected-resource"',
    );
    assert.equal(
      refused.headers.get("strict-transport-security"),
      "max-age=31536000",
    );
    for (const [forwarded] of told) {
      const done = await server.ask("/tools/nmap/execute", {
        ...{ key: secret, headers: headers(forwarded), body: HOST },
      });
      assert.equal(done.status, 200);
    }
    const requests = (await auditOf(server.folder)).filter(({ kind }) =>
      kind === "request"
    );
    assert.deepEqual(
      requests.map(({ who }) => who.address),
      told.map(([, address]) => address),
    );
  }
});

/** Makes a certificate for 127.0.0.1 that nobody trusts by itself. */
async function makeCertificate(folder: HttpFolder): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt"],
      ...["ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
      ...["-keyout", folder.file("tls.key"), "-out", folder.file("tls.crt")],
    ],
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** A client that trusts that certificate. */
async function clientOf(folder: HttpFolder): Promise<Deno.HttpClient> {
  const certificate = await Deno.readTextFile(folder.file("tls.crt"));
  return Deno.createHttpClient({ caCerts: [certificate] });
}
