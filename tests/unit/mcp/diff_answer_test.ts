/**
 * `scan_diff`: which scan is compared with, what is said, and how much.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { callTool } from "@/mcp/call_tool.ts";
import type { HostReport, HostsReport } from "@/tools/report.ts";
import type { Scan } from "@/scans/scan.ts";
import { FakeEngine, fakeScan } from "./fixtures/fake_engine.ts";
import { SOMEONE } from "../../support/who.ts";
import { verifies } from "../../requirements.ts";

verifies("diff.scans");

const TARGET = "10.0.0.0/24";

/** A complete scan of some ports of a network; of each host port 22 is open, of some 80. */
function scanOf(
  id: string,
  withWeb: readonly number[],
  change: Partial<Scan> = {},
): Scan {
  const hosts = Array.from({ length: 254 }, (_, at): HostReport => ({
    address: `10.0.0.${at + 1}`,
    status: "up",
    ports: [22, 80].map((port) => ({
      port,
      protocol: "tcp",
      state: port === 22 || withWeb.includes(at + 1) ? "open" : "closed",
    })),
  }));
  return fakeScan({
    id,
    request: { target: TARGET, ports: "22,80" },
    target: TARGET,
    targets: [TARGET],
    argv: [["nmap", "-n", "-sT", "-Pn", "-p", "22,80", TARGET]],
    report: {
      kind: "hosts",
      partial: false,
      hosts,
      totals: { up: 254, down: 0, total: 254 },
      tool_version: "7.93",
    },
    ...change,
  });
}

function engineOf(...scans: readonly Scan[]): FakeEngine {
  const engine = new FakeEngine();
  for (const scan of scans) engine.add(scan);
  return engine;
}

async function diff(engine: FakeEngine, args: Record<string, unknown>) {
  const { structuredContent, text, isError } = await callTool(engine, {
    who: SOMEONE,
    name: "scan_diff",
    arguments: args,
    signal: new AbortController().signal,
  });
  return { ...structuredContent, text, isError } as unknown as {
    older: { scan_id: string };
    totals: unknown;
    changes: { address: string; port: number; change: string }[];
    truncated?: { shown: number; total: number; next: string };
    text: string;
    isError: boolean;
    error?: { code: string; message: string };
  };
}

Deno.test("scan_diff says which ports were opened and closed", async () => {
  const engine = engineOf(scanOf("scan-1", [1, 2]), scanOf("scan-2", [2, 3]));
  const found = await diff(engine, { scan_id: "scan-2", since: "scan-1" });
  assert.equal(found.isError, false);
  assert.deepEqual(
    found.changes.map(({ address, port, change }) => [address, port, change]),
    [["10.0.0.1", 80, "closed"], ["10.0.0.3", 80, "opened"]],
  );
  assert.equal(found.truncated, undefined);
  assert.match(found.text, /1 port opened, 1 port closed/);
});

Deno.test("scan_diff takes the last complete scan of the same by itself", async () => {
  verifies("diff.last_time");
  const engine = engineOf(
    scanOf("scan-1", []),
    scanOf("scan-2", [1]),
    scanOf("scan-3", [], { status: "cancelled" }),
    scanOf("scan-4", [], { target: "10.9.0.1", targets: ["10.9.0.1"] }),
    scanOf("scan-5", [1, 2]),
  );
  const found = await diff(engine, { scan_id: "scan-5" });
  assert.equal(found.older.scan_id, "scan-2");
  assert.deepEqual(found.changes.map(({ address }) => address), ["10.0.0.2"]);
  // The scan itself and the one that serves: no other is read to find it.
  assert.deepEqual(engine.read, ["scan-5", "scan-2"]);
  const first = await diff(engine, { scan_id: "scan-1" });
  assert.equal(first.isError, true);
  assert.equal(first.error?.code, "not_found");
  assert.match(first.text, /no earlier scan that is kept/);
});

Deno.test("scan_diff passes over a scan whose results were cut, which its head does not say", async () => {
  const cut = scanOf("scan-2", [1]);
  const report = { ...cut.report as HostsReport, truncated: "too many hosts" };
  const engine = engineOf(
    scanOf("scan-1", []),
    { ...cut, report },
    scanOf("scan-3", [1]),
  );
  const found = await diff(engine, { scan_id: "scan-3" });
  assert.equal(found.older.scan_id, "scan-1");
  assert.deepEqual(engine.read, ["scan-3", "scan-2", "scan-1"]);
});

