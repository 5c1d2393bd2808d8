/**
 * How much a client and a tenant may ask for, through the real server: requests a minute, quotas an
 * hour, and whose turn it is.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { Cage, edit } from "../support/cage.ts";
import { type Answer, HttpServer, type TestKey } from "../support/http.ts";
import { copyStandIn, standIn } from "../support/stand_ins.ts";
import {
  askFor,
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

const TENANTS = ["red", "blue"];

const HOST = { target: "127.0.0.1", ports: "22" };

/** Three operators: two of the tenant red, one of blue. */
async function clientsOf(
  server: HttpServer,
): Promise<readonly [TestKey, TestKey, TestKey]> {
  return await server.keys([
    { name: "one", tenant: "red" },
    { name: "two", tenant: "red" },
    { name: "three", tenant: "blue" },
  ]) as [TestKey, TestKey, TestKey];
}

/** What a tenant used, by quota, as the admin of the tenant sees it. */
async function usesOf(
  server: HttpServer,
  admin: TestKey,
): Promise<Record<string, number>> {
  const { json } = await server.ask("/v1/tenants", { key: admin.secret });
  assert.equal(json.tenants.length, 1);
  return Object.fromEntries(
    json.tenants[0].quotas.map((
      { name, used }: { name: string; used: number },
    ) => [name, used]),
  );
}

function limitedTo({ status, headers, json }: Answer, what: RegExp): number {
  assert.deepEqual([status, json.code], [429, "quota_exceeded"], what.source);
  assert.match(json.detail, what);
  const seconds = Number(headers.get("retry-after") ?? 0);
  assert.equal(json.retry_after ?? 0, seconds);
  return seconds;
}

Deno.test("a client over its limit is refused with 429, says the fields how it stands, and others go on", async () => {
  verifies("http.limits", "rates.both");
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    tenants: TENANTS,
    env: {
      MCP_LIMITS_REQUESTS_PER_MINUTE: "3",
      MCP_LIMITS_TENANT_REQUESTS_PER_MINUTE: "5",
    },
  });
  const [one, two, three] = await clientsOf(server);
  const ask = ({ secret }: TestKey) => server.ask("/tools", { key: secret });
  const first = await ask(one);
  assert.equal(first.status, 200);
  assert.equal(
    first.headers.get("ratelimit-policy"),
    '"client";q=3;w=60, "tenant";q=5;w=60',
  );
  assert.match(
    first.headers.get("ratelimit") ?? "",
    /^"client";r=2;t=(60|59), "tenant";r=4;t=(60|59)$/,
  );
  for (let time = 0; time < 2; time++) {
    assert.equal((await ask(one)).status, 200);
  }
  for (let time = 0; time < 4; time++) {
    const { status, headers, json } = await ask(one);
    assert.deepEqual([status, json.code], [429, "rate_limited"]);
    assert.match(
      json.detail,
      /^Cannot take the request: this client sent 3 in this minute, the most allowed \(limits\.requests_per_minute\); retry after \d+ s$/,
    );
    const retryAfter = Number(headers.get("retry-after"));
    assert.ok(retryAfter > 50 && retryAfter <= 60, String(retryAfter));
    assert.equal(json.retry_after, retryAfter);
    assert.match(
      headers.get("ratelimit") ?? "",
      /^"client";r=0;t=\d+, "tenant";r=2;t=\d+$/,
    );
  }
  // What was refused used up nothing of the tenant's.
  assert.equal((await ask(two)).status, 200);
  assert.equal((await ask(two)).status, 200);
  const refused = await ask(two);
  assert.equal(refused.status, 429);
  assert.match(
    refused.json.detail,
    /the clients of this tenant sent 5 .*limits\.tenant_requests_per_minute/,
  );
  assert.match(
    refused.headers.get("ratelimit") ?? "",
    /^"client";r=1;t=\d+, "tenant";r=0;t=\d+$/,
  );
  assert.equal((await ask(three)).status, 200, "another tenant");
  assert.equal((await server.ask("/health/live")).status, 200);
});

