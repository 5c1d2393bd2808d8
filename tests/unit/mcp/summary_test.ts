import assert from "node:assert/strict";
import { summarize } from "@/scans/summary.ts";
import { fakeScan } from "./fixtures/fake_engine.ts";
import {
  gobusterReport,
  HOSTILE,
  hostsReport,
  namesReport,
  openOn,
} from "./fixtures/reports.ts";

const CASES = [
  [
    fakeScan(),
    "Done: 2 of 3 hosts up, 2 open ports: 22/tcp, 443/tcp.",
  ],
  [
    fakeScan({
      status: "partial",
      report: openOn(["10.0.0.1", "10.0.0.2"], 443),
    }),
    "Ended early, results are incomplete: 2 of 2 hosts up, 2 open ports: 443/tcp ×2.",
  ],
  [
    fakeScan({ tool: "gobuster", report: gobusterReport() }),
    "Done: 2 paths: status 301, status 200; 4614 of 4614 words tried.",
  ],
  [
    fakeScan({ tool: "gobuster", report: namesReport() }),
    "Done: 2 names (dns); 2000 words tried.",
  ],
  [fakeScan({ status: "failed", report: null }), "Failed."],
  [
    fakeScan({ status: "queued", finishedAt: null, report: null }),
    "Waiting for a free place.",
  ],
] as const;

for (const [scan, expected] of CASES) {
  Deno.test(`summarize() says: ${expected}`, () => {
    assert.equal(summarize(scan), expected);
  });
}

Deno.test("summarize() holds nothing that a scanned host chose", () => {
  for (const report of [hostsReport(), gobusterReport(), namesReport()]) {
    const said = summarize(fakeScan({ report }));
    assert.ok(!said.includes(HOSTILE) && !said.includes("OpenSSH"));
  }
});
