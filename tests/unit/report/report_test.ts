/**
 * Reports of hostile scans: whatever a scanned host says stays text, in every format.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import {
  FORMAT_FACTS,
  isReportFormat,
  renderReport,
  REPORT_FORMATS,
  type ReportFormat,
} from "@/report/format.ts";
import type { ReportInput } from "@/report/input.ts";
import { inventoryOf } from "@/report/inventory.ts";
import { rawXml } from "@/report/raw_xml.ts";
import { visible } from "@/report/visible.ts";
import { commandText, durationText } from "@/report/words.ts";
import { diffScans } from "@/scans/diff.ts";
import type { Scan } from "@/scans/scan.ts";
import {
  CONTEXT,
  GOBUSTER,
  hostOf,
  hostsOf,
  MASSCAN,
  NAMES_SCAN,
  NMAP,
  NMAP_BEFORE,
  openPort,
  scanOf,
} from "./fixture.ts";
import { verifies } from "../../requirements.ts";

async function render(
  format: ReportFormat,
  input: ReportInput,
): Promise<string> {
  return (await Array.fromAsync(renderReport(format, input, CONTEXT))).join("");
}

/** A scan in which every text that a host can choose is this one. */
function said(text: string): readonly Scan[] {
  const ports = [{
    ...openPort(80, "http"),
    untrusted: {
      product: text,
      version: text,
      extra_info: text,
      hostname: text,
      os_type: text,
      device_type: text,
      fingerprint: text,
      banners: [{ kind: "http", text }],
    },
    scripts: [{ id: "http-title", untrusted: { output: text } }],
  }];
  return [
    scanOf({
      ...NMAP,
      report: hostsOf([hostOf("10.0.0.1", ports, {
        untrusted: { reverse_names: [text] },
        other_addresses: [{
          address: "02:00:00:00:00:01",
          type: "mac",
          untrusted_vendor: text,
        }],
        os: [{ untrusted: { name: text }, accuracy: 9 }],
        scripts: [{ id: "x", untrusted: { output: text } }],
      })]),
    }),
    {
      ...GOBUSTER,
      report: {
        kind: "paths",
        partial: false,
        url: "http://web.lab.internal/",
        paths: [{
          status: 200,
          size: 1,
          untrusted: { path: text, redirect: text },
        }],
        totals: { tried: 1, words: 1 },
      },
    },
  ];
}

/** Everything that can be made of the two scans. */
function inputsOf([hosts, paths]: readonly Scan[]): readonly ReportInput[] {
  if (hosts === undefined || paths === undefined) throw new Error("two scans");
  const none = {
    ...paths,
    report: {
      kind: "paths" as const,
      partial: false,
      url: "http://web.lab.internal/",
      paths: [],
      totals: { tried: 1, words: 1 },
    },
  };
  return [
    { kind: "scan", scan: hosts },
    { kind: "scan", scan: paths },
    { kind: "set", title: "t", scans: () => [hosts, paths] },
    { kind: "diff", diff: diffScans(NMAP_BEFORE, hosts) },
    { kind: "diff", diff: diffScans(none, paths) },
  ];
}

const HOSTILE = [
  "</style><script>alert(1)</script>",
  `"><img src=x onerror=alert(1)> ' onmouseover='alert(1)`,
  "-->]]></title></svg></pre></bdi><iframe src=javascript:alert(1)>",
  "&lt;script&gt;&#0;&#x3c;",
  "\u202ecod.exe\u2066 \u200b\ufeff\u0000\u001b[31m\u{e0041}",
  "‮مرحبا بالعالم",
  "![x](http://evil.example/a.png) [y](javascript:alert(1)) `` ` ``` | a | b",
  "```\n# not a heading\n```\n<b>",
  "x".repeat(65_536),
];

/** The tags that a report consists of; there is no script, picture, form or frame among them. */
const TAGS = new Set(
  ("html head meta title style body header div span h1 h2 h3 p nav ol ul li a main section dl dt dd " +
    "figure figcaption svg desc text rect table caption thead tbody tr th td article pre bdi br footer")
    .split(" "),
);

function tagsOf(html: string): readonly string[] {
  const rest = html.replace(/<style>[\s\S]*?<\/style>/, "").replace(
    "<!DOCTYPE html>",
    "",
  );
  return [...rest.matchAll(/<\/?([a-zA-Z!?][^\s>]*)/g)].map(([, tag = ""]) =>
    tag
  );
}

