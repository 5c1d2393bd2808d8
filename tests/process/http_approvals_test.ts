/**
 * Approval by a second person, from the refusal to the scan, through the real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LineTransport } from "@/mcp/line_transport.ts";
import { verifies } from "../requirements.ts";
import { HttpFolder, HttpServer, type TestKey } from "../support/http.ts";
import { startPostgres } from "../support/postgres.ts";
import { prepareServer, withFolders } from "../support/server.ts";
import { ROOT } from "../support/task.ts";
import { copyStandIn, type StandInCopy } from "../support/stand_ins.ts";
import { callTool, type ToolAnswer } from "../unit/mcp/fixtures/ask.ts";
import { type Generation, GENERATIONS } from "../unit/mcp/fixtures/connect.ts";
import {
  clientFor,
  type ClientOptions,
  connectHttp,
} from "../unit/mcp/fixtures/connect_http.ts";
import {
  askFor,
  auditOf,
  command,
  decide,
  ended,
  type Entry,
  letGo,
  PRODUCTION,
  scan,
  scansOf,
  SECOND_PERSON,
  shippedAnd,
  until,
} from "./fixtures/team.ts";

/** Those who take part. */
interface Team {
  readonly asker: TestKey;
  readonly other: TestKey;
  readonly approver: TestKey;
  readonly second: TestKey;
  readonly viewer: TestKey;
  readonly stranger: TestKey;
}

async function teamOf(server: HttpServer): Promise<Team> {
  const both = ["operator", "approver"] as const;
  const [asker, other, approver, second, viewer, stranger] = await server.keys([
    { name: "asker", tenant: "red", roles: both },
    { name: "other", tenant: "red" },
    { name: "approver", tenant: "red", roles: ["approver"] },
    { name: "second", tenant: "red", roles: ["approver"] },
    { name: "viewer", tenant: "red", roles: ["viewer"] },
    { name: "stranger", tenant: "blue", roles: both },
  ]) as [TestKey, TestKey, TestKey, TestKey, TestKey, TestKey];
  return { asker, other, approver, second, viewer, stranger };
}

const TENANTS = ["red", "blue"];

async function policies(): Promise<Record<string, string>> {
  return await shippedAnd({ "second_person.cedar": SECOND_PERSON });
}