Deno.test("the quotas of scans and addresses count what is scanned and give back the rest", async () => {
  verifies("http.quotas");
  await using copy = await copyStandIn("canned");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    policies: await shippedAnd({ "second_person.cedar": SECOND_PERSON }),
    env: {
      MCP_LIMITS_SCANS_PER_HOUR: "4",
      MCP_LIMITS_TARGETS_PER_HOUR: "300",
    },
  });
  const [one, two, three] = await clientsOf(server);
  const [admin, approver] = await server.keys([
    { tenant: "red", roles: ["admin"] },
    { tenant: "red", roles: ["approver"] },
  ]) as [TestKey, TestKey];
  const uses = async () => {
    const { scans_per_hour, targets_per_hour } = await usesOf(server, admin);
    return [scans_per_hour, targets_per_hour];
  };
  assert.deepEqual(await uses(), [0, 0]);

  // Nothing of this is scanned, so nothing of it counts.
  for (
    const [body, code] of [
      [{ target: "8.8.8.8" }, "target_not_allowed"],
      [{ target: "127.0.0.1", ports: "none" }, "invalid_arguments"],
      [{ target: "127.0.0.0/16" }, "network_too_large"],
      [{ target: "127.0.0.1", timing: 5 }, "intrusive_not_allowed"],
      [PRODUCTION, "approval_required"],
    ] as const
  ) {
    const { json } = await scan(server, one, body);
    assert.equal(json.code, code, json.detail);
  }
  const planned = await scan(server, one, { ...HOST, plan: true });
  assert.equal(planned.status, 200);
  assert.deepEqual(await uses(), [0, 0]);

  const tooMany = await scan(server, one, { target: "127.0.0.0/23" });
  limitedTo(
    tooMany,
    /0 of 300 addresses .*\(limits\.targets_per_hour\) and this scan takes 512, more than all of them/,
  );
  assert.deepEqual(await uses(), [0, 0]);

  const keyed = { ...HOST, idempotency_key: "k-1" };
  const first = await scan(server, one, keyed);
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(await uses(), [1, 1]);
  for (let time = 0; time < 3; time++) {
    const again = await scan(server, one, keyed);
    assert.equal(again.json.scan_id, first.json.scan_id);
  }
  assert.deepEqual(await uses(), [1, 1], "a replayed key takes nothing");

  // What was approved counts when it is scanned, once.
  const id = await askFor(server, one);
  const granted = await decide(server, approver, id);
  await ended(server, one, granted.json.scan_id);
  await scan(server, one, PRODUCTION);
  assert.deepEqual(await uses(), [2, 2]);

  const wide = await scan(server, two, { target: "127.0.0.0/24" });
  assert.equal(wide.status, 200);
  assert.deepEqual(await uses(), [3, 258]);
  const seconds = limitedTo(
    await scan(server, one, { target: "127.0.1.0/26" }),
    /258 of 300 addresses .* and this scan takes 64; enough comes back in \d+ s/,
  );
  assert.ok(seconds > 3_500 && seconds <= 3_660, String(seconds));
  assert.deepEqual(await uses(), [3, 258]);
  assert.equal((await scan(server, one, HOST)).status, 200);
  limitedTo(
    await scan(server, two, HOST),
    /4 of 4 scans of this tenant are used in this hour \(limits\.scans_per_hour\)/,
  );
  assert.equal((await scan(server, three, HOST)).status, 200, "another tenant");
  assert.equal((await scansOf(copy)).length, 5);
});

Deno.test("an idempotency key whose request was refused by a quota is good for a scan once there is one", async () => {
  const limited = (scans: number) => `limits:\n  scans_per_hour: ${scans}\n`;
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    config: limited(1),
  });
  const [client, admin] = await server.keys([{}, { roles: ["admin"] }]) as [
    TestKey,
    TestKey,
  ];
  assert.equal((await scan(server, client, HOST)).status, 200);
  const keyed = { ...HOST, idempotency_key: "k-1" };
  limitedTo(await scan(server, client, keyed), /1 of 1 scans/);
  await Deno.writeTextFile(server.folder.file("config.yaml"), limited(2));
  const { json } = await server.ask("/config/reload", {
    method: "POST",
    key: admin.secret,
  });
  assert.deepEqual(json, { applied: true, problems: [], waiting: [] });
  const done = await scan(server, client, keyed);
  assert.deepEqual([done.status, done.json.status], [200, "succeeded"]);
  const again = await scan(server, client, keyed);
  assert.equal(again.json.scan_id, done.json.scan_id);
});

Deno.test("a scan that is joined or answered by an earlier one takes nothing of a quota", async () => {
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    env: { MCP_LIMITS_SCANS_PER_HOUR: "1", MCP_CACHE_TTL_SECONDS: "600" },
  });
  const [one, two] = await clientsOf(server);
  const both = [scan(server, one, HOST), scan(server, two, HOST)];
  await copy.open();
  const [first, second] = await Promise.all(both);
  assert.deepEqual([first?.status, second?.status], [200, 200]);
  assert.equal(first?.json.scan_id, second?.json.scan_id);
  const cached = await scan(server, two, HOST);
  assert.deepEqual(
    [cached.status, cached.json.scan_id],
    [200, first?.json.scan_id],
  );
  limitedTo(
    await scan(server, two, { ...HOST, no_cache: true }),
    /1 of 1 scans/,
  );
  assert.equal((await scansOf(copy)).length, 1);
});

