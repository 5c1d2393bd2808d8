/**
 * What a client calls itself is text from a stranger: it is kept short, and as it can be seen.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/client";
import { LineTransport } from "@/mcp/line_transport.ts";
import { serve } from "./fixtures/connect.ts";
import { FakeEngine } from "./fixtures/fake_engine.ts";
import { verifies } from "../../requirements.ts";

const NAMES: readonly (readonly [
  what: string,
  name: string,
  version: string,
  kept: string,
])[] = [
  ["an ordinary name", "claude-desktop", "1.0", "claude-desktop 1.0"],
  ["line ends", "a\nb\r\nc\u2028d", "1\n2", "a b c d 1 2"],
  ["controls", "a\u0000\u0007\u0080b\u007f", "1\u0008", "ab 1"],
  ["escape sequences", "a\u001b[2Jb", "\u001b]0;x\u0007", "ab"],
  ["a turned reading", "a\u202eb\u2066c\u200fd", "1\u202e", "abcd 1"],
  ["unseen letters", "a\u200bb\u{e0041}c\ufeff", "1", "abc 1"],
  ["half a pair", "a\ud800b", "1", "ab 1"],
  ["nothing that can be seen", "\u202e\n", "", "a client without a name"],
  [
    "a long one",
    "n".repeat(9_999),
    "v".repeat(99),
    `${"n".repeat(63)}… ${"v".repeat(31)}…`,
  ],
  [
    "a secret",
    "bot password=hunter2",
    "1",
    "bot password=***REDACTED*** 1",
  ],
  [
    "a secret with unseen letters",
    "bot pass\u200bword=hunter2",
    "1",
    "bot password=***REDACTED*** 1",
  ],
];

for (const [what, name, version, kept] of NAMES) {
  Deno.test(`the server keeps ${what} of a client as it can be seen`, async () => {
    verifies("mcp.client_name_clean");
    const engine = new FakeEngine();
    await using wire = serve(engine);
    const client = new Client({ name, version });
    await client.connect(
      new LineTransport({ input: wire.output, output: wire.input }),
    );
    await client.listResources();
    assert.deepEqual(engine.readings.map(({ who }) => who.client), [kept]);
    await client.close();
  });
}
