/**
 * What a client is told of the tools does not depend on how it comes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { connect, PEERS } from "./peer.ts";
import { sharedHttp } from "./shared_http.ts";

const { way } = sharedHttp();

/** Bytes that a list may cost its reader. */
const LIST_BYTES_MAX = 24 * 1024;

for (const name of PEERS) {
  Deno.test(
    `tools/list over HTTP is that over stdio, below 24 KB (${name})`,
    // The SDKs' clients leave timers and requests behind when they close.
    { sanitizeOps: false, sanitizeResources: false },
    async () => {
      verifies("http.same_suite");
      await using stdio = await connect(name);
      await using http = await way.connect(name);
      const { tools } = await http.client.listTools();
      assert.deepEqual(tools, (await stdio.client.listTools()).tools);
      const { byteLength } = new TextEncoder().encode(
        JSON.stringify({ tools }),
      );
      assert.ok(byteLength < LIST_BYTES_MAX, String(byteLength));
    },
  );
}