Deno.test("masscan's packets are bounded too", async () => {
  verifies("http.quotas");
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    tenants: TENANTS,
    // masscan takes no loopback for a target; the stand-in sends nothing, and could not here.
    offline: true,
    env: {
      MCP_LIMITS_PACKETS_PER_HOUR: "1000",
      MCP_MASSCAN_WAIT_SECONDS: "1",
    },
  });
  const [one] = await clientsOf(server);
  const masscan = (ports: string) =>
    server.ask("/tools/masscan/execute", {
      key: one.secret,
      body: { target: "10.0.0.1", ports },
    });
  limitedTo(
    await masscan("1-2000"),
    /0 of 1000 packets .*\(limits\.packets_per_hour\)/,
  );
  const allowed = await masscan("1-300");
  assert.notEqual(allowed.json.code, "quota_exceeded");
  limitedTo(await masscan("1-300"), /600 of 1000 packets/);
});

Deno.test("the scanners' processor time is bounded too, and waiting costs none of it", async () => {
  verifies("http.quotas", "quotas.cpu_seconds");
  await using copy = await copyStandIn("slow");
  // Through a launcher, which counts; port 7 is work, every other one waits.
  const work =
    'case "$*" in *"-p 7 "*) i=0; while [ $i -lt 2000000 ]; do i=$((i + 1)); done; exit 1 ;; esac\n';
  await edit(`${copy.path}/nmap`, "xml_head\n", `${work}xml_head\n`);
  await using cage = await Cage.of("none", `${copy.path}/nmap`);
  await using server = await HttpServer.start({
    path: [`${cage.folder}/none`],
    tenants: TENANTS,
    env: { MCP_LIMITS_CPU_SECONDS_PER_HOUR: "1" },
  });
  const [one, two, three] = await clientsOf(server);
  const admin = await server.key({ tenant: "red", roles: ["admin"] });
  const used = async () =>
    (await usesOf(server, admin))["cpu_seconds_per_hour"] ?? NaN;
  const wait = async (ports: string) => {
    const { status, json } = await scan(server, one, {
      ...{ target: "127.0.0.1", ports, background: true },
    });
    assert.equal(status, 202, JSON.stringify(json));
    await until("the scanner", async () => await copy.alive() > 0);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await copy.open();
    return await ended(server, one, json.scan_id);
  };
  assert.equal((await wait("22")).status, "succeeded");
  const little = await used();
  assert.ok(little > 0 && little < 0.5, String(little));
  assert.equal((await wait("23")).status, "succeeded");

  const { json } = await scan(server, one, {
    ...{ target: "127.0.0.1", ports: "7", background: true },
  });
  await ended(server, one, json.scan_id);
  assert.ok(await used() > 1, String(await used()));
  const seconds = limitedTo(
    await scan(server, two, HOST),
    /of 1 processor seconds of this tenant are used in this hour \(limits\.cpu_seconds_per_hour\)/,
  );
  assert.ok(seconds > 3_500 && seconds <= 3_660, String(seconds));
  const other = await scan(server, three, { ...HOST, background: true });
  assert.equal(other.status, 202);
  await until("the other's", async () => await copy.alive() > 0);
  await copy.open();
  await ended(server, three, other.json.scan_id);
});

Deno.test("what found no place or was cancelled before its turn takes nothing of a quota", async () => {
  verifies("http.quotas");
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    env: {
      MCP_SECURITY_MAX_CONCURRENT_SCANS: "1",
      MCP_SECURITY_MAX_QUEUED_SCANS: "1",
      MCP_LIMITS_SCANS_PER_HOUR: "3",
    },
  });
  const [one] = await clientsOf(server);
  const admin = await server.key({ tenant: "red", roles: ["admin"] });
  const start = async (ports: string): Promise<string> => {
    const { status, json } = await scan(server, one, {
      ...{ target: "127.0.0.1", ports, background: true },
    });
    assert.equal(status, 202, JSON.stringify(json));
    return json.scan_id;
  };
  const used = async () => (await usesOf(server, admin))["scans_per_hour"];
  const runs = await start("1");
  await until("the scanner", async () => await copy.alive() === 1);
  const waits = await start("2");
  assert.equal(await used(), 2, "what waits is reserved");
  const full = await ended(server, one, await start("3"));
  assert.equal(full.error.code, "queue_full");
  assert.equal(await used(), 2, "it was given back");
  const cancelled = await server.ask(`/v1/scans/${waits}`, {
    method: "DELETE",
    key: one.secret,
  });
  assert.ok(cancelled.status < 300, cancelled.text);
  await until("its share", async () => await used() === 1);
  await copy.open();
  await ended(server, one, runs);
  assert.equal(await used(), 1, "what ran is used");
});