Deno.test("an approval goes its whole way: asked, shown, granted by another, scanned once, audited", async () => {
  verifies("approvals.second_person", "approvals.once");
  await using copy = await copyStandIn("canned");
  await using folder = await HttpFolder.make();
  await using server = await HttpServer.start({
    folder,
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  });
  const team = await teamOf(server);
  const { asker, approver, viewer, stranger } = team;

  const refused = await scan(server, asker, PRODUCTION);
  assert.equal(refused.status, 403);
  assert.equal(
    refused.headers.get("content-type"),
    "application/problem+json",
  );
  const id: string = refused.json.approval_id;
  assert.match(id, /^apr_[0-9a-z]{26}$/);
  assert.equal(refused.json.code, "approval_required");
  assert.equal(
    refused.json.detail,
    `Cannot scan yet: a second person has to approve this (${id}, policy second-person-for-production); wait for it, then make the same call again`,
  );
  assert.equal(await askFor(server, asker), id, "it waits once");

  const listed = await server.ask("/v1/approvals?status=pending", {
    key: viewer.secret,
  });
  assert.deepEqual(
    listed.json.approvals.map((one: { id: string }) => one.id),
    [id],
  );
  const shown = await server.ask(`/v1/approvals/${id}`, { key: asker.secret });
  assert.equal(shown.status, 200);
  const { requester, arguments: given, scan_id, policies: names } = shown.json;
  assert.deepEqual(
    [requester.subject, given, scan_id, names, shown.json.status],
    [
      `key:${asker.id}`,
      PRODUCTION,
      null,
      ["second-person-for-production"],
      "pending",
    ],
  );

  for (
    const [who, status, code] of [
      [asker, 403, "forbidden"],
      [viewer, 403, "forbidden"],
      [team.other, 403, "forbidden"],
      [stranger, 404, "not_found"],
    ] as const
  ) {
    const { json } = await decide(server, who, id);
    assert.deepEqual([json.status, json.code], [status, code]);
  }
  const elsewhere = await server.ask(`/v1/approvals/${id}`, {
    key: stranger.secret,
  });
  assert.equal(elsewhere.status, 404);
  const theirs = await server.ask("/v1/approvals", { key: stranger.secret });
  assert.deepEqual(theirs.json.approvals, []);
  assert.deepEqual(await scansOf(copy), [], "nothing was sent so far");

  const granted = await decide(server, approver, id, "grant", "Change 4711");
  assert.deepEqual(
    [granted.status, granted.json.status, granted.json.note],
    [200, "granted", "Change 4711"],
  );
  assert.match(granted.json.decided_by, new RegExp(`^key:${approver.id}`));
  const scanId: string = granted.json.scan_id;
  assert.match(scanId, /^[0-9a-z]{26}$/);
  const done = await ended(server, asker, scanId);
  assert.equal(done.status, "succeeded");

  const again = await scan(server, asker, PRODUCTION);
  assert.deepEqual([again.status, again.json.scan_id], [200, scanId]);
  const background = await scan(server, asker, {
    ...PRODUCTION,
    background: true,
  });
  assert.equal(background.json.scan_id, scanId);
  assert.equal((await scansOf(copy)).length, 1, "one approval, one scan");

  const late = await decide(server, team.second, id, "deny");
  assert.deepEqual([late.status, late.json.code], [409, "conflict"]);

  const more = { ...PRODUCTION, ports: "22,80" };
  const another = await askFor(server, asker, more);
  assert.notEqual(another, id, "one port more is another request");
  const byOther = await askFor(server, team.other);
  assert.notEqual(byOther, id, "another person's request is another one");
  const inNetwork = await askFor(server, asker, { target: "127.0.8.0/22" });
  assert.ok(![id, another, byOther].includes(inNetwork));
  assert.equal((await scansOf(copy)).length, 1);

  assert.equal((await server.stop()).status.code, 0);
  const entries = await auditOf(folder);
  const decisions = entries.filter(({ kind }) => kind === "decision");
  const [first] = decisions;
  assert.deepEqual(
    [first?.code, first?.policies, first?.who.subject, first?.who.tenant],
    [
      "approval_required",
      ["second-person-for-production"],
      `key:${asker.id}`,
      "red",
    ],
  );
  assert.match(first?.policy_hash, /^[0-9a-f]{64}$/);
  assert.match(first?.config_hash, /^[0-9a-f]{16,64}$/);
  const approving = decisions.filter(({ operation }) =>
    operation === "approve"
  );
  assert.deepEqual(
    approving.map(({ outcome, code, who }) => [outcome, code, who.subject]),
    [
      // Their role lets them try; it is the request that is not theirs to decide.
      ["allowed", null, `key:${asker.id}`],
      ["refused", "forbidden", `key:${asker.id}`],
      ["refused", "forbidden", `key:${viewer.id}`],
      ["refused", "forbidden", `key:${team.other.id}`],
      ["allowed", null, `key:${stranger.id}`],
      ["refused", "not_found", `key:${stranger.id}`],
      ["allowed", null, `key:${approver.id}`],
      ["allowed", null, `key:${team.second.id}`],
      ["refused", "conflict", `key:${team.second.id}`],
    ],
  );
  const started = decisions.find(({ scan_id, outcome }) =>
    scan_id === scanId && outcome === "allowed"
  );
  assert.deepEqual(started?.who.subject, `key:${asker.id}`);
  assert.ok(
    entries.some(({ kind, scan_id }) =>
      kind === "scan_started" && scan_id === scanId
    ),
  );
  const noted = entries.find(({ kind, operation, arguments: given }) =>
    kind === "request" && operation === "approve" && given.note !== null
  );
  assert.deepEqual(noted?.arguments, { id, note: "Change 4711" });
  const verified = await command(folder, "audit", ["verify"]);
  assert.equal(verified.code, 0, verified.text);
});

