/**
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { AuditEntry } from "@/audit/entry.ts";
import { cefLine } from "@/audit/cef.ts";
import { type ExportFilter, exportLines } from "@/audit/export.ts";
import type { Line } from "@/audit/line.ts";
import { parseLine } from "@/audit/line.ts";
import { MemoryFiles } from "./memory_files.ts";
import {
  decision,
  entriesOf,
  linesOf,
  openLog,
  request,
  sampleLog,
  WHO,
} from "./samples.ts";
import { verifies } from "../../requirements.ts";

verifies("audit.export");

const ALL: ExportFilter = {
  since: null,
  until: null,
  kinds: null,
  scanId: null,
  labels: null,
};

async function exported(
  files: MemoryFiles,
  filter: Partial<ExportFilter>,
  format: "jsonl" | "cef" = "jsonl",
): Promise<{ lines: readonly string[]; unreadable: readonly string[] }> {
  let text = "";
  const unreadable: string[] = [];
  const pieces = exportLines(files, {
    format,
    filter: { ...ALL, ...filter },
    version: "1.2.3",
    onUnreadable: ({ file, line }) => unreadable.push(`${file}:${line}`),
  });
  for await (const piece of pieces) text += piece;
  return {
    lines: text === "" ? [] : text.slice(0, -1).split("\n"),
    unreadable,
  };
}

function line(fields: Line["fields"], kind = "decision"): Line {
  const seal = "0".repeat(64);
  return {
    seq: 7,
    time: "2026-03-01T12:00:00.250Z",
    prev: "ab".repeat(32),
    kind,
    fields,
    seal,
    text: "",
  };
}

Deno.test("exportLines() gives the log's own bytes", async () => {
  const files = await sampleLog(20);
  const { lines, unreadable } = await exported(files, {});
  assert.deepEqual(lines, linesOf(files).map(({ text }) => text));
  assert.deepEqual(unreadable, []);
});

Deno.test("exportLines() filters by time, kind and scan", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files);
  for (let number = 0; number < 5; number++) await log.append(request(number));
  await log.append(decision("allowed", { scanId: "scan-a" }));
  await log.append(decision("allowed", { scanId: "scan-b" }));
  const times = entriesOf(files).map(({ time }) => String(time));
  const count = async (filter: Partial<ExportFilter>) =>
    (await exported(files, filter)).lines.length;
  assert.equal(await count({ kinds: new Set(["request"]) }), 5);
  assert.equal(await count({ kinds: new Set(["request", "decision"]) }), 7);
  assert.equal(await count({ scanId: "scan-b" }), 1);
  assert.equal(await count({ since: times[3] ?? "" }), times.length - 3);
  assert.equal(await count({ until: times[3] ?? "" }), 3);
  assert.equal(
    await count({ since: times[2] ?? "", until: times[2] ?? "" }),
    0,
  );
});

Deno.test("exportLines() cuts by engagement and tags: the request, the decision and the scan", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files);
  const calls = [
    ["spring", ["web", "x"]],
    ["spring", []],
    ["autumn", ["web"]],
    [null, []],
  ] as const;
  for (const [at, [engagement, tags]] of calls.entries()) {
    const traceId = String(at).repeat(32);
    const scanId = `scan-${at}`;
    const labels = { engagement, tags };
    const asked = { target: "127.0.0.1", engagement, tags };
    await log.append(
      { ...request(at), traceId, arguments: asked } as AuditEntry,
    );
    await log.append(decision("allowed", { scanId, traceId, labels }));
    const status = "succeeded";
    const tenant = "default";
    const ended = { tenant, scanId, traceId, tool: "nmap", status, code: null };
    await log.append({ kind: "scan_ended", ...ended });
  }
  // Somebody cancels it: another call, the same scan, and both say so.
  const cancel = { ...request(9), operation: "cancel" } as AuditEntry;
  await log.append({ ...cancel, arguments: { id: "scan-0" } } as AuditEntry);
  await log.append(decision("allowed", { scanId: "scan-0" }));
  const count = async (labels: ExportFilter["labels"]) =>
    (await exported(files, { labels })).lines.length;
  assert.equal(await count({ engagement: "spring", tags: [] }), 8);
  assert.equal(await count({ engagement: "spring", tags: ["web"] }), 5);
  assert.equal(await count({ engagement: null, tags: ["web"] }), 8);
  assert.equal(await count({ engagement: "winter", tags: [] }), 0);
});

Deno.test("exportLines() gives nothing of another engagement out, although the trace is the same", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files);
  for (const engagement of ["spring", "autumn"]) {
    const labels = { engagement, tags: [] };
    const target = `${engagement}.lab.internal`;
    await log.append(
      { ...request(1), arguments: { target, engagement } } as AuditEntry,
    );
    await log.append(decision("refused", { target, labels }));
  }
  const labels = { engagement: "spring", tags: [] };
  const { lines } = await exported(files, { labels });
  assert.equal(lines.length, 2);
  assert.doesNotMatch(lines.join(), /autumn/);
});

Deno.test("exportLines() leaves a damaged line out and says where it is", async () => {
  const files = await sampleLog(3, { limits: { rotateBytes: 10 ** 9 } });
  files.put(
    "audit-000001.jsonl",
    files.text("audit-000001.jsonl").replace('"seq":3', '"seq":x') + "torn",
  );
  const { lines, unreadable } = await exported(files, {});
  assert.equal(lines.length, linesOf(files).length - 1);
  assert.deepEqual(unreadable, [
    "audit-000001.jsonl:3",
    `audit-000001.jsonl:${lines.length + 2}`,
  ]);
});

Deno.test("cefLine() writes an allowed request", () => {
  const fields = {
    who: { client: "ci", transport: "http", address: "127.0.0.1" },
    operation: "scan",
    tool: "nmap",
    target: "10.0.0.0/28",
    outcome: "allowed",
    rule: "guardrails",
    code: null,
    message: null,
    scan_id: "01hq",
    trace_id: "ffff",
    config_hash: "aa",
    policy_hash: null,
  };
  assert.equal(
    cefLine(line(fields), "1.2.3"),
    "<110>1 2026-03-01T12:00:00.250Z - security-mcp-server - decision - " +
      "CEF:0|Security MCP Server|security-mcp-server|1.2.3|decision|Request allowed|3|" +
      "rt=1772366400250 cat=decision externalId=7 suser=ci app=http src=127.0.0.1 " +
      "outcome=allowed act=scan deviceProcessName=nmap cs1=01hq cs1Label=scan_id " +
      "cs2=ffff cs2Label=trace_id cs3=guardrails cs3Label=rule cs4=aa cs4Label=config_hash " +
      `cs6=10.0.0.0/28 cs6Label=target fileHash=${"ab".repeat(32)}`,
  );
});

Deno.test("cefLine() weighs what happened", () => {
  const cases = [
    ["request", {}, "<110>", 2],
    ["decision", { outcome: "allowed" }, "<110>", 3],
    ["decision", { outcome: "refused", code: "invalid_arguments" }, "<109>", 5],
    [
      "decision",
      { outcome: "refused", code: "target_not_allowed" },
      "<108>",
      7,
    ],
    ["decision", { outcome: "refused", code: "policy_denied" }, "<108>", 7],
    ["scan_ended", { code: null }, "<110>", 2],
    ["scan_ended", { code: "tool_failed" }, "<109>", 4],
    ["approval_expired", {}, "<109>", 4],
    ["config_changed", {}, "<109>", 5],
    ["recovered", {}, "<108>", 7],
    ["checkpoint", {}, "<110>", 0],
    ["of_a_later_version", {}, "<110>", 3],
  ] as const;
  for (const [kind, fields, priority, severity] of cases) {
    const text = cefLine(line(fields, kind), "1");
    assert.ok(text.startsWith(priority), text);
    assert.equal(text.split("|")[6], String(severity), text);
  }
});

Deno.test("cefLine() escapes header and values by their own rules", () => {
  const text = cefLine(
    line({
      who: {
        client: "a=b|c\\d\ne\rf\u001bg\u2028h",
        transport: "stdio",
        address: "fe80::1",
      },
      message: "x",
    }, "request"),
    "1|2\\3\n4",
  );
  assert.ok(
    text.includes(
      "CEF:0|Security MCP Server|security-mcp-server|1\\|2\\\\3 4|request|",
    ),
    text,
  );
  assert.ok(
    text.includes("suser=a\\=b|c\\\\d\\ne\\rf\\\\u001bg\\\\u2028h app=stdio "),
    text,
  );
  assert.ok(text.includes("c6a2=fe80::1 c6a2Label=Source IPv6 Address"), text);
});

/** Reads a CEF event back, by the rules of the format. */
function readCef(
  text: string,
): { header: string[]; values: Map<string, string> } {
  const cef = text.slice(text.indexOf("CEF:"));
  const header: string[] = [];
  let at = 0;
  for (let part = ""; header.length < 7; at++) {
    const char = cef[at];
    if (char === undefined) throw new Error("the header ends early");
    if (char === "\\") part += cef[++at];
    else if (char === "|") {
      header.push(part);
      part = "";
    } else part += char;
  }
  const values = new Map<string, string>();
  for (
    const [, key = "", raw = ""] of cef.slice(at).matchAll(
      /(\w+)=((?:\\.|[^\\=])*)(?=\s\w+=|$)/gs,
    )
  ) {
    values.set(
      key,
      raw.replace(
        /\\([\s\S])/g,
        (_, char) => char === "n" ? "\n" : char === "r" ? "\r" : char,
      ),
    );
  }
  return { header, values };
}

