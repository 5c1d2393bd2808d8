/**
 * Reports in a real browser: nothing in one runs, nothing is fetched, and it prints. Needs Chromium;
 * the only place that a page could reach is a server of this test on loopback.
 *
 * @module
 */
import assert from "node:assert/strict";
import { renderReport } from "@/report/format.ts";
import type { ReportInput } from "@/report/input.ts";
import { diffScans } from "@/scans/diff.ts";
import type { Scan } from "@/scans/scan.ts";
import { findPrograms } from "@/spawn/program.ts";
import { withTempDir } from "../support/temp_dir.ts";
import {
  CONTEXT,
  GOBUSTER,
  hostOf,
  hostsOf,
  NMAP,
  NMAP_BEFORE,
  openPort,
} from "../unit/report/fixture.ts";
import { verifies } from "../requirements.ts";

const CHROMIUM = findPrograms(
  "chromium",
  "/usr/bin:/usr/local/bin",
  (command) => Deno.permissions.querySync({ name: "run", command }).state,
)[0];

/** A server that notes who asks for what. */
function listening(): AsyncDisposable & { port: number; asked: string[] } {
  const asked: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      asked.push(new URL(request.url).pathname);
      return new Response("");
    },
  );
  return {
    port: server.addr.port,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Lets the browser do one thing with a page and ends with it. */
async function browse(
  html: string,
  name: string,
  flags: (folder: string) => readonly string[],
): Promise<{ stdout: string; folder: Map<string, Uint8Array> }> {
  if (CHROMIUM === undefined) {
    throw new Error(
      "Cannot look at the report with Chromium: it is not installed; run: apt-get install --no-install-recommends chromium",
    );
  }
  await using temp = await withTempDir();
  const page = `${temp.path}/${name}.html`;
  await Deno.writeTextFile(page, html);
  const { stdout, success } = await new Deno.Command(CHROMIUM, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--no-first-run",
      // Its reporter of crashes would outlive it and write into a folder that is gone.
      "--disable-breakpad",
      "--disable-crash-reporter",
      `--user-data-dir=${temp.path}/profile`,
      "--virtual-time-budget=3000",
      ...flags(temp.path),
      `file://${page}`,
    ],
    stdin: "null",
    stderr: "null",
  }).output();
  assert.ok(success, "the browser failed");
  const folder = new Map<string, Uint8Array>();
  for await (const { name, isFile } of Deno.readDir(temp.path)) {
    if (isFile) folder.set(name, await Deno.readFile(`${temp.path}/${name}`));
  }
  return { stdout: new TextDecoder().decode(stdout), folder };
}

async function rendered(input: ReportInput): Promise<string> {
  const pieces = renderReport("html", input, CONTEXT);
  return (await Array.fromAsync(pieces)).join("");
}

/** Ways in which a text could get out of its place, each with a trace of its own. */
const payloads = (port: number) => [
  `</style><script>document.title="OWNED";fetch("http://127.0.0.1:${port}/script")</script>`,
  `"><img src="http://127.0.0.1:${port}/img" onerror="document.title='OWNED'">`,
  `</title></svg><svg onload="document.title='OWNED'"><image href="http://127.0.0.1:${port}/svg"/>`,
  `</pre><iframe src="http://127.0.0.1:${port}/frame"></iframe>`,
  `<link rel=stylesheet href="http://127.0.0.1:${port}/css"><meta http-equiv=refresh content="0;url=http://127.0.0.1:${port}/refresh">`,
  `<base href="http://127.0.0.1:${port}/base/"><a href="x" autofocus onfocus="document.title='OWNED'">`,
];

function hostile(port: number): readonly Scan[] {
  const texts = payloads(port);
  return [
    {
      ...NMAP,
      // Even what is ours by nature is not trusted to be plain.
      target: texts.join(" "),
      notes: texts,
      argv: [["nmap", ...texts]],
      report: hostsOf(texts.map((text, at) =>
        hostOf(`10.0.0.${at}`, [{
          ...openPort(80, text, text, text),
          tunnel: text,
          scripts: [{ id: text, untrusted: { output: text } }],
        }], { names: [text], untrusted: { reverse_names: [text] } })
      )),
    },
    {
      ...GOBUSTER,
      report: {
        kind: "paths",
        partial: false,
        url: texts.join(" "),
        paths: texts.map((text) => ({
          status: 200,
          size: 1,
          untrusted: { path: text, redirect: text },
        })),
        totals: { tried: 1, words: 1 },
      },
    },
  ];
}

Deno.test("a report runs nothing and fetches nothing, in a browser", async () => {
  verifies("report.offline");
  await using server = listening();
  const [hosts, paths] = hostile(server.port);
  if (hosts === undefined || paths === undefined) throw new Error("two scans");
  const before = { ...hosts, report: NMAP_BEFORE.report };
  const inputs: readonly ReportInput[] = [
    { kind: "scan", scan: hosts },
    { kind: "scan", scan: paths },
    { kind: "set", title: hosts.target, scans: () => [hosts, paths] },
    { kind: "diff", diff: diffScans(before, hosts) },
  ];
  for (const input of inputs) {
    const { stdout } = await browse(
      await rendered(input),
      "report",
      () => ["--dump-dom"],
    );
    assert.match(stdout, /<\/html>\s*$/);
    assert.doesNotMatch(stdout, /<title>OWNED/);
    assert.doesNotMatch(stdout, /<(?:script|img|iframe|link|base|image)[\s>]/);
  }
  assert.deepEqual(server.asked, []);
});

Deno.test("the browser of this test would run and fetch what a page lets it", async () => {
  await using server = listening();
  const html = `<!DOCTYPE html><title>x</title><body>${
    payloads(server.port).slice(0, 2).join("")
  }`;
  const { stdout } = await browse(html, "canary", () => ["--dump-dom"]);
  assert.match(stdout, /<title>OWNED/);
  assert.ok(server.asked.includes("/script"));
});

Deno.test("the policy of a report holds even for a page that is broken open", async () => {
  verifies("report.offline");
  await using server = listening();
  const html = (await rendered({ kind: "scan", scan: NMAP }))
    .replace("<main", `${payloads(server.port).slice(0, 4).join("")}<main`);
  const { stdout } = await browse(html, "broken", () => ["--dump-dom"]);
  assert.doesNotMatch(stdout, /<title>OWNED/);
  assert.deepEqual(server.asked, []);
});

Deno.test("a report prints on paper and shows on a screen", async () => {
  verifies("report.offline");
  const html = await rendered({ kind: "scan", scan: NMAP });
  const { folder } = await browse(
    html,
    "paper",
    (path) => [`--print-to-pdf=${path}/out.pdf`, "--no-pdf-header-footer"],
  );
  const pdf = new TextDecoder("latin1").decode(folder.get("out.pdf"));
  assert.match(pdf, /^%PDF-1/);
  // A4 in points, on a few pages.
  assert.match(pdf, /\/MediaBox \[0 0 59[45](?:\.\d+)? 84[12](?:\.\d+)?\]/);
  const pages = pdf.match(/\/Type \/Page\b/g)?.length ?? 0;
  assert.ok(pages >= 2 && pages <= 6, `${pages} pages`);
  const shot = await browse(
    html,
    "screen",
    (path) => [`--screenshot=${path}/out.png`, "--window-size=1280,900"],
  );
  assert.ok((shot.folder.get("out.png")?.length ?? 0) > 20_000);
});