Deno.test("whoever rotates an approver's key knows its secret, and cannot approve their own request with it", async () => {
  verifies("approvals.second_person");
  await using copy = await copyStandIn("canned");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  });
  const [asker, approver] = await server.keys([
    { name: "asker", tenant: "red", roles: ["operator", "admin"] },
    { name: "approver", tenant: "red", roles: ["approver"] },
  ]) as [TestKey, TestKey];
  const id = await askFor(server, asker);
  const rotated = await server.ask(`/v1/keys/${approver.id}/rotate`, {
    key: asker.secret,
    body: {},
  });
  assert.equal(rotated.status, 200, rotated.text);
  const taken = { id: approver.id, secret: rotated.json.secret };
  const decided = await decide(server, taken, id);
  assert.deepEqual([decided.status, decided.json.code], [403, "forbidden"]);
  assert.equal((await scan(server, asker, PRODUCTION)).status, 403);
});

Deno.test("a denied request stays denied however often it is asked, until its time is over", async () => {
  await using copy = await copyStandIn("canned");
  await using folder = await HttpFolder.make();
  const options = {
    folder,
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  };
  await using server = await HttpServer.start(options);
  const { asker, other, approver, second } = await teamOf(server);
  const id = await askFor(server, asker);
  const denied = await decide(server, approver, id, "deny", "Not\ntoday");
  assert.deepEqual([denied.json.status, denied.json.scan_id], ["denied", null]);

  for (let time = 0; time < 3; time++) {
    const { status, json } = await scan(server, asker, PRODUCTION);
    assert.deepEqual([status, json.code], [403, "policy_denied"]);
    assert.match(
      json.detail,
      new RegExp(
        `^Cannot scan: this request was denied by a second person \\(${id}\\), who said: Not today; .* after \\d{4}-`,
      ),
    );
  }
  const waiting = await server.ask("/v1/approvals?status=pending", {
    key: second.secret,
  });
  assert.deepEqual(waiting.json.approvals, [], "nobody else is asked");
  assert.equal((await decide(server, second, id)).status, 409);
  // What was denied to one says nothing of another's request, nor of a different one.
  await askFor(server, other);
  await askFor(server, asker, { ...PRODUCTION, ports: "23" });
  assert.deepEqual(await scansOf(copy), []);

  await server.stop();
  setExpiry(folder, id, Date.now() - 1);
  await using later = await HttpServer.start(options);
  assert.notEqual(await askFor(later, asker), id);
});

Deno.test("a request that nobody decided in time is expired: not granted, not used, asked anew", async () => {
  verifies("approvals.expiry", "approvals.expiry_recorded");
  await using copy = await copyStandIn("canned");
  await using folder = await HttpFolder.make();
  const options = {
    folder,
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
    env: { MCP_POLICY_APPROVAL_EXPIRES_SECONDS: "60" },
  };
  await using server = await HttpServer.start(options);
  const { asker, approver } = await teamOf(server);
  const id = await askFor(server, asker);
  const { json } = await server.ask(`/v1/approvals/${id}`, {
    key: asker.secret,
  });
  assert.equal(
    Date.parse(json.expires_at) - Date.parse(json.requested_at),
    60_000,
  );
  await server.stop();
  setExpiry(folder, id, Date.now() - 1);
  await using later = await HttpServer.start(options);
  const late = await decide(later, approver, id);
  assert.deepEqual([late.status, late.json.code], [409, "conflict"]);
  const shown = await later.ask(`/v1/approvals/${id}`, { key: asker.secret });
  assert.equal(shown.json.status, "expired");
  assert.notEqual(await askFor(later, asker), id);
  assert.deepEqual(await scansOf(copy), []);

  const [admin] = await later.keys([{ tenant: "red", roles: ["admin"] }]);
  const { json: page } = await later.ask("/v1/audit?kind=approval_expired", {
    key: admin?.secret ?? "",
  });
  assert.deepEqual(
    page.entries.map(({ time: _time, ...entry }: Entry) => entry),
    [{
      kind: "approval_expired",
      tenant: "red",
      approval_id: id,
      subject: `key:${asker.id}`,
      tool: "nmap",
      target: "127.0.0.1",
      policies: ["second-person-for-production"],
    }],
  );
  const verified = await command(folder, "audit", ["verify"]);
  assert.equal(verified.code, 0, verified.text);
});

