/**
 * Scans that last, seen from a client: what a killed server leaves behind, servers that share a state
 * folder, a disk that is full, and the same request again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { descendantsOf } from "../support/processes.ts";
import type { Server } from "../support/server.ts";
import { ask, logged } from "./fixtures/served.ts";
import {
  allScans,
  auditEntries,
  type Lasting,
  until,
  verifyAudit,
  withLasting,
} from "./fixtures/lasting.ts";
import { verifies } from "../requirements.ts";

/** A scan of the stand-in `trickle` that finds so many hosts, told apart by a number. */
function trickle(hosts: number, number = 1): Readonly<Record<string, unknown>> {
  return { target: "127.0.0.0/29", ports: String(1_000 + number * 10 + hosts) };
}

/** How many hosts of a scan are kept. */
async function keptHosts(lasting: Lasting, id: string): Promise<number> {
  await using store = await lasting.store();
  return (await store.getScan(id)).hostCount;
}

/** What `server://health` says of a check, and of everything. */
async function healthOf(
  server: Server,
  check: string,
): Promise<readonly [string, string]> {
  const { contents } = await server.request("resources/read", {
    uri: "server://health",
  }) as { contents: { text: string }[] };
  const health = JSON.parse(contents[0]?.text ?? "") as {
    status: string;
    checks: { name: string; status: string }[];
  };
  const found = health.checks.find(({ name }) => name === check);
  return [health.status, found?.status ?? "none"];
}

Deno.test("a killed server keeps the hosts that it has seen, and its scan becomes interrupted", async () => {
  verifies("scans.resume");
  await using lasting = await withLasting("trickle");
  let id = "";
  {
    await using server = lasting.start();
    await server.initialize();
    const call = { ...trickle(4), background: true };
    id = (await ask(server, "nmap", call)).scan_id ?? "";
    await lasting.copy.open();
    await until(
      "two hosts in the store",
      async () => await keptHosts(lasting, id) === 2,
    );
    server.kill("SIGKILL");
    await server.ended;
  }
  await using server = lasting.start();
  await server.initialize();
  const status = await ask(server, "scan_status", { scan_id: id });
  assert.equal(status.status, "interrupted");
  assert.equal(status["finished_at"] === null, false);
  const { report } = await ask(server, "scan_results", { scan_id: id });
  assert.equal(report?.partial, true);
  assert.deepEqual(
    report?.hosts.map(({ address, ports }) => [address, ports.length]),
    [["127.0.0.1", 3], ["127.0.0.2", 3]],
  );
  const { scans = [] } = await ask(server, "scan_list", {});
  assert.deepEqual(scans.map(({ scan_id }) => scan_id), [id]);
});

Deno.test("with scans.resume: requeue a killed server's scan runs again, under its own id", async () => {
  verifies("scans.resume");
  await using lasting = await withLasting("trickle");
  const env = { MCP_SCANS_RESUME: "requeue" };
  let id = "";
  {
    await using server = lasting.start({ env });
    await server.initialize();
    const call = { ...trickle(2), background: true };
    id = (await ask(server, "nmap", call)).scan_id ?? "";
    await until(
      "a host in the store",
      async () => await keptHosts(lasting, id) === 1,
    );
    server.kill("SIGKILL");
    await server.ended;
    // Its child notices when it prints; a launcher would have ended it with the server.
    await lasting.copy.open();
    await until("its end", async () => await lasting.copy.alive() === 0);
  }
  await using server = lasting.start({ env });
  await server.initialize();
  await logged(server, "scan started");
  await lasting.copy.open();
  await lasting.copy.open();
  await logged(server, "scan ended");
  const { status, report } = await ask(server, "scan_results", { scan_id: id });
  assert.deepEqual([status, report?.partial], ["succeeded", false]);
  assert.equal(report?.hosts.length, 2);
  await using store = await lasting.store();
  assert.equal((await allScans(store)).length, 1);
  // The record says who asked, and that it was not asked for a second time.
  const text = JSON.stringify(await auditEntries(lasting.state));
  assert.match(text, /test 1\.0\.0 \(queued before a restart\)/);
});

