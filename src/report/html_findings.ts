/**
 * The tables of an HTML report of one scan: hosts with their ports, paths, names.
 *
 * @module
 */
import {
  type HostReport,
  type HostsReport,
  isOpen,
  type NamesReport,
  type PathsReport,
  type PortReport,
  type ScriptReport,
} from "@/tools/report.ts";
import { serviceOf } from "./facts.ts";
import { esc, untrusted, untrustedBlock } from "./html_escape.ts";
import { TABLE_END, tableHead } from "./html_page.ts";
import { manyText, numberText } from "./words.ts";

/** Most rows of a page; a browser shows more only slowly. Other formats hold all. */
export const ROWS_MAX = 20_000;

/** Most open ports that the overview names of a host. */
const PORTS_SHOWN_MAX = 14;

/** Most scripts and banners of one port that are shown. */
const SAID_MAX = 32;

/** A budget of rows, shared by the tables of a page. */
export class Rows {
  #left: number;
  /** Rows that had no room. */
  cut = 0;

  /** @param max How many there may be. */
  constructor(max: number = ROWS_MAX) {
    this.#left = max;
  }

  /** Takes one, if there is room. */
  take(): boolean {
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    this.cut++;
    return false;
  }

  /** @returns A word about what was cut, in HTML, or nothing. */
  note(): string {
    if (this.cut === 0) return "";
    return `<div class="box" role="note"><p>${
      numberText(this.cut)
    } more rows are not shown here; the same report as CSV or JSON Lines holds all of them.</p></div>\n`;
  }
}

/**
 * Writes the overview of hosts, a row a host.
 *
 * @param report The report.
 * @returns HTML.
 */
