import assert from "node:assert/strict";
import fc from "fast-check";
import { foundData } from "@/events/found.ts";
import type { HostReport, HostsReport } from "@/tools/report.ts";
import { verifies } from "../../requirements.ts";

function hosts(list: HostReport[]): HostsReport {
  const totals = { up: list.length, down: null, total: null };
  return {
    kind: "hosts",
    partial: true,
    hosts: list,
    totals,
    tool_version: null,
  };
}

Deno.test("foundData() shows open ports by address, port and service, and silent hosts by address", () => {
  verifies("events.untrusted");
  const data = foundData(hosts([
    {
      address: "10.0.0.1",
      status: "up",
      ports: [
        {
          port: 80,
          protocol: "tcp",
          state: "open",
          service: "http",
          untrusted: { product: "nginx", banners: [] },
        },
        { port: 81, protocol: "tcp", state: "closed" },
        { port: 53, protocol: "udp", state: "open" },
      ],
      untrusted: { reverse_names: ["evil.example"] },
    },
    { address: "10.0.0.2", status: "up", ports: [] },
    { address: "10.0.0.3", status: "down", ports: [] },
  ]));
  assert.deepEqual(data, {
    hosts: 2,
    ports: 2,
    newest: [
      { address: "10.0.0.1", port: 80, protocol: "tcp", service: "http" },
      { address: "10.0.0.1", port: 53, protocol: "udp", service: null },
      { address: "10.0.0.2" },
    ],
    lines: [
      "10.0.0.1 80/tcp open http",
      "10.0.0.1 53/udp open",
      "10.0.0.2 up",
    ],
    more: 0,
  });
});

Deno.test("foundData() shows paths below untrusted, cleaned, and names", () => {
  verifies("events.untrusted");
  const totals = { tried: null, words: null };
  assert.deepEqual(
    foundData({
      kind: "paths",
      partial: true,
      url: "http://127.0.0.1/",
      paths: [{
        status: 200,
        size: 3,
        untrusted: { path: "/a\u001b[31m\u202e", redirect: "http://evil" },
      }],
      totals,
    }),
    {
      paths: 1,
      newest: [{ status: 200, untrusted: { path: "/a" } }],
      untrusted: { lines: ["200 /a"] },
      more: 0,
    },
  );
  assert.deepEqual(
    foundData({
      kind: "names",
      partial: true,
      mode: "dns",
      domain: "lab.internal",
      names: [{ name: "www.lab.internal", addresses: ["10.0.0.9"] }],
      totals,
    }),
    {
      names: 1,
      newest: [{ name: "www.lab.internal" }],
      lines: ["www.lab.internal"],
      more: 0,
    },
  );
});

Deno.test("foundData() is small whatever was found, and counts all of it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3_000 }),
      fc.string({ unit: "binary", maxLength: 3_000 }),
      (count, service) => {
        const ports = Array.from({ length: count }, (_, port) => ({
          port,
          protocol: "tcp" as const,
          state: "open",
          service,
        }));
        const address = "10.0.0.1".repeat(1 + count);
        const data = foundData(hosts([{ address, status: "up", ports }]));
        assert.ok(JSON.stringify(data).length < 16_384);
        const newest = data["newest"] as unknown[];
        const shown = newest.length + (data["more"] as number);
        assert.equal(shown, Math.max(1, count));
        assert.equal(data["ports"], count);
      },
    ),
    { numRuns: 30 },
  );
});