Deno.test("SIGTERM gives scans the grace, cancels the others, and ends with every child gone", async () => {
  verifies("scans.shutdown");
  await using lasting = await withLasting("trickle");
  const env = {
    MCP_SERVER_SHUTDOWN_GRACE_SECONDS: "2",
    MCP_NMAP_CONCURRENCY: "2",
  };
  const ids: string[] = [];
  {
    await using server = lasting.start({ env });
    await server.initialize();
    // The first waits for the gate once; the second runs for ever; the third has no place.
    for (const [at, hosts] of [1, 5, 5].entries()) {
      const call = { ...trickle(hosts, at), background: true };
      ids.push((await ask(server, "nmap", call)).scan_id ?? "");
      if (at < 2) await logged(server, "scan started", at + 1);
    }
    await until(
      "hosts of both in the store",
      async () =>
        await keptHosts(lasting, ids[0] ?? "") === 1 &&
        await keptHosts(lasting, ids[1] ?? "") >= 1,
    );
    const start = performance.now();
    server.kill("SIGTERM");
    // Whichever hears it: a line for each of the two lets the first one end.
    await lasting.copy.open();
    await lasting.copy.open();
    assert.equal((await server.ended).code, 0, server.stderr);
    const seconds = (performance.now() - start) / 1_000;
    assert.ok(seconds >= 2 && seconds < 8, `${seconds} s`);
    assert.deepEqual(await descendantsOf(server.pid), []);
  }
  assert.equal(await lasting.copy.alive(), 0);
  await using store = await lasting.store();
  const [first, second, third] = await Promise.all(
    ids.map((id) => store.getScan(id)),
  );
  assert.equal(second?.status, "cancelled");
  assert.ok((second?.hostCount ?? 0) >= 1, "what it saw is kept");
  assert.equal(third?.status, "cancelled");
  assert.ok(
    first?.status === "succeeded" || first?.status === "cancelled",
    first?.status,
  );
  assert.equal(await store.countAlive(), 0);
  const ended = (await auditEntries(lasting.state))
    .filter(({ kind }) => kind === "scan_ended");
  assert.deepEqual(ended.map(({ scan_id }) => scan_id).sort(), ids.toSorted());
});

Deno.test("servers that share a state folder all work; only what a dead one left is interrupted", async () => {
  verifies("scans.shared_folder");
  await using lasting = await withLasting("trickle");
  await using one = lasting.start();
  await using two = lasting.start();
  await using three = lasting.start();
  const servers = [one, two, three];
  await Promise.all(servers.map((server) => server.initialize()));
  // Scans with an end, at once on all of them.
  const calls = servers.flatMap((server, at) =>
    [0, 1, 2, 3].map((number) =>
      ask(server, "nmap", trickle(0, at * 10 + number))
    )
  );
  const ended = await Promise.all(calls);
  assert.deepEqual([...new Set(ended.map(({ status }) => status))], [
    "succeeded",
  ]);
  // One of each that waits; the second server dies with its own.
  const waiting = await Promise.all(
    servers.map((server, at) =>
      ask(server, "nmap", { ...trickle(2, 50 + at), background: true })
    ),
  );
  const ids = waiting.map(({ scan_id = "" }) => scan_id);
  for (const id of ids) {
    await until(
      "a host in the store",
      async () => await keptHosts(lasting, id) === 1,
    );
  }
  two.kill("SIGKILL");
  await two.ended;
  await using four = lasting.start();
  await four.initialize();
  // Asked on a server that never had them.
  const states = async () =>
    await Promise.all(
      ids.map(async (id) =>
        (await ask(four, "scan_status", { scan_id: id })).status
      ),
    );
  assert.deepEqual(await states(), ["running", "interrupted", "running"]);
  // Two lines for each of the three that wait, the orphan among them, which ends at its first.
  for (let line = 0; line < 5; line++) await lasting.copy.open();
  for (const server of [one, three]) await logged(server, "scan ended", 5);
  assert.deepEqual(await states(), ["succeeded", "interrupted", "succeeded"]);
  const { report } = await ask(four, "scan_results", { scan_id: ids[0] });
  assert.equal(report?.hosts.length, 2);
  await using store = await lasting.store();
  assert.deepEqual(await store.check(), []);
  const kept = (await allScans(store)).map(({ id }) => id);
  const answered = [...ended.map(({ scan_id = "" }) => scan_id), ...ids];
  assert.deepEqual(kept.sort(), answered.sort());
  const log = await verifyAudit(lasting.state);
  assert.ok(log.ok, JSON.stringify(log.bad));
  const started = (await auditEntries(lasting.state))
    .filter(({ kind }) => kind === "scan_started");
  assert.deepEqual(started.map(({ scan_id }) => scan_id).sort(), kept.sort());
});