Deno.test("renderReport() makes nothing but text of what a host says, in HTML", async () => {
  for (const text of HOSTILE) {
    for (const input of inputsOf(said(text))) {
      const html = await render("html", input);
      for (const tag of tagsOf(html)) {
        assert.ok(TAGS.has(tag), `${tag} of ${text.slice(0, 40)}`);
      }
      assert.doesNotMatch(html, /<[^>]*\s(?:on\w+|src|href="(?!#))/i);
      assert.doesNotMatch(
        html,
        // deno-lint-ignore no-control-regex
        /[\u0000-\u0009\u000b-\u001f\u200b\u202a-\u202e\u2066-\u2069\ufeff]/,
      );
      assert.equal(html.match(/<style>/g)?.length, 1);
      assert.ok(html.length < 400_000, `${html.length}`);
    }
  }
});

Deno.test("renderReport() escapes any text in HTML", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary", maxLength: 60 }),
      async (text) => {
        const [scan] = said(`${text}<b>`);
        if (scan === undefined) throw new Error("a scan");
        const html = await render("html", { kind: "scan", scan });
        for (const tag of tagsOf(html)) assert.ok(TAGS.has(tag), tag);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("renderReport() writes a page that allows nothing and names nothing outside", async () => {
  for (const input of inputsOf([NMAP, GOBUSTER])) {
    const html = await render("html", input);
    assert.match(
      html,
      /<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:;/,
    );
    assert.ok(
      html.indexOf("Content-Security-Policy") < html.indexOf("<style>"),
    );
    assert.doesNotMatch(html, /@import|url\(|<link|<script|<base/);
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const [, to] of html.matchAll(/href="#([^"]+)"/g)) {
      assert.ok(ids.includes(to), to);
    }
    const count = (pattern: RegExp) => html.match(pattern)?.length ?? 0;
    assert.equal(count(/<table>/g), count(/<caption>/g));
    assert.equal(count(/<svg /g), count(/<\/title><desc>/g));
    assert.equal(count(/<h1>/g), 1);
    for (
      const tag of [
        "div",
        "section",
        "table",
        "tr",
        "td",
        "svg",
        "bdi",
        "article",
        "span",
      ]
    ) {
      assert.equal(
        count(new RegExp(`<${tag}[ >]`, "g")),
        count(new RegExp(`</${tag}>`, "g")),
        tag,
      );
    }
  }
});

Deno.test("renderReport() guards every cell of a CSV against formulas", async () => {
  for (
    const text of [
      "=1+1",
      "+1",
      "-1",
      "@SUM(A1)",
      "\t=1",
      " =1",
      "＝1",
      "|x",
      "%x",
      '"=1',
      "\r=1",
    ]
  ) {
    for (const input of inputsOf(said(text))) {
      const csv = await render("csv", input);
      for (const cell of csv.split(/\r\n|,/)) {
        assert.doesNotMatch(
          cell.replace(/^"/, ""),
          /^[\s"]*[=+\-@|%＝＋－＠]/,
          text,
        );
      }
    }
  }
});

Deno.test("renderReport() writes CSV of one width, however the cells look", async () => {
  const [scan] = said('a,"b"\r\nc;d\u2028e');
  if (scan === undefined) throw new Error("a scan");
  const csv = await render("csv", { kind: "scan", scan });
  const rows = csv.trimEnd().split("\r\n");
  assert.equal(rows.length, 2);
  const cells = (rows[1] ?? "").match(/("(?:[^"]|"")*"|[^",]*)(?:,|$)/g) ?? [];
  assert.equal(cells.length, (rows[0] ?? "").split(",").length);
  assert.match(csv, /"a,""b"" c;d<U\+2028>e"/);
});

Deno.test("renderReport() keeps what a host says in code, in Markdown", async () => {
  for (const text of HOSTILE) {
    for (const input of inputsOf(said(text))) {
      const markdown = await render("markdown", input);
      const bare = withoutCode(markdown);
      assert.doesNotMatch(
        bare,
        /<script|<img|<b>|javascript:|evil\.example|alert|# not a heading/i,
      );
    }
  }
});

/** Texts that would be markup, links or cells, and how they stand in a cell. */
const MARKUP: readonly (readonly [string, string])[] = [
  ["a|b", "a\\|b"],
  ["a\\|b", "a\\\\\\|b"],
  ["a\\", "a\\\\"],
  ["`x`|", "\\`x\\`\\|"],
  ["x\ny|z", "x y\\|z"],
  ["x\r\n| y |", "x \\| y \\|"],
  ["<b>x</b>", "\\<b\\>x\\</b\\>"],
  ["<img src=x>", "\\<img src=x\\>"],
  ["&lt;b&#62;", "\\&lt;b\\&\\#62;"],
  ["[a](b)", "\\[a\\](b)"],
  ["![a](b)", "\\!\\[a\\](b)"],
  ["[a]: b", "\\[a\\]: b"],
  ["[^1]", "\\[\\^1\\]"],
  ["*a* **b**", "\\*a\\* \\*\\*b\\*\\*"],
  ["_a_ __b__", "\\_a\\_ \\_\\_b\\_\\_"],
  ["~~a~~", "\\~\\~a\\~\\~"],
  ["# a", "\\# a"],
  ["$a$", "\\$a\\$"],
  ["- a", "\\- a"],
  ["---", "\\---"],
  ["===", "\\==="],
  ["1. a", "1\\. a"],
  ["1) a", "1\\) a"],
  ["10.0.0.1", "10.0.0.1"],
  ["http://evil.example/a_b", "`http://evil.example/a_b`"],
  ["HTTPS://evil.example", "`HTTPS://evil.example`"],
  ["ftp://evil.example", "`ftp://evil.example`"],
  ["see (www.evil.example) *now*", "see `(www.evil.example)` \\*now\\*"],
  ["WWW.evil.example", "`WWW.evil.example`"],
  ["mail@evil.example", "`mail@evil.example`"],
  ["xmpp:a@evil.example/b", "`xmpp:a@evil.example/b`"],
  ["<http://evil.example>", "`<http://evil.example>`"],
  ["[a](http://evil.example)", "`[a](http://evil.example)`"],
  ["`a@b`|c d", "`` `a@b`\\|c `` d"],
];

for (const [text, cell] of MARKUP) {
  Deno.test(`renderReport() writes ${JSON.stringify(text)} as text into a cell and a line of Markdown`, async () => {
    verifies("report.markdown_inert");
    const scan: Scan = {
      ...NMAP,
      target: text,
      notes: [text],
      error: { code: "timeout", message: text },
      report: {
        kind: "hosts",
        partial: false,
        hosts: [{
          address: "10.0.0.5",
          status: "up",
          ports: [{ port: 80, protocol: "tcp", state: text, service: text }],
        }],
        totals: { up: 1, down: 0, total: 1 },
        tool_version: null,
      },
    };
    const lines = (await render("markdown", { kind: "scan", scan }))
      .split("\n");
    const row = `| \`10.0.0.5\` | 80/tcp | ${cell} | ${cell} |  |`;
    assert.ok(lines.includes(row), lines.join("\n"));
    assert.ok(lines.includes(`# Scan report: ${cell}`));
    assert.ok(lines.includes(`- Ports by state: 1 ${cell}`));
    assert.ok(lines.includes(`- ${cell}`));
    assert.ok(lines.includes(`**Failed:** ${cell}`));
  });
}

/** What is left of a document without its code: spans and blocks by their fences. */
function withoutCode(markdown: string): string {
  const lines: string[] = [];
  let fence: string | null = null;
  for (const line of markdown.split("\n")) {
    const mark = /^(`{3,})(text)?$/.exec(line);
    if (fence === null && mark !== null) fence = mark[1] ?? "";
    else if (fence !== null) {
      if (line === fence) fence = null;
    } else lines.push(line.replace(/(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)/g, ""));
  }
  assert.equal(fence, null);
  return lines.join("\n");
}

Deno.test("renderReport() writes JSON Lines that hold everything", async () => {
  const lines = (await render("json_lines", { kind: "scan", scan: NMAP }))
    .trimEnd().split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const count = (record: string) =>
    lines.filter((one) => one["record"] === record).length;
  assert.deepEqual([count("scan"), count("host"), count("port")], [1, 6, 13]);
  const port = lines.find((one) =>
    one["record"] === "port" && one["port"] === 80
  );
  assert.deepEqual(port, {
    record: "port",
    scan_id: NMAP.id,
    address: "10.0.0.5",
    ...(NMAP.report?.kind === "hosts" ? NMAP.report.hosts[1]?.ports[1] : {}),
  });
  for (const text of HOSTILE) {
    for (const input of inputsOf(said(`${text}\u2028`))) {
      const text = await render("json_lines", input);
      for (const line of text.trimEnd().split(/\n|\u2028/)) JSON.parse(line);
    }
  }
});

interface Sarif {
  version: string;
  runs: {
    tool: { driver: { rules: { id: string }[] } };
    results: {
      ruleId: string;
      ruleIndex: number;
      level: string;
      message: { text: string };
      locations: {
        physicalLocation?: { artifactLocation: { uri: string } };
        logicalLocations: { fullyQualifiedName: string }[];
      }[];
      baselineState?: string;
    }[];
  }[];
}

const sarifOf = async (input: ReportInput) =>
  JSON.parse(await render("sarif", input)) as Sarif;

Deno.test("renderReport() says in SARIF what is open, as notes, in our own words", async () => {
  const { version, runs } = await sarifOf({ kind: "scan", scan: NMAP });
  assert.equal(version, "2.1.0");
  const results = runs[0]?.results ?? [];
  assert.equal(
    results.filter(({ ruleId }) => ruleId === "open-port").length,
    12,
  );
  assert.deepEqual(
    results.filter(({ level }) => level === "warning").map(({ locations }) =>
      locations[0]?.logicalLocations[0]?.fullyQualifiedName
    ),
    ["10.0.0.9:8080/tcp"],
  );
  assert.deepEqual([...new Set(results.map(({ level }) => level))].sort(), [
    "note",
    "warning",
  ]);
  for (const text of HOSTILE) {
    for (const input of inputsOf(said(text))) {
      for (const run of (await sarifOf(input)).runs) {
        for (const { ruleId, ruleIndex, message, locations } of run.results) {
          assert.equal(run.tool.driver.rules[ruleIndex]?.id, ruleId);
          assert.match(message.text, /^[\w .:/()[\]-]+$/);
          const uri = locations[0]?.physicalLocation?.artifactLocation.uri;
          if (uri !== undefined) {
            assert.match(
              uri,
              /^http:\/\/web\.lab\.internal[\w%:/?&=;,.!~*'()@$+-]*$/,
            );
          }
        }
      }
    }
  }
});

Deno.test("renderReport() says in SARIF what became of a finding", async () => {
  const { runs } = await sarifOf({
    kind: "diff",
    diff: diffScans(NMAP_BEFORE, NMAP),
  });
  const states = (runs[0]?.results ?? []).map(({ baselineState }) =>
    baselineState
  );
  const count = (state: string) => states.filter((one) => one === state).length;
  assert.deepEqual([count("new"), count("absent"), count("updated")], [
    6,
    3,
    2,
  ]);
});

Deno.test("renderReport() copes with 10,000 hosts, and says what it leaves out", async () => {
  const hosts = Array.from(
    { length: 10_000 },
    (_, at) =>
      hostOf(`10.1.${Math.floor(at / 256)}.${at % 256}`, [
        openPort(22, "ssh", "OpenSSH", "9.2"),
        openPort(80, "http", "nginx", "1.22"),
        openPort(443, "http", "nginx", "1.22"),
      ]),
  );
  const input: ReportInput = {
    kind: "scan",
    scan: scanOf({
      ...NMAP,
      report: hostsOf(hosts, {
        totals: { up: 10_000, down: 0, total: 10_000 },
      }),
    }),
  };
  for (const format of REPORT_FORMATS) {
    let length = 0;
    let largest = 0;
    let tail = "";
    for await (const piece of renderReport(format, input, CONTEXT)) {
      length += piece.length;
      largest = Math.max(largest, piece.length);
      tail = piece;
    }
    assert.ok(length > 1_000_000 && length < 32_000_000, `${format} ${length}`);
    assert.ok(largest < 100_000, `${format} ${largest}`);
    assert.ok(tail.length > 0);
  }
  assert.match(
    await render("html", input),
    /\d\u202f\d{3} more rows are not shown here/,
  );
});

Deno.test("inventoryOf() keeps the latest word, and drops what a later scan proves gone", async () => {
  const inventory = await inventoryOf({
    kind: "set",
    title: "t",
    scans: () => [NMAP_BEFORE, NMAP, MASSCAN, NAMES_SCAN],
  });
  const of = (address: string) =>
    inventory.services.filter((one) => one.address === address).map((
      { port },
    ) => port.port);
  assert.deepEqual(of("10.0.0.7"), [21, 22, 6379]);
  assert.deepEqual(of("10.0.0.8"), []);
  const [ssh] = inventory.services;
  assert.equal(ssh?.port.untrusted?.version, "2022.83");
  assert.deepEqual([ssh?.firstSeen, ssh?.lastSeen], [
    NMAP_BEFORE.startedAt,
    NMAP.startedAt,
  ]);
  // A scan that ended early proves nothing.
  const partial = await inventoryOf({
    kind: "set",
    title: "t",
    scans: () => [NMAP_BEFORE, { ...NMAP, status: "partial" }],
  });
  assert.ok(partial.services.some(({ port }) => port.port === 23));
  // The order in which scans arrive does not matter.
  const turned = await inventoryOf({
    kind: "set",
    title: "t",
    scans: () => [NMAP, NMAP_BEFORE],
  });
  assert.equal(turned.services[0]?.port.untrusted?.version, "2022.83");
});

Deno.test("rawXml() gives nmap's own bytes, and says why there are none", () => {
  assert.deepEqual(rawXml(NMAP), { bytes: NMAP.raw, whole: true });
  assert.equal(rawXml({ ...NMAP, rawTruncated: true }).whole, false);
  for (
    const [scan, code] of [
      [GOBUSTER, "invalid_arguments"],
      [NMAP_BEFORE, null],
      [{ ...NMAP, raw: null }, "not_found"],
    ] as const
  ) {
    if (code === null) continue;
    assert.throws(
      () => rawXml(scan),
      (error) => error instanceof AppError && error.code === code,
    );
  }
});

Deno.test("visible() writes what cannot be seen as its number, and cuts with a word", () => {
  for (
    const [text, shown] of [
      ["plain", "plain"],
      ["a\u202eb", "a<U+202E>b"],
      ["\u001b[1m", "<U+001B>[1m"],
      ["\ud800", "<U+D800>"],
      ["a\nb\r\nc", "a b c"],
      ["\u{e0041}", "<U+E0041>"],
      ["mañana 日本 👋", "mañana 日本 👋"],
    ] as const
  ) assert.equal(visible(text), shown);
  assert.equal(
    visible("x".repeat(500)),
    `${"x".repeat(400)}… [100 more characters]`,
  );
  assert.equal(visible("a\r\nb", { keepLines: true }), "a\nb");
});

Deno.test("isReportFormat() knows the formats, each with its facts", () => {
  for (const format of REPORT_FORMATS) {
    assert.ok(isReportFormat(format));
    assert.match(FORMAT_FACTS[format].mediaType, /^\w+\//);
  }
  for (const no of ["xml", "pdf", "__proto__", null, 1]) {
    assert.equal(isReportFormat(no), false);
  }
});

Deno.test("commandText() and durationText() can be read", () => {
  assert.equal(
    commandText(["nmap", "-p", "1", "a b", "it's"]),
    "nmap -p 1 'a b' 'it'\\''s'",
  );
  const of = (ms: number) =>
    durationText(scanOf({ startedAt: 0, finishedAt: ms }));
  assert.deepEqual([400, 59_600, 83_400, 7_500_000].map(of), [
    "0.4 s",
    "1 min 0 s",
    "1 min 23 s",
    "2 h 5 min",
  ]);
});

Deno.test("renderReport() reports a scan without results and one that is partial", async () => {
  const failed = scanOf({
    status: "failed",
    error: { code: "tool_failed", message: "Cannot run <nmap>" },
  });
  const partial = scanOf({
    ...NMAP,
    status: "timed_out",
    report: hostsOf([], { partial: true, truncated: "left out" }),
  });
  for (const format of REPORT_FORMATS) {
    assert.ok(
      (await render(format, { kind: "scan", scan: failed })).length > 0,
    );
  }
  assert.match(
    await render("html", { kind: "scan", scan: failed }),
    /Cannot run &lt;nmap&gt;/,
  );
  const html = await render("html", { kind: "scan", scan: partial });
  assert.match(html, /ended before its time\. What is not listed may be there/);
  assert.match(html, /were cut: left out/);
  for (const format of REPORT_FORMATS) {
    const set: ReportInput = { kind: "set", title: "nothing", scans: () => [] };
    const text = await render(format, set);
    assert.equal(text === "", format === "json_lines", format);
  }
});
