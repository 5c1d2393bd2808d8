/**
 * Many calls at once: how many run, who waits, who is joined, and what is left afterwards.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { descendantsOf, memoryOf } from "../support/processes.ts";
import { standIn } from "../support/stand_ins.ts";
import type { Server } from "../support/server.ts";
import { answerOf, ask, logged, serve } from "./fixtures/served.ts";

const CALLS = 200;

/** The starts that were scans: a probe names no output. */
function scansOf(starts: readonly string[]): string[] {
  return starts.filter((line) =>
    line.includes(" -oX ") && !line.includes("-sL")
  );
}

Deno.test("never more children than places, waiters are served, a full queue refuses", async () => {
  verifies("permits.bounded_queue", "permits.fair_and_abortable");
  await using served = await serve("slow", {
    env: { MCP_NMAP_CONCURRENCY: "2", MCP_SECURITY_MAX_QUEUED_SCANS: "3" },
  });
  const { server, copy } = served;
  const calls = [1, 2, 3, 4, 5].map((port) =>
    ask(server, "nmap", { target: "127.0.0.1", ports: String(port) })
  );
  await logged(server, "scan started", 2);
  // The sixth finds three waiters; its answer proves that the five before it were taken in.
  const sixth = await ask(server, "nmap", { target: "127.0.0.1", ports: "6" });
  assert.equal(sixth.error?.code, "queue_full");
  assert.equal(sixth.error?.retry_after, 5);
  for (let open = 1; open <= 5; open++) {
    assert.ok((await copy.alive()) <= 2);
    assert.ok(scansOf(await copy.starts()).length <= open + 1);
    await copy.open();
    // The refused one has ended, too.
    await logged(server, "scan ended", open + 1);
  }
  const answers = await Promise.all(calls);
  assert.ok(answers.every(({ status }) => status === "succeeded"));
  // Which of the two that run hears the gate first is the system's choice; the order of places is not.
  const started = scansOf(await copy.starts()).map((line) =>
    Number(/ -p (\d+)/.exec(line)?.[1])
  );
  assert.deepEqual(started.slice(2), [3, 4, 5]);
});

Deno.test("identical concurrent calls are one scan", async () => {
  verifies("dispatch.joins_identical");
  await using served = await serve("slow");
  const { server, copy } = served;
  const call = { target: "127.0.0.1", ports: "80" };
  const calls = [1, 2, 3].map(() => ask(server, "nmap", call));
  await logged(server, "scan started");
  // A refused call behind them is answered after them: they have been taken in by then.
  await ask(server, "nmap", { target: "8.8.8.8" });
  await copy.open();
  const ids = (await Promise.all(calls)).map(({ scan_id }) => scan_id);
  assert.equal(new Set(ids).size, 1);
  assert.equal(scansOf(await copy.starts()).length, 1);
});

/** Calls with every kind of end, by turns. */
async function round(server: Server, first: number): Promise<Set<string>> {
  const ends = new Set<string>();
  const calls = Array.from({ length: CALLS }, async (_, at) => {
    const { status, error } = answerOf(
      await server.call("nmap", {
        target: "127.0.0.1",
        ports: String(first + at),
        ...(at % 5 === 4 ? { timeout_seconds: 1 } : {}),
      }),
    );
    ends.add(`${at % 5} ${status} ${error?.code ?? "-"}`);
  });
  await Promise.all(calls);
  return ends;
}

/** Reads the server's gauges of one name. */
async function gauges(server: Server, name: string): Promise<string[]> {
  const { contents } = await server.request("resources/read", {
    uri: "server://metrics",
  }) as { contents?: { text: string }[] };
  const text = contents?.[0]?.text ?? "";
  return text.split("\n").filter((line) => line.startsWith(`${name}{`)).sort();
}

