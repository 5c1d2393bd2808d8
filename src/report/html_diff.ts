/**
 * An HTML report of two scans compared.
 *
 * @module
 */
import type {
  Change,
  ChangeKind,
  HostChange,
  NameChange,
  PathChange,
  PortChange,
  PortSide,
  ScanDiff,
  ScanRef,
  WebSide,
} from "@/scans/diff.ts";
import {
  changeCount,
  changeText,
  notComparedText,
  totalsText,
} from "@/scans/diff_text.ts";
import { type Count, serviceOf } from "./facts.ts";
import { barChart } from "./html_charts.ts";
import { esc, untrusted } from "./html_escape.ts";
import {
  productText,
  Rows,
  ROWS_MAX,
  stateText,
  statusText,
} from "./html_findings.ts";
import {
  box,
  type Figure,
  figures,
  page,
  type Part,
  sentences,
  TABLE_END,
  tableHead,
  terms,
} from "./html_page.ts";
import { guardrails, statusBadge } from "./html_scan.ts";
import type { ReportContext } from "./input.ts";
import {
  DIFF_LIMITS,
  isoText,
  manyText,
  numberText,
  UNTRUSTED_TEXT,
} from "./words.ts";

/** Signs and colours of the changes. */
const MARKS: Readonly<Record<ChangeKind, readonly [string, string]>> = {
  appeared: ["+", "came"],
  opened: ["+", "came"],
  first_seen: ["+", "came"],
  vanished: ["−", "went"],
  closed: ["−", "went"],
  not_seen_again: ["−", "went"],
  changed: ["~", "other"],
};

const ARROW = '<span class="arrow" aria-label="became">→</span>';

/**
 * Writes a comparison as a page.
 *
 * @param diff The comparison.
 * @param context What is said beside it.
 * @returns The pieces of the page.
 */
export function diffHtml(
  diff: ScanDiff,
  context: ReportContext,
): Iterable<string> {
  const count = changeCount(diff);
  return page(
    {
      kind: "Comparison",
      title: diff.newer.target,
      subtitle: `${isoText(diff.older.started_at)} to ${
        isoText(diff.newer.started_at)
      }`,
      badge: `<span class="badge ${count === 0 ? "ok" : "mid"}">${
        manyText(count, "change")
      }</span>`,
    },
    partsOf(diff, context),
    context,
  );
}

function partsOf(diff: ScanDiff, context: ReportContext): readonly Part[] {
  const rows = new Rows(ROWS_MAX);
  return [
    { id: "summary", title: "Summary", body: summary(diff) },
    ...part(diff, "host", "hosts", "Hosts", rows, hostRows),
    ...part(diff, "port", "ports", "Ports and services", rows, portRows),
    ...part(diff, "path", "paths", "Paths", rows, pathRows),
    ...part(diff, "name", "names", "Names", rows, nameRows),
    { id: "scans", title: "The two scans", body: scans(diff, context) },
    { id: "limits", title: "Notes and limits", body: limits(diff) },
  ];
}

function part<K extends Change["kind"]>(
  diff: ScanDiff,
  kind: K,
  id: string,
  title: string,
  rows: Rows,
  write: (
    changes: readonly (Change & { kind: K })[],
    rows: Rows,
  ) => Iterable<string>,
): readonly Part[] {
  const changes = diff.changes.filter((
    change,
  ): change is Change & { kind: K } => change.kind === kind);
  return changes.length === 0
    ? []
    : [{ id, title, body: write(changes, rows) }];
}

