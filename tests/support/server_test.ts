/**
 * The helpers that tests of the whole server lean on, tried on a server that does nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort, offline } from "./network.ts";
import { descendantsOf, memoryOf, processesNamed } from "./processes.ts";
import { RpcError, startCommand } from "./server.ts";
import { parseCommand, ROOT } from "./task.ts";
import { withTempDir } from "./temp_dir.ts";

const BARE = ["run", "--no-prompt", `${ROOT}tests/bench/bare_server.ts`];

Deno.test("Server answers requests and ends when its input is closed", async () => {
  await using server = startCommand("deno", BARE);
  const result = await server.initialize();
  assert.deepEqual(result["serverInfo"], { name: "bare", version: "1.0.0" });
  await assert.rejects(server.request("no/such/method"), RpcError);
  const { success } = await server.close();
  assert.equal(success, true);
  assert.deepEqual(server.stray, []);
  assert.deepEqual(await processesNamed("bare_server.ts"), []);
});

Deno.test("Server keeps notifications, stray lines and standard error", async () => {
  const script = `
    echo 'not a message'
    echo '{"jsonrpc":"2.0","method":"a","params":{"n":1}}'
    echo 'log line' >&2
    echo '{"jsonrpc":"2.0","method":"a","params":{"n":2}}'
    cat >/dev/null
  `;
  await using server = startCommand("sh", ["-c", script]);
  const second = await server.notification("a", ({ n }) => n === 2);
  assert.deepEqual(second.params, { n: 2 });
  await server.logged(/log line/);
  assert.deepEqual(server.stray, ["not a message"]);
});

Deno.test("Server tells a waiting test that the program has ended", async () => {
  await using server = startCommand("sh", ["-c", "echo why >&2; exit 3"]);
  await assert.rejects(
    server.request("initialize"),
    /the server has ended; standard error ends with:\nwhy/,
  );
  assert.equal((await server.ended).code, 3);
  await assert.rejects(server.notification("a"), /the server has ended/);
});

Deno.test("Server gives up a wait in vain and ends what ignores it", async () => {
  const script = "trap '' TERM; exec tail -n 0 -f /dev/null";
  const server = startCommand("sh", ["-c", script], {}, 200);
  await assert.rejects(server.request("initialize"), /200 ms are over/);
  await assert.rejects(server[Symbol.asyncDispose](), /the end of the server/);
  assert.equal((await server.ended).signal, "SIGKILL");
});

Deno.test("descendantsOf() finds children and their children", async () => {
  const script = "(sleep 30 & wait) & cat >/dev/null; kill $!; exit 0";
  await using server = startCommand("sh", [
    "-c",
    `${script} # descendants`,
  ]);
  let found = await descendantsOf(server.pid);
  // The shell forks in its own time; ps is asked again until it has.
  for (let tries = 0; found.length < 3 && tries < 100; tries++) {
    found = await descendantsOf(server.pid);
  }
  assert.ok(found.some(({ commandLine }) => commandLine === "sleep 30"));
  const sleeper = found.find(({ commandLine }) => commandLine === "sleep 30");
  await new Deno.Command("sh", { args: ["-c", `kill ${sleeper?.pid}`] })
    .output();
});

Deno.test("memoryOf() reads a process and says when it is gone", async () => {
  const { resident, peak } = await memoryOf(Deno.pid);
  assert.ok(resident > 10_000_000 && peak >= resident);
  await assert.rejects(memoryOf(2 ** 22 + 1), Deno.errors.NotFound);
});

Deno.test("offline() leaves loopback and nothing else", async () => {
  const { stdout, success } = await offline([
    "sh",
    "-c",
    "ip -o link show up; ip route show table all",
  ]);
  assert.equal(success, true);
  const text = new TextDecoder().decode(stdout);
  assert.match(text, /^\d+: lo: /);
  assert.doesNotMatch(text, /^default|^\d+: (?!lo:)/m);
});

Deno.test("freePort() finds a port that can be listened on", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: freePort() });
  listener.close();
});

Deno.test("withTempDir() removes its folder", async () => {
  let path: string;
  {
    await using folder = await withTempDir();
    path = folder.path;
    await Deno.writeTextFile(`${path}/a`, "a");
  }
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});

Deno.test("parseCommand() reads plain commands and refuses everything else", () => {
  assert.deepEqual(
    parseCommand(`A=1 B='x y' deno run --allow-read=./src,"./a b" main.ts`),
    {
      env: { A: "1", B: "x y" },
      program: "deno",
      args: ["run", "--allow-read=./src,./a b", "main.ts"],
    },
  );
  for (const text of ["a && b", "a $B", "a | b", "a; b", "", "A=1", "a 'b"]) {
    assert.throws(() => parseCommand(text), RangeError, text);
  }
});
