/**
 * Tenants over HTTP: two teams that use the same names and ask for the same on one server, and neither
 * sees that the other is there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { copyStandIn } from "../support/stand_ins.ts";
import { prepareServer } from "../support/server.ts";
import { ROOT } from "../support/task.ts";
import type { SendOptions } from "../support/http.ts";
import { documentedRoutes } from "./fixtures/http_matrix.ts";
import {
  type Asked,
  Listener,
  readUntil,
  SAME,
  TwoTeams,
  withoutIds,
} from "./fixtures/http_tenants.ts";

/** The SDK's HTTP client leaves requests behind when it closes. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

/** An id of the right form that nobody has. */
const UNKNOWN = {
  scan: "01jgz7m5e8p4k2q9s6t3v0w1xy",
  approval: "apr_01jgz7m5e8p4k2q9s6t3v0w1xy",
  key: "0123456789abcdef",
};

/** Routes without an id in the path: whatever they show is the caller's own. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  "GET /v1/scans": [
    "",
    "?engagement=acme",
    "?tag=weekly",
    "?tool=nmap&limit=100",
  ],
  "GET /v1/inventory": ["", "?kind=hosts", "?query=seen", "?tag=weekly"],
  "GET /v1/inventory/hosts": ["", "?engagement=acme", "?subnet=127.0.0.0/8"],
  "GET /v1/inventory/services": ["", "?engagement=acme", "?port=80"],
  "GET /v1/inventory/search": ["?query=seen", "?query=seen*&engagement=acme"],
  "GET /v1/audit": ["?limit=200", "?limit=200&kind=request"],
  "GET /v1/keys": [""],
  "GET /v1/approvals": ["", "?status=pending"],
  "GET /v1/tenants": [""],
};

/** Routes that show nothing of anybody; asked all the same. */
const PLAIN = [
  "GET /.well-known/oauth-protected-resource",
  "GET /.well-known/oauth-protected-resource/mcp",
  "GET /health",
  "GET /health/live",
  "GET /health/ready",
  "GET /config",
  "GET /metrics",
  "GET /stats",
  "GET /tools",
  "GET /tools/{name}",
  "GET /v1/breakers",
  "GET /v1/policies",
];

/** Routes with an id. What another tenant has is answered as what nobody has. */
const BY_ID: Readonly<
  Record<string, { readonly of: keyof typeof UNKNOWN; readonly asked: Asked[] }>
> = {
  "GET /v1/scans/{id}": scanAt(""),
  "DELETE /v1/scans/{id}": scanAt("", { method: "DELETE" }),
  "GET /v1/scans/{id}/diff": scanAt("/diff"),
  "GET /v1/scans/{id}/hosts": scanAt("/hosts"),
  "GET /v1/scans/{id}/raw": {
    of: "scan",
    asked: [
      { path: (id) => `/v1/scans/${id}/raw` },
      {
        path: (id) => `/v1/scans/${id}/raw`,
        options: { headers: { range: "bytes=0-9" } },
      },
    ],
  },
  "GET /v1/scans/{id}/report": {
    of: "scan",
    asked: ["html", "md", "csv", "jsonl", "sarif", "xml"].map((format) => ({
      path: (id) => `/v1/scans/${id}/report?format=${format}`,
    })),
  },
  "GET /v1/approvals/{id}": {
    of: "approval",
    asked: [{ path: (id) => `/v1/approvals/${id}` }],
  },
  "POST /v1/approvals/{id}": {
    of: "approval",
    asked: ["grant", "deny"].map((decision) => ({
      path: (id) => `/v1/approvals/${id}`,
      options: { body: { decision } },
    })),
  },
  "POST /v1/keys/{id}/rotate": {
    of: "key",
    asked: [{
      path: (id) => `/v1/keys/${id}/rotate`,
      options: { body: {} },
    }],
  },
  "DELETE /v1/keys/{id}": {
    of: "key",
    asked: [{
      path: (id) => `/v1/keys/${id}`,
      options: { method: "DELETE" },
    }],
  },
};

