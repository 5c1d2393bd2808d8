/**
 * Cases of the store's suite about whose something is: tenants, their API keys, and their requests for
 * approval. Both databases pass them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { compare } from "@/cli/history_diff.ts";
import type { StoredApproval } from "@/store/approval_rows.ts";
import { writeCursor } from "@/store/cursor.ts";
import type { StoredKey } from "@/store/key_rows.ts";
import { MIGRATIONS } from "@/store/migrations.ts";
import type { Store } from "@/store/store.ts";
import {
  all,
  type Case,
  host,
  newScan,
  NOON,
  port,
  refused,
  report,
  scanned,
} from "./store_cases.ts";

const DAY = 86_400_000;

/** The house, which has no label in the index, and two that have one. */
const TENANTS = ["default", "acme", "umbra"] as const;

/** What every tenant has alike. */
const SAME = {
  engagement: "spring",
  tags: ["web", "keep"],
  client: "ci",
  idempotencyKey: "k",
  requestDigest: "d",
} as const;

const nginx = (text: string) =>
  port(80, {
    service: "http",
    untrusted: { product: "nginx", banners: [{ kind: "title", text }] },
  });

/** Each tenant scans the same under the same names, and finds something of its own besides. */
async function fill(store: Store): Promise<void> {
  for (const [n, tenant] of TENANTS.entries()) {
    await scanned(store, `${tenant}-1`, [
      host("10.0.0.1", [nginx(`of ${tenant}`), port(9_000 + n)]),
      host(`10.0.${n + 1}.1`, [nginx("alone"), port(22, { state: "closed" })]),
    ], { ...SAME, tenant, at: NOON + n * DAY });
  }
}

/** What of a tenant a filter finds, by every way that there is. */
async function seenBy(
  store: Store,
  tenant: string,
  cut: { readonly engagement?: string; readonly tags?: readonly string[] },
): Promise<Record<string, readonly string[]>> {
  const filter = { tenant, ...cut };
  const orders = ["address", "recent"] as const;
  const inventory = await Promise.all(orders.map(async (order) => ({
    hosts: await all(
      (page) => store.inventoryHosts({ ...filter, order }, page),
      1,
    ),
    services: await all(
      (page) => store.inventoryServices({ ...filter, order }, page),
      1,
    ),
  })));
  const scans = await all((page) => store.listScans(filter, page), 1);
  const found = await all((page) => store.search("nginx", filter, page), 1);
  return {
    scans: scans.map(({ id, tenant }) => `${tenant} ${id}`),
    hosts: inventory.flatMap(({ hosts }) =>
      hosts.map((one) => `${one.address} ${one.firstScan} ${one.lastScan}`)
    ).sort(),
    services: inventory.flatMap(({ services }) =>
      services.map((one) => `${one.address}:${one.port} ${one.lastScan}`)
    ).sort(),
    found: found.map((one) => `${one.scanId} ${one.address}`),
  };
}

