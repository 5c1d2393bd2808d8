import assert from "node:assert/strict";
import { verifies } from "../../../requirements.ts";
import { RoutesApp } from "../fixtures/routes_app.ts";

const GET_CASES: readonly (readonly [string, RegExp])[] = [
  [
    "/v1/scans?limt=5",
    /query parameter "limt": there is no such query parameter; did you mean "limit"\?$/,
  ],
  [
    "/v1/scans?zzzzzzzz=5",
    /there are status, tool, engagement, tag, limit, cursor$/,
  ],
  ["/v1/scans/scan-1?x=1", /"x": there is no such query parameter; leave/],
  ["/v1/scans?limit=0", /"limit": at least 1 is taken$/],
  ["/v1/scans?limit=201", /"limit": at most 200 is taken$/],
  ["/v1/scans?limit=1e2", /"limit": expected an integer from 1 to 200$/],
  ["/v1/scans?limit=", /"limit": expected an integer from 1 to 200$/],
  ["/v1/scans?limit=1&limit=2", /"limit": it is given 2 times$/],
  ["/v1/scans?tool=nikto", /"tool": expected one of nmap, masscan, gobuster$/],
  ["/v1/scans?tool=nmap&tool=masscan", /"tool": it is given 2 times$/],
  ["/v1/scans?engagement=", /"engagement": it is empty$/],
  ["/v1/scans/a%20b", /path parameter "id": an id has 1 to 64 letters/],
  [`/v1/scans/${"a".repeat(65)}`, /path parameter "id": an id has/],
  [
    "/v1/scans/a/hosts?open_only=1",
    /"open_only": expected one of true, false$/,
  ],
  [
    "/v1/scans/a/hosts?cursor=-1",
    /"cursor": it is no next_cursor of this list$/,
  ],
  ["/v1/scans/a/report", /"format": expected one of html, md/],
  ["/v1/scans/a/diff?since=..%2f", /"since": an id has/],
  ["/v1/inventory/search", /"query": it is required and missing$/],
  ["/v1/inventory?port=65536", /"port": at most 65535 is taken$/],
  ["/v1/audit?kind=Decision", /"kind": a kind has lower-case letters/],
  ["/v1/approvals?status=open", /"status": expected one of pending, granted/],
  ["/tools/a.b", /path parameter "name": an id has/],
  ["/stats?x", /"x": there is no such query parameter/],
];

Deno.test("a query or a path that does not fit is refused by name", async () => {
  verifies("http.query.strict");
  for (const [path, words] of GET_CASES) {
    const { status, body } = await new RoutesApp().ask("GET", path);
    assert.deepEqual([status, body["code"]], [400, "invalid_arguments"], path);
    assert.match(String(body["detail"]), words, path);
  }
});

const KEY = { name: "n", roles: ["viewer"] };

const POST_CASES: readonly (readonly [string, unknown, RegExp])[] = [
  [
    "/v1/keys",
    { ...KEY, role: "x" },
    /field "role": .*did you mean "roles"\?$/,
  ],
  ["/v1/keys", { ...KEY, roles: [] }, /"roles": the list is empty$/],
  ["/v1/keys", { ...KEY, roles: ["root"] }, /"roles\.0": expected one of view/],
  ["/v1/keys", { ...KEY, name: 7 }, /"name": expected a string$/],
  ["/v1/keys", { ...KEY, expires_in_seconds: 1.5 }, /expected an integer$/],
  ["/v1/keys", { roles: ["viewer"] }, /"name": it is required and missing$/],
  ["/v1/keys", [], /^Cannot read the body: expected an object$/],
  ["/v1/keys", null, /^Cannot read the body: expected an object$/],
  ["/v1/keys", "{", /it is not JSON/],
  ["/v1/keys/k/rotate", { overlap_seconds: -1 }, /at least 0 is taken$/],
  ["/v1/approvals/a", { decision: "maybe" }, /expected one of grant, deny$/],
  ["/v1/breakers/nmap", {}, /"state": expected one of open, closed, auto$/],
  ["/v1/policies/explain", {}, /"request": it is required and missing$/],
  ["/v1/policies/test", { cases: [] }, /"cases": the list is empty$/],
  [
    "/v1/policies/test",
    { cases: [{ name: "a", request: {}, expected: "allow" }] },
    /field "expected": there is no such field/,
  ],
];

Deno.test("a body that does not fit is refused by field", async () => {
  verifies("http.query.strict");
  for (const [path, sent, words] of POST_CASES) {
    const app = new RoutesApp();
    const { status, body } = await app.ask("POST", path, {
      body: sent === null ? "null" : sent,
    });
    assert.deepEqual([status, body["code"]], [400, "invalid_arguments"], path);
    assert.match(String(body["detail"]), words, path);
    assert.deepEqual(app.session.asked, []);
  }
});

Deno.test("a body of another type is refused", async () => {
  const { status } = await new RoutesApp().ask("POST", "/v1/keys", {
    body: "name=n",
    headers: { "content-type": "text/plain" },
  });
  assert.equal(status, 415);
});

Deno.test("a name that is repeated in a message is short and printable", async () => {
  const name = `%1b[31m${"x".repeat(500)}`;
  const { body } = await new RoutesApp().ask("GET", `/v1/scans?${name}=1`);
  const detail = String(body["detail"]);
  assert.ok(detail.length < 300);
  assert.match(detail, /^[\x20-\x7e\ufffd…]+$/);
});
