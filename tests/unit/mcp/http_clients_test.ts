/**
 * MCP over HTTP with the clients of the protocol's own SDKs, at every revision.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../../requirements.ts";
import {
  type AnyClient,
  type Generation,
  GENERATIONS,
} from "./fixtures/connect.ts";
import { callTool } from "./fixtures/ask.ts";
import {
  clientFor,
  type ClientOptions,
  connectHttp,
  fetchOf,
  mcpHttp,
  principal,
} from "./fixtures/connect_http.ts";
import { FakeEngine, fakeScan } from "./fixtures/fake_engine.ts";
import { connectLines } from "./fixtures/connect_lines.ts";

interface Served extends AsyncDisposable {
  readonly client: AnyClient;
  readonly engine: FakeEngine;
}

async function served(
  generation: Generation,
  options: ClientOptions = {},
): Promise<Served> {
  const engine = new FakeEngine();
  engine.principal = principal();
  engine.add(fakeScan());
  const http = mcpHttp();
  const client = clientFor(generation, options);
  await connectHttp(client, generation, fetchOf(http, engine));
  return {
    client,
    engine,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await http[Symbol.asyncDispose]();
    },
  };
}

for (const generation of GENERATIONS) {
  Deno.test(`McpHttp serves tools, resources and prompts (${generation})`, async () => {
    verifies("mcp.http.revisions");
    await using peer = await served(generation);
    const { client } = peer;
    const { tools } = await client.listTools();
    assert.equal(tools.length, 9);
    const { structured } = await callTool(client, generation, "nmap", {
      target: "10.0.0.0/28",
    });
    assert.equal(structured["status"], "succeeded");
    const { contents } = await client.readResource({ uri: "scan://scan-0001" });
    assert.equal(contents[0]?.mimeType, "application/json");
    const { prompts } = await client.listPrompts();
    assert.equal(prompts.length, 3);
    assert.deepEqual(peer.engine.calls[0]?.who, {
      client: "ci (test 1.0.0)",
      transport: "http",
      address: null,
    });
  });

  Deno.test(`McpHttp tells progress and hands a cancellation on (${generation})`, async () => {
    verifies("mcp.http.cancel");
    await using peer = await served(generation);
    const { client, engine } = peer;
    const caller = new AbortController();
    const said: number[] = [];
    const heard = Promise.withResolvers<void>();
    const calling = callTool(client, generation, "nmap", { target: "slow" }, {
      signal: caller.signal,
      onprogress: ({ progress }) => {
        said.push(progress);
        heard.resolve();
      },
    });
    const settled = calling.then(() => "answered", () => "rejected");
    await heard.promise;
    assert.deepEqual(said.slice(0, 1), [10]);
    caller.abort();
    assert.equal(await settled, "rejected");
    for (let turn = 0; turn < 50 && engine.aborted.length === 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.deepEqual(engine.aborted, ["slow"]);
  });
}

/** The clients over both transports. */
const JOINS = [
  ["http", served],
  ["stdio", connectLines],
] as const;

for (const [transport, join] of JOINS) {
  for (const generation of GENERATIONS) {
    Deno.test(`the client's user is asked and approves (${generation}, ${transport})`, async () => {
      verifies("mcp.approval.elicit");
      const asked: string[] = [];
      await using peer = await join(generation, {
        elicit: (message) => {
          asked.push(message);
          return Promise.resolve({
            action: "accept",
            content: { approve: true },
          });
        },
      });
      const { structured, isError } = await callTool(
        peer.client,
        generation,
        "nmap",
        { target: "guarded" },
      );
      assert.equal(isError, false, JSON.stringify(structured));
      assert.equal(structured["status"], "succeeded");
      assert.deepEqual(asked, [
        [
          "May nmap scan guarded?",
          'The whole request: {"target":"guarded"}',
          "Why you are asked: Cannot scan yet: a person has to approve this (apr_1, policy after-hours)",
        ].join("\n"),
      ]);
      assert.deepEqual(peer.engine.approved.map(({ id }) => id), ["apr_1"]);
    });

    Deno.test(`the client's user declines (${generation}, ${transport})`, async () => {
      verifies("mcp.approval.elicit");
      await using peer = await join(generation, {
        elicit: () => Promise.resolve({ action: "decline" }),
      });
      const { structured, isError } = await callTool(
        peer.client,
        generation,
        "nmap",
        { target: "guarded" },
      );
      assert.equal(isError, true);
      assert.deepEqual(structured["error"], {
        code: "approval_required",
        message:
          "Cannot scan: your user was asked and did not approve; do not ask again unless the user wants it",
        approval_id: "apr_1",
      });
      assert.deepEqual(peer.engine.approved, []);
    });

    Deno.test(`nobody is asked where the client cannot or its user may not (${generation}, ${transport})`, async () => {
      verifies("mcp.approval.elicit");
      await using peer = await join(generation, {});
      const guarded = await callTool(peer.client, generation, "nmap", {
        target: "guarded",
      });
      assert.deepEqual(guarded.structured["error"], {
        code: "approval_required",
        message:
          "Cannot scan yet: a person has to approve this (apr_1, policy after-hours)",
        approval_id: "apr_1",
      });
      await using asking = await join(generation, {
        elicit: () => assert.fail("the user was asked"),
      });
      const second = await callTool(asking.client, generation, "nmap", {
        target: "second",
      });
      assert.equal(second.isError, true);
      assert.match(second.text, /apr_2/);
    });
  }
}