const TENANT_CASES: readonly Case[] = [
  {
    name: "tenants with the same names see their own and nothing else",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      for (const [n, tenant] of TENANTS.entries()) {
        const id = `${tenant}-1`;
        const twice = (lines: string[]) => [...lines, ...lines].sort();
        const expected = {
          scans: [`${tenant} ${id}`],
          hosts: twice([`10.0.0.1 ${id} ${id}`, `10.0.${n + 1}.1 ${id} ${id}`]),
          services: twice([
            `10.0.0.1:80 ${id}`,
            `10.0.0.1:${9_000 + n} ${id}`,
            `10.0.${n + 1}.1:80 ${id}`,
          ]),
          found: [`${id} 10.0.${n + 1}.1`, `${id} 10.0.0.1`],
        };
        const cuts = [
          {},
          { engagement: "spring" },
          { tags: ["web"] },
          { engagement: "spring", tags: ["web", "keep"] },
        ];
        for (const cut of cuts) {
          const seen = await seenBy(store, tenant, cut);
          assert.deepEqual(seen, expected, `${tenant} ${JSON.stringify(cut)}`);
        }
        const none = { scans: [], hosts: [], services: [], found: [] };
        const cut = { engagement: "autumn" };
        assert.deepEqual(await seenBy(store, tenant, cut), none);
        const { scans, services } = await store.stats(tenant);
        assert.deepEqual([scans.succeeded, services], [1, 3]);
      }
      const nobody = await seenBy(store, "nobody", { tags: ["web"] });
      assert.deepEqual(Object.values(nobody).flat(), []);
      assert.deepEqual(
        Object.values(await seenBy(store, "nobody", {})).flat(),
        [],
      );
      assert.equal((await store.stats()).scans.succeeded, 3);
      assert.deepEqual(await store.check(), []);
    },
  },
  {
    name: "every filter of a list is cut by the tenant",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      const lists = [
        { status: "succeeded" },
        { tool: "nmap" },
        { client: "ci" },
        { target: "10.0.0.1" },
        { requestDigest: "d" },
        { since: 0 },
        { until: NOON + 9 * DAY },
      ] as const;
      const services = [
        { port: 80 },
        { service: "http" },
        { product: "NGINX" },
        { subnet: "10.0.0.0/8" },
        { since: 0, port: 80 },
        { newSince: 1, service: "http", product: "nginx" },
      ];
      const searches = [
        { port: 80 },
        { subnet: "10.0.0.0/16" },
        { tool: "nmap" },
        { status: "succeeded" },
        { client: "ci" },
        { since: 0 },
        { product: "nginx" },
        { state: "open", protocol: "tcp" },
      ] as const;
      for (const [n, tenant] of TENANTS.entries()) {
        for (const filter of lists) {
          const found = await store.listScans({ tenant, ...filter }, {
            limit: 9,
          });
          const ids = found.items.map(({ id }) => id);
          assert.deepEqual(ids, [`${tenant}-1`], JSON.stringify(filter));
        }
        for (const filter of services) {
          const found = await store.inventoryServices(
            { tenant, ...filter },
            { limit: 9 },
          );
          assert.deepEqual(
            found.items.filter((one) => one.port === 80)
              .map((one) => `${one.address} ${one.lastScan}`),
            [`10.0.0.1 ${tenant}-1`, `10.0.${n + 1}.1 ${tenant}-1`],
            JSON.stringify(filter),
          );
        }
        for (const filter of searches) {
          const text = "alone";
          const found = await store.search(text, { tenant, ...filter }, {
            limit: 9,
          });
          const ids = found.items.map(({ scanId }) => scanId);
          assert.deepEqual(ids, [`${tenant}-1`], JSON.stringify(filter));
        }
        const closed = await store.inventoryServices(
          { tenant, state: "closed" },
          { limit: 9 },
        );
        assert.deepEqual(closed.items, []);
      }
    },
  },
  {
    name: "a search finds a seldom state in its own tenant only",
    async run(place) {
      await using store = await place.open();
      const odd = (state: string) =>
        port(1, { state, untrusted: { product: "odd" } });
      await scanned(store, "a", [host("10.0.0.1", [odd("filtered")])], {
        tenant: "acme",
      });
      await scanned(store, "u", [host("10.0.0.1", [odd("open")])], {
        tenant: "umbra",
      });
      for (const [tenant, ids] of [["acme", ["a"]], ["umbra", []]] as const) {
        const { items } = await store.search(
          "odd",
          { tenant, state: "filtered" },
          { limit: 5 },
        );
        assert.deepEqual(items.map(({ scanId }) => scanId), ids);
      }
    },
  },
  {
    name: "a search is cut by the index and by the rows, each by itself",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      const found = async (tenant: string) =>
        (await store.search("nginx", { tenant }, { limit: 9 })).items
          .map(({ scanId }) => scanId);
      await place.tamper("update scans set idempotency_key = null");
      // Row and index disagree behind the store's back: either of them keeps the scan out of sight.
      for (const other of ["umbra", "default"]) {
        await place.tamper(
          `update scans set tenant = '${other}' where id = 'acme-1'`,
        );
        assert.deepEqual(await found("acme"), []);
        assert.deepEqual(await found(other), [`${other}-1`, `${other}-1`]);
      }
      await place.tamper(
        "update scans set tenant = 'acme' where id = 'acme-1'",
      );
      assert.deepEqual(await found("acme"), ["acme-1", "acme-1"]);
    },
  },
  {
    name: "an idempotency key is its tenant's own",
    async run(place) {
      await using store = await place.open();
      const make = (id: string, tenant: string, requestDigest = "d") =>
        store.createScan(newScan(id, {
          tenant,
          client: "ci",
          idempotencyKey: "k",
          requestDigest,
        }));
      for (const tenant of TENANTS) {
        assert.equal((await make(`${tenant}-1`, tenant)).created, true);
        const again = await make(`${tenant}-2`, tenant);
        assert.deepEqual([again.created, again.scan.id, again.scan.tenant], [
          false,
          `${tenant}-1`,
          tenant,
        ]);
        await refused(
          make(`${tenant}-3`, tenant, "e"),
          "conflict",
          new RegExp(`it made the scan "${tenant}-1" with another request`),
        );
      }
      // Of somebody else's scan nothing is told but that its id is taken, which no client chooses.
      await refused(
        store.createScan(newScan("acme-1", { tenant: "umbra" })),
        "conflict",
        /^conflict: Cannot record the scan "acme-1": it exists$/,
      );
    },
  },
  {
    name: "a list, a scan and a key without a tenant are refused",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      const page = { limit: 5 };
      const asks = (tenant: string) => [
        () => store.listScans({ tenant }, page),
        () => store.inventoryHosts({ tenant }, page),
        () => store.inventoryServices({ tenant }, page),
        () => store.search("nginx", { tenant }, page),
        () => store.createScan(newScan("s", { tenant })),
        () => store.createKey(keyOf("k", { tenant })),
        () => store.createApproval(approvalOf("apr_1", { tenant })),
        () => store.listApprovals({ tenant }, page),
      ];
      for (const ask of asks(undefined as unknown as string)) {
        await assert.rejects(
          ask,
          /Cannot use the store: the tenant is missing/,
        );
      }
      for (
        const tenant of ["", "*", "ACME", "a b", "x".repeat(65), "a\u0000"]
      ) {
        for (const ask of asks(tenant)) {
          await refused(ask(), "invalid_arguments", /Cannot use that tenant/);
        }
      }
    },
  },
  {
    name: "a cursor leads nowhere else and tells nothing of others",
    async run(place) {
      await using store = await place.open();
      for (let n = 0; n < 5; n++) {
        await scanned(store, `u${n}`, [host("10.0.0.9", [nginx("x")])], {
          tenant: "umbra",
        });
      }
      await fill(store);
      const page = { limit: 1 };
      const mine = { tenant: "acme" };
      const { next } = await store.search("nginx", mine, page);
      // Its own scan and the number within it: not that it is the seventh of all.
      assert.deepEqual(
        JSON.parse(atob(next?.replaceAll("-", "+") ?? "")).slice(0, 2),
        ["search", "acme-1"],
      );
      assert.ok(JSON.parse(atob(next ?? ""))[2] < 10);
      const foreign = (await store.search("nginx", { tenant: "umbra" }, page))
        .next;
      const cursors = [
        foreign,
        writeCursor("search", ["u0", 1]),
        writeCursor("search", ["none", 1]),
        writeCursor("search", ["acme-1", -1]),
        writeCursor("search", ["acme-1", 2 ** 40]),
      ];
      for (const cursor of cursors) {
        await refused(
          store.search("nginx", mine, { ...page, cursor }),
          "invalid_arguments",
          /Cannot go on from that cursor: the scan that the page ended with is not kept/,
        );
      }
      // Of a list by keys another tenant's cursor is a place and no more.
      const list = await store.listScans({ tenant: "umbra" }, page);
      const ids = await store.listScans(mine, { limit: 9, cursor: list.next });
      assert.deepEqual(ids.items.map(({ id }) => id), ["acme-1"]);
      const known = await store.inventoryServices({ tenant: "umbra" }, page);
      const rows = await store.inventoryServices(
        mine,
        { limit: 9, cursor: known.next },
      );
      assert.ok(rows.items.every(({ lastScan }) => lastScan === "acme-1"));
    },
  },
  {
    name: "a scan closes services of its own tenant only",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      const asked: string[] = [];
      await store.createScan(
        newScan("acme-2", { tenant: "acme", tags: ["web"] }),
      );
      await store.finishScan("acme-2", {
        status: "succeeded",
        finishedAt: NOON + 9 * DAY,
        targets: ["10.0.0.0/16"],
        report: report([]),
        gone: (address, _protocol, port) => {
          asked.push(`${address}:${port}`);
          return "closed";
        },
      });
      assert.deepEqual(asked, ["10.0.0.1:80", "10.0.0.1:9001", "10.0.2.1:80"]);
      for (const tenant of TENANTS) {
        for (const cut of [{}, { tags: ["web"] }]) {
          const { items } = await store.inventoryServices(
            { tenant, ...cut },
            { limit: 9 },
          );
          const state = tenant === "acme" ? "closed" : "open";
          assert.deepEqual(items.map((one) => one.state), [
            state,
            state,
            state,
          ]);
        }
      }
      assert.deepEqual(await store.check(), []);
    },
  },
  {
    name: "the last time that a scan is compared with is its own tenant's",
    async run(place) {
      await using store = await place.open();
      const put = (id: string, tenant: string, at: number, ports: number[]) =>
        lookedAt(store, { id, tenant, at, ports });
      await put("s1", "acme", NOON, [80]);
      await put("s2", "umbra", NOON + 1, [22]);
      await put("s3", "default", NOON + 2, [23]);
      await put("s4", "acme", NOON + 3, [80, 443]);
      const acme = { store, tenant: "acme" };
      const { diff } = await compare(acme, null, "s4");
      assert.equal(diff.older.scan_id, "s1");
      const umbra = { store, tenant: "umbra" };
      await refused(
        compare(umbra, null, "s2"),
        "not_found",
        /Cannot compare with the last time/,
      );
      await refused(compare(umbra, null, "s4"), "not_found", /none of that id/);
      await refused(compare(acme, "s2", "s4"), "not_found", /none of that id/);
    },
  },
  {
    name: "retention of one tenant takes and keeps nothing of another",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      for (const tenant of TENANTS) {
        await scanned(store, `${tenant}-2`, [host("10.0.0.1", [port(7)])], {
          tenant,
          tags: tenant === "umbra" ? ["hold"] : ["web"],
          at: NOON,
        });
      }
      const late = { endedBefore: NOON + 99 * DAY, bytesMax: null };
      // The tag "hold" is umbra's: it keeps nothing of acme's.
      const plan = await store.planRetention({
        ...late,
        tenant: "acme",
        keepTags: ["hold", "keep"],
      });
      assert.deepEqual(plan.scans.map(({ id }) => id), ["acme-2"]);
      assert.deepEqual([plan.inventoryHosts, plan.inventoryServices], [0, 2]);
      const done = await store.runRetention(plan);
      assert.deepEqual(done.scans.map(({ id }) => id), ["acme-2"]);
      assert.deepEqual([done.inventoryHosts, done.inventoryServices], [0, 2]);
      const ports = async (tenant: string, tag: string) =>
        (await store.inventoryServices({ tenant, tags: [tag] }, { limit: 9 }))
          .items.map((one) => one.port);
      assert.deepEqual(await ports("acme", "web"), [80, 9_001, 80]);
      assert.deepEqual(await ports("default", "web"), [7, 80, 9_000, 80]);
      assert.deepEqual(await ports("umbra", "hold"), [7]);

      const little = await store.planRetention({
        tenant: "default",
        endedBefore: null,
        bytesMax: 1,
        keepTags: [],
      });
      assert.deepEqual(
        little.scans.map(({ id }) => id),
        ["default-1", "default-2"],
      );
      // Everybody's: a kept tag keeps the scans of whoever uses it.
      const rest = await store.runRetention(
        await store.planRetention({
          ...late,
          tenant: null,
          keepTags: ["hold"],
        }),
      );
      assert.deepEqual(
        rest.scans.map(({ id }) => id).sort(),
        ["acme-1", "default-1", "default-2", "umbra-1"],
      );
      for (const tenant of TENANTS) {
        const { items } = await store.inventoryServices(
          { tenant },
          { limit: 9 },
        );
        const kept = tenant === "umbra" ? [7] : [];
        assert.deepEqual(items.map((one) => one.port), kept, tenant);
      }
      assert.deepEqual(await store.check(), []);
    },
  },
  {
    name: "check() names a scan under another tenant's tag",
    async run(place) {
      await using store = await place.open();
      await fill(store);
      await place.tamper(
        "update scan_scopes set scope_id = (select id from scopes where tenant = 'umbra' and kind = 'tag' and name = 'web') where scan_id = 'acme-1' and scope_id = (select id from scopes where tenant = 'acme' and kind = 'tag' and name = 'web')",
      );
      const problems = await store.check();
      assert.deepEqual(problems.map(({ check }) => check), [
        "scans under an engagement or a tag of another tenant",
      ]);
    },
  },
];