Deno.test("a tenant runs no more scans at once than it may, whatever places are free", async () => {
  verifies("permits.tenant_limit");
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    env: { MCP_LIMITS_CONCURRENT_SCANS: "2" },
  });
  const [one, two, three] = await clientsOf(server);
  const start = async (key: TestKey, port: number): Promise<string> => {
    const { status, json } = await scan(server, key, {
      ...{ target: "127.0.0.1", ports: String(port), background: true },
    });
    assert.equal(status, 202);
    return json.scan_id;
  };
  const states = async (key: TestKey, ids: readonly string[]) =>
    (await Promise.all(ids.map(async (id) => {
      const { json } = await server.ask(`/v1/scans/${id}`, {
        key: key.secret,
      });
      return json.status;
    }))).toSorted();
  const red = [
    await start(one, 1),
    await start(two, 2),
    await start(one, 3),
    await start(two, 4),
  ];
  const blue = [await start(three, 1)];
  await until("the three", async () => await copy.alive() === 3);
  assert.deepEqual(await states(one, red), [
    "queued",
    "queued",
    "running",
    "running",
  ]);
  assert.deepEqual(await states(three, blue), ["running"]);
  using _gate = await letGo(copy, 5);
  for (const id of red) {
    assert.equal((await ended(server, one, id)).status, "succeeded");
  }
});

Deno.test("a thousand requests of one tenant do not starve another's one, and it is the flooder who hears queue_full", async () => {
  verifies("permits.fair_queue_bound", "permits.fair_tenants");
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    tenants: TENANTS,
    env: {
      MCP_SECURITY_MAX_CONCURRENT_SCANS: "2",
      MCP_LIMITS_REQUESTS_PER_MINUTE: "0",
      MCP_LIMITS_TENANT_REQUESTS_PER_MINUTE: "0",
    },
  });
  const [flooder, , other] = await clientsOf(server);
  const flood: string[] = [];
  const codes = new Map<string, number>();
  for (let batch = 0; batch < 10; batch++) {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        scan(server, flooder, {
          target: "127.0.0.1",
          ports: String(1 + batch * 100 + at),
          background: true,
        })),
    );
    for (const { status, json } of answers) {
      const word = String(status === 202 ? 202 : json.code);
      codes.set(word, (codes.get(word) ?? 0) + 1);
      if (status === 202) flood.push(json.scan_id);
    }
  }
  assert.equal([...codes.values()].reduce((sum, one) => sum + one, 0), 1_000);
  assert.deepEqual([...codes.keys()].filter((word) => word !== "202"), []);
  await until("both places", async () => await copy.alive() === 2);

  const single = await scan(server, other, { ...HOST, background: true });
  assert.equal(single.status, 202, "a full queue makes room for it");
  assert.equal(
    (await server.ask(`/v1/scans/${single.json.scan_id}`, {
      key: other.secret,
    })).json.status,
    "queued",
  );
  // The next place that is free is its.
  await copy.open();
  await until("its turn", async () => {
    const { json } = await server.ask(`/v1/scans/${single.json.scan_id}`, {
      key: other.secret,
    });
    return json.status === "running";
  });
  const { json } = await server.ask("/v1/scans?status=succeeded", {
    key: flooder.secret,
  });
  assert.equal(json.scans.length, 1, "one place was given back so far");

  const full = await server.ask("/v1/scans?status=failed&limit=100", {
    key: flooder.secret,
  });
  assert.equal(full.json.scans.length, 100);
  assert.deepEqual(
    [
      ...new Set(
        full.json.scans.map((one: { error: { code: string } }) =>
          one.error.code
        ),
      ),
    ],
    ["queue_full"],
  );
  // The place in the queue that came free is taken; who comes then is told at once.
  await scan(server, flooder, { target: "127.0.0.3", background: true });
  const waits = await scan(server, flooder, { target: "127.0.0.2" });
  assert.deepEqual([waits.status, waits.json.code], [503, "queue_full"]);
  assert.ok(Number(waits.headers.get("retry-after")) > 0);
  const theirs = await server.ask("/v1/scans?status=failed", {
    key: other.secret,
  });
  assert.deepEqual(theirs.json.scans, []);
  assert.ok((await scansOf(copy)).length <= 3);
});
