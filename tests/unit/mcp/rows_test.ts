import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { assertFilterFits, reportOf, type Row, rowsOf } from "@/mcp/rows.ts";
import {
  gobusterReport,
  hostsReport,
  namesReport,
} from "./fixtures/reports.ts";

function named(rows: readonly Row[]): readonly string[] {
  return rows.map((row) =>
    row.kind === "host"
      ? `${row.host.address}${row.port === null ? "" : `:${row.port.port}`}`
      : row.kind === "path"
      ? row.path.untrusted.path
      : row.name.name
  );
}

Deno.test("rowsOf() puts open ports before closed ones and hosts that are down last", () => {
  assert.deepEqual(named(rowsOf(hostsReport(), {})), [
    "10.0.0.2:22",
    "10.0.0.2:443",
    "10.0.0.1",
    "10.0.0.1:25",
    "10.0.0.2:23",
    "10.0.0.3",
  ]);
});

const HOST_FILTERS = [
  [{ openOnly: true }, ["10.0.0.2:22", "10.0.0.2:443"]],
  [{ port: 443 }, ["10.0.0.2:443"]],
  [{ port: 23 }, ["10.0.0.2:23"]],
  [{ port: 23, openOnly: true }, []],
  [{ service: "SSH" }, ["10.0.0.2:22"]],
  [{ host: "10.0.0.1" }, ["10.0.0.1", "10.0.0.1:25"]],
  [{ host: "WEB.lab.internal", openOnly: true }, [
    "10.0.0.2:22",
    "10.0.0.2:443",
  ]],
  [{ hostStatus: "down" }, ["10.0.0.3"]],
  [{ host: "10.0.0.9" }, []],
] as const;

for (const [filter, expected] of HOST_FILTERS) {
  Deno.test(`rowsOf() filters hosts by ${JSON.stringify(filter)}`, () => {
    assert.deepEqual(named(rowsOf(hostsReport(), filter)), expected);
  });
}

Deno.test("rowsOf() filters paths by status and names by host", () => {
  assert.deepEqual(named(rowsOf(gobusterReport(), { statusCode: 301 })), [
    "/admin",
  ]);
  assert.deepEqual(named(rowsOf(namesReport(), { host: "web.lab.internal" })), [
    "web.lab.internal",
  ]);
});

Deno.test("reportOf() gives a report back from all of its rows", () => {
  for (const report of [gobusterReport(), namesReport()]) {
    assert.deepEqual(reportOf(report, rowsOf(report, {}), "full"), report);
  }
  const hosts = hostsReport();
  const again = reportOf(hosts, rowsOf(hosts, {}), "full");
  assert.ok(again.kind === "hosts");
  const byAddress = (a: { address: string }, b: { address: string }) =>
    a.address < b.address ? -1 : 1;
  assert.deepEqual(
    again.hosts.sort(byAddress).map(({ address, ports, os }) => [
      address,
      ports.length,
      os?.length,
    ]),
    [["10.0.0.1", 1, undefined], ["10.0.0.2", 3, 1], [
      "10.0.0.3",
      0,
      undefined,
    ]],
  );
});

Deno.test("reportOf() leaves banners and scripts out of brief", () => {
  const hosts = hostsReport();
  const brief = JSON.stringify(reportOf(hosts, rowsOf(hosts, {}), "brief"));
  for (const key of ["untrusted", "scripts", "os", "traceroute"]) {
    assert.ok(!brief.includes(`"${key}"`), key);
  }
  assert.ok(brief.includes('"service":"ssh"'));
});

Deno.test("assertFilterFits() refuses a filter that can match nothing, and names those that can", () => {
  assert.throws(
    () => assertFilterFits(gobusterReport(), { port: 80 }),
    (error) =>
      error instanceof AppError && error.code === "invalid_arguments" &&
      error.message ===
        'Cannot filter by "port": this scan found paths; the filters for it are status_code',
  );
  assert.throws(() => assertFilterFits(hostsReport(), { statusCode: 200 }));
  assert.doesNotThrow(() =>
    assertFilterFits(gobusterReport(), { openOnly: false, statusCode: 200 })
  );
});
