/**
 * The whole server with tools that do their worst: each call ends with the right word, keeps what was
 * found, and leaves nothing of the tool behind.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { descendantsOf, memoryOf } from "../support/processes.ts";
import { ROOT } from "../support/task.ts";
import {
  type Answer,
  answerOf,
  ask,
  logged,
  serve,
} from "./fixtures/served.ts";

const TARGET = { target: "127.0.0.1", ports: "80" } as const;

/** The addresses that were found. */
function hostsOf({ report }: Answer): string[] {
  return (report?.hosts ?? []).map(({ address }) => address);
}

Deno.test("a tool that floods stdout ends in output_limit with what was read so far", async () => {
  verifies("spawn.output_limit", "nmap.report.partial");
  await using served = await serve("big", {
    env: { MCP_SECURITY_MAX_OUTPUT_BYTES: "262144" },
  });
  const answer = await ask(served.server, "nmap", {
    target: "127.0.0.0/22",
    ports: "80",
    max_tokens: 50_000,
  });
  assert.deepEqual([answer.status, answer.error?.code], [
    "partial",
    "output_limit",
  ]);
  assert.equal(answer.report?.partial, true);
  // 256 KiB hold some whole hosts of 64 KB each and a piece of one more.
  assert.deepEqual(hostsOf(answer).slice(0, 2), ["127.0.0.0", "127.0.0.1"]);
  assert.ok(hostsOf(answer).length <= 4);
  assert.equal(await served.copy.alive(), 0);
});

Deno.test("tools that flood without end, on either stream, end in output_limit", async () => {
  verifies("spawn.output_limit", "spawn.output_limit.stderr");
  for (const name of ["flood", "flood_stderr"] as const) {
    await using served = await serve(name, {
      env: { MCP_SECURITY_MAX_OUTPUT_BYTES: "1048576" },
    });
    const answer = await ask(served.server, "nmap", TARGET);
    assert.equal(answer.error?.code, "output_limit", name);
    assert.equal(answer.report?.partial, true);
    assert.equal(await served.copy.alive(), 0);
  }
});

Deno.test("a tool that hangs ends in timeout at its deadline", async () => {
  verifies("spawn.deadline");
  await using served = await serve("hangs");
  const answer = await ask(served.server, "nmap", {
    ...TARGET,
    timeout_seconds: 1,
  });
  assert.deepEqual([answer.status, answer.error?.code], [
    "timed_out",
    "timeout",
  ]);
  assert.equal(await served.copy.alive(), 0);
});

Deno.test("a tool that crashes or stops halfway keeps the hosts seen and is marked partial", async () => {
  verifies("nmap.report.partial");
  for (const name of ["dies_halfway", "half_xml"] as const) {
    await using served = await serve(name);
    const answer = await ask(served.server, "nmap", TARGET);
    assert.deepEqual([answer.status, answer.error?.code], [
      "failed",
      "tool_failed",
    ]);
    assert.equal(answer.report?.partial, true, name);
    assert.deepEqual(hostsOf(answer), ["127.0.0.1"], name);
  }
});

Deno.test("what a failing tool complains of reaches the log and not the client", async () => {
  verifies("error.no_leak");
  await using served = await serve("fails");
  const result = await served.server.call("nmap", TARGET);
  assert.equal(result["isError"], true);
  assert.equal(answerOf(result).error?.code, "tool_failed");
  assert.doesNotMatch(JSON.stringify(result), /secret|QUITTING/);
  await served.server.logged(/Failed to open \/etc\/secret/);
});

Deno.test("a cancelled call ends a tool that ignores every signal, and says so when it is gone", async () => {
  verifies(
    "spawn.stubborn_child_killed",
    "spawn.no_zombie",
    "isolate.cancel_is_a_message",
  );
  await using served = await serve("stubborn");
  const { server, copy } = served;
  const { id } = server.send("tools/call", { name: "nmap", arguments: TARGET });
  await logged(server, "scan started");
  server.notify("notifications/cancelled", { requestId: id });
  await logged(server, "scan ended");
  assert.equal(await copy.alive(), 0);
  assert.deepEqual(await descendantsOf(server.pid), []);
  const { scans } = await ask(server, "scan_list", {});
  assert.equal(scans?.[0]?.status, "cancelled");
});