function* summary(diff: ScanDiff): Generator<string> {
  const text = totalsText(diff);
  yield `<p class="lead">${
    esc(
      text === "" ? "Nothing that both scans covered has changed." : `${text}.`,
      {
        lengthMax: 2_000,
      },
    )
  }</p>`;
  yield figures(figuresOf(diff));
  const doubts = [diff.older, diff.newer].filter(({ complete }) => !complete);
  if (doubts.length > 0) {
    yield box([
      `${
        doubts.length === 2 ? "Both scans are" : "One of the scans is"
      } incomplete: what it does not list may have been there all the same.`,
    ]);
  }
  if (diff.truncated !== undefined) yield box([`${diff.truncated}.`]);
  const chart = barChart("Changes by kind", countsOf(diff));
  if (chart !== "") yield `<div class="charts lone">${chart}</div>\n`;
  if (diff.not_compared.length > 0) {
    yield `<h3>Not compared, so neither new nor gone</h3>${
      sentences(diff.not_compared.map(notComparedText))
    }`;
  }
}

function figuresOf({ totals }: ScanDiff): readonly Figure[] {
  const sum = (...kinds: readonly ChangeKind[]) =>
    [totals.hosts, totals.ports, totals.paths, totals.names].reduce(
      (all, counts) =>
        all + kinds.reduce((one, kind) => one + (counts?.[kind] ?? 0), 0),
      0,
    );
  const unchanged = (totals.ports ?? totals.paths ?? totals.names)?.unchanged;
  return [
    {
      label: "New",
      value: numberText(sum("appeared", "opened", "first_seen")),
      tone: "good",
    },
    {
      label: "Gone",
      value: numberText(sum("vanished", "closed", "not_seen_again")),
      tone: "bad",
    },
    { label: "Changed", value: numberText(sum("changed")) },
    { label: "Unchanged findings", value: numberText(unchanged ?? 0) },
  ];
}

function countsOf({ totals }: ScanDiff): readonly Count[] {
  const counts: Count[] = [];
  for (const [subject, of] of Object.entries(totals)) {
    for (const [kind, value] of Object.entries(of)) {
      if (kind === "unchanged" || value === 0) continue;
      counts.push({ label: `${subject} ${kind.replaceAll("_", " ")}`, value });
    }
  }
  return counts;
}

function markCell(change: ChangeKind): string {
  const [sign, tone] = MARKS[change];
  return `<td class="k"><span class="mark ${tone}" aria-hidden="true">${sign}</span> ${
    esc(changeText(change))
  }</td>`;
}

