/**
 * How the HTTP server starts: with which network it is allowed, and where it refuses to listen.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { HttpFolder, HttpServer } from "../support/http.ts";
import { standIn } from "../support/stand_ins.ts";

/** The flags that a process has been given for networks. */
async function netFlags(pid: number): Promise<readonly string[]> {
  // Deno itself reads nothing below /proc of another process.
  const { stdout } = await new Deno.Command("cat", {
    args: [`/proc/${pid}/cmdline`],
  }).output();
  return new TextDecoder().decode(stdout).split("\0")
    .filter((word) => word.startsWith("--allow-net"));
}

Deno.test("serve-http may listen on its own address and reach the hosts that the configuration names, and nothing else", async () => {
  verifies("http.net_from_config");
  await using plain = await HttpServer.start({ offline: true });
  const own = new URL(plain.url).host;
  assert.match(own, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(await netFlags(plain.pid), [`--allow-net=${own}`]);
  await plain.stop();

  // Nobody sends a token, so the issuer is not asked; and there is no way to it from here.
  await using named = await HttpServer.start({
    offline: true,
    env: {
      MCP_IDENTITY_ISSUER: "https://login.example.com/realms/soc",
      MCP_IDENTITY_AUDIENCE: "security-mcp",
    },
  });
  const { host } = new URL(named.url);
  assert.deepEqual(await netFlags(named.pid), [
    `--allow-net=${host},login.example.com:443`,
  ]);
});

Deno.test("serve-http listens on more than loopback only where somebody can prove who they are", async () => {
  verifies("http.no_open_door");
  await using folder = await HttpFolder.make();
  const open = {
    folder,
    offline: true,
    env: { MCP_SERVER_HOST: "0.0.0.0" },
  };
  await assert.rejects(
    HttpServer.start(open),
    /has ended; standard error ends with:[^]*Cannot listen on "0\.0\.0\.0": no credentials exist, and other machines can reach it; make an API key \(deno task keys create\) or set identity\.issuer, or listen on 127\.0\.0\.1/,
  );
  await using loopback = await HttpServer.start({
    folder,
    path: [standIn("canned")],
  });
  await loopback.key({ roles: ["admin"] });
  await loopback.stop();

  await using known = await HttpServer.start(open);
  assert.match(known.url, /^http:\/\/0\.0\.0\.0:\d+$/);
  assert.equal((await known.stop()).status.code, 0);
});
