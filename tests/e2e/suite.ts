/**
 * The main job from end to end: a client of the protocol's own SDKs, the real server, the real nmap and
 * a real listener on loopback. The same cases for every client.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Answer } from "../process/fixtures/served.ts";
import { verifies } from "../requirements.ts";
import {
  descendantsOf,
  type Process,
  processes,
} from "../support/processes.ts";
import {
  type Connect,
  connect as connectStdio,
  type Peer,
  type PeerName,
  type Result,
} from "./peer.ts";

/** What each client and the server agree on. */
const SPEAKS: Readonly<Record<PeerName, string>> = {
  "v1 at 2025-11-25": "2025-11-25",
  "v1 at 2025-06-18": "2025-06-18",
  "v2 at 2025-11-25": "legacy",
  "v2 at 2026-07-28": "modern",
};

/** A scan of loopback that takes some twenty seconds unless it is ended: a pause before each probe. */
const SLOW = {
  target: "127.0.0.1",
  ports: "1-100",
  scan_type: "connect",
  extra_args: "--scan-delay=200ms",
} as const;

/** The SDKs' stdio clients leave timers and a pipe behind when they close; the servers end all the same. */
const OPTIONS = { sanitizeOps: false, sanitizeResources: false } as const;

/** A listener that a scan can find. */
function listen(): Disposable & { readonly port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const connection of listener) connection.close();
  })();
  accepting.catch(() => {});
  return {
    port: listener.addr.port,
    [Symbol.dispose]: () => listener.close(),
  };
}

/** The structured part, which the client has held against the tool's output schema. */
function structured(result: Result): Answer {
  assert.ok(result.structuredContent, JSON.stringify(result));
  return result.structuredContent as Answer;
}

/** Reads a resource of one part as JSON. */
async function read(
  { client }: Peer,
  uri: string,
): Promise<Record<string, unknown>> {
  const { contents } = await client.readResource({ uri });
  const [content] = contents as { text?: string }[];
  return JSON.parse(content?.text ?? "") as Record<string, unknown>;
}

/** Waits before the next look: a server bounds how often it is asked. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100));
}

/** Asks for a scan's state until it is over. */
async function over(peer: Peer, scanId: string): Promise<Answer> {
  for (let looks = 0; looks < 300; looks++) {
    const call = { scan_id: scanId };
    const answer = structured(await peer.call("scan_status", call));
    if (!["queued", "running"].includes(answer.status ?? "")) return answer;
    await pause();
  }
  return assert.fail(`scan ${scanId} does not end`);
}

/** Waits until nmap runs below the server. */
async function running({ pid }: Peer): Promise<readonly Process[]> {
  for (let looks = 0; looks < 100; looks++) {
    const found = (await descendantsOf(pid)).filter(({ commandLine }) =>
      /^(?:\S*\/)?nmap /.test(commandLine)
    );
    if (found.length > 0) return found;
    await pause();
  }
  return assert.fail("nmap does not start");
}

/** Waits until processes are gone, well before a slow scan would have come to its own end. */
async function gone(expected: readonly Process[]): Promise<void> {
  let left = expected;
  for (let looks = 0; looks < 80; looks++) {
    const all = await processes();
    left = all.filter(({ pid, commandLine, state }) =>
      state !== "Z" &&
      expected.some((one) => one.pid === pid && one.commandLine === commandLine)
    );
    if (left.length === 0) return;
    await pause();
  }
  assert.fail(`nmap goes on: ${JSON.stringify(left)}`);
}

/** The scans in the history that were not there before, the latest first. */
async function scansSince(
  peer: Peer,
  before: readonly string[],
): Promise<readonly string[]> {
  const { scans } = structured(await peer.call("scan_list", { limit: 50 }));
  assert.ok(scans);
  return scans.map((scan) => scan.scan_id ?? "").filter((id) =>
    !before.includes(id)
  );
}

/** What a client comes by. */
export interface Way {
  /** As it stands in the tests' names. */
  readonly transport: string;
  readonly connect: Connect;
}

const STDIO: Way = { transport: "stdio", connect: connectStdio };

/**
 * Registers the suite for a client.
 *
 * @param name The client.
 * @param way What it comes by.
 */
