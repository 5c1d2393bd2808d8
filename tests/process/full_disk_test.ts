/**
 * A server whose disk is full or cannot be written: no scan starts that could not be recorded, health
 * says so, and it goes on when there is room again.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Server } from "../support/server.ts";
import { ROOT, taskCommand } from "../support/task.ts";
import { withFolders } from "../support/server.ts";
import { ask } from "./fixtures/served.ts";
import { type Lasting, until, withLasting } from "./fixtures/lasting.ts";
import { verifies } from "../requirements.ts";

/** As root a mount namespace suffices; anybody else needs a user namespace too. */
const NAMESPACE = Deno.uid() === 0 ? ["-m"] : ["-m", "-r"];

/** Containers often forbid it. */
const noMounts = !new Deno.Command("unshare", {
  args: [...NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
  stdout: "null",
  stderr: "null",
}).outputSync().success;

/** A small disk for the state folder, and another one with room for the audit log. */
const MOUNTS =
  'mkdir -p "$1" && mount -t tmpfs -o size=8m tmpfs "$1" && mkdir "$1/audit" && mount -t tmpfs -o size=8m tmpfs "$1/audit" && shift && exec "$@"';

/** How each disk is taken away and given back, `$1` being the state folder. */
const FAULTS = [
  {
    what: "the state folder is full",
    check: "store",
    take: 'dd if=/dev/zero of="$1/ballast" bs=4k 2>/dev/null || :',
    give: 'rm "$1/ballast"',
    message: /Cannot .*full/,
  },
  {
    what: "the audit log's disk is full",
    check: "audit_log",
    take: 'dd if=/dev/zero of="$1/audit/ballast" bs=4k 2>/dev/null || :',
    give: 'rm "$1/audit/ballast"',
    message: /Cannot record the request in the audit log: the disk is full/,
  },
  {
    what: "the audit log's disk is read-only",
    check: "audit_log",
    // Laid over it when it is so: whoever has a file open for writing would keep it from becoming so.
    take:
      'mkdir "$1/ro" && mount --bind "$1/audit" "$1/ro" && mount -o remount,bind,ro "$1/ro" && mount --move "$1/ro" "$1/audit"',
    // Whoever reads in it at this moment may come to an end.
    give: 'umount -l "$1/audit"',
    message: /Cannot record the request in the audit log/,
  },
] as const;

/** Runs a command in the mount namespace of a process. */
async function within(
  pid: number,
  ...args: readonly string[]
): Promise<string> {
  const enter = Deno.uid() === 0
    ? ["-m"]
    : ["-m", "-U", "--preserve-credentials"];
  const { success, stdout, stderr } = await new Deno.Command("nsenter", {
    args: ["-t", String(pid), ...enter, ...args],
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.ok(success, decode(stdout) + decode(stderr));
  return decode(stdout);
}

/** Whether a check is as it should be, and everything with it. */
async function isHealth(
  server: Server,
  check: string,
  wanted: "healthy" | "unhealthy",
): Promise<boolean> {
  const { contents } = await server.request("resources/read", {
    uri: "server://health",
  }) as { contents: { text: string }[] };
  const health = JSON.parse(contents[0]?.text ?? "") as {
    status: string;
    checks: { name: string; status: string }[];
  };
  const found = health.checks.find(({ name }) => name === check);
  assert.ok(found, `${check}: ${contents[0]?.text}`);
  // Stand-ins run in no sandbox, so that everything together is never better than degraded.
  return found.status === wanted &&
    (health.status === "unhealthy") === (wanted === "unhealthy");
}

/** How often a tool was started to scan. */
async function scansStarted(lasting: Lasting): Promise<number> {
  return (await lasting.copy.starts()).filter((line) => line.includes(" -oX "))
    .length;
}

for (const { what, check, take, give, message } of FAULTS) {
  Deno.test({
    name: `no scan starts while ${what}, and the next one does`,
    ignore: noMounts,
    async fn() {
      verifies("store.full_disk");
      await using lasting = await withLasting("canned");
      await using server = lasting.start({
        wrap: [
          "unshare",
          ...NAMESPACE,
          "sh",
          "-c",
          MOUNTS,
          "sh",
          lasting.state,
        ],
        env: { MCP_HEALTH_INTERVAL_SECONDS: "1" },
      });
      await server.initialize();
      const call = (ports: string, background = false) =>
        ask(server, "nmap", { target: "127.0.0.1", ports, background });
      assert.equal((await call("1")).status, "succeeded");
      assert.equal(await scansStarted(lasting), 1);
      const shell = (script: string) =>
        within(server.pid, "sh", "-c", script, "sh", lasting.state);
      await shell(take);
      for (const background of [false, true]) {
        // What is written first may still find a last free page.
        for (let port = 2; port < 40; port++) {
          const before = await scansStarted(lasting);
          const { error, status } = await call(String(port), background);
          if (error === undefined && status !== "failed") continue;
          assert.equal(await scansStarted(lasting), before, what);
          assert.match(error?.message ?? "", message);
          break;
        }
      }
      const started = await scansStarted(lasting);
      for (let port = 50; port < 60; port++) {
        const { error } = await call(String(port), port % 2 === 0);
        assert.match(error?.message ?? "none", message);
      }
      assert.equal(await scansStarted(lasting), started, what);
      await until(
        `an unhealthy ${check}`,
        () => isHealth(server, check, "unhealthy"),
      );
      await shell(give);
      await until(
        `a healthy ${check}`,
        () => isHealth(server, check, "healthy"),
      );
      assert.equal((await call("100")).status, "succeeded");
      assert.equal(await scansStarted(lasting), started + 1);
      const { program, args } = taskCommand("audit");
      const verified = await within(
        server.pid,
        "sh",
        "-c",
        // Whoever enters the namespace stands in its root.
        'cd "$1" && shift && exec "$@"',
        "sh",
        ROOT,
        "env",
        `MCP_STATE_FOLDER=${lasting.state}`,
        program,
        ...withFolders(args, lasting.state),
        "verify",
      );
      assert.match(verified, /^sound: /);
    },
  });
}