Deno.test("the same key gives the same scan on every server and after a restart; another request conflicts", async () => {
  await using lasting = await withLasting("canned");
  const call = { target: "127.0.0.1", ports: "80", idempotency_key: "nightly" };
  let id: string | undefined;
  {
    await using one = lasting.start();
    await using two = lasting.start();
    await Promise.all([one.initialize(), two.initialize()]);
    const answers = await Promise.all(
      [one, two, one, two].map((server) => ask(server, "nmap", call)),
    );
    id = answers[0]?.scan_id;
    assert.ok(id);
    assert.deepEqual([...new Set(answers.map(({ scan_id }) => scan_id))], [id]);
  }
  await using server = lasting.start();
  await server.initialize();
  // The order of the arguments says nothing.
  const again = {
    idempotency_key: "nightly",
    ports: "80",
    target: "127.0.0.1",
  };
  const same = await ask(server, "nmap", again);
  assert.deepEqual([same.scan_id, same.status], [id, "succeeded"]);
  const other = await ask(server, "nmap", { ...call, ports: "81" });
  assert.equal(other.error?.code, "conflict");
  assert.match(other.error?.message ?? "", /use a new key/);
  const elsewhere = await ask(server, "gobuster", {
    mode: "dir",
    target: "http://127.0.0.1/",
    idempotency_key: "nightly",
  });
  assert.equal(elsewhere.error?.code, "conflict");
  const scans = (await lasting.copy.starts()).filter((line) =>
    line.includes(" -p 80 ")
  );
  assert.equal(scans.length, 1);
  await using store = await lasting.store();
  assert.equal((await allScans(store)).length, 1);
});

Deno.test("an identical request within cache.ttl_seconds is answered by the scan before, and says so", async () => {
  verifies("cache.over_servers");
  await using lasting = await withLasting("canned");
  const call = { target: "127.0.0.1", ports: "80" };
  const env = { MCP_CACHE_TTL_SECONDS: "600" };
  let first: Awaited<ReturnType<typeof ask>> = {};
  {
    await using server = lasting.start({ env });
    await server.initialize();
    first = await ask(server, "nmap", call);
    assert.equal(first["cached"], undefined);
  }
  {
    await using server = lasting.start({ env });
    await server.initialize();
    const second = await ask(server, "nmap", call);
    assert.deepEqual([second.scan_id, second["cached"]], [first.scan_id, true]);
    assert.ok(
      Number(second["cached_age_seconds"] ?? second["age_seconds"]) >= 0,
    );
    assert.deepEqual(second.report, first.report);
    const forced = await ask(server, "nmap", { ...call, no_cache: true });
    assert.notEqual(forced.scan_id, first.scan_id);
    assert.equal(forced["cached"], undefined);
    const another = await ask(server, "nmap", { ...call, ports: "81" });
    assert.notEqual(another.scan_id, first.scan_id);
    const keyed = await ask(server, "nmap", { ...call, idempotency_key: "k" });
    assert.notEqual(keyed.scan_id, first.scan_id);
  }
  const decisions = (await auditEntries(lasting.state))
    .filter(({ kind, rule }) => kind === "decision" && rule === "cache");
  assert.deepEqual(decisions.map(({ scan_id }) => scan_id), [first.scan_id]);
  // Off by default.
  await using server = lasting.start();
  await server.initialize();
  const off = await ask(server, "nmap", call);
  assert.notEqual(off.scan_id, first.scan_id);
  assert.equal(off["cached"], undefined);
});

Deno.test("no scan starts while the audit log cannot be written, health says so, and both recover", async () => {
  await using lasting = await withLasting("canned");
  await using server = lasting.start();
  await server.initialize();
  const call = (ports: string, background = false) =>
    ask(server, "nmap", { target: "127.0.0.1", ports, background });
  const started = async () =>
    (await lasting.copy.starts()).filter((line) => line.includes(" -oX "))
      .length;
  assert.equal((await call("1")).status, "succeeded");
  // A file where the folder was: this stops root as well.
  const audit = `${lasting.state}/audit`;
  await Deno.rename(audit, `${audit}.away`);
  await Deno.writeTextFile(audit, "");
  for (const background of [false, true]) {
    const { error } = await call("2", background);
    assert.match(error?.message ?? "", /^Cannot record the request in the /);
    assert.equal(error?.code, "tool_unavailable");
  }
  assert.equal(await started(), 1);
  assert.deepEqual(await healthOf(server, "audit_log"), [
    "unhealthy",
    "unhealthy",
  ]);
  await Deno.remove(audit);
  await Deno.rename(`${audit}.away`, audit);
  await until(
    "an audit log that takes entries again",
    async () => (await healthOf(server, "audit_log"))[1] === "healthy",
  );
  assert.equal((await call("3")).status, "succeeded");
  assert.equal(await started(), 2);
  const log = await verifyAudit(lasting.state);
  assert.ok(log.ok, JSON.stringify(log.bad));
});