function* hostRows(
  changes: readonly HostChange[],
  rows: Rows,
): Generator<string> {
  yield tableHead(`${manyText(changes.length, "change")} of hosts`, [
    ["Change"],
    ["Address"],
    ["Name"],
    ["Open ports", "n"],
    ["What"],
  ]);
  for (const change of changes) {
    if (!rows.take()) continue;
    const others = change.other_ports;
    yield `<tr>${markCell(change.change)}<th scope="row" class="mono">${
      esc(change.address)
    }</th><td>${
      (change.names ?? []).map((name) => esc(name)).join(" ")
    }</td><td class="n">${change.open_ports}</td><td>${
      others === undefined
        ? ""
        : `ports that are not listed: ${esc(others.before)}${ARROW}${
          esc(others.after)
        }`
    }</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

function* portRows(
  changes: readonly PortChange[],
  rows: Rows,
): Generator<string> {
  yield tableHead(`${manyText(changes.length, "change")} of ports`, [
    ["Change"],
    ["Address"],
    ["Port"],
    ["State"],
    ["Service"],
    ["Product and version"],
  ]);
  for (const change of changes) {
    if (!rows.take()) continue;
    const { before, after } = change;
    yield `<tr>${markCell(change.change)}<th scope="row" class="mono">${
      esc(change.address)
    }</th><td class="mono k">${change.port}/${
      esc(change.protocol)
    }</td><td class="k">${
      became(sideState(before), sideState(after))
    }</td><td>${became(sideService(before), sideService(after))}</td><td>${
      became(
        before === null ? "" : productText(before),
        after === null ? "" : productText(after),
      )
    }</td></tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

/** One value where it stayed, both where it did not. */
function became(before: string, after: string): string {
  if (before === after || before === "" || after === "") {
    return after === "" ? before : after;
  }
  return `${before}${ARROW}${after}`;
}

function sideState(side: PortSide | null): string {
  return side === null ? "" : stateText(side.state);
}

function sideService(side: PortSide | null): string {
  return side?.service === undefined ? "" : esc(serviceOf({
    service: side.service,
    ...(side.tunnel === undefined ? {} : { tunnel: side.tunnel }),
  }));
}

function* pathRows(
  changes: readonly PathChange[],
  rows: Rows,
): Generator<string> {
  yield tableHead(`${manyText(changes.length, "change")} of paths`, [
    ["Change"],
    ["Path"],
    ["Status"],
    ["Redirects to"],
  ]);
  for (const change of changes) {
    if (!rows.take()) continue;
    yield `<tr>${markCell(change.change)}<td>${
      untrusted(change.untrusted.path, change.suspicious?.includes("path"))
    }</td>${webCells(change)}</tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

function* nameRows(
  changes: readonly NameChange[],
  rows: Rows,
): Generator<string> {
  yield tableHead(`${manyText(changes.length, "change")} of names`, [
    ["Change"],
    ["Name"],
    ["Addresses"],
    ["Status"],
    ["Redirects to"],
  ]);
  for (const change of changes) {
    if (!rows.take()) continue;
    const addresses = (side: WebSide | null) =>
      esc((side?.addresses ?? []).join(" "));
    yield `<tr>${markCell(change.change)}<th scope="row" class="mono">${
      esc(change.name)
    }</th><td class="mono">${
      became(addresses(change.before), addresses(change.after))
    }</td>${webCells(change)}</tr>\n`;
  }
  yield TABLE_END;
  yield rows.note();
}

function webCells(
  { before, after }: { before: WebSide | null; after: WebSide | null },
): string {
  const status = (side: WebSide | null) =>
    side?.status === undefined ? "" : statusText(side.status);
  const redirect = (side: WebSide | null) =>
    untrusted(
      side?.untrusted?.redirect,
      side?.suspicious?.includes("redirect"),
    );
  return `<td class="k">${became(status(before), status(after))}</td><td>${
    became(redirect(before), redirect(after))
  }</td>`;
}

function* scans(diff: ScanDiff, context: ReportContext): Generator<string> {
  for (
    const [which, ref] of [["Older", diff.older], [
      "Newer",
      diff.newer,
    ]] as const
  ) {
    yield `<h3>${which} scan</h3>${scanTerms(ref)}`;
  }
  const { targets, addresses, ports, services } = diff.compared;
  yield `<h3>What both covered</h3>${
    terms([
      [
        "Targets",
        targets.length === 0
          ? "cannot be told"
          : esc(targets.join(" "), { lengthMax: 2_000 }),
      ],
      ["Addresses", addresses === null ? "" : numberText(addresses)],
      ["Ports", ports === null ? "" : esc(ports, { lengthMax: 2_000 })],
      [
        "Services",
        diff.kind !== "hosts"
          ? ""
          : services
          ? "asked in both scans"
          : "not asked in the same way, so names and versions are not compared",
      ],
    ])
  }`;
  yield guardrails(context);
}

function scanTerms(ref: ScanRef): string {
  return terms([
    ["Scan", `<span class="mono">${esc(ref.scan_id)}</span>`],
    [
      "Tool",
      esc(`${ref.tool} ${ref.scan_type === ref.tool ? "" : ref.scan_type}`),
    ],
    ["Target", esc(ref.target)],
    ["Started", esc(isoText(ref.started_at))],
    ["Finished", esc(isoText(ref.finished_at))],
    [
      "Ended",
      `${statusBadge(ref.status)}${ref.complete ? "" : " incomplete"}`,
    ],
  ]);
}

function* limits(diff: ScanDiff): Generator<string> {
  if (diff.notes.length > 0) {
    yield `<h3>Notes</h3>${sentences(diff.notes)}`;
  }
  yield `<h3>What a comparison cannot tell</h3>${sentences(DIFF_LIMITS)}`;
  yield `<h3>Text of scanned hosts</h3><p>${esc(UNTRUSTED_TEXT)}</p>\n`;
}