export function* hostTable(report: HostsReport): Generator<string> {
  const rows = new Rows();
  yield tableHead(`${manyText(report.hosts.length, "host")} listed`, [
    ["Address"],
    ["Name"],
    ["State"],
    ["Open", "n"],
    ["Open ports"],
    ["Not open"],
  ]);
  for (const [at, host] of report.hosts.entries()) {
    if (!rows.take()) continue;
    const open = host.ports.filter(isOpen);
    yield `<tr><th scope="row" class="mono">${
      hasDetails(host)
        ? `<a href="#host-${at}">${esc(host.address)}</a>`
        : esc(host.address)
    }</th><td>${namesOf(host)}</td><td class="k">${
      esc(host.status)
    }</td><td class="n">${open.length}</td><td class="mono">${
      esc(portsText(open))
    }</td><td class="small soft">${esc(othersText(host))}</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

/**
 * Writes every host of which there is more to tell, with its ports.
 *
 * @param report The report.
 * @returns HTML.
 */
export function* hostDetails(report: HostsReport): Generator<string> {
  const rows = new Rows();
  for (const [at, host] of report.hosts.entries()) {
    if (!hasDetails(host)) continue;
    if (rows.take()) yield* hostArticle(host, at, rows);
    else rows.cut += host.ports.length;
  }
  yield rows.note();
}

/**
 * Tells whether a host has more than its line in the overview.
 *
 * @param host The host.
 * @returns Whether it has ports, scripts or a system.
 */
export function hasDetails(host: HostReport): boolean {
  return host.ports.length > 0 || (host.scripts ?? []).length > 0 ||
    (host.os ?? []).length > 0;
}

function* hostArticle(
  host: HostReport,
  at: number,
  rows: Rows,
): Generator<string> {
  yield `<article class="host" id="host-${at}"><h3><span class="mono">${
    esc(host.address)
  }</span>${namesOf(host)}</h3><p class="facts">${hostFactsText(host)}</p>\n`;
  if (host.ports.length > 0) {
    yield tableHead(`Ports of ${host.address}`, [
      ["Port"],
      ["State"],
      ["Service"],
      ["Product and version"],
      ["Found by"],
    ], "quiet");
    for (const port of host.ports) if (rows.take()) yield portRow(port);
    yield TABLE_END;
  }
  for (const script of (host.scripts ?? []).slice(0, SAID_MAX)) {
    yield scriptBlock(script);
  }
  yield "</article>\n";
}

function portRow(port: PortReport): string {
  const said = saidOf(port);
  const row = `<tr${
    said === "" ? "" : ' class="has-said"'
  }><th scope="row" class="mono k">${port.port}/${
    esc(port.protocol)
  }</th><td class="k">${stateText(port.state)}</td><td>${
    port.service === undefined ? "" : esc(serviceOf(port))
  }</td><td>${productText(port)}</td><td class="small soft">${
    esc(foundBy(port))
  }</td></tr>\n`;
  return said === ""
    ? row
    : `${row}<tr class="said-row"><td></td><td colspan="4">${said}</td></tr>\n`;
}

/**
 * Shows the state of a port, with its colour.
 *
 * @param state The state.
 * @returns HTML.
 */
export function stateText(state: string): string {
  const tone = state === "open" || state === "closed" || state === "filtered"
    ? state
    : "maybe";
  return `<span class="state ${tone}"></span>${esc(state)}`;
}

/**
 * Shows what a service said of itself.
 *
 * @param port The port, or a side of a comparison.
 * @returns HTML.
 */
export function productText(
  port: {
    readonly suspicious?: readonly string[];
    readonly untrusted?: {
      readonly product?: string;
      readonly version?: string;
      readonly extra_info?: string;
    };
  },
): string {
  const { product, version, extra_info } = port.untrusted ?? {};
  const text = [product, version, extra_info]
    .filter((one) => one !== undefined).join(" ");
  const suspicious = (port.suspicious ?? []).some((key) =>
    key === "product" || key === "version" || key === "extra_info"
  );
  return untrusted(text, suspicious);
}

function foundBy({ method, confidence, reason }: PortReport): string {
  const how = method === "probed"
    ? `asked${confidence === undefined ? "" : `, ${confidence}/10`}`
    : method === "table"
    ? "by port number"
    : "";
  return [how, reason ?? ""].filter((text) => text !== "").join("; ");
}

function saidOf(port: PortReport): string {
  const { banners = [], fingerprint, hostname } = port.untrusted ?? {};
  const flagged = (key: string) => port.suspicious?.includes(key) === true;
  return [
    ...(hostname === undefined ? [] : [
      `<div class="said"><span class="said-label">names itself </span>${
        untrusted(hostname, flagged("hostname"))
      }</div>`,
    ]),
    ...banners.slice(0, SAID_MAX).map(({ kind, text }) =>
      untrustedBlock(`Banner (${kind})`, text, flagged("banners"))
    ),
    ...(port.scripts ?? []).slice(0, SAID_MAX).map(scriptBlock),
    ...(fingerprint === undefined ? [] : [
      untrustedBlock(
        "Answer of an unknown service",
        fingerprint,
        flagged("fingerprint"),
      ),
    ]),
  ].join("");
}

function scriptBlock(
  { id, untrusted: said, suspicious }: ScriptReport,
): string {
  return untrustedBlock(`Script ${id}`, said.output, suspicious !== undefined);
}

function namesOf(host: HostReport): string {
  const own = (host.names ?? []).map((name) => esc(name));
  const flagged = host.suspicious?.includes("reverse_names") === true;
  const said = (host.untrusted?.reverse_names ?? [])
    .map((name) => untrusted(name, flagged));
  return [...own, ...said].join(" ");
}

function hostFactsText(host: HostReport): string {
  const [system] = host.os ?? [];
  const flagged = host.suspicious?.includes("untrusted_vendor") === true;
  const parts = [
    `${esc(host.status)}${
      host.reason === undefined ? "" : ` (${esc(host.reason)})`
    }`,
    ...(host.other_addresses ?? []).map((other) =>
      `${esc(other.type.toUpperCase())} ${esc(other.address)} ${
        untrusted(other.untrusted_vendor, flagged)
      }`
    ),
    ...(system === undefined ? [] : [
      `looks like ${untrusted(system.untrusted.name)} (${system.accuracy} %)`,
    ]),
    ...(host.distance === undefined ? [] : [
      `${host.distance} ${host.distance === 1 ? "hop" : "hops"} away`,
    ]),
    ...(othersText(host) === "" ? [] : [`not open: ${esc(othersText(host))}`]),
  ];
  return parts.join(" · ");
}

function othersText(host: HostReport): string {
  const counts = new Map<string, number>();
  for (const { state, count } of host.other_ports ?? []) {
    counts.set(state, (counts.get(state) ?? 0) + count);
  }
  for (const { state } of host.ports) {
    if (state !== "open") counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return [...counts].map(([state, count]) => `${numberText(count)} ${state}`)
    .join(", ");
}

function portsText(ports: readonly PortReport[]): string {
  const shown = ports.slice(0, PORTS_SHOWN_MAX).map(({ port, protocol }) =>
    protocol === "tcp" ? String(port) : `${port}/${protocol}`
  );
  const left = ports.length - shown.length;
  return shown.join(", ") + (left > 0 ? `, … ${left} more` : "");
}

/**
 * Writes the paths of a web server.
 *
 * @param report The report.
 * @returns HTML.
 */
export function* pathTable(report: PathsReport): Generator<string> {
  const rows = new Rows();
  yield tableHead(
    `${manyText(report.paths.length, "path")} below ${report.url}`,
    [
      ["Status"],
      ["Path"],
      ["Size", "n"],
      ["Redirects to"],
    ],
  );
  for (const { status, size, untrusted: said, suspicious } of report.paths) {
    if (!rows.take()) continue;
    yield `<tr><td class="k">${statusText(status)}</td><td>${
      untrusted(said.path, suspicious?.includes("path"))
    }</td><td class="n">${size === null ? "" : numberText(size)}</td><td>${
      untrusted(said.redirect, suspicious?.includes("redirect"))
    }</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

/**
 * Writes the names that were found.
 *
 * @param report The report.
 * @returns HTML.
 */
export function* nameTable(report: NamesReport): Generator<string> {
  const rows = new Rows();
  const dns = report.mode === "dns";
  yield tableHead(
    `${manyText(report.names.length, "name")} below ${report.domain}`,
    dns ? [["Name"], ["Addresses"]] : [
      ["Name"],
      ["Status"],
      ["Size", "n"],
      ["Redirects to"],
    ],
  );
  for (const name of report.names) {
    if (!rows.take()) continue;
    const { status, size, untrusted: said, suspicious } = name;
    yield `<tr><th scope="row" class="mono">${esc(name.name)}</th>${
      dns
        ? `<td class="mono">${esc((name.addresses ?? []).join(" "))}</td>`
        : `<td class="k">${
          status === undefined ? "" : statusText(status)
        }</td><td class="n">${
          typeof size === "number" ? numberText(size) : ""
        }</td><td>${
          untrusted(said?.redirect, suspicious?.includes("redirect"))
        }</td>`
    }</tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

/**
 * Shows the status of an answer, with its colour.
 *
 * @param status The status code.
 * @returns HTML.
 */
export function statusText(status: number): string {
  const tone = status < 300 ? "ok" : status < 400 ? "plain" : "mid";
  return `<span class="badge ${tone}">${status}</span>`;
}