function scanAt(part: string, options: SendOptions = {}) {
  return {
    of: "scan" as const,
    asked: [{ path: (id: string) => `/v1/scans/${id}${part}`, options }],
  };
}

/** Routes that have a test of their own below, or change what is the whole server's (the matrix's). */
const ELSEWHERE = [
  "GET /docs",
  "GET /openapi.json",
  "GET /events",
  "GET /ws",
  "POST /mcp",
  "GET /mcp",
  "DELETE /mcp",
  "POST /config/reload",
  "POST /tools/{name}/disable",
  "POST /tools/{name}/enable",
  "POST /tools/{name}/execute",
  "POST /v1/breakers/{tool}",
  "POST /v1/keys",
  "POST /v1/policies/explain",
  "POST /v1/policies/test",
  "POST /v1/policies/validate",
];

Deno.test(
  "no tenant sees anything of another over HTTP and MCP",
  SDK_CLIENT,
  async (t) => {
    verifies("http.tenants.isolated");
    verifies(
      "store.tenants",
      "mcp.tenant",
      "events.tenant",
      "identity.key_tenant",
    );
    await using teams = await TwoTeams.start();
    const { world, has } = teams;
    const sides = [["red", "blue"], ["blue", "red"]] as const;

    await t.step("every route is asked", async () => {
      const asked = [
        ...Object.keys(LISTS),
        ...PLAIN,
        ...Object.keys(BY_ID),
        ...ELSEWHERE,
      ];
      assert.deepEqual(asked.sort(), await documentedRoutes());
    });

    for (const [me, other] of sides) {
      await t.step(`the lists of ${me} hold its own alone`, async () => {
        for (const [route, queries] of Object.entries(LISTS)) {
          for (const query of queries) {
            const path = `${route.split(" ")[1]}${query}`;
            const { status, text } = await world.ask(me, path);
            assert.equal(status, 200, `${path}: ${text}`);
            teams.assertNothingOf(other, text, path);
            const own = teams.secretsOf(me).some((one) => text.includes(one));
            assert.ok(own, `${path} shows nothing of its own: ${text}`);
          }
        }
      });

      await t.step(`what is everybody's tells ${me} of nobody`, async () => {
        for (const route of PLAIN) {
          const path = route.replace("GET ", "").replace("{name}", "nmap");
          const { text } = await world.ask(me, path);
          teams.assertNothingOf(other, text, path);
          assert.ok(!text.includes(has[me].target), path);
        }
        const { json } = await world.ask(me, "/stats");
        assert.deepEqual(Object.keys(json), ["tenant"]);
      });

      await t.step(
        `${me} is answered of another's as of nobody's`,
        async () => {
          for (const [route, { of, asked }] of Object.entries(BY_ID)) {
            const id = of === "scan" ? has[other].own : has[other][of];
            for (const { path, options } of asked) {
              const theirs = await world.ask(me, path(id), options);
              const nobodys = await world.ask(me, path(UNKNOWN[of]), options);
              assert.equal(theirs.status, 404, `${route}: ${theirs.text}`);
              assert.deepEqual(
                withoutIds(theirs, id),
                withoutIds(nobodys, UNKNOWN[of]),
                route,
              );
              teams.assertNothingOf(other, theirs.text, route, id);
            }
          }
        },
      );

      await t.step(`${me} cannot name another's in a query`, async () => {
        const { own, before } = has[other];
        const paths = [
          (id: string) => `/v1/scans/${has[me].own}/diff?since=${id}`,
          (id: string) => `/v1/audit?scan_id=${id}`,
        ];
        for (const path of paths) {
          const theirs = await world.ask(me, path(before));
          const nobodys = await world.ask(me, path(UNKNOWN.scan));
          assert.deepEqual(
            withoutIds(theirs, before),
            withoutIds(nobodys, UNKNOWN.scan),
          );
          teams.assertNothingOf(other, theirs.text, path(""), before);
        }
        const page = await world.ask(me, `/v1/scans?cursor=${own}`);
        teams.assertNothingOf(other, page.text, "cursor");
        const list = await world.ask(
          me,
          `/v1/approvals?cursor=${has[other].approval}`,
        );
        teams.assertNothingOf(other, list.text, "cursor");
      });

      await t.step(`${me} makes no key for another`, async () => {
        const { status, text } = await world.ask(me, "/v1/keys", {
          body: { name: "mine", roles: ["viewer"], tenant: other },
        });
        assert.equal(status, 403, text);
        const nobodys = await world.ask(me, "/v1/keys", {
          body: { name: "mine", roles: ["viewer"], tenant: "nobody" },
        });
        assert.equal(
          nobodys.text.replace(/"(instance|trace_id)":"[^"]*"/g, ""),
          text.replace(/"(instance|trace_id)":"[^"]*"/g, ""),
        );
      });

      await t.step(`${me} sees nothing of another over MCP`, async () => {
        const client = await world.mcp(me);
        const own = new Set<string>(Object.values(has[me]));
        const seen = [
          await client.listResources(),
          await client.listResourceTemplates(),
          await client.callTool({
            name: "scan_list",
            arguments: { limit: 50 },
          }),
          await client.callTool({
            name: "scan_list",
            arguments: { engagement: "acme", tags: ["weekly"] },
          }),
          await client.callTool({ name: "inventory", arguments: {} }),
          await client.callTool({
            name: "inventory",
            arguments: { kind: "hosts", subnet: "127.0.0.0/8" },
          }),
          await client.callTool({
            name: "inventory",
            arguments: { query: "seen" },
          }),
          await client.readResource({ uri: "policy://guardrails" }),
          await client.readResource({ uri: "server://health" }),
          await client.complete({
            ref: { type: "ref/resource", uri: "scan://{id}" },
            argument: { name: "id", value: "" },
          }),
          await client.listTools(),
          await client.listPrompts(),
        ].map((one) => JSON.stringify(one).replaceAll('\\"', '"'));
        for (const text of seen) teams.assertNothingOf(other, text, "MCP");
        assert.ok(
          seen.slice(2, 4).every((text) =>
            [...own].some((one) => text.includes(one))
          ),
          "the lists hold what is its own",
        );
      });

      await t.step(
        `MCP answers ${me} of another's as of nobody's`,
        async () => {
          const client = await world.mcp(me);
          const said = async (ask: () => Promise<unknown>, id: string) => {
            const answer = await ask().catch((thrown) => ({
              code: thrown.code,
              message: thrown.message,
              data: thrown.data,
            }));
            const { _meta, ...rest } = answer as { readonly _meta?: unknown };
            return JSON.stringify(rest).replaceAll(id, "ID");
          };
          const theirs = has[other].own;
          const tools = [
            ["scan_status", {}],
            ["scan_results", {}],
            ["scan_diff", {}],
            ["scan_cancel", {}],
          ] as const;
          for (const [name] of tools) {
            const ask = (scan_id: string) =>
              said(
                () => client.callTool({ name, arguments: { scan_id } }),
                scan_id,
              );
            assert.equal(await ask(theirs), await ask(UNKNOWN.scan), name);
            assert.match(await ask(theirs), /not_found/);
          }
          const since = (id: string) =>
            said(() =>
              client.callTool({
                name: "scan_diff",
                arguments: { scan_id: has[me].own, since: id },
              }), id);
          assert.equal(
            await since(has[other].before),
            await since(UNKNOWN.scan),
          );
          for (
            const part of ["", "/hosts", "/raw", "/report.md", "/report.html"]
          ) {
            const ask = (id: string) =>
              said(
                () => client.readResource({ uri: `scan://${id}${part}` }),
                id,
              );
            assert.equal(await ask(theirs), await ask(UNKNOWN.scan), part);
            assert.doesNotMatch(await ask(has[me].own), /Cannot/);
          }
        },
      );
    }

    await t.step("the documents are the same for all", async () => {
      for (const path of ["/docs", "/openapi.json"]) {
        const [red, blue] = await Promise.all([
          world.ask("red", path),
          world.ask("blue", path),
        ]);
        assert.equal(red.text, blue.text);
      }
    });

    await t.step("live events are of the own tenant alone", async () => {
      await eventsStayApart(teams);
    });

    await t.step(
      "the house sees of the teams what its admins administer",
      async () => {
        const tenants = await world.ask("house", "/v1/tenants");
        assert.deepEqual(
          tenants.json.tenants.map(({ name }: { name: string }) => name).sort(),
          ["blue", "default", "red"],
        );
        for (const path of ["/v1/scans", "/v1/inventory", "/v1/approvals"]) {
          const { text } = await world.ask("house", path);
          for (const team of ["red", "blue"] as const) {
            teams.assertNothingOf(team, text, path);
          }
        }
      },
    );
  },
);