Deno.test("of two approvers who decide at once one is heard, and one scan runs", async () => {
  verifies("approvals.once");
  await using copy = await copyStandIn("canned");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  });
  const { asker, approver, second } = await teamOf(server);
  for (let round = 1; round <= 5; round++) {
    const body = { ...PRODUCTION, ports: String(20 + round) };
    const id = await askFor(server, asker, body);
    const both = await Promise.all([
      ...[approver, second].map((one) => decide(server, one, id)),
      ...[approver, second].map((one) => decide(server, one, id, "deny")),
    ]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), [
      200,
      409,
      409,
      409,
    ]);
    const { json } = await server.ask(`/v1/approvals/${id}`, {
      key: asker.secret,
    });
    assert.equal(json.status === "granted", json.scan_id !== null);
    if (json.scan_id !== null) await ended(server, asker, json.scan_id);
  }
  const { json } = await server.ask("/v1/approvals?status=granted", {
    key: asker.secret,
  });
  assert.equal((await scansOf(copy)).length, json.approvals.length);

  // The requester who asks again and again while it is granted gets no scan besides.
  const before = (await scansOf(copy)).length;
  const body = { ...PRODUCTION, ports: "99" };
  const id = await askFor(server, asker, body);
  const answers = await Promise.all([
    decide(server, approver, id),
    ...Array.from({ length: 20 }, () => scan(server, asker, body)),
  ]);
  assert.equal(answers[0]?.status, 200);
  await ended(server, asker, answers[0]?.json.scan_id);
  for (const { status, json } of answers.slice(1)) {
    if (status === 200) assert.equal(json.scan_id, answers[0]?.json.scan_id);
    else assert.equal(json.code, "approval_required");
  }
  assert.equal((await scansOf(copy)).length, before + 1);
});

Deno.test("a request outlives its server, and a revoked requester has nothing scanned", async () => {
  await using copy = await copyStandIn("canned");
  await using folder = await HttpFolder.make();
  const options = {
    folder,
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  };
  await using first = await HttpServer.start(options);
  const team = await teamOf(first);
  const [admin] = await first.keys([{ tenant: "red", roles: ["admin"] }]);
  const kept = await askFor(first, team.asker);
  const orphan = await askFor(first, team.other);
  const end = await first.stop("SIGKILL");
  assert.equal(end.status.signal, "SIGKILL");

  await using second = await HttpServer.start(options);
  const granted = await decide(second, team.approver, kept);
  assert.equal(granted.status, 200);
  const done = await ended(second, team.asker, granted.json.scan_id);
  assert.equal(done.status, "succeeded");
  const revoked = await second.ask(`/v1/keys/${team.other.id}`, {
    method: "DELETE",
    key: admin?.secret ?? "",
  });
  assert.ok(revoked.status < 300, revoked.text);
  const late = await decide(second, team.approver, orphan);
  assert.deepEqual(
    [late.status, late.json.status, late.json.scan_id],
    [200, "granted", null],
  );
  assert.equal((await scan(second, team.other, PRODUCTION)).status, 401);
  assert.equal((await scansOf(copy)).length, 1);
  assert.match(second.stderr, /an approved request was not scanned/);
});

/** What the policies say when an approved scan that waited comes to its turn, and what comes of it. */
const LATER: readonly (readonly [
  what: string,
  stricter: string,
  code: string | null,
])[] = [
  ["nothing has changed", "", null],
  [
    "another policy asks for a second person",
    '@id("stricter") forbid (principal, action in Action::"scan", resource) when { resource.tags.contains("production") } unless { context.approved };',
    "approval_required",
  ],
];