Deno.test("a cancellation ends the child within a second", async () => {
  verifies("cancel.within_a_second");
  await using served = await serve("stubborn");
  const { server, copy } = served;
  const tookMs: number[] = [];
  // A machine that is busy may take longer: one of five shows what the server can do.
  for (let tries = 1; tries <= 5 && Math.min(...tookMs) > 1_000; tries++) {
    const { id } = server.send("tools/call", {
      name: "nmap",
      arguments: { ...TARGET, ports: String(tries) },
    });
    await logged(server, "scan started", tries);
    const begin = performance.now();
    server.notify("notifications/cancelled", { requestId: id });
    await logged(server, "scan ended", tries);
    tookMs.push(performance.now() - begin);
    assert.equal(await copy.alive(), 0);
  }
  assert.ok(Math.min(...tookMs) <= 1_000, tookMs.join(" "));
});

Deno.test("a descendant that holds the pipes holds no call open", async () => {
  verifies("spawn.held_pipe");
  await using served = await serve("orphans");
  const answer = await ask(served.server, "nmap", TARGET);
  assert.equal(answer.status, "succeeded");
  // No zombie waits for the server; what is left has another parent.
  assert.deepEqual(await descendantsOf(served.server.pid), []);
});

Deno.test("a tool has its limits as its whole environment, no input, no terminal, and leaves no file where it stands", async () => {
  verifies("spawn.clean_environment");
  await using served = await serve("canned", {
    env: { MCP_SECRET_OF_THE_SERVER: "x", LD_LIBRARY_PATH: "/nowhere" },
  });
  const { server, copy } = served;
  const lib = `${copy.path}/../lib/answers.sh`;
  await Deno.writeTextFile(
    `${copy.path}/nmap`,
    `#!/bin/sh
      . "${lib}"
      { env; pwd; readlink /proc/self/fd/0; ls -l /proc/self/fd | wc -l; } >"${copy.path}/seen"
      (: >paused.conf) 2>/dev/null
      (: </dev/tty) 2>/dev/null && echo terminal >>"${copy.path}/seen"
      xml_head; xml_host 127.0.0.1; xml_tail 1\n`,
  );
  assert.equal((await ask(server, "nmap", TARGET)).status, "succeeded");
  const seen = (await Deno.readTextFile(`${copy.path}/seen`)).trim().split(
    "\n",
  );
  // The shell sets these for itself; what it inherits would stand beside them.
  const inherited = seen.filter((line) =>
    /^[A-Za-z_]\w*=/.test(line) && !/^(?:PWD|OLDPWD|SHLVL|_)=/.test(line)
  );
  assert.deepEqual(inherited.toSorted(), [
    "SANDBOX_ADDRESS_SPACE_BYTES=2147483648",
    "SANDBOX_CPU_SECONDS=1800",
    "SANDBOX_EGRESS_GUARD=0",
    "SANDBOX_FILE_SIZE_BYTES=1048576",
    "SANDBOX_OPEN_FILES=1024",
    "SANDBOX_PROCESSES=16",
    `SANDBOX_SERVER=${server.pid}`,
  ]);
  assert.ok(seen.includes("/proc") && seen.includes("/dev/null"), String(seen));
  assert.ok(!seen.includes("terminal"));
  for (const folder of [copy.path, ROOT]) {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.ok(!names.includes("paused.conf"));
  }
});

Deno.test("the server's memory stays bounded while a tool floods", async () => {
  verifies("spawn.flood_bounded_memory");
  await using served = await serve("flood");
  const { server } = served;
  // A plan goes all the way to the policies, which are loaded with the first of them.
  await ask(server, "nmap", { ...TARGET, ports: "9", plan: true });
  const before = (await memoryOf(server.pid)).resident;
  for (const ports of ["1", "2", "3", "4", "5"]) {
    const answer = await ask(server, "nmap", { ...TARGET, ports });
    assert.equal(answer.error?.code, "output_limit");
  }
  // Each keeps 10 MiB of raw output, which is joined once, and may leave as much for the collector.
  const { peak } = await memoryOf(server.pid);
  const more = (peak - before) / 1_048_576;
  assert.ok(more < 5 * 10 + 100, `${Math.round(more)} MiB more`);
});
