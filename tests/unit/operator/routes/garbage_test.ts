/**
 * Whatever stands in a path, a query, a header or a body: it is answered or refused as the document
 * says, and never a fault of the server.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { verifies } from "../../../requirements.ts";
import { fakeScan } from "../../mcp/fixtures/fake_engine.ts";
import { RoutesApp } from "../fixtures/routes_app.ts";

const app = new RoutesApp();
app.session.engine.add(fakeScan());

/** Answered before the routes, or streams. */
const OTHERS: ReadonlySet<string> = new Set([
  "/health",
  "/health/live",
  "/health/ready",
  "/metrics",
]);

const ROUTES = app.app.openAPIRegistry.definitions.flatMap((one) =>
  one.type === "route" && !OTHERS.has(one.route.path)
    ? [{
      method: one.route.method.toUpperCase(),
      path: one.route.path,
      names: namesOf(one.route.request?.query),
    }]
    : []
);

function namesOf(query: unknown): string[] {
  return typeof query === "object" && query !== null && "shape" in query
    ? Object.keys(query.shape as object)
    : [];
}

const part = fc.oneof(
  fc.constantFrom("scan-0001", "nmap", "k2", "apr_1"),
  fc.string({ minLength: 1, unit: "grapheme" }),
);

const value = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("1", "0", "-1", "true", "open", "nmap", "2026-01-01", "md"),
  fc.integer().map(String),
);

const question = fc.record({
  route: fc.constantFrom(...ROUTES),
  part,
  query: fc.array(fc.tuple(fc.nat({ max: 20 }), value), { maxLength: 4 }),
  odd: fc.option(fc.tuple(fc.string(), value), { freq: 5 }),
  body: fc.oneof(
    fc.json({ maxDepth: 4 }),
    fc.constantFrom(
      "{}",
      '{"target":"10.0.0.1"}',
      '{"decision":"grant"}',
      '{"state":"open"}',
      '{"name":"n","roles":["viewer"]}',
    ),
  ),
});

Deno.test("no path, query or body makes a route fail or answer what it does not describe", async () => {
  verifies("http.routes.garbage", "http.answers.schema");
  await fc.assert(
    fc.asyncProperty(question, async ({ route, part, query, odd, body }) => {
      const path = route.path.replace(/\{\w+\}/, encodeURIComponent(part));
      const search = new URLSearchParams(
        query.flatMap(([at, one]) => {
          const name = route.names[at % Math.max(1, route.names.length)];
          return name === undefined ? [] : [[name, one]];
        }),
      );
      if (odd !== null) search.append(...odd);
      // A part of dots alone is another path.
      fc.pre(/^\.{1,2}$/.test(part) === false);
      const sent = route.method === "POST" ? { body } : {};
      const { status } = await app.ask(
        route.method,
        search.size === 0 ? path : `${path}?${search}`,
        sent,
      );
      assert.ok(status < 500, `${route.method} ${path}?${search}`);
    }),
    { numRuns: 1_500 },
  );
});