/** A scan of a network that came to its end and says so. */
async function lookedAt(
  store: Store,
  { id, tenant, at, ports }: {
    readonly id: string;
    readonly tenant: string;
    readonly at: number;
    readonly ports: readonly number[];
  },
): Promise<void> {
  const target = "10.0.0.0/29";
  await store.createScan(newScan(id, { tenant, target, queuedAt: at }));
  await store.finishScan(id, {
    status: "succeeded",
    startedAt: at,
    finishedAt: at,
    targets: [target],
    argv: [["nmap", "-n", "-sT", "-p", "1-1000", "-oX", "-", target]],
    scanType: "connect",
    report: report([
      host("10.0.0.1", ports.map((one) => port(one)), {
        other_ports: [{ state: "closed", count: 1_000 - ports.length }],
      }),
    ], { totals: { up: 1, down: 7, total: 8 } }),
  });
}

/** What version 1.0.0 had before there were tenants, in its own tables. */
function oldRows(kind: Store["kind"]): string {
  const raw = kind === "sqlite" ? "x'6162'" : "'\\x6162'";
  const rows = 2 ** 22;
  const scan = (id: string, key: string) =>
    `insert into scans (id, tool, status, request, target, target_key, targets,
      argv, scan_type, notes, trace_id, engagement, tags, client,
      idempotency_key, request_digest, queued_at, started_at, finished_at,
      report, raw_bytes, raw_truncated, host_count, service_count, path_count,
      rows_used, bytes, requeued, removing)
    values ('${id}', 'nmap', 'succeeded', '{}', '10.0.0.1', 'k', '["10.0.0.1"]',
      '[]', 'connect', '[]', '0', 'spring', '["web"]', 'ci', ${key}, 'd',
      ${NOON}, ${NOON}, ${NOON}, '{"kind":"hosts","partial":false,"totals":{"up":1,"down":0,"total":1},"tool_version":null}',
      0, 0, 1, 1, 0, 2, 600, 0, 0);`;
  const found = (seq: number) => {
    const [hostId, portId] = [seq * rows + 1, seq * rows + 2];
    const labels = "_tnmap _p80 _s2 _s3 _a40a00 _a40a0000";
    return `insert into scan_hosts values (${hostId}, ${seq}, '40a000001', '10.0.0.1', 'up', null);
    insert into scan_ports values (${portId}, ${hostId}, 'tcp', 80, 'open', 'http', 'nginx', '{"untrusted":{"product":"nginx"}}', ${NOON}, 1);
    ${
      kind === "sqlite"
        ? `insert into texts (rowid, text, labels) values (${portId}, 'http nginx', '${labels}');`
        : `insert into texts values (${portId}, '''http'':1 ''nginx'':2 ${
          labels.split(" ").map((one) => `''${one}''`).join(" ")
        }'::tsvector);`
    }`;
  };
  const known = [1, 2, 3].map((scope) =>
    `insert into inventory_hosts values (${scope}, '40a000001', '10.0.0.1', 'up', null, ${NOON}, ${NOON}, ${NOON}, 'old-1', 'old-2');
    insert into inventory_services (scope_id, address_key, port, protocol, address, state, service, product, product_key, version, first_seen, last_seen, checked_at, first_scan, last_scan)
    values (${scope}, '40a000001', 80, 'tcp', '10.0.0.1', 'open', 'http', 'nginx', 'nginx', null, ${NOON}, ${NOON}, ${NOON}, 'old-1', 'old-2');`
  );
  return [
    "insert into scopes (kind, name) values ('engagement', 'spring'), ('tag', 'web');",
    scan("old-1", "'k'"),
    scan("old-2", "null"),
    ...["old-1", "old-2"].flatMap((id) =>
      [2, 3].map((scope) =>
        `insert into scan_scopes values (${scope}, '${id}');`
      )
    ),
    found(1),
    found(2),
    ...known,
    `insert into scan_raw values (1, 0, 2, ${raw});`,
    "update scans set raw_bytes = 2 where id = 'old-1';",
  ].join("\n");
}

const UPGRADE: readonly Case[] = [
  {
    name: "a database from before the tenants is the house's, and whole",
    async run(place) {
      const kind = place.url.startsWith("sqlite") ? "sqlite" : "postgres";
      const old = MIGRATIONS.slice(0, 4);
      await (await place.open({ migrations: old })).close();
      await place.tamper(oldRows(kind));
      await using store = await place.open();
      assert.deepEqual(await store.check(), []);
      const cuts = [{}, { engagement: "spring" }, { tags: ["web"] }];
      for (const cut of cuts) {
        assert.deepEqual(await seenBy(store, "default", cut), {
          scans: ["default old-2", "default old-1"],
          hosts: ["10.0.0.1 old-1 old-2", "10.0.0.1 old-1 old-2"],
          services: ["10.0.0.1:80 old-2", "10.0.0.1:80 old-2"],
          found: ["old-2 10.0.0.1", "old-1 10.0.0.1"],
        });
        const other = await seenBy(store, "acme", cut);
        assert.deepEqual(Object.values(other).flat(), []);
      }
      assert.equal((await store.getScan("old-1")).askedBy, null);
      const again = await store.createScan(newScan("s3", {
        client: "ci",
        idempotencyKey: "k",
        requestDigest: "d",
      }));
      assert.deepEqual([again.created, again.scan.id], [false, "old-1"]);
      await goesOn(store);
    },
  },
];

/** What is new stands beside what is old, and the old goes as ever. */
async function goesOn(store: Store): Promise<void> {
  for (const tenant of ["default", "acme"]) {
    await scanned(store, `${tenant}-new`, [host("10.0.0.1", [nginx("new")])], {
      ...SAME,
      tenant,
      idempotencyKey: "k2",
      at: NOON + DAY,
    });
  }
  const house = await seenBy(store, "default", { engagement: "spring" });
  assert.deepEqual(house["hosts"], [
    "10.0.0.1 old-1 default-new",
    "10.0.0.1 old-1 default-new",
  ]);
  assert.deepEqual((await seenBy(store, "acme", {}))["found"], [
    "acme-new 10.0.0.1",
  ]);
  const plan = await store.planRetention({
    tenant: null,
    endedBefore: NOON + 1,
    bytesMax: null,
    keepTags: [],
  });
  const { scans } = await store.runRetention(plan);
  assert.deepEqual(scans.map(({ id }) => id), ["old-1", "old-2"]);
  assert.deepEqual((await seenBy(store, "default", {}))["found"], [
    "default-new 10.0.0.1",
  ]);
  assert.deepEqual(await store.check(), []);
}

function keyOf(id: string, change: Partial<StoredKey> = {}): StoredKey {
  const digit = id.length.toString(16).slice(-1);
  return {
    id,
    name: "ci",
    tenant: "acme",
    roles: ["operator", "viewer"],
    scopes: null,
    digest: digit.repeat(64),
    previousDigest: null,
    previousUntil: null,
    createdAt: NOON,
    createdBy: "local",
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
    ...change,
  };
}

const KEYS: readonly Case[] = [
  {
    name: "keys are kept as they are, listed by tenant and changed in part",
    async run(place) {
      const full = keyOf("kkk", {
        tenant: "umbra",
        name: "Ümlaut ❤",
        scopes: ["read", "scan:nmap"],
        previousDigest: "b".repeat(64),
        previousUntil: NOON + 5.4,
        createdAt: NOON + 1,
        createdBy: `https://login.example.com/${"x".repeat(300)}#joe`,
        expiresAt: NOON + 9,
        lastUsedAt: NOON + 2,
        revokedAt: NOON + 3,
      });
      {
        await using store = await place.open();
        await store.createKey(full);
        await store.createKey(keyOf("k"));
        await store.createKey(keyOf("kk", { createdAt: NOON + 2 }));
      }
      await using store = await place.open();
      assert.deepEqual(await store.findKey("kkk"), {
        ...full,
        previousUntil: NOON + 5,
      });
      for (
        const id of ["none", "k\u0000", "' or '1'='1", "K", "k".repeat(99)]
      ) {
        assert.equal(await store.findKey(id), null, id);
      }
      const ids = async (tenant: string | null) =>
        (await store.listKeys(tenant)).map(({ id }) => id);
      assert.deepEqual(await ids("acme"), ["kk", "k"]);
      assert.deepEqual(await ids("umbra"), ["kkk"]);
      assert.deepEqual(await ids("default"), []);
      assert.deepEqual(await ids(null), ["kk", "kkk", "k"]);
      const used = await store.updateKey("k", { lastUsedAt: NOON + 7 });
      assert.deepEqual(used, keyOf("k", { lastUsedAt: NOON + 7 }));
      const rotated = await store.updateKey("k", {
        digest: "e".repeat(64),
        previousDigest: used.digest,
        previousUntil: NOON + 60,
      });
      assert.deepEqual(rotated, {
        ...used,
        digest: "e".repeat(64),
        previousDigest: "1".repeat(64),
        previousUntil: NOON + 60,
      });
      await refused(
        store.updateKey("none", { lastUsedAt: 1 }),
        "not_found",
        /Cannot find the key/,
      );
      await refused(store.updateKey("none", {}), "not_found", /Cannot find/);
    },
  },
  {
    name: "no two keys have one id or one digest, and none has a bare secret",
    async run(place) {
      await using store = await place.open();
      await store.createKey(keyOf("k"));
      const digest = "1".repeat(64);
      const taken = /there is one of this id or of this secret/;
      await refused(
        store.createKey(keyOf("k", { digest: "2".repeat(64) })),
        "conflict",
        taken,
      );
      await refused(
        store.createKey(keyOf("kk", { digest })),
        "conflict",
        taken,
      );
      await store.createKey(keyOf("kk"));
      await refused(store.updateKey("kk", { digest }), "conflict", taken);
      // Its own is no other's.
      assert.equal((await store.updateKey("k", { digest })).digest, digest);
      for (
        const digest of ["", "smcp_secret", "A".repeat(64), "1".repeat(63)]
      ) {
        await assert.rejects(
          () => store.createKey(keyOf("kkk", { digest })),
          TypeError,
        );
        await assert.rejects(() => store.updateKey("k", { digest }), TypeError);
      }
      await assert.rejects(() => store.createKey(keyOf("a/b")), TypeError);
    },
  },
  {
    name: "one tenant's keys leave room for those of the others",
    async run(place) {
      await using store = await place.open();
      const made = (at: number, tenant: string) =>
        store.createKey(keyOf(`k${at}`, {
          tenant,
          digest: at.toString(16).padStart(64, "0"),
        }));
      for (let at = 0; at < 1_000; at++) await made(at, "acme");
      await refused(
        made(1_000, "acme"),
        "quota_exceeded",
        /1000 of this tenant are kept already, revoked ones included/,
      );
      await made(1_000, "umbra");
      await made(1_001, "default");
    },
  },
  {
    name: "a key that got another secret is whose that is, from then on",
    async run(place) {
      await using store = await place.open();
      await store.createKey(keyOf("k"));
      await store.updateKey("k", { createdBy: "key:admin" });
      assert.equal((await store.findKey("k"))?.createdBy, "key:admin");
    },
  },
  {
    name: "a revoked key stays revoked, and counts no more, as an expired one",
    async run(place) {
      let now = NOON;
      await using store = await place.open({ now: () => now });
      assert.equal(await store.countKeys(), 0);
      await store.createKey(keyOf("k"));
      await store.createKey(keyOf("kk", { expiresAt: NOON + 10 }));
      await store.createKey(keyOf("kkk", { tenant: "umbra" }));
      assert.equal(await store.countKeys(), 3);
      now = NOON + 10;
      assert.equal(await store.countKeys(), 2);
      await store.updateKey("k", { revokedAt: NOON + 5 });
      assert.equal(await store.countKeys(), 1);
      for (const revokedAt of [NOON + 99, null]) {
        const key = await store.updateKey("k", { revokedAt });
        assert.equal(key.revokedAt, NOON + 5);
      }
      assert.equal((await store.findKey("k"))?.revokedAt, NOON + 5);
    },
  },
];

function approvalOf(
  id: string,
  change: Partial<StoredApproval> = {},
): StoredApproval {
  return {
    id,
    tenant: "acme",
    status: "pending",
    requester: {
      kind: "key",
      subject: "key:1",
      client: "ci",
      roles: ["operator"],
    },
    tool: "nmap",
    target: "10.0.0.1",
    arguments: { target: "10.0.0.1", note: "a\u0000\ud800 \"'; --" },
    digest: "d",
    policies: ["two-persons"],
    demands: ["two-persons@1"],
    byClientUser: false,
    requestedAt: NOON,
    expiresAt: NOON + 100,
    decidedAt: null,
    decidedBy: null,
    note: null,
    scanId: null,
    ...change,
  };
}

const grant = (decidedBy: string, decidedAt = NOON + 1) => ({
  status: "granted" as const,
  decidedAt,
  decidedBy,
  note: null,
});

const APPROVALS: readonly Case[] = [
  {
    name: "approvals are kept as they are and listed by tenant, newest first",
    async run(place) {
      await using store = await place.open();
      const full = approvalOf("apr_9", {
        tenant: "umbra",
        requester: {
          kind: "token",
          subject: `https://login.example.com/${"x".repeat(300)}#joe`,
          client: "joe",
          roles: ["operator", "admin"],
        },
        byClientUser: true,
        policies: [],
        demands: [],
      });
      await store.createApproval(full);
      assert.deepEqual(await store.getApproval("apr_9"), full);
      for (let n = 0; n < 6; n++) {
        await store.createApproval(approvalOf(`apr_${n}`, {
          digest: `d${n % 2}`,
          requester: {
            ...approvalOf("").requester,
            subject: `key:${n % 3}`,
          },
        }));
      }
      await store.decideApproval("apr_5", {
        ...grant("key:9"),
        status: "denied",
      });
      const table: [object, string[]][] = [
        [{}, ["apr_5", "apr_4", "apr_3", "apr_2", "apr_1", "apr_0"]],
        [{ status: "denied" }, ["apr_5"]],
        [{ status: "granted" }, []],
        [{ status: "pending", digest: "d1" }, ["apr_3", "apr_1"]],
        [{ subject: "key:1" }, ["apr_4", "apr_1"]],
        [{ subject: "key:1", digest: "d0" }, ["apr_4"]],
        [{ subject: "' or 1=1" }, []],
      ];
      for (const [filter, ids] of table) {
        const found = await all(
          (page) => store.listApprovals({ tenant: "acme", ...filter }, page),
          2,
        );
        assert.deepEqual(
          found.map(({ id }) => id),
          ids,
          JSON.stringify(filter),
        );
      }
      const others = await store.listApprovals({ tenant: "umbra" }, {
        limit: 9,
      });
      assert.deepEqual(others.items, [full]);
      const none = await store.listApprovals({ tenant: "default" }, {
        limit: 9,
      });
      assert.deepEqual(none.items, []);
      await refused(
        store.createApproval(approvalOf("apr_9")),
        "conflict",
        /it exists/,
      );
      await refused(
        store.getApproval("none"),
        "not_found",
        /Cannot find the request for approval/,
      );
    },
  },
  {
    name: "a request is decided once, whoever comes at the same time",
    async run(place) {
      const stores = await Promise.all([1, 2, 3, 4].map(() => place.open()));
      try {
        const [store] = stores;
        assert.ok(store !== undefined);
        await store.createApproval(approvalOf("apr_1"));
        const ended = await Promise.allSettled(
          stores.map((one, n) =>
            one.decideApproval("apr_1", {
              ...grant(`key:${n}`),
              status: n % 2 === 0 ? "granted" : "denied",
              note: `by ${n}`,
            })
          ),
        );
        const done = ended.filter(({ status }) => status === "fulfilled");
        assert.equal(done.length, 1);
        const [first] = done;
        assert.ok(first?.status === "fulfilled");
        assert.deepEqual(await store.getApproval("apr_1"), first.value);
        assert.equal(first.value.note, `by ${first.value.decidedBy?.slice(4)}`);
        await refused(
          store.decideApproval("apr_1", grant("key:9")),
          "conflict",
          /Cannot decide the request for approval "apr_1": it was (?:granted|denied) already/,
        );
      } finally {
        await Promise.all(stores.map((store) => store.close()));
      }
    },
  },
  {
    name: "a request that has expired is decided no more, swept or not",
    async run(place) {
      await using store = await place.open();
      const expired = /it has expired; whoever made it can ask again/;
      await store.createApproval(approvalOf("apr_1"));
      await store.createApproval(
        approvalOf("apr_2", { expiresAt: NOON + 200 }),
      );
      await store.createApproval(approvalOf("apr_3"));
      await store.decideApproval("apr_3", grant("key:2", NOON + 99));
      await refused(
        store.decideApproval("apr_1", grant("key:2", NOON + 100)),
        "conflict",
        expired,
      );
      assert.deepEqual(await store.expireApprovals(NOON + 99), []);
      const ended = await Promise.all(
        [1, 2, 3].map(() => store.expireApprovals(NOON + 100)),
      );
      assert.deepEqual(ended.flat().map(({ id }) => id), ["apr_1"]);
      const statuses = await Promise.all(
        [1, 2, 3].map((n) => store.getApproval(`apr_${n}`)),
      );
      assert.deepEqual(
        statuses.map(({ status }) => status),
        ["expired", "pending", "granted"],
      );
      await refused(
        store.decideApproval("apr_1", grant("key:2")),
        "conflict",
        expired,
      );
    },
  },
  {
    name: "a granted request leads to one scan",
    async run(place) {
      await using store = await place.open();
      await store.createApproval(approvalOf("apr_1"));
      await refused(
        store.setApprovalScan("apr_1", "s1"),
        "conflict",
        /Cannot use the approval "apr_1": it is pending/,
      );
      await store.decideApproval("apr_1", grant("key:2"));
      const ended = await Promise.allSettled(
        ["s1", "s2", "s3"].map((id) => store.setApprovalScan("apr_1", id)),
      );
      const done = ended.filter(({ status }) => status === "fulfilled");
      assert.equal(done.length, 1);
      await refused(
        store.setApprovalScan("apr_1", "s4"),
        "conflict",
        /it has led to a scan already/,
      );
      await refused(
        store.setApprovalScan("none", "s1"),
        "not_found",
        /Cannot find/,
      );
    },
  },
  {
    name: "a scan that an earlier version kept has no approval",
    async run(place) {
      await using store = await place.open();
      const asker = { kind: "key", subject: "key:1", roles: ["operator"] };
      const table: [string, object, object][] = [
        ["s1", { approved: true }, { answered: [], approval: null }],
        ["s2", { answered: ["a@1"] }, { answered: ["a@1"], approval: null }],
      ];
      for (const [id, kept, read] of table) {
        await store.createScan(newScan(id));
        const text = JSON.stringify({ ...asker, ...kept });
        await place.tamper(
          `update scans set asked_by = '${text}' where id = '${id}'`,
        );
        const { askedBy } = await store.getScan(id);
        assert.deepEqual(askedBy, { ...asker, ...read });
      }
    },
  },
  {
    name:
      "so many requests of a tenant wait and no more, which is its own bound",
    async run(place) {
      await using store = await place.open();
      const max = 1_000;
      const rows = Array.from(
        { length: max },
        (_, n) =>
          `('apr_${n}', 'acme', 'pending', 'key', 'key:1', 'ci', '[]', 'nmap', 't', '{}', 'd', '[]', 0, ${NOON}, ${
            NOON + 100
          })`,
      );
      await place.tamper(
        `insert into approvals (id, tenant, status, requester_kind, requester_subject, requester_client, requester_roles, tool, target, arguments, digest, policies, by_client_user, requested_at, expires_at) values ${
          rows.join(", ")
        }`,
      );
      await refused(
        store.createApproval(approvalOf("apr_x")),
        "quota_exceeded",
        /1000 requests wait for it already/,
      );
      await store.createApproval(approvalOf("apr_y", { tenant: "umbra" }));
      // Those that have expired wait for nothing.
      await store.createApproval(approvalOf("apr_z", {
        requestedAt: NOON + 100,
        expiresAt: NOON + 200,
      }));
      assert.equal((await store.expireApprovals(NOON + 100)).length, 500);
      await store.expireApprovals(NOON + 100);
      const last = await store.expireApprovals(NOON + 100);
      assert.deepEqual(last.map(({ id }) => id), ["apr_y"]);
    },
  },
];

/** Every case about whose something is. */
export const TENANT_GROUPS: Readonly<Record<string, readonly Case[]>> = {
  "tenants": [...TENANT_CASES, ...UPGRADE],
  "keys and approvals": [...KEYS, ...APPROVALS],
};
