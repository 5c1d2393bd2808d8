/**
 * The MCP adapter over real pipes: both generations of clients, and bytes that no client sends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
// @ts-types="npm:@modelcontextprotocol/sdk@1.32.2/client"
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";

const SERVER = new URL(
  "../unit/mcp/fixtures/fake_server.ts",
  import.meta.url,
).pathname;

const ARGS = ["run", "--quiet", "--no-prompt", "--cached-only", SERVER];

/** The SDKs' clients hand a short list of variables on, and where Deno keeps packages is not on it. */
const COMMAND = {
  command: Deno.execPath(),
  args: ARGS,
  env: denoEnvironment(),
};

function denoEnvironment(): Record<string, string> {
  const folder = Deno.env.get("DENO_DIR");
  return folder === undefined ? {} : { DENO_DIR: folder };
}

/** The SDKs' stdio clients leave timers and a pipe behind when they close; the servers end all the same. */
const SDK_CLIENT = {
  sanitizeOps: false,
  sanitizeResources: false,
} as const;

const CLIENT = { name: "test", version: "1.0.0" };

/** What each client is asked; it throws at the first answer that is wrong. */
async function ask(client: Client): Promise<void> {
  const { tools } = await client.listTools();
  assert.equal(tools.length, 9);
  const result = await client.callTool({
    name: "nmap",
    arguments: { target: "10.0.0.0/28" },
  });
  const structured = result.structuredContent as Record<string, unknown>;
  assert.equal(structured["status"], "succeeded");
  const { contents } = await client.readResource({ uri: "scan://scan-0001" });
  assert.equal(contents[0]?.mimeType, "application/json");
}

Deno.test(
  "the v2 client speaks 2026-07-28 to the server over stdio",
  SDK_CLIENT,
  async () => {
    const client = new Client(CLIENT, {
      versionNegotiation: { mode: { pin: "2026-07-28" } },
    });
    await client.connect(
      new StdioClientTransport(COMMAND),
    );
    assert.equal(client.getProtocolEra(), "modern");
    await ask(client);
    await client.close();
  },
);

Deno.test(
  "the v2 client speaks 2025-11-25 to the server over stdio",
  SDK_CLIENT,
  async () => {
    const client = new Client(CLIENT);
    await client.connect(
      new StdioClientTransport(COMMAND),
    );
    assert.equal(client.getProtocolEra(), "legacy");
    await ask(client);
    await client.close();
  },
);

Deno.test(
  "the v1 client speaks to the server over stdio",
  SDK_CLIENT,
  async () => {
    const client = new ClientV1(CLIENT);
    await client.connect(new StdioV1(COMMAND));
    await ask(client as unknown as Client);
    await client.close();
  },
);

Deno.test("stdout holds frames only, whatever arrives, and the end of stdin ends the server", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ARGS,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = [
    "GET / HTTP/1.1",
    "\u0000\u0001",
    "[".repeat(200_000),
    "[]",
    JSON.stringify({ a: "x".repeat(5 * 1024 * 1024) }),
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}',
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"nmap","arguments":{"target":"10.0.0.1"}}}',
    '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"nmap","arguments":{"target":"slow"}}}',
  ];
  await writer.write(new TextEncoder().encode(`${lines.join("\n")}\n`));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assert.equal(code, 0);
  const frames = new TextDecoder().decode(stdout).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  assert.ok(frames.every((frame) => frame.jsonrpc === "2.0"));
  assert.deepEqual(frames.map(({ id, error }) => id ?? error.code), [
    -32700,
    -32700,
    -32600,
    -32600,
    -32600,
    1,
    2,
  ]);
  // The call that was still running was cancelled, not forgotten.
  assert.match(new TextDecoder().decode(stderr), /"aborted":\["slow"\]/);
});
