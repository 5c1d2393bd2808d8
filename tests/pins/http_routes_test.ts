/**
 * The routes of the HTTP API and the statuses that each may answer: what clients are built on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { RoutesApp } from "../unit/operator/fixtures/routes_app.ts";

const ROUTES: readonly string[] = [
  "DELETE /v1/keys/{id} 200 400 401 403 404 429 500 503",
  "DELETE /v1/scans/{id} 200 400 401 403 404 429 500 503",
  "GET /config 200 400 401 403 429 500 503",
  "GET /events 200 400 401 403 429 500 503",
  "GET /health 200 207 500 503",
  "GET /health/live 200",
  "GET /health/ready 200 500 503",
  "GET /metrics 200 400 401 403 429 500 503",
  "GET /stats 200 400 401 403 429 500 503",
  "GET /tools 200 400 401 403 429 500 503",
  "GET /tools/{name} 200 400 401 403 404 429 500 503",
  "GET /v1/approvals 200 400 401 403 429 500 503",
  "GET /v1/approvals/{id} 200 400 401 403 404 429 500 503",
  "GET /v1/audit 200 400 401 403 429 500 503",
  "GET /v1/breakers 200 400 401 403 429 500 503",
  "GET /v1/inventory 200 400 401 403 429 500 503",
  "GET /v1/inventory/hosts 200 400 401 403 429 500 503",
  "GET /v1/inventory/search 200 400 401 403 429 500 503",
  "GET /v1/inventory/services 200 400 401 403 429 500 503",
  "GET /v1/keys 200 400 401 403 429 500 503",
  "GET /v1/policies 200 400 401 403 429 500 503",
  "GET /v1/scans 200 400 401 403 429 500 503",
  "GET /v1/scans/{id} 200 400 401 403 404 429 500 503",
  "GET /v1/scans/{id}/diff 200 400 401 403 404 429 500 503",
  "GET /v1/scans/{id}/hosts 200 400 401 403 404 429 500 503",
  "GET /v1/scans/{id}/raw 200 206 304 400 401 403 404 416 429 500 503",
  "GET /v1/scans/{id}/report 200 400 401 403 404 429 500 503",
  "GET /v1/tenants 200 400 401 403 429 500 503",
  "GET /ws 101 400 401 403 426 429 500 503",
  "POST /config/reload 200 400 401 403 422 429 500 503",
  "POST /tools/{name}/disable 200 400 401 403 404 409 429 500 503",
  "POST /tools/{name}/enable 200 400 401 403 404 409 429 500 503",
  "POST /tools/{name}/execute 200 202 400 401 403 404 409 413 415 422 429 500 502 503 504",
  "POST /v1/approvals/{id} 200 400 401 403 404 409 413 415 429 500 503",
  "POST /v1/breakers/{tool} 200 400 401 403 404 413 415 429 500 503",
  "POST /v1/keys 201 400 401 403 404 409 413 415 429 500 503",
  "POST /v1/keys/{id}/rotate 200 400 401 403 404 409 413 415 429 500 503",
  "POST /v1/policies/explain 200 400 401 403 413 415 429 500 503",
  "POST /v1/policies/test 200 400 401 403 413 415 429 500 503",
  "POST /v1/policies/validate 200 400 401 403 413 415 429 500 503",
];

/** Described here, answered before the routes: see `open_routes.ts`. */
const OPEN = ["/health", "/health/live", "/health/ready", "/metrics"];

Deno.test("the HTTP API has these routes with these statuses", () => {
  verifies("http.routes.pinned");
  const { app } = new RoutesApp();
  const routes = app.openAPIRegistry.definitions.flatMap((one) =>
    one.type === "route"
      ? [
        [
          one.route.method.toUpperCase(),
          one.route.path,
          ...Object.keys(one.route.responses).sort(),
        ].join(" "),
      ]
      : []
  );
  assert.deepEqual(routes.sort(), ROUTES);
});

Deno.test("every route that the HTTP API describes is answered", () => {
  verifies("http.routes.pinned");
  const { app } = new RoutesApp();
  const answered = new Set(
    app.routes.map(({ method, path }) =>
      `${method} ${path.replace(/:(\w+)/g, "{$1}")}`
    ),
  );
  for (const route of ROUTES) {
    const [method, path = ""] = route.split(" ");
    if (!OPEN.includes(path)) {
      assert.ok(answered.has(`${method} ${path}`), route);
    }
  }
});
