import assert from "node:assert/strict";
import { verifies } from "../../../requirements.ts";
import {
  knownHost,
  knownService,
  sighting,
} from "../../mcp/fixtures/fake_inventory.ts";
import { HOSTILE, hostsReport } from "../../mcp/fixtures/reports.ts";
import { RoutesApp } from "../fixtures/routes_app.ts";

function known(): RoutesApp {
  const app = new RoutesApp();
  const [, host] = hostsReport().hosts;
  const { address: _, status: __, ports: ___, ...detail } = host ?? {
    address: "",
    status: "up" as const,
    ports: [],
  };
  const { inventory } = app.session;
  inventory.hosts = [knownHost({ detail }), knownHost({ address: "10.0.0.3" })];
  inventory.services = [
    knownService(),
    knownService({
      port: 80,
      service: null,
      untrusted: { product: HOSTILE, version: null },
    }),
  ];
  inventory.found = [sighting(), sighting({ engagement: "e" })];
  return app;
}

function rowsOf(body: Readonly<Record<string, unknown>>) {
  return body["rows"] as Record<string, unknown>[];
}

Deno.test("GET /v1/inventory/hosts shows hosts whole, page by page", async () => {
  const app = known();
  const first = await app.ask("GET", "/v1/inventory/hosts?limit=1");
  assert.deepEqual(rowsOf(first.body)[0]?.["names"], ["web.lab.internal"]);
  const next = String(first.body["next_cursor"]);
  assert.match(first.headers.get("link") ?? "", /; rel="next"$/);
  const second = await app.ask(
    "GET",
    `/v1/inventory/hosts?limit=1&cursor=${next}`,
  );
  assert.equal(rowsOf(second.body)[0]?.["address"], "10.0.0.3");
  assert.equal(second.body["next_cursor"], null);
});

Deno.test("GET /v1/inventory/services marks what reads like an instruction", async () => {
  verifies("http.scans.untrusted");
  const { body } = await known().ask("GET", "/v1/inventory/services");
  assert.deepEqual(
    rowsOf(body).map(({ port, untrusted, suspicious }) => [
      port,
      untrusted,
      suspicious,
    ]),
    [
      [22, { product: "OpenSSH", version: "9.2p1" }, undefined],
      [80, { product: HOSTILE }, ["product"]],
    ],
  );
});

Deno.test("GET /v1/inventory/search finds sightings", async () => {
  const app = known();
  const { status, body } = await app.ask(
    "GET",
    "/v1/inventory/search?query=openssh&port=22&since=2026-01-01",
  );
  assert.deepEqual([status, rowsOf(body).length], [200, 2]);
  assert.deepEqual(app.session.inventory.asked, [{
    what: "search",
    filter: { since: Date.UTC(2026, 0, 1), port: 22, state: "open" },
    page: { limit: 50, cursor: null },
  }]);
});

Deno.test("GET /v1/inventory is the tool inventory: services, hosts or sightings", async () => {
  const app = known();
  const queries = ["", "?kind=hosts", "?query=ssh", "?state=any&tag=a&tag=b"];
  for (const query of queries) {
    assert.equal((await app.ask("GET", `/v1/inventory${query}`)).status, 200);
  }
  assert.deepEqual(
    app.session.inventory.asked.map(({ what, filter }) => [what, filter]),
    [
      ["services", { state: "open" }],
      ["hosts", {}],
      ["search", { state: "open" }],
      ["services", { tags: ["a", "b"] }],
    ],
  );
  assert.equal(app.session.engine.readings[0]?.tool, "GET /v1/inventory");
});

Deno.test("every look at the inventory is recorded with its route", async () => {
  verifies("http.scans.recorded");
  const app = known();
  const paths = [
    "/v1/inventory",
    "/v1/inventory/hosts",
    "/v1/inventory/services",
    "/v1/inventory/search?query=ssh",
  ];
  for (const path of paths) await app.ask("GET", path);
  assert.deepEqual(
    app.session.engine.readings.map(({ tool }) => tool),
    paths.map((path) => `GET ${path.split("?")[0]}`),
  );
});

Deno.test("GET /v1/inventory refuses what hosts do not have", async () => {
  const { status, body } = await known().ask(
    "GET",
    "/v1/inventory?kind=hosts&port=22",
  );
  assert.equal(status, 400);
  assert.match(String(body["detail"]), /"port": hosts have none/);
});

Deno.test("times are days or have a zone", async () => {
  const good = [
    "2026-01-31",
    "2026-01-31T08:00Z",
    "2026-01-31T08:00:00%2B02:00",
  ];
  const bad = ["2026-02-30", "yesterday", "2026-01-31T08:00:00", "1", ""];
  for (const [times, status] of [[good, 200], [bad, 400]] as const) {
    for (const time of times) {
      const answer = await known().ask(
        "GET",
        `/v1/inventory/hosts?since=${time}`,
      );
      assert.equal(answer.status, status, time);
    }
  }
});
