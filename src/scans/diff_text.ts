/**
 * A comparison in words: a few lines for a model, all of it for a person at a terminal, and page by
 * page for whoever asks again.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type {
  Change,
  ChangeCounts,
  ChangeKind,
  PortSide,
  ScanDiff,
  ScanRef,
  WebSide,
} from "./diff.ts";
import { many } from "./summary.ts";

/** Changes that a summary names one by one. */
const CHANGES_SHOWN = 12;

/** Longest text of a host's choice in a line. */
const TEXT_LENGTH_MAX = 120;

/** Every kind of change in words, and the mark of its line. */
const KINDS: Readonly<Record<ChangeKind, readonly [string, string]>> = {
  appeared: ["appeared", "+"],
  opened: ["opened", "+"],
  first_seen: ["seen for the first time", "+"],
  vanished: ["vanished", "-"],
  closed: ["closed", "-"],
  not_seen_again: ["not seen again", "-"],
  changed: ["changed", "~"],
};

const SUBJECTS = [
  ["hosts", "host"],
  ["ports", "port"],
  ["paths", "path"],
  ["names", "name"],
] as const;

/**
 * Sums a comparison up for a model. Nothing in it is text that a scanned host chose.
 *
 * @param diff The comparison.
 * @param changesShown Changes that are named one by one.
 * @returns Lines, the most telling first.
 */
export function summariseDiff(
  diff: ScanDiff,
  changesShown: number = CHANGES_SHOWN,
): readonly string[] {
  const counted = totalsText(diff);
  const ranked = [...diff.changes].filter(({ kind }) => kind !== "path")
    .sort((a, b) => rank(a) - rank(b)).slice(0, changesShown);
  const all = changeCount(diff);
  const left = all - ranked.length;
  return [
    `From ${refText(diff.older)} to ${refText(diff.newer)}: ${
      counted === "" ? "no change" : counted
    }.`,
    ...ranked.map((change) => `${KINDS[change.change][1]} ${ownText(change)}`),
    ...(left > 0 && all > 0 ? [`${many(left, "change")} not named here.`] : []),
    ...(diff.not_compared.length === 0 ? [] : [
      "Not compared, so neither new nor gone: " +
      diff.not_compared.map(notComparedText).join("; ") + ".",
    ]),
    ...diff.notes,
  ];
}

/**
 * Writes a comparison for a person at a terminal, a change a line. Text that a scanned host chose
 * stands in quotes at the end of a line.
 *
 * @param diff The comparison.
 * @param changesMax Most changes that are written.
 * @returns The lines.
 */
export function diffLines(
  diff: ScanDiff,
  changesMax: number = Number.POSITIVE_INFINITY,
): readonly string[] {
  const shown = diff.changes.slice(0, changesMax);
  const left = changeCount(diff) - shown.length;
  const { targets, ports } = diff.compared;
  return [
    `older  ${refText(diff.older)}`,
    `newer  ${refText(diff.newer)}`,
    `both   ${targets.length === 0 ? "unclear" : targets.join(" ")}${
      ports === null ? "" : `, ${ports}`
    }`,
    "",
    ...shown.map((change) =>
      `${KINDS[change.change][1]} ${ownText(change)}${saidText(change)}`
    ),
    ...(shown.length === 0 && left === 0 ? ["no change"] : []),
    ...(left > 0 ? [`… ${many(left, "more change")}`] : []),
    "",
    ...(totalsText(diff) === "" ? [] : [totalsText(diff)]),
    ...diff.not_compared.map((one) => `not compared: ${notComparedText(one)}`),
    ...diff.notes.map((note) => `note: ${note}`),
  ];
}

/** One page of the changes. */
export interface DiffPage {
  readonly changes: readonly Change[];
  /** Where the next page begins, or null after the last. */
  readonly next_cursor: string | null;
}

/**
 * Gives one page of the changes.
 *
 * @param diff The comparison.
 * @param options Where to begin, how many, and which kinds.
 * @returns The page.
 * @throws {AppError} `invalid_arguments` if the cursor is none of this comparison.
 */
export function diffPage(
  diff: ScanDiff,
  options: {
    readonly cursor?: string;
    readonly limit: number;
    readonly changes?: readonly ChangeKind[];
  },
): DiffPage {
  const { cursor = "0", limit, changes: kinds } = options;
  const wanted = kinds === undefined
    ? diff.changes
    : diff.changes.filter(({ change }) => kinds.includes(change));
  const start = /^\d{1,9}$/.test(cursor) ? Number(cursor) : Number.NaN;
  if (!(start === 0 || start < wanted.length)) {
    throw new AppError(
      "invalid_arguments",
      "Cannot use the cursor: it is none of this comparison; leave it out to begin anew",
    );
  }
  const end = start + Math.max(1, limit);
  return {
    changes: wanted.slice(start, end),
    next_cursor: end < wanted.length ? String(end) : null,
  };
}

/**
 * Counts all changes of a comparison, those that it does not hold included.
 *
 * @param diff The comparison.
 * @returns How many.
 */
export function changeCount({ totals }: ScanDiff): number {
  let count = 0;
  for (const counts of Object.values(totals) as ChangeCounts[]) {
    for (const [kind, one] of Object.entries(counts)) {
      if (kind !== "unchanged") count += one;
    }
  }
  return count;
}

/**
 * Says how much changed.
 *
 * @param diff The comparison.
 * @returns For example `1 host appeared, 3 ports opened`, or nothing.
 */