Deno.test("200 concurrent calls against hostile tools leak no process, no isolate, no memory", async () => {
  verifies("stress.200_calls", "metrics.counted_once");
  await using served = await serve("canned", {
    patienceMs: 180_000,
    env: {
      MCP_NMAP_CONCURRENCY: "8",
      MCP_SECURITY_MAX_QUEUED_SCANS: "1024",
      MCP_SECURITY_MAX_OUTPUT_BYTES: "262144",
      MCP_BREAKER_FAILURE_THRESHOLD: "1000",
      MCP_SCANS_KEEP: "1",
      MCP_LOG_LEVEL: "error",
    },
  });
  const { server, copy } = served;
  // One nmap that is another by the last digit of its port.
  const kinds = [
    "canned",
    "flood",
    "dies_halfway",
    "fails",
    "stubborn",
  ] as const;
  const cases = kinds.map((kind, at) =>
    `${at}|${at + 5}) exec ${standIn(kind)}/nmap "$@" ;;`
  );
  await Deno.writeTextFile(
    `${copy.path}/nmap`,
    `#!/bin/sh
      port=
      for word do
        [ "$port" != next ] || { port=$word; break; }
        [ "$word" != -p ] || port=next
      done
      case \${port#"\${port%?}"} in
        ${cases.join("\n")}
      esac
      exec ${standIn("canned")}/nmap "$@"\n`,
  );
  const expected = [
    "0 succeeded -",
    "1 partial output_limit",
    "2 failed tool_failed",
    "3 failed tool_failed",
    "4 timed_out timeout",
  ];
  const isolates = await gauges(server, "mcp_isolate_up");
  // Two rounds until the caches of the database and the heap have their size, two that may add nothing.
  for (const first of [1_000, 2_000]) {
    assert.deepEqual([...await round(server, first)].sort(), expected);
  }
  const before = (await memoryOf(server.pid)).resident;
  for (const first of [3_000, 4_000]) {
    assert.deepEqual([...await round(server, first)].sort(), expected);
  }

  assert.deepEqual(await descendantsOf(server.pid), []);
  assert.deepEqual(await gauges(server, "mcp_isolate_up"), isolates);
  for (const line of await gauges(server, "mcp_isolate_restarts_total")) {
    assert.match(line, / 0$/);
  }
  for (
    const name of ["mcp_tool_active", "mcp_queue_held", "mcp_queue_waiting"]
  ) {
    for (const line of await gauges(server, name)) assert.match(line, / 0$/);
  }
  const counted = (await gauges(server, "mcp_tool_execution_total"))
    .filter((line) => line.includes('tool="nmap"'))
    .map((line) => Number(line.split(" ").at(-1)));
  assert.equal(counted.reduce((sum, count) => sum + count, 0), 4 * CALLS);

  // The heap shrinks when the collector gets to it: small calls give it the time.
  let after = (await memoryOf(server.pid)).resident;
  for (let tries = 0; after > before * 1.2 && tries < 200; tries++) {
    await server.request("tools/list");
    after = (await memoryOf(server.pid)).resident;
  }
  assert.ok(after <= before * 1.2, `${before >> 20} MiB to ${after >> 20} MiB`);
});

Deno.test("progress reaches the client while the scan runs, rising", async () => {
  verifies("progress.live");
  await using served = await serve("slow");
  const { server, copy } = served;
  const { result } = server.send("tools/call", {
    name: "nmap",
    arguments: { target: "127.0.0.1", ports: "80" },
    _meta: { progressToken: "mine" },
  });
  const { params } = await server.notification(
    "notifications/progress",
    ({ progress }) => Number(progress) >= 50,
  );
  assert.equal(params?.["progressToken"], "mine");
  assert.equal(params?.["total"], 100);
  assert.match(String(params?.["message"]), /50%, \d+ found/);
  await copy.open();
  await result;
  const said = server.notifications
    .filter(({ method }) => method === "notifications/progress")
    .map(({ params }) => Number(params?.["progress"]));
  assert.ok(said.length > 0);
  assert.deepEqual(said, said.toSorted((a, b) => a - b));
  assert.equal(new Set(said).size, said.length);
});