export function registerSuite(
  name: PeerName,
  { transport, connect }: Way = STDIO,
): void {
  let joined: Peer | null = null;
  const leave = async () => {
    const peer = joined;
    joined = null;
    await peer?.[Symbol.asyncDispose]();
  };
  const join = async () => {
    joined = await connect(name);
    // Only listed tools have their results held against their output schemas.
    await joined.client.listTools();
    return joined;
  };
  Deno.test.afterAll(leave);
  const test = (what: string, run: (peer: Peer) => Promise<void>) =>
    Deno.test(`${what} (${name}, ${transport})`, OPTIONS, async () => {
      try {
        await run(joined ?? await join());
      } catch (thrown) {
        // The next one begins with a client that nothing happened to.
        await leave();
        throw thrown;
      }
    });

  test("the tools are listed whole, within 24 KB", async ({ client, speaks }) => {
    verifies("mcp.tools.schemas", "mcp.tools.list_size", "mcp.versions");
    assert.equal(speaks, SPEAKS[name]);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name), [
      "nmap",
      "masscan",
      "gobuster",
      "scan_status",
      "scan_results",
      "scan_list",
      "scan_diff",
      "inventory",
      "scan_cancel",
    ]);
    for (const tool of tools) {
      assert.ok(tool.title && tool.description, tool.name);
      assert.equal(tool.inputSchema.type, "object");
      assert.equal(tool.outputSchema?.type, "object");
      assert.equal(typeof tool.annotations?.readOnlyHint, "boolean");
      assert.equal(typeof tool.annotations?.openWorldHint, "boolean");
    }
    assert.ok(JSON.stringify({ tools }).length < 24 * 1024);
    assert.equal(client.getServerVersion()?.name, "security-mcp-server");
  });

  test("a scan finds the open port, and its resources hold the same", async (peer) => {
    verifies(
      "nmap.real",
      "dispatch.result_shape",
      "nmap.scan_type_reported",
      "mcp.resources",
      "plan.equals_scan",
    );
    using listener = listen();
    const call = {
      target: "127.0.0.1",
      ports: `${listener.port},1`,
      scan_type: "connect",
    };
    const { plan } = structured(
      await peer.call("nmap", { ...call, plan: true }),
    );
    assert.equal(plan?.allowed, true);
    const scan = structured(await peer.call("nmap", call));
    assert.equal(scan.status, "succeeded", JSON.stringify(scan));
    assert.deepEqual(scan.argv, plan?.argv);
    assert.equal(scan["scan_type"], "connect");
    assert.match(String(scan["trace_id"]), /^[0-9a-f]{32}$/);
    for (const key of ["started_at", "finished_at", "duration_seconds"]) {
      assert.ok(scan[key] !== null && scan[key] !== undefined, key);
    }
    const ports = scan.report?.hosts[0]?.ports as {
      port: number;
      state: string;
    }[];
    assert.ok(
      ports.some(({ port, state }) =>
        port === listener.port && state === "open"
      ),
      JSON.stringify(ports),
    );
    const whole = await read(peer, `scan://${scan.scan_id}`);
    assert.deepEqual(whole["report"], scan.report);
    const { contents } = await peer.client.readResource({
      uri: `scan://${scan.scan_id}/raw`,
    });
    const [raw] = contents as { text?: string }[];
    assert.match(raw?.text ?? "", /<nmaprun[^]*<\/nmaprun>/);
  });

  test("a slow scan tells its progress, rising, and ends its child when it is cancelled", async (peer) => {
    verifies("progress.live", "isolate.cancel_is_a_message");
    const before = await scansSince(peer, []);
    const caller = new AbortController();
    const said: number[] = [];
    const enough = Promise.withResolvers<void>();
    const calling = peer.call("nmap", SLOW, {
      signal: caller.signal,
      onprogress: ({ progress }) => {
        said.push(progress);
        if (said.length === 3) enough.resolve();
      },
    });
    const settled = calling.then(() => "answered", () => "rejected");
    await Promise.race([enough.promise, settled]);
    assert.ok(said.length >= 3, String(said));
    assert.ok(said.every((one, at) => at === 0 || one > (said[at - 1] ?? 0)));
    const nmaps = await running(peer);
    caller.abort();
    assert.equal(await settled, "rejected");
    await gone(nmaps);
    // The process is gone a moment before the server has read its end.
    const [id = ""] = await scansSince(peer, before);
    const { status } = await over(peer, id);
    assert.equal(status, "cancelled");
  });

  test("a background scan can be followed, listed, cancelled and read", async (peer) => {
    verifies("mcp.background", "mcp.results.paging");
    using listener = listen();
    const before = await scansSince(peer, []);
    const slow = { ...SLOW, background: true };
    const accepted = structured(await peer.call("nmap", slow));
    const id = accepted.scan_id ?? assert.fail("no scan_id");
    assert.ok(["queued", "running"].includes(accepted.status ?? ""));
    const status = structured(await peer.call("scan_status", { scan_id: id }));
    assert.equal(status.scan_id, id);
    assert.deepEqual(await scansSince(peer, before), [id]);
    const nmaps = await running(peer);
    const cancelled = structured(
      await peer.call("scan_cancel", { scan_id: id }),
    );
    assert.equal(cancelled.status, "cancelled");
    await gone(nmaps);

    const quick = structured(
      await peer.call("nmap", {
        target: "127.0.0.1",
        ports: `${listener.port},1`,
        scan_type: "connect",
        background: true,
      }),
    );
    const quickId = quick.scan_id ?? assert.fail("no scan_id");
    assert.equal((await over(peer, quickId)).status, "succeeded");
    const results = structured(
      await peer.call("scan_results", {
        scan_id: quickId,
        open_only: true,
        port: listener.port,
      }),
    );
    assert.deepEqual(results["hosts"], ["127.0.0.1"]);
    const none = structured(
      await peer.call("scan_results", { scan_id: quickId, port: 2 }),
    );
    assert.equal(none["matched"], 0);
  });

  test("what is refused says its code and the way out", async (peer) => {
    verifies("mcp.errors.pinned");
    const before = await scansSince(peer, []);
    const cases:
      readonly (readonly [string, Record<string, unknown>, string])[] = [
        ["nmap", { target: "8.8.8.8" }, "target_not_allowed"],
        ["nmap", { target: "172.16.0.0/12" }, "network_too_large"],
        ["nmap", { target: "127.0.0.1", timing: 5 }, "intrusive_not_allowed"],
        ["nmap", { target: "127.0.0.1; id" }, "invalid_target"],
        ["nmap", { target: "127.0.0.1", argv: ["-oN"] }, "invalid_arguments"],
        [
          "nmap",
          { target: "127.0.0.1", extra_args: "-oN /x" },
          "invalid_arguments",
        ],
        ["gobuster", {
          mode: "dir",
          target: "http://127.0.0.1/",
          wordlist: "../x",
        }, "invalid_arguments"],
        ["scan_status", { scan_id: "nope" }, "not_found"],
      ];
    for (const [tool, args, code] of cases) {
      const result = await peer.call(tool, args);
      assert.equal(result.isError, true, JSON.stringify(args));
      assert.equal(structured(result).error?.code, code, JSON.stringify(args));
      const [part] = result.content as { text: string }[];
      assert.match(part?.text ?? "", new RegExp(`Error: ${code}\\..*Next: `));
    }
    assert.deepEqual(await scansSince(peer, before), []);
    await assert.rejects(peer.call("nikto", {}));
  });

  test("identical concurrent calls are one scan", async (peer) => {
    verifies("dispatch.joins_identical");
    const before = await scansSince(peer, []);
    const call = { ...SLOW, ports: "1-12" };
    const answers = await Promise.all([
      peer.call("nmap", call),
      peer.call("nmap", call),
      peer.call("nmap", call),
    ]);
    const ids = answers.map((answer) => structured(answer).scan_id);
    assert.equal(new Set(ids).size, 1);
    assert.deepEqual(await scansSince(peer, before), [...new Set(ids)]);
  });

  test("guardrails, health and metrics can be read", async (peer) => {
    verifies("mcp.resources", "health.checks", "metrics.names");
    const { resources } = await peer.client.listResources();
    const uris = resources.map(({ uri }) => uri);
    for (
      const uri of [
        "policy://guardrails",
        "server://health",
        "server://metrics",
      ]
    ) {
      assert.ok(uris.includes(uri), uri);
    }
    const guardrails = JSON.stringify(await read(peer, "policy://guardrails"));
    assert.match(guardrails, /1024/);
    const health = await read(peer, "server://health");
    assert.match(String(health["status"]), /^(?:healthy|degraded)$/);
    assert.ok(Array.isArray(health["checks"]));
    const { contents } = await peer.client.readResource({
      uri: "server://metrics",
    });
    const [metrics] = contents as { text?: string }[];
    assert.match(
      metrics?.text ?? "",
      /^mcp_circuit_breaker_state\{tool="nmap"\} 0$/m,
    );
    await assert.rejects(peer.client.readResource({ uri: "scan://nope" }));
    await assert.rejects(
      peer.client.readResource({ uri: "file:///etc/passwd" }),
    );
  });

  test("prompts render, and scripts and wordlists are completed", async ({ client }) => {
    verifies("mcp.prompts", "mcp.completions");
    const { prompts } = await client.listPrompts();
    assert.deepEqual(prompts.map((prompt) => prompt.name), [
      "inventory_subnet",
      "what_changed",
      "triage_web_host",
    ]);
    const { messages } = await client.getPrompt({
      name: "inventory_subnet",
      arguments: { subnet: "127.0.0.0/30" },
    });
    assert.match(JSON.stringify(messages), /127\.0\.0\.0\/30/);
    const complete = async (
      prompt: string,
      argument: string,
      value: string,
    ) => {
      const { completion } = await client.complete({
        ref: { type: "ref/prompt", name: prompt },
        argument: { name: argument, value },
      });
      return completion.values;
    };
    const scripts = await complete("inventory_subnet", "scripts", "http-ti");
    assert.ok(scripts.includes("http-title"));
    const wordlists = await complete("triage_web_host", "wordlist", "");
    assert.ok(wordlists.includes("common"), String(wordlists));
  });

  // The last one: nobody is there any more.
  test("a client that goes leaves no scan behind", async (peer) => {
    const calling = peer.call("nmap", SLOW);
    const settled = calling.then(() => "answered", () => "rejected");
    const nmaps = await running(peer);
    await peer.leave();
    await gone(nmaps);
    assert.equal(await settled, "rejected");
    await leave();
  });
}
