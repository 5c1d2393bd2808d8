/**
 * Who may do what over HTTP: every route, every tool and every resource, asked of the real server by
 * everybody, against the table in `tests/golden/authorization.txt`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import {
  documentedRoutes,
  GOLDEN,
  goldenText,
  httpTable,
  matrixWorld,
  mcpTable,
  ROUTES,
} from "./fixtures/http_matrix.ts";

/** The SDK's HTTP client leaves requests behind when it closes. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

Deno.test("every route of the API has a row in the authorisation matrix", async () => {
  verifies("identity.authorize");
  assert.deepEqual([...ROUTES].sort(), await documentedRoutes());
});

Deno.test(
  "the server lets everybody do what the authorisation matrix says, and nothing else",
  SDK_CLIENT,
  async () => {
    verifies("http.authorization.matrix");
    verifies(
      "identity.authorize",
      "identity.key_tenant",
      "http.open",
      "http.operators",
    );
    await using things = await matrixWorld();
    const http = await httpTable(things);
    const mcp = await mcpTable(things);
    assert.deepEqual(
      goldenText(http, mcp).split("\n"),
      (await Deno.readTextFile(GOLDEN)).split("\n"),
      "see what changed with tests/golden/authorization_write.ts",
    );
  },
);