Deno.test("a failed or unfinished scan never answers from the cache", async () => {
  await using lasting = await withLasting("fails");
  await using server = lasting.start({ env: { MCP_CACHE_TTL_SECONDS: "600" } });
  await server.initialize();
  const call = { target: "127.0.0.1", ports: "80" };
  const first = await ask(server, "nmap", call);
  assert.equal(first.status, "failed");
  const second = await ask(server, "nmap", call);
  assert.notEqual(second.scan_id, first.scan_id);
});

Deno.test("a client with a strange name scans like any other, and its name is kept in a fit form", async () => {
  verifies("scans.client_name");
  await using lasting = await withLasting("canned");
  const names: readonly (readonly [string, string])[] = [
    ["", "a client without a name 1"],
    ["a\nb\u0000\ud800", "a b 1"],
    ["n".repeat(5_000), `${"n".repeat(63)}… 1`],
  ];
  const ids = await Promise.all(names.map(async ([name]) => {
    await using server = lasting.start();
    await server.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name, version: "1" },
    });
    server.notify("notifications/initialized");
    const call = { target: "127.0.0.1", ports: "80" };
    const { scan_id = "", status, error } = await ask(server, "nmap", call);
    assert.equal(status, "succeeded", JSON.stringify(error));
    return scan_id;
  }));
  await using store = await lasting.store();
  const kept = await Promise.all(ids.map((id) => store.getScan(id)));
  assert.deepEqual(
    kept.map(({ client }) => client),
    names.map(([, shown]) => shown),
  );
});

Deno.test("engagement and tags stay with a scan over restarts and cut every list", async () => {
  verifies("scans.labels_last");
  await using lasting = await withLasting("canned");
  const scans = [
    { ports: "1", engagement: "Acme 2026", tags: ["web", "nightly"] },
    { ports: "2", engagement: "Acme 2026", tags: ["db"] },
    { ports: "3", engagement: "Other", tags: ["web"] },
    { ports: "4" },
  ];
  const ids: string[] = [];
  {
    await using server = lasting.start();
    await server.initialize();
    for (const scan of scans) {
      const call = { target: "127.0.0.1", ...scan };
      const { scan_id = "" } = await ask(server, "nmap", call);
      ids.push(scan_id);
    }
  }
  await using server = lasting.start();
  await server.initialize();
  const status = await ask(server, "scan_status", { scan_id: ids[0] });
  assert.equal(status["engagement"], "Acme 2026");
  assert.deepEqual(status["tags"], ["nightly", "web"]);
  const cuts: readonly [Record<string, unknown>, readonly number[]][] = [
    [{}, [3, 2, 1, 0]],
    [{ engagement: "Acme 2026" }, [1, 0]],
    [{ tags: ["web"] }, [2, 0]],
    [{ tags: ["web", "nightly"] }, [0]],
    [{ engagement: "Other", tags: ["db"] }, []],
    [{ engagement: "acme 2026" }, []],
  ];
  for (const [filter, wanted] of cuts) {
    const { scans = [] } = await ask(server, "scan_list", filter);
    assert.deepEqual(
      scans.map(({ scan_id }) => ids.indexOf(scan_id ?? "")),
      wanted,
      JSON.stringify(filter),
    );
  }
  const services = async (
    filter: Record<string, unknown>,
  ) => (await ask(server, "inventory", { kind: "services", ...filter }));
  const none = await services({ engagement: "None" });
  assert.doesNotMatch(JSON.stringify(none), /127\.0\.0\.1/);
  const some = await services({ engagement: "Acme 2026", tags: ["db"] });
  assert.match(JSON.stringify(some), /127\.0\.0\.1/);
});
