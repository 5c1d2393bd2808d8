/**
 * An HTML report of several scans: what they know together, and each in a line.
 *
 * @module
 */
import { serviceOf } from "./facts.ts";
import { esc, untrusted } from "./html_escape.ts";
import { productText, Rows, statusText } from "./html_findings.ts";
import {
  box,
  figures,
  page,
  type Part,
  sentences,
  TABLE_END,
  tableHead,
} from "./html_page.ts";
import { guardrails, hostCharts, statusBadge } from "./html_scan.ts";
import type { ReportContext } from "./input.ts";
import type { Inventory, WebFinding } from "./inventory.ts";
import {
  manyText,
  numberText,
  SET_LIMITS,
  SUSPICIOUS_TEXT,
  timeText,
  UNTRUSTED_TEXT,
} from "./words.ts";

/**
 * Writes several scans as a page.
 *
 * @param title What they have in common.
 * @param inventory What they know together.
 * @param context What is said beside it.
 * @returns The pieces of the page.
 */
export function setHtml(
  title: string,
  inventory: Inventory,
  context: ReportContext,
): Iterable<string> {
  const times = inventory.scans.map(({ at }) => at);
  const span = times.length === 0
    ? "no scan"
    : `${timeText(Math.min(...times))} to ${timeText(Math.max(...times))}`;
  return page(
    {
      kind: "Report of several scans",
      title,
      subtitle: span,
      badge: `<span class="badge plain">${
        inventory.scans.length === 1
          ? "1 scan"
          : `${numberText(inventory.scans.length)} scans`
      }</span>`,
    },
    partsOf(inventory, context),
    context,
  );
}

function partsOf(
  inventory: Inventory,
  context: ReportContext,
): readonly Part[] {
  const { services, findings } = inventory;
  const charts = hostCharts({
    states: [],
    services: inventory.byService,
    spread: services.length === 0 ? [] : inventory.spread,
  });
  const of = (kind: WebFinding["kind"]) =>
    findings.filter((one) => one.kind === kind);
  return [
    { id: "summary", title: "Summary", body: summary(inventory) },
    ...(charts === "" ? [] : [{
      id: "charts",
      title: "At a glance",
      body: [`<div class="charts">${charts}</div>\n`],
    }]),
    { id: "scans", title: "Scans", body: scanTable(inventory) },
    ...(services.length === 0 ? [] : [{
      id: "services",
      title: "Open services",
      body: serviceTable(inventory),
    }]),
    ...(of("path").length === 0 ? [] : [{
      id: "paths",
      title: "Paths",
      body: findingTable(of("path"), "paths of web servers"),
    }]),
    ...(of("name").length === 0 ? [] : [{
      id: "names",
      title: "Names",
      body: findingTable(of("name"), "names"),
    }]),
    { id: "limits", title: "Notes and limits", body: limits(context) },
  ];
}

function* summary(inventory: Inventory): Generator<string> {
  const { services, findings, hostsUp, byService, scans } = inventory;
  const incomplete = scans.filter(({ status }) => status !== "succeeded");
  yield figures([
    { label: "Scans", value: numberText(scans.length) },
    { label: "Hosts seen", value: numberText(hostsUp) },
    {
      label: "Open ports",
      value: numberText(services.length),
      tone: "good",
    },
    { label: "Services", value: numberText(byService.length) },
    ...(findings.length === 0
      ? []
      : [{ label: "Paths and names", value: numberText(findings.length) }]),
  ]);
  if (incomplete.length > 0) {
    yield box([
      `${
        incomplete.length === 1
          ? "1 scan did"
          : `${numberText(incomplete.length)} scans did`
      } not come to an end: what they do not list may be there all the same.`,
    ]);
  }
  if (inventory.cut > 0) {
    yield box([
      `${
        numberText(inventory.cut)
      } findings had no room here; report fewer scans at once, or use JSON Lines.`,
    ]);
  }
  if (inventory.suspicious > 0) yield box([SUSPICIOUS_TEXT], true);
}

function* scanTable({ scans }: Inventory): Generator<string> {
  const rows = new Rows();
  yield tableHead("The scans, in the order of their acceptance", [
    ["Started"],
    ["Tool"],
    ["Target"],
    ["End"],
    ["Found"],
  ]);
  for (const scan of scans) {
    if (!rows.take()) continue;
    yield `<tr><td class="k">${esc(timeText(scan.at))}</td><td>${
      esc(scan.tool)
    }</td><th scope="row">${
      esc(scan.target)
    }<br><span class="mono small soft">${
      esc(scan.id)
    }</span></th><td class="k">${
      statusBadge(scan.status)
    }</td><td class="small wide">${esc(scan.summary)}</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

function* serviceTable({ services }: Inventory): Generator<string> {
  const rows = new Rows();
  yield tableHead(
    `${
      manyText(services.length, "open port")
    }, each as the latest scan that lists it saw it`,
    [
      ["Address"],
      ["Port"],
      ["Service"],
      ["Product and version"],
      ["First seen"],
      ["Last seen"],
    ],
  );
  for (const { address, port, firstSeen, lastSeen } of services) {
    if (!rows.take()) continue;
    const banner = port.untrusted?.banners?.[0];
    const said = productText(port);
    yield `<tr><th scope="row" class="mono">${
      esc(address)
    }</th><td class="mono k">${port.port}/${esc(port.protocol)}</td><td>${
      port.service === undefined ? "" : esc(serviceOf(port))
    }</td><td>${
      said === ""
        ? untrusted(banner?.text, port.suspicious?.includes("banners"))
        : said
    }</td><td class="small k">${
      esc(timeText(firstSeen).slice(0, 10))
    }</td><td class="small k">${
      esc(timeText(lastSeen).slice(0, 10))
    }</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

function* findingTable(
  findings: readonly WebFinding[],
  what: string,
): Generator<string> {
  const rows = new Rows();
  const paths = findings[0]?.kind === "path";
  yield tableHead(`${numberText(findings.length)} ${what}`, [
    [paths ? "Server" : "Domain"],
    [paths ? "Path" : "Name"],
    ["Status"],
    [paths ? "Redirects to" : "Addresses"],
    ["Last seen"],
  ]);
  for (const one of findings) {
    if (!rows.take()) continue;
    yield `<tr><td>${esc(one.place)}</td><th scope="row">${
      paths
        ? untrusted(one.text, one.suspicious.includes("path"))
        : `<span class="mono">${esc(one.text)}</span>`
    }</th><td class="k">${
      one.status === null ? "" : statusText(one.status)
    }</td><td>${
      paths
        ? untrusted(one.redirect, one.suspicious.includes("redirect"))
        : `<span class="mono">${esc(one.addresses.join(" "))}</span>`
    }</td><td class="small k">${
      esc(timeText(one.lastSeen).slice(0, 10))
    }</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

function* limits(context: ReportContext): Generator<string> {
  yield `<h3>What such a report cannot tell</h3>${sentences(SET_LIMITS)}`;
  yield `<h3>Text of scanned hosts</h3><p>${esc(UNTRUSTED_TEXT)}</p>\n`;
  yield guardrails(context);
}