export function totalsText({ totals }: ScanDiff): string {
  const parts: string[] = [];
  for (const [subject, noun] of SUBJECTS) {
    for (const [kind, [words]] of Object.entries(KINDS)) {
      const count = totals[subject]?.[kind as ChangeKind] ?? 0;
      if (count > 0) parts.push(`${many(count, noun)} ${words}`);
    }
  }
  return parts.join(", ");
}

/**
 * Says a kind of change.
 *
 * @param kind The kind.
 * @returns For example `seen for the first time`.
 */
export function changeText(kind: ChangeKind): string {
  return KINDS[kind][0];
}

/**
 * Says what was not compared, and why.
 *
 * @param one An entry of `not_compared`.
 * @returns Words without a period.
 */
export function notComparedText(
  { subject, seen_in, count, text }: ScanDiff["not_compared"][number],
): string {
  const noun = subject.replace("_", " ").replace(/s$/, "");
  return `${many(count, noun)} of ${
    seen_in === "both" ? "both scans" : `the ${seen_in} scan`
  } (${text})`;
}

/** What is open now comes first, then what is gone, then what changed. */
function rank({ kind, change }: Change): number {
  const order: readonly ChangeKind[] = [
    "opened",
    "appeared",
    "first_seen",
    "changed",
    "closed",
    "vanished",
    "not_seen_again",
  ];
  return order.indexOf(change) * 2 + (kind === "host" ? 1 : 0);
}

function refText({ tool, scan_id, started_at, complete }: ScanRef): string {
  const when = started_at === null ? "" : ` of ${started_at}`;
  return `${tool} scan ${scan_id}${when}${complete ? "" : " (incomplete)"}`;
}

/** A change in our own words; of a path, which the server chose, nothing but the status. */
function ownText(change: Change): string {
  switch (change.kind) {
    case "host": {
      const others = change.other_ports;
      const text = others === undefined
        ? changeText(change.change)
        : `ports that are not listed were ${others.before}, are ${others.after}`;
      const open = change.open_ports === 0
        ? ""
        : `, ${many(change.open_ports, "open port")}`;
      return `host ${change.address} ${text}${open}`;
    }
    case "port": {
      const place = `${change.address} ${change.port}/${change.protocol}`;
      return `${place} ${changeText(change.change)}${portText(change)}`;
    }
    case "path":
      return `path ${changeText(change.change)}${webText(change)}`;
    case "name":
      return `name ${change.name} ${changeText(change.change)}${
        webText(change)
      }`;
  }
}

function portText(
  { before, after, changed }: Change & { kind: "port" },
): string {
  const parts: string[] = [];
  if (before !== null && after !== null && before.state !== after.state) {
    parts.push(`${before.state} → ${after.state}`);
  }
  const services = [serviceText(before), serviceText(after)];
  if (services[0] !== services[1] && services[0] !== "" && services[1] !== "") {
    parts.push(`${services[0]} → ${services[1]}`);
  } else {
    const service = services[1] === "" ? services[0] : services[1];
    if (service !== "") parts.push(service ?? "");
  }
  const fields = changed.filter((field) =>
    field === "product" || field === "version" || field === "extra_info"
  );
  if (fields.length > 0) parts.push(`other ${fields.join(" and ")}`);
  return parts.length === 0 ? "" : `: ${parts.join(", ")}`;
}

function serviceText(side: PortSide | null): string {
  if (side?.service === undefined) return "";
  return side.tunnel === undefined
    ? side.service
    : `${side.tunnel}/${side.service}`;
}

function webText(
  { before, after }: { before: WebSide | null; after: WebSide | null },
): string {
  const [from, to] = [sideText(before), sideText(after)];
  if (from === to || from === "" || to === "") {
    const one = to === "" ? from : to;
    return one === "" ? "" : `: ${one}`;
  }
  return `: ${from} → ${to}`;
}

function sideText(side: WebSide | null): string {
  const parts: string[] = [];
  if (side?.status !== undefined) parts.push(`status ${side.status}`);
  if (side?.addresses !== undefined) parts.push(side.addresses.join(" "));
  return parts.join(", ");
}

/** What the host said, quoted, as a person wants to read it. */
function saidText(change: Change): string {
  if (change.kind === "host") return "";
  if (change.kind === "port") {
    const [from, to] = [productText(change.before), productText(change.after)];
    if (from === to || from === "" || to === "") {
      return quoted(to === "" ? from : to);
    }
    return `${quoted(from)} →${quoted(to)}`;
  }
  const [from, to] = [change.before, change.after]
    .map((side) => side?.untrusted?.redirect ?? "");
  const path = change.kind === "path" ? quoted(change.untrusted.path) : "";
  if (from === to || from === "" || to === "") {
    const redirect = quoted(to === "" ? from ?? "" : to ?? "");
    return redirect === "" ? path : `${path} →${redirect}`;
  }
  return `${path} redirect${quoted(from ?? "")} →${quoted(to ?? "")}`;
}

function productText(side: PortSide | null): string {
  const { product, version, extra_info } = side?.untrusted ?? {};
  return [product, version, extra_info].filter((text) => text !== undefined)
    .join(" ");
}

function quoted(text: string): string {
  if (text === "") return "";
  const cut = text.length > TEXT_LENGTH_MAX
    ? `${text.slice(0, TEXT_LENGTH_MAX - 1)}…`
    : text;
  return ` ${JSON.stringify(cut)}`;
}