for (const database of ["SQLite", "PostgreSQL"] as const) {
  for (const [what, stricter, code] of LATER) {
    Deno.test(`a request, its approval and its queued scan each outlive a server on ${database}, and at its turn ${what}`, async () => {
      verifies("approvals.durable", "approvals.policies");
      await using stack = new AsyncDisposableStack();
      const copy = stack.use(await copyStandIn("slow"));
      const folder = stack.use(await HttpFolder.make());
      const postgres = database === "PostgreSQL"
        ? stack.use(await startPostgres())
        : null;
      const options = {
        folder,
        path: [copy.path],
        tenants: TENANTS,
        policies: await policies(),
        net: postgres === null ? [] : [`127.0.0.1:${postgres.port}`],
        env: {
          MCP_SECURITY_MAX_CONCURRENT_SCANS: "1",
          ...postgres === null
            ? {}
            : { MCP_DATABASE_URL: await postgres.fresh() },
        },
      };
      // It waits for its approval.
      const first = stack.use(await HttpServer.start(options));
      const { asker, other, approver } = await teamOf(first);
      const id = await askFor(first, asker);
      await first.stop("SIGKILL");

      // It is approved, and waits for its place.
      const second = stack.use(await HttpServer.start(options));
      const busy = await scan(second, other, {
        ...{ target: "127.0.0.2", ports: "22", background: true },
      });
      assert.equal(busy.status, 202, busy.text);
      await until("the scanner", async () => await copy.alive() === 1);
      const granted = await decide(second, approver, id);
      const scanId = granted.json.scan_id;
      assert.deepEqual([granted.status, granted.json.status], [200, "granted"]);
      const { json: waiting } = await second.ask(`/v1/scans/${scanId}`, {
        key: asker.secret,
      });
      assert.deepEqual([waiting.status, waiting.scan_type], ["queued", null]);
      await second.stop("SIGKILL");
      using _open = await letGo(copy, 4);

      // It is its turn.
      const third = stack.use(
        await HttpServer.start({
          ...options,
          policies: { ...options.policies, "stricter.cedar": stricter },
        }),
      );
      const end = await ended(third, asker, scanId);
      assert.equal(end.error?.code ?? null, code, JSON.stringify(end));
      assert.equal(end.status, code === null ? "succeeded" : "failed");
      const starts = (await scansOf(copy)).filter((line) =>
        line.includes("127.0.0.1")
      );
      assert.equal(starts.length, code === null ? 1 : 0);
      const again = await scan(third, asker, PRODUCTION);
      if (code === null) {
        assert.deepEqual([again.status, again.json.scan_id], [200, scanId]);
      } else {
        assert.deepEqual([again.status, again.json.code], [403, code]);
        assert.notEqual(again.json.approval_id, id);
      }
      const { json } = await third.ask(`/v1/approvals/${id}`, {
        key: asker.secret,
      });
      assert.deepEqual([json.status, json.scan_id], ["granted", scanId]);
    });
  }
}

Deno.test("one scan comes of an approval also if the server dies between the scan's row and the approval's", async () => {
  verifies("approvals.once", "approvals.durable");
  await using copy = await copyStandIn("slow");
  await using folder = await HttpFolder.make();
  const options = {
    folder,
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
    env: { MCP_SECURITY_MAX_CONCURRENT_SCANS: "1" },
  };
  await using first = await HttpServer.start(options);
  const { asker, other, approver } = await teamOf(first);
  const busy = await scan(first, other, {
    ...{ target: "127.0.0.2", ports: "22", background: true },
  });
  assert.equal(busy.status, 202, busy.text);
  await until("the scanner", async () => await copy.alive() === 1);
  const id = await askFor(first, asker);
  const { json: { scan_id: scanId } } = await decide(first, approver, id);
  assert.match(scanId, /^[0-9a-z]{26}$/);
  await first.stop("SIGKILL");
  // The second of the two writes, undone: what a server leaves that dies before it.
  setApproval(folder, id, "scan_id", null);
  using _open = await letGo(copy, 4);

  await using second = await HttpServer.start(options);
  assert.equal((await ended(second, asker, scanId)).status, "succeeded");
  const again = await scan(second, asker, { ...PRODUCTION, no_cache: true });
  const { json: used } = await second.ask(`/v1/approvals/${id}`, {
    key: asker.secret,
  });
  assert.deepEqual([again.json.scan_id, used.scan_id], [scanId, scanId]);
  const starts = (await scansOf(copy)).filter((line) =>
    line.includes("127.0.0.1")
  );
  assert.equal(starts.length, 1);
});

