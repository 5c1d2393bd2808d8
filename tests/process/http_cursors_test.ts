/**
 * Cursors that no list gave: a client whose cursor was damaged has to hear of it, for a first page in
 * answer to it would have the client read the same pages for ever.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { HttpServer, type TestKey } from "../support/http.ts";
import { standIn } from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";
import { callTool } from "../unit/mcp/fixtures/ask.ts";
import { clientFor, connectHttp } from "../unit/mcp/fixtures/connect_http.ts";
import { scan } from "./fixtures/team.ts";

const GENERATION = "v2 at 2026-07-28";

/** The SDK's HTTP client leaves requests behind when it closes. */
const SDK_CLIENT = { sanitizeOps: false, sanitizeResources: false } as const;

/** No cursor of any list. */
const GARBAGE: readonly string[] = [
  "garbage",
  "0",
  "-1",
  "1.5",
  "9999999",
  "99999999",
  "\u0000",
  "zzzzzzzzzzzzzzzzzzzzzzzzzz",
  "01JGZ7M5E8P4K2Q9S6T3V0W1XY",
  "01jgz7m5e8p4k2q9s6t3v0w1x",
  btoa('["nothing",1]'),
];

/** Every list and what it is asked with, besides where it is to begin. */
const QUERIES: Readonly<Record<string, readonly string[]>> = {
  "/v1/scans": ["", "tool=nmap"],
  "/v1/scans/{id}/hosts": ["", "open_only=true&port=22&fields=addresses"],
  "/v1/scans/{id}/diff": [""],
  "/v1/inventory": ["", "kind=hosts", "query=canned"],
  "/v1/inventory/hosts": [""],
  "/v1/inventory/services": [""],
  "/v1/inventory/search": ["query=canned"],
  "/v1/approvals": [""],
  "/v1/audit": [""],
};

/** Every tool with a cursor and what it is called with besides. */
const CALLS: Readonly<
  Record<string, (id: string) => readonly Readonly<Record<string, unknown>>[]>
> = {
  scan_list: () => [{}, { tool: "nmap" }],
  scan_results: (id) => [{ scan_id: id }],
  scan_diff: (id) => [{ scan_id: id }],
  inventory: () => [{}, { kind: "hosts" }, { query: "canned" }],
};

async function withScans(): Promise<
  { readonly server: HttpServer; readonly key: TestKey; readonly id: string }
> {
  const server = await HttpServer.start({ path: [standIn("canned")] });
  const [key] = await server.keys([{ roles: ["admin", "operator"] }]) as [
    TestKey,
  ];
  let id = "";
  for (const ports of ["22", "22", "22"]) {
    const { status, json } = await scan(server, key, {
      target: "127.0.0.1",
      ports,
    });
    assert.equal(status, 200);
    id = json.scan_id;
  }
  return { server, key, id };
}

/** What can become of a cursor on its way: its end is lost, or something is added. */
function damaged(cursor: string): readonly string[] {
  return [cursor.slice(0, -1), `${cursor}x`, `x${cursor}`];
}