async function eventsStayApart(teams: TwoTeams): Promise<void> {
  const { world, has } = teams;
  const stop = new AbortController();
  const { signal } = stop;
  const key = world.key("red").secret;
  // An event of blue's, to come back with.
  const seen = await readUntil(
    await world.server.fetch("/events?after=", {
      key: world.key("blue").secret,
      headers: { "last-event-id": "0-0-0" },
      signal,
    }),
    /id: \S+\n/,
  );
  const [, blues = "", epoch = ""] = /id: ((\w+)-\S+)/.exec(seen) ?? [];
  const streams = await Promise.all([
    world.server.fetch("/events", { key, signal }),
    world.server.fetch("/events", {
      key,
      signal,
      headers: { "last-event-id": blues },
    }),
    world.server.fetch("/events", {
      key,
      signal,
      headers: { "last-event-id": `${epoch}-0-0` },
    }),
  ]);
  await using socket = await Listener.open(world.server.url, key);
  socket.say({ type: "subscribe", scan_id: "*" });
  socket.say({
    type: "subscribe",
    scan_id: has.blue.own,
    after: `${epoch}-0-0`,
  });
  socket.say({
    type: "subscribe",
    scan_id: has.red.own,
    after: `${epoch}-0-0`,
  });
  await socket.heard(/(?:"subscribed"[^]*){3}/);
  const blue = await world.scan("blue", { target: "127.0.2.40" });
  await world.asking("blue", "127.0.2.41", 82);
  const red = await world.scan("red", { target: "127.0.1.42" });
  const ended = new RegExp(`"scan_id":"${red}"[^\n]*"status":"succeeded"`);
  const texts = await Promise.all(
    streams.map((stream) => readUntil(stream, ended)),
  );
  await socket.heard(ended);
  stop.abort();
  for (const text of [...texts, socket.text]) {
    for (const secret of [blue, "127.0.2."]) {
      assert.ok(!text.includes(secret), text);
    }
    // What the socket was asked for it repeats.
    teams.assertNothingOf("blue", text, "events", has.blue.own);
  }
  assert.ok(!texts.join().includes(has.blue.own));
  const heard = socket.text.split("\n").filter((line) =>
    line.includes('"type":"event"')
  ).map((line) => line.replace(/"subscription":"[^"]*"/, ""));
  assert.ok(heard.every((line) => !line.includes(has.blue.own)), socket.text);
  // What came before is heard again, by whom it is for.
  assert.ok(texts[2]?.includes(has.red.own), texts[2]);
  assert.ok(heard.some((line) => line.includes(has.red.own)), socket.text);
}

Deno.test("identical requests of two tenants are two scans, which nobody else can end", async () => {
  verifies("http.tenants.not_shared");
  await using teams = await TwoTeams.start();
  const { world, has, world: { server, standIn } } = teams;
  assert.notEqual(has.red.same, has.blue.same);

  // The same key again is the same scan, of the own tenant.
  for (const team of ["red", "blue"] as const) {
    const again = await world.scan(team, { ...SAME, idempotency_key: "k1" });
    assert.equal(again, has[team].same);
  }

  // An answer that is kept is none for the other.
  const fresh = { target: "127.0.1.8" };
  const first = await world.scan("red", fresh);
  assert.equal(await world.scan("red", fresh), first, "the cache answers red");
  const blues = await world.scan("blue", fresh);
  assert.notEqual(blues, first);
  assert.equal(await world.scan("blue", fresh), blues);

  // What runs is joined by the own tenant alone.
  const runs = { target: "127.0.1.9", ports: "9", background: true };
  const red = await world.scan("red", runs);
  assert.equal(await world.scan("red", runs), red, "red joins its own");
  const blue = await world.scan("blue", runs);
  assert.notEqual(blue, red);
  for (let look = 0; await standIn.alive() < 2; look++) assert.ok(look < 500);

  const cancel = { method: "DELETE" };
  const theirs = await world.ask("blue", `/v1/scans/${red}`, cancel);
  const nobodys = await world.ask("blue", `/v1/scans/${UNKNOWN.scan}`, cancel);
  assert.equal(theirs.status, 404);
  assert.deepEqual(
    withoutIds(theirs, red),
    withoutIds(nobodys, UNKNOWN.scan),
  );
  assert.equal(
    (await world.ask("house", `/v1/scans/${red}`, cancel)).status,
    404,
  );
  assert.equal(
    (await world.ask("red", `/v1/scans/${red}`)).json.status,
    "running",
  );
  const ended = await world.ask("red", `/v1/scans/${red}`, cancel);
  assert.equal(ended.json.status, "cancelled");
  assert.equal(
    (await world.ask("blue", `/v1/scans/${blue}`)).json.status,
    "running",
  );
  await world.ask("blue", `/v1/scans/${blue}`, cancel);
  assert.equal(await standIn.alive(), 0);
  assert.deepEqual((await server.stop()).left, []);
});

Deno.test("a tenant's networks bind its scans, whatever the call says", async () => {
  verifies("tenants.subnets.bound");
  await using teams = await TwoTeams.start();
  const { world, world: { standIn } } = teams;
  for (
    const [team, target, labels] of [
      ["red", "127.0.2.50", {}],
      ["red", "127.0.2.50", { engagement: "blue", tags: ["blue"] }],
      ["red", "127.0.0.0/22", {}],
      ["red", ["127.0.1.50", "127.0.2.50"], {}],
      ["blue", "127.0.3.50", {}],
    ] as const
  ) {
    const { status, json } = await world.ask(team, "/tools/nmap/execute", {
      body: { target, ports: "80", ...labels },
    });
    assert.deepEqual([status, json.code, json.guardrail], [
      403,
      "target_not_allowed",
      "scope",
    ]);
    teams.assertNothingOf(
      team === "red" ? "blue" : "red",
      JSON.stringify(json),
      String(target),
    );
    const plan = await world.ask(team, "/tools/nmap/execute", {
      body: { target, ports: "80", plan: true },
    });
    assert.equal(plan.json.plan.allowed, false);
  }
  // The server's own questions to nmap name no target.
  const starts = await standIn.starts();
  assert.ok(
    starts.every((line) => !/ 127\.0\.(?:0\.0|2\.50|3\.50)/.test(line)),
    starts.join("; "),
  );
  // Whoever is not bound, and whoever is bound elsewhere.
  await world.scan("house", { target: "127.0.3.50" });
  await world.scan("blue", { target: "127.0.2.50" });
  await world.scan("red", { target: "127.0.1.50" });
});

Deno.test("a tool's isolate refuses what a tenant may not scan, though main asks for it", async () => {
  verifies("tenants.subnets.checked_twice");
  await using copy = await copyStandIn("echo_argv");
  const fixture = `${ROOT}tests/process/fixtures/tenant_attack.ts`;
  const { program, args, env } = prepareServer({
    path: [copy.path],
    env: { MCP_SECURITY_TENANT_SUBNETS: "red=127.0.1.0/24" },
    edit: (flags) =>
      flags.map((flag) =>
        flag === "src/main.ts"
          ? fixture
          // The fixture's own file has to be readable; nothing else is added.
          : flag.startsWith("--allow-read=")
          ? `${flag},./tests/process/fixtures`
          : flag
      ),
  });
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    "red in its network": "allowed",
    "red elsewhere": "target_not_allowed",
    "red elsewhere after a second birth without bounds": "target_not_allowed",
    "a scan of red elsewhere, past main's own side": "target_not_allowed",
  });
  assert.deepEqual(await copy.starts(), [], "something was spawned");
});
