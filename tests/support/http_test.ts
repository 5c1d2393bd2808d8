/**
 * The harness of the HTTP server: that it starts the real one, reaches it, and leaves nothing behind.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HttpFolder, HttpServer } from "./http.ts";
import { copyStandIn, standIn } from "./stand_ins.ts";

Deno.test("HttpServer.start() starts the server with its sandbox, and stop() ends it", async () => {
  await using server = await HttpServer.start();
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((await server.ask("/health/live")).status, 200);
  const { secret } = await server.key({ roles: ["viewer"] });
  assert.equal((await server.ask("/v1/scans", { key: secret })).status, 200);
  assert.equal((await server.ask("/v1/scans")).status, 401);
  const { status, left } = await server.stop();
  assert.deepEqual([status.code, status.signal, left], [0, null, []]);
});

Deno.test("HttpServer.start() runs stand-ins where no network is", async () => {
  await using server = await HttpServer.start({
    path: [standIn("canned")],
    offline: true,
    tenants: ["red"],
  });
  const { secret } = await server.key({ tenant: "red" });
  const { status, json } = await server.ask("/tools/nmap/execute", {
    key: secret,
    body: { target: "127.0.0.1" },
  });
  assert.equal(status, 200, JSON.stringify(json));
  assert.deepEqual((await server.stop()).left, []);
});

Deno.test("HttpServer.start() goes on with an earlier folder, a file and policies of its own", async () => {
  await using folder = await HttpFolder.make();
  const options = {
    folder,
    path: [standIn("canned")],
    config: "server:\n  max_body_bytes: 2048\n",
    policies: { "nobody.cedar": "" },
  };
  await using first = await HttpServer.start(options);
  const { secret } = await first.key();
  assert.equal((await first.stop()).status.code, 0);
  await using second = await HttpServer.start(options);
  const body = { target: "127.0.0.1" };
  const { status } = await second.ask("/tools/nmap/execute", {
    key: secret,
    body,
  });
  assert.equal(status, 403);
});

Deno.test("HttpServer.start() tells why a server does not start", async () => {
  await assert.rejects(
    HttpServer.start({ env: { MCP_SERVER_HOST: "999.0.0.1" } }),
    /has ended; standard error ends with:[^]*server\.host/,
  );
});

Deno.test("HttpServer.stop() waits until nothing is left of what it started", async () => {
  await using copy = await copyStandIn("slow");
  await using server = await HttpServer.start({
    path: [copy.path],
    env: { MCP_SERVER_SHUTDOWN_GRACE_SECONDS: "0" },
  });
  const { secret } = await server.key();
  const { status } = await server.ask("/tools/nmap/execute", {
    key: secret,
    body: { target: "127.0.0.1", background: true },
  });
  assert.equal(status, 202);
  for (let look = 0; await copy.alive() === 0; look++) assert.ok(look < 200);
  assert.deepEqual((await server.stop()).left, []);
  assert.equal(await copy.alive(), 0);
});