Deno.test("every list over HTTP refuses a cursor that it did not give", async () => {
  verifies("http.cursors");
  const { server, key: { secret }, id } = await withScans();
  await using _server = server;
  const { paths } = JSON.parse(
    await Deno.readTextFile(`${ROOT}tests/golden/openapi.json`),
  ) as {
    readonly paths: Readonly<
      Record<string, { get?: { parameters?: readonly { name: string }[] } }>
    >;
  };
  const lists = Object.entries(paths).filter(([, { get }]) =>
    get?.parameters?.some(({ name }) => name === "cursor")
  ).map(([path]) => path);
  assert.deepEqual(lists.toSorted(), Object.keys(QUERIES).toSorted());

  let whole = 0;
  for (const [path, queries] of Object.entries(QUERIES)) {
    for (const query of queries) {
      const ask = (more: Readonly<Record<string, string>>) =>
        server.ask(
          `${path.replace("{id}", id)}?${new URLSearchParams([
            ...new URLSearchParams(query),
            ...Object.entries(more),
          ])}`,
          { key: secret },
        );
      const first = await ask({ limit: "1" });
      assert.equal(first.status, 200, `${path}?${query}: ${first.text}`);
      const next: string | null = first.json.next_cursor;
      if (next !== null) {
        whole++;
        const { status } = await ask({ limit: "1", cursor: next });
        assert.equal(status, 200, `${path}?${query}: its own`);
      }
      const wrong = [...GARBAGE, ...next === null ? [] : damaged(next)];
      for (const cursor of wrong) {
        const { status, json } = await ask({ cursor });
        assert.deepEqual(
          [status, json.code],
          [400, "invalid_arguments"],
          `${path}?${query} ${JSON.stringify(cursor)}`,
        );
        assert.match(json.detail, /cursor/);
      }
    }
  }
  assert.ok(whole >= 2, "some lists have a second page");
});

Deno.test(
  "every list over MCP refuses a cursor that it did not give",
  SDK_CLIENT,
  async () => {
    verifies("http.cursors");
    const { server, key: { secret }, id } = await withScans();
    await using _server = server;
    const client = clientFor(GENERATION);
    await connectHttp(client, GENERATION, (url, init) => {
      const headers = new Headers(init?.headers);
      headers.set("authorization", `Bearer ${secret}`);
      return fetch(url, { ...init, headers });
    }, new URL(`${server.url}/mcp`));
    try {
      const { tools } = await client.listTools();
      const lists = tools.filter(({ inputSchema }) =>
        Object.hasOwn(inputSchema.properties ?? {}, "cursor")
      ).map(({ name }) => name);
      assert.deepEqual(lists.toSorted(), Object.keys(CALLS).toSorted());
      for (const [name, calls] of Object.entries(CALLS)) {
        for (const given of calls(id)) {
          const ask = (more: object) =>
            callTool(client, GENERATION, name, { ...given, ...more });
          const first = await ask({});
          assert.equal(first.isError, false, first.text);
          for (const cursor of GARBAGE) {
            const { isError, structured } = await ask({ cursor });
            const { code } = (structured["error"] ?? {}) as { code?: string };
            assert.deepEqual(
              [isError, code],
              [true, "invalid_arguments"],
              `${name} ${JSON.stringify(given)} ${JSON.stringify(cursor)}`,
            );
          }
        }
      }
      const { structured } = await callTool(client, GENERATION, "scan_list", {
        limit: 1,
      });
      const { next } = structured["truncated"] as { next: string };
      const { cursor } = JSON.parse(next.replace("scan_list ", ""));
      for (const wrong of damaged(cursor)) {
        const { isError } = await callTool(client, GENERATION, "scan_list", {
          cursor: wrong,
        });
        assert.equal(isError, true, wrong);
      }

      // The protocol's own lists are one page each: no cursor came from one of them.
      for (
        const method of [
          "tools/list",
          "resources/list",
          "resources/templates/list",
          "prompts/list",
        ]
      ) {
        const { json } = await server.ask("/mcp", {
          key: secret,
          headers: {
            accept: "application/json, text/event-stream",
            "mcp-protocol-version": GENERATION.slice(-10),
            "mcp-method": method,
          },
          body: {
            jsonrpc: "2.0",
            id: 1,
            method,
            params: {
              cursor: "garbage",
              _meta: {
                "io.modelcontextprotocol/protocolVersion": GENERATION.slice(
                  -10,
                ),
                "io.modelcontextprotocol/clientInfo": {
                  name: "test",
                  version: "1",
                },
                "io.modelcontextprotocol/clientCapabilities": {},
              },
            },
          },
        });
        assert.equal(json?.error?.code, -32_602, method);
      }
    } finally {
      await client.close();
    }
  },
);