Deno.test("cefLine() is one line that reads back, whatever the entry holds", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.string({ unit: "binary" }),
      (client, message) => {
        const text = cefLine(
          line(
            { who: { client, transport: "cli", address: null }, message },
            "request",
          ),
          "1",
        );
        // deno-lint-ignore no-control-regex -- exactly those must not be there
        assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
        const { header, values } = readCef(text);
        assert.equal(header[4], "request");
        assert.equal(header[5], "Request received");
        assert.equal(values.get("cat"), "request");
        if (/^[\x20-\x7e]*$/.test(message)) {
          assert.equal(
            values.get("msg"),
            message,
          );
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("exportLines() writes every kind as CEF", async () => {
  const files = await sampleLog(8);
  const { lines } = await exported(files, {}, "cef");
  assert.equal(lines.length, linesOf(files).length);
  for (const text of lines) {
    assert.match(
      text,
      /^<1\d\d>1 \S+Z - security-mcp-server - [a-z_]+ - CEF:0\|/,
    );
  }
  const first = parseLine(new TextEncoder().encode(linesOf(files)[0]?.text));
  assert.equal(first?.kind, "log_opened");
  assert.match(
    lines[0] ?? "",
    /flexString2=\{"key_id":"[0-9a-f]{16}","key_origin":"made","version":1\} flexString2Label=details/,
  );
  assert.equal(WHO.address, "127.0.0.1");
});