Deno.test("what was approved under one policy counts for no other, and forbidden stays forbidden", async () => {
  verifies("approvals.digest");
  await using copy = await copyStandIn("canned");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  });
  const { asker, approver } = await teamOf(server);
  const admin = await server.key({ roles: ["admin"] });
  const setPolicy = async (name: string, text: string) => {
    await Deno.writeTextFile(server.folder.file(`policies/${name}`), text);
    const { json } = await server.ask("/config/reload", {
      method: "POST",
      key: admin.secret,
    });
    assert.deepEqual(json.problems, []);
  };
  const id = await askFor(server, asker);
  await setPolicy(
    "stricter.cedar",
    '@id("stricter") forbid (principal, action in Action::"scan", resource) when { resource.tags.contains("production") } unless { context.approved };',
  );
  const granted = await decide(server, approver, id);
  assert.deepEqual([granted.json.status, granted.json.scan_id], [
    "granted",
    null,
  ], "the new policy was not asked");
  const anew = await scan(server, asker, PRODUCTION);
  assert.equal(anew.json.code, "approval_required");
  assert.notEqual(anew.json.approval_id, id);
  assert.match(
    anew.json.detail,
    /policy second-person-for-production, stricter/,
  );

  await setPolicy(
    "stricter.cedar",
    '@id("freeze") forbid (principal, action in Action::"scan", resource);',
  );
  const frozen = await decide(server, approver, anew.json.approval_id);
  assert.equal(frozen.json.scan_id, null);
  const refused = await scan(server, asker, PRODUCTION);
  assert.deepEqual([refused.status, refused.json.code], [403, "policy_denied"]);
  assert.deepEqual(await scansOf(copy), []);

  // The freeze is over: what was granted is still good, once.
  await setPolicy("stricter.cedar", "");
  const used = await scan(server, asker, PRODUCTION);
  assert.equal(used.status, 200, used.text);
  assert.equal(used.json.status, "succeeded");
  assert.equal((await scansOf(copy)).length, 1);
});

Deno.test("an identical scan that runs already uses the approval up", async () => {
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
  });
  const { asker, other, approver } = await teamOf(server);
  const [one, two] = [
    await askFor(server, asker),
    await askFor(server, other),
  ];
  const first = await decide(server, approver, one);
  const joined = await decide(server, approver, two);
  assert.match(first.json.scan_id, /^[0-9a-z]{26}$/);
  assert.equal(joined.json.scan_id, first.json.scan_id);
  await copy.open();
  await ended(server, asker, first.json.scan_id);
  const again = await scan(server, other, PRODUCTION);
  assert.equal(again.json.scan_id, first.json.scan_id);
  assert.equal((await scansOf(copy)).length, 1);
});

Deno.test("an approved scan that found no place or was cancelled is no answer: a second person is asked anew", async () => {
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    policies: await policies(),
    env: {
      MCP_SECURITY_MAX_CONCURRENT_SCANS: "1",
      MCP_SECURITY_MAX_QUEUED_SCANS: "0",
    },
  });
  const { asker, approver } = await teamOf(server);
  const busy = await scan(server, asker, {
    ...{ target: "127.0.0.2", ports: "22", background: true },
  });
  await until("the scanner", async () => await copy.alive() === 1);
  const first = await askFor(server, asker);
  const full = await decide(server, approver, first);
  const refused = await ended(server, asker, full.json.scan_id);
  assert.equal(refused.error.code, "queue_full");
  await copy.open();
  await ended(server, asker, busy.json.scan_id);

  const second = await askFor(server, asker);
  assert.notEqual(second, first);
  const { json } = await decide(server, approver, second);
  await until("the scanner", async () => await copy.alive() === 1);
  const cancelled = await server.ask(`/v1/scans/${json.scan_id}`, {
    method: "DELETE",
    key: asker.secret,
  });
  assert.ok(cancelled.status < 300, cancelled.text);
  assert.equal(
    (await ended(server, asker, json.scan_id)).status,
    "cancelled",
  );
  const third = await askFor(server, asker);
  assert.ok(![first, second].includes(third));
  assert.equal((await scansOf(copy)).length, 2);
});