Deno.test("scan_diff passes over a scan that was removed since it was listed", async () => {
  const engine = engineOf(
    scanOf("scan-1", []),
    scanOf("scan-2", []),
    scanOf("scan-3", [1]),
  );
  const read = engine.scan.bind(engine);
  engine.scan = async (id) => {
    if (id !== "scan-2") return await read(id);
    throw new AppError("not_found", "Cannot find the scan: no such id");
  };
  const found = await diff(engine, { scan_id: "scan-3" });
  assert.equal(found.older.scan_id, "scan-1");
});

Deno.test("scan_diff reads ten scans at most to find one to compare with", async () => {
  verifies("diff.last_time");
  const cut = (id: string) => {
    const scan = scanOf(id, []);
    return {
      ...scan,
      report: { ...scan.report as HostsReport, truncated: "too many hosts" },
    };
  };
  const ids = Array.from({ length: 20 }, (_, at) => `scan-${at + 10}`);
  const engine = engineOf(...ids.map(cut), scanOf("scan-99", []));
  const found = await diff(engine, { scan_id: "scan-99" });
  assert.equal(found.error?.code, "not_found");
  assert.equal(engine.read.length, 11);
});

/** A scan of a web server's paths, or of names. */
function gobusterScan(id: string, mode: string, target: string): Scan {
  return fakeScan({
    id,
    tool: "gobuster",
    request: { mode, target },
    target,
    targets: [],
    argv: [["gobuster", mode, `--url=${target}`]],
    report: {
      kind: "paths",
      partial: false,
      url: new URL(target).href,
      paths: [],
      totals: { tried: 1, words: 1 },
    },
  });
}

Deno.test("scan_diff finds the last scan of the same web server, however its address was written", async () => {
  const engine = engineOf(
    gobusterScan("scan-1", "dir", "HTTP://10.0.0.2"),
    gobusterScan("scan-2", "vhost", "http://10.0.0.2/"),
    gobusterScan("scan-3", "dir", "http://10.0.0.2:8080/"),
    scanOf("scan-4", [], { targets: ["10.0.0.2"] }),
    gobusterScan("scan-5", "dir", "http://10.0.0.2/"),
  );
  const found = await diff(engine, { scan_id: "scan-5" });
  assert.equal(found.older.scan_id, "scan-1");
  assert.deepEqual(engine.read, ["scan-5", "scan-1"]);
});

Deno.test("scan_diff stays within its tokens, and its pages are the whole", async () => {
  const every = Array.from({ length: 254 }, (_, at) => at + 1);
  const engine = engineOf(scanOf("scan-1", []), scanOf("scan-2", every));
  const seen = new Set<string>();
  let args: Record<string, unknown> = { scan_id: "scan-2", max_tokens: 1_000 };
  let pages = 0;
  for (; pages < 254; pages++) {
    const page = await diff(engine, args);
    for (const { address } of page.changes) seen.add(address);
    if (page.truncated === undefined) break;
    assert.equal(page.truncated.total, 254);
    args = {
      ...JSON.parse(page.truncated.next.replace("scan_diff ", "")),
      max_tokens: 1_000,
    };
  }
  assert.equal(seen.size, 254);
  assert.ok(pages > 5, `${pages} pages`);
});

Deno.test("scan_diff refuses what cannot be compared, and says why", async () => {
  const paths = fakeScan({
    id: "scan-2",
    tool: "gobuster",
    report: {
      kind: "paths",
      partial: false,
      url: "http://10.0.0.1/",
      paths: [],
      totals: { tried: 1, words: 1 },
    },
  });
  const engine = engineOf(scanOf("scan-1", []), paths);
  const refused = await diff(engine, { scan_id: "scan-2", since: "scan-1" });
  assert.equal(refused.error?.code, "invalid_arguments");
  const missing = await diff(engine, { scan_id: "scan-9" });
  assert.equal(missing.error?.code, "not_found");
});
