/**
 * Reports of a scan as resources: every format with its type, what is refused, and that nobody pays
 * for them who reads none.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { REPORT_EXTENSIONS } from "@/mcp/report_resource.ts";
import { readResource, TEMPLATES } from "@/mcp/resources.ts";
import { FORMAT_FACTS } from "@/report/format.ts";
import type { Scan } from "@/scans/scan.ts";
import { FakeEngine, fakeScan } from "./fixtures/fake_engine.ts";
import { gobusterReport, HOSTILE, openOn } from "./fixtures/reports.ts";
import { verifies } from "../../requirements.ts";

const INFO = { version: "1.2.3", wallNow: () => Date.UTC(2026, 0, 3) };

const XML = '<?xml version="1.0"?>\n<nmaprun args="nmap">é</nmaprun>\n';

async function read(uri: string, change: Partial<Scan> = {}) {
  const engine = new FakeEngine();
  engine.add(fakeScan({ raw: new TextEncoder().encode(XML), ...change }));
  const [content, ...more] = await readResource(engine, uri, INFO);
  assert.deepEqual(more, []);
  assert.equal(content?.uri, uri);
  return content;
}

/** Each format: its media type, and what such a text has to hold. */
const FORMATS = [
  ["html", "text/html; charset=utf-8", /^<!doctype html>/i],
  ["md", "text/markdown; charset=utf-8", /^# Scan report: /],
  ["csv", "text/csv; charset=utf-8; header=present", /10\.0\.0\.2/],
  ["jsonl", "application/jsonl", /"10\.0\.0\.2"/],
  ["sarif", "application/sarif+json", /"version": ?"2\.1\.0"/],
  ["xml", "application/xml", /^<\?xml version="1\.0"\?>\n<nmaprun/],
] as const;

for (const [extension, mimeType, words] of FORMATS) {
  Deno.test(`scan://{id}/report.${extension} is read with its type`, async () => {
    const content = await read(`scan://scan-0001/report.${extension}`);
    assert.equal(content?.mimeType, mimeType);
    assert.match(content?.text ?? "", words);
  });
}

Deno.test("every format of a report is a resource, named by its own extension", () => {
  verifies("mcp.reports");
  assert.deepEqual(
    Object.values(FORMAT_FACTS).map(({ extension }) => extension).sort(),
    [...REPORT_EXTENSIONS].sort(),
  );
  assert.deepEqual(
    REPORT_EXTENSIONS,
    FORMATS.map(([extension]) => extension),
  );
  const template = TEMPLATES.find(({ name }) => name === "scan_report");
  assert.equal(template?.uriTemplate, "scan://{id}/report.{ext}");
  assert.ok(!("mimeType" in (template ?? {})));
});

Deno.test("report.xml is nmap's own, byte for byte, and the others say when, by what and for whom", async () => {
  assert.equal((await read("scan://scan-0001/report.xml"))?.text, XML);
  const labels = { engagement: "acme", tags: ["dmz"] };
  const markdown = await read("scan://scan-0001/report.md", labels);
  for (const words of ["2026-01-03", "1.2.3", "acme", "dmz"]) {
    assert.ok(markdown?.text.includes(words), words);
  }
});

Deno.test("report.html holds no markup that a host chose", async () => {
  const report = openOn(["10.0.0.1"], 443);
  const product = `<script>alert(1)</script>${HOSTILE}`;
  for (const host of report.hosts) {
    for (const port of host.ports) port.untrusted = { product };
  }
  const html = await read("scan://scan-0001/report.html", { report });
  assert.ok(html?.text.includes("Ignore all previous"));
  assert.ok(!html?.text.includes("<script"));
});

Deno.test("a scan without results has a report that says so", async () => {
  const change = { status: "failed", report: null } as const;
  for (const extension of ["html", "md", "csv", "jsonl", "sarif"]) {
    const uri = `scan://scan-0001/report.${extension}`;
    assert.ok(await read(uri, change), extension);
  }
});

const MANY = openOn(
  Array.from({ length: 20_000 }, (_, at) => `10.0.${at >> 8}.${at & 255}`),
  443,
);

const REFUSED: readonly (readonly [
  string,
  string,
  Partial<Scan>,
  AppError["code"],
  RegExp,
])[] = [
  [
    "a format that does not exist",
    "report.pdf",
    {},
    "not_found",
    /no such format of a report; there is report\.html, report\.md/,
  ],
  ["a format in capitals", "report.HTML", {}, "not_found", /no such format/],
  [
    "a format named like a method",
    "report.constructor",
    {},
    "not_found",
    /no such format/,
  ],
  ["no format", "report.", {}, "not_found", /no such resource/],
  ["a path", "report.html/../../x", {}, "not_found", /no such resource/],
  ["an encoded path", "report.%2e%2e", {}, "not_found", /no such resource/],
  ["a query", "report.html?x=1", {}, "invalid_arguments", /takes no query/],
  ...["html", "jsonl", "csv", "sarif"].map((extension) =>
    [
      `a huge ${extension}`,
      `report.${extension}`,
      { report: MANY },
      "invalid_arguments",
      /more than 1048576 bytes; write it to a file with "deno task report"/,
    ] as const
  ),
  [
    "huge XML",
    "report.xml",
    { raw: new Uint8Array(1_048_577) },
    "invalid_arguments",
    /more than 1048576 bytes; write it to a file with "deno task report"/,
  ],
  [
    "XML of gobuster",
    "report.xml",
    { tool: "gobuster", report: gobusterReport() },
    "not_found",
    /gobuster writes none; scan:\/\/scan-0001\/report\.jsonl holds all/,
  ],
  [
    "XML that is not kept",
    "report.xml",
    { raw: null },
    "not_found",
    /its raw output is not kept/,
  ],
  [
    "XML that was cut",
    "report.xml",
    { rawTruncated: true },
    "not_found",
    /cut at the limit of output and is not well-formed/,
  ],
];

for (const [name, path, change, code, words] of REFUSED) {
  Deno.test(`scan://{id}/report refuses ${name}`, async () => {
    await assert.rejects(
      read(`scan://scan-0001/${path}`, change),
      (error) =>
        error instanceof AppError && error.code === code &&
        words.test(error.message),
    );
  });
}

Deno.test("scan://{id}/report reads no scan by an id that is none", async () => {
  const engine = new FakeEngine();
  for (
    const id of ["..", "../scan-0001", "%2e%2e", "a/b", "", "x".repeat(65)]
  ) {
    await assert.rejects(
      readResource(engine, `scan://${id}/report.html`, INFO),
      (error) => error instanceof AppError && error.code === "not_found",
      id,
    );
  }
  assert.deepEqual(engine.read, []);
});

Deno.test("the code of the reports is loaded with the first report and not before", async () => {
  verifies("mcp.reports");
  const folder = new URL("../../../src/mcp/", import.meta.url);
  let loads = 0;
  for await (const { name } of Deno.readDir(folder)) {
    const text = await Deno.readTextFile(new URL(name, folder));
    const imports = text.match(/^import (?!type\b)[^;]*?from "@\/report\//gm);
    assert.deepEqual(imports ?? [], [], name);
    loads += text.match(/await import\("@\/report\//g)?.length ?? 0;
  }
  assert.ok(loads > 0);
});