Deno.test("the real nmap scans what was approved", async () => {
  await using server = await HttpServer.start({
    tenants: TENANTS,
    policies: await policies(),
  });
  const { asker, approver } = await teamOf(server);
  const port = Number(new URL(server.url).port);
  const body = { ...PRODUCTION, ports: String(port) };
  const id = await askFor(server, asker, body);
  const { json } = await decide(server, approver, id);
  const done = await ended(server, asker, json.scan_id);
  assert.equal(done.status, "succeeded", JSON.stringify(done));
  assert.match(JSON.stringify(done.report), new RegExp(String(port)));
});

/** The SDKs' HTTP clients leave requests behind when they close. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

const CONFIRM = { target: "127.0.0.1", ports: "22", tags: ["confirm"] };

interface Peer extends AsyncDisposable {
  readonly copy: StandInCopy;
  readonly folder: HttpFolder;
  call(
    generation: Generation,
    options: ClientOptions,
    given: Record<string, unknown>,
  ): Promise<ToolAnswer>;
}

/** A server over HTTP, and clients that are joined to it with a key of the tenant red. */
async function overHttp(): Promise<Peer & { readonly server: HttpServer }> {
  const stack = new AsyncDisposableStack();
  const copy = stack.use(await copyStandIn("canned"));
  const folder = stack.use(await HttpFolder.make());
  const server = stack.use(
    await HttpServer.start({
      folder,
      path: [copy.path],
      tenants: TENANTS,
      policies: await policies(),
    }),
  );
  const { secret } = await server.key({ tenant: "red", name: "model" });
  return {
    ...{ copy, folder, server },
    call: async (generation, options, given) => {
      const client = clientFor(generation, options);
      const send = (url: string | URL, init?: RequestInit) => {
        const headers = new Headers(init?.headers);
        headers.set("authorization", `Bearer ${secret}`);
        return fetch(url, { ...init, headers });
      };
      const url = new URL(`${server.url}/mcp`);
      await connectHttp(client, generation, send, url);
      try {
        return await callTool(client, generation, "nmap", given);
      } finally {
        await client.close();
      }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The flags of `deno task serve`, with the same policies. */
async function overStdio(): Promise<Peer> {
  const stack = new AsyncDisposableStack();
  const copy = stack.use(await copyStandIn("canned"));
  const folder = stack.use(await HttpFolder.make());
  await Deno.mkdir(folder.file("policies"));
  const schema = "schema.cedarschema";
  const texts = await policies();
  texts[schema] = await Deno.readTextFile(`${ROOT}config/policies/${schema}`);
  for (const [name, text] of Object.entries(texts)) {
    await Deno.writeTextFile(folder.file(`policies/${name}`), text);
  }
  const { program, args, env } = prepareServer({
    path: [copy.path],
    env: {
      MCP_STATE_FOLDER: folder.state,
      MCP_POLICY_FOLDER: folder.file("policies"),
    },
    edit: (flags) => withFolders(flags, folder.state, folder.file("policies")),
  });
  return {
    ...{ copy, folder },
    call: async (generation, options, given) => {
      const child = new Deno.Command(program, {
        ...{ args: [...args], env: { ...env }, cwd: ROOT },
        ...{ stdin: "piped", stdout: "piped", stderr: "null" },
      }).spawn();
      const client = clientFor(generation, options);
      const transport = new LineTransport({
        input: child.stdout,
        output: child.stdin,
      });
      await client.connect(transport);
      try {
        return await callTool(client, generation, "nmap", given);
      } finally {
        await client.close();
        await child.stdin.close().catch(() => {});
        assert.equal((await child.status).code, 0);
      }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** What every client sees, whichever way it is joined. */
async function asksItsUser(
  peer: Peer,
  generation: Generation,
  transport: string,
): Promise<void> {
  const { copy } = peer;
  const before = (await scansOf(copy)).length;
  const unable = await peer.call(generation, {}, CONFIRM);
  assert.equal(unable.isError, true);
  assert.match(
    unable.text,
    /a second person has to approve this \(apr_[0-9a-z]{26}, policy confirm-by-the-user\)/,
  );
  assert.match(
    unable.text,
    /A person has to approve this first; tell the user/,
  );

  const questions: string[] = [];
  const elicit = (approve: boolean) => (message: string) => {
    questions.push(message);
    return Promise.resolve(
      approve
        ? { action: "accept" as const, content: { approve } }
        : { action: "decline" as const },
    );
  };
  const declined = await peer.call(
    generation,
    { elicit: elicit(false) },
    CONFIRM,
  );
  assert.equal(declined.isError, true);
  assert.match(declined.text, /your user was asked and did not approve/);
  assert.equal((await scansOf(copy)).length, before);

  const accepted = await peer.call(
    generation,
    { elicit: elicit(true) },
    CONFIRM,
  );
  assert.equal(accepted.isError, false, accepted.text);
  assert.equal(accepted.structured["status"], "succeeded");
  assert.equal((await scansOf(copy)).length, before + 1);
  assert.equal(questions.length, 2);
  assert.match(questions[0] ?? "", /^May nmap scan 127\.0\.0\.1\?\n/);
  assert.match(questions[0] ?? "", /confirm-by-the-user/);

  // The user of the client is nobody's second person where policy wants an approver.
  const held = await peer.call(generation, {
    elicit: () => assert.fail("the user was asked"),
  }, PRODUCTION);
  assert.equal(held.isError, true);
  assert.match(held.text, /policy second-person-for-production/);
  assert.equal((await scansOf(copy)).length, before + 1);

  const entries = await auditOf(peer.folder);
  const approved = entries.find(({ kind, operation }) =>
    kind === "decision" && operation === "approve"
  );
  assert.deepEqual(
    [approved?.outcome, approved?.who.transport],
    ["allowed", transport],
  );
}

for (const generation of GENERATIONS) {
  Deno.test(
    `the user of an MCP client over HTTP is asked where policy says so (${generation})`,
    SDK_CLIENT,
    async () => {
      verifies("mcp.approval.elicit");
      await using peer = await overHttp();
      await asksItsUser(peer, generation, "http");
      const { secret } = await peer.server.key({ tenant: "red" });
      const { json } = await peer.server.ask("/v1/approvals?status=granted", {
        key: secret,
      });
      assert.match(json.approvals[0].decided_by, /^user of key:/);
      await peer.server.stop();
      const verified = await command(peer.folder, "audit", ["verify"]);
      assert.equal(verified.code, 0, verified.text);
    },
  );
}

for (const generation of ["v2 at 2026-07-28", "v1 at 2025-11-25"] as const) {
  Deno.test(
    `the user of an MCP client over stdio is asked where policy says so (${generation})`,
    SDK_CLIENT,
    async () => {
      verifies("mcp.approval.elicit");
      await using peer = await overStdio();
      await asksItsUser(peer, generation, "stdio");
      const verified = await command(peer.folder, "audit", ["verify"]);
      assert.equal(verified.code, 0, verified.text);
    },
  );
}

/** Moves the end of a request's time; the least that can be configured is longer than a test. */
function setExpiry(folder: HttpFolder, id: string, at: number): void {
  setApproval(folder, id, "expires_at", at);
}

/** Changes a request's row while no server runs. */
function setApproval(
  folder: HttpFolder,
  id: string,
  column: "expires_at" | "scan_id",
  value: number | null,
): void {
  const database = new DatabaseSync(`${folder.state}/scans.db`);
  try {
    const { changes } = database.prepare(
      `update approvals set ${column} = ? where id = ?`,
    ).run(value, id);
    assert.equal(changes, 1);
  } finally {
    database.close();
  }
}
