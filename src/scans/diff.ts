/**
 * Compares two scans: what appeared, vanished or changed between them.
 *
 * Only what both scans can speak of is compared. What one of them did not look at, and what a scan
 * that ended early may have missed, is never called gone or new; it is counted in `not_compared`, with
 * the reason. masscan misses answers, so what only its silence tells is `first_seen` and
 * `not_seen_again`, which claim no more than they say.
 *
 * Text that a scanned host chose stands below `untrusted`, as in the reports it comes from.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Report } from "@/tools/report.ts";
import type { ToolName } from "@/tools/tool.ts";
import { AddressSet } from "./diff_addresses.ts";
import { isComplete, refuse } from "./diff_coverage.ts";
import { diffFindings } from "./diff_findings.ts";
import { diffHosts } from "./diff_hosts.ts";
import type { Scan, ScanHead, ScanStatus } from "./scan.ts";
import { isoTime } from "./times.ts";

/** Most changes that a comparison holds; all of them are counted. */
export const CHANGES_MAX = 250_000;

/** One of the two scans, as a comparison names it. */
export interface ScanRef {
  readonly scan_id: string;
  readonly tool: ToolName;
  readonly target: string;
  readonly status: ScanStatus;
  readonly scan_type: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  /** Whether what it does not report may be taken for absent. */
  readonly complete: boolean;
}

/** What became of something. `closed` is a port that is open no longer, whatever it is now. */
export type ChangeKind =
  | "appeared"
  | "vanished"
  | "opened"
  | "closed"
  | "changed"
  /** Seen for the first time by a scan whose predecessor may have missed it. */
  | "first_seen"
  /** Not seen by a scan that may have missed it. */
  | "not_seen_again";

/** One change. */
export type Change = HostChange | PortChange | PathChange | NameChange;

/** A host came, went, or answers otherwise as a whole. */
export interface HostChange {
  readonly kind: "host";
  readonly change: ChangeKind;
  readonly address: string;
  /** The names that a request used for it. */
  readonly names?: readonly string[];
  /** Open ports that are reported of it, where it is there. */
  readonly open_ports: number;
  /** The state of all ports that are not listed, where it changed. */
  readonly other_ports?: { readonly before: string; readonly after: string };
}

/** A port of a host. */
export interface PortChange {
  readonly kind: "port";
  readonly change: ChangeKind;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  /** Null where nothing is known of it. */
  readonly before: PortSide | null;
  readonly after: PortSide | null;
  /** What changed: `state`, `service`, `tunnel`, `product`, `version`, `extra_info`. */
  readonly changed: readonly string[];
}

/** A port as one of the scans saw it. */
export interface PortSide {
  /** The tool's word, `not open` where it may be closed or filtered, or `host down`. */
  readonly state: string;
  readonly service?: string;
  readonly tunnel?: string;
  readonly untrusted?: {
    readonly product?: string;
    readonly version?: string;
    readonly extra_info?: string;
  };
  readonly suspicious?: readonly string[];
}

/** A path of a web server. */
export interface PathChange {
  readonly kind: "path";
  readonly change: ChangeKind;
  readonly untrusted: { readonly path: string };
  readonly suspicious?: readonly string[];
  readonly before: WebSide | null;
  readonly after: WebSide | null;
  /** `status`, `redirect`. */
  readonly changed: readonly string[];
}

/** A name below a domain, or a virtual host. */
export interface NameChange {
  readonly kind: "name";
  readonly change: ChangeKind;
  readonly name: string;
  readonly before: WebSide | null;
  readonly after: WebSide | null;
  /** `addresses`, `status`, `redirect`. */
  readonly changed: readonly string[];
}

/** A path or a name as one of the scans saw it. */
export interface WebSide {
  readonly status?: number;
  readonly size?: number | null;
  readonly addresses?: readonly string[];
  readonly untrusted?: { readonly redirect?: string };
  readonly suspicious?: readonly string[];
}

/** Things that one of the scans saw and that could not be compared. */
export interface NotCompared {
  readonly subject: "hosts" | "open_ports" | "services" | "paths" | "names";
  /** Which scan saw them. */
  readonly seen_in: "older" | "newer" | "both";
  readonly reason: NotComparedReason;
  readonly count: number;
  /** The reason in a sentence. */
  readonly text: string;
}

/** Why something was not compared. */
export type NotComparedReason =
  /** The other scan was not to look at that address. */
  | "not_scanned"
  /** The other scan did not look at that port, or that is not certain. */
  | "port_not_scanned"
  /** The other scan ended early or was cut. */
  | "partial"
  /** What the other scan looked at cannot be told. */
  | "unclear"
  /** The other scan does not account for every port of that host. */
  | "host_incomplete"
  /** Services were probed in one of the scans only, or with another intensity. */
  | "detection_differs"
  /** The other scan tried other words, or took other answers for a find. */
  | "settings_differ";

/** Counts of one subject by kind of change. */
export type ChangeCounts = Readonly<
  Partial<Record<ChangeKind | "unchanged", number>>
>;

/** Two scans compared. Plain JSON. */
export interface ScanDiff {
  readonly kind: Report["kind"];
  readonly older: ScanRef;
  readonly newer: ScanRef;
  /** What both scans covered. */
  readonly compared: {
    /** Addresses, networks, a URL or a domain; empty where it cannot be told. */
    readonly targets: readonly string[];
    readonly addresses: number | null;
    readonly ports: string | null;
    readonly services: boolean;
  };
  readonly totals: {
    readonly hosts?: ChangeCounts;
    readonly ports?: ChangeCounts;
    readonly paths?: ChangeCounts;
    readonly names?: ChangeCounts;
  };
  /** Hosts by address, each before its ports; paths and names by text. */
  readonly changes: readonly Change[];
  readonly not_compared: readonly NotCompared[];
  readonly notes: readonly string[];
  /** Set if there are more changes than are held. */
  readonly truncated?: string;
}

/** What the comparison of one kind of report comes to. */
export type DiffBody = Pick<
  ScanDiff,
  "compared" | "totals" | "changes" | "not_compared" | "notes" | "truncated"
>;

/** Options of {@linkcode diffScans}. */
export interface DiffOptions {
  /** Most changes that are held. @default {CHANGES_MAX} */
  readonly changesMax?: number;
}

/**
 * Compares two scans.
 *
 * @param older The one to compare with.
 * @param newer The other one.
 * @param options How much is held.
 * @returns What changed from the one to the other, and what could not be compared.
 * @throws {AppError} `invalid_arguments` if the two have nothing that could be compared.
 */
export function diffScans(
  older: Scan,
  newer: Scan,
  { changesMax = CHANGES_MAX }: DiffOptions = {},
): ScanDiff {
  const [a, b] = [reportOf(older), reportOf(newer)];
  const refs = { older: refOf(older), newer: refOf(newer) };
  const body = a.kind === "hosts" && b.kind === "hosts"
    ? diffHosts(
      { scan: older, report: a },
      { scan: newer, report: b },
      changesMax,
    )
    : a.kind !== "hosts" && b.kind !== "hosts"
    ? diffFindings(
      { scan: older, report: a },
      { scan: newer, report: b },
      changesMax,
    )
    : refuse(older, newer, `one found ${a.kind}, the other ${b.kind}`);
  return {
    kind: a.kind,
    ...refs,
    ...body,
    notes: [...generalNotes(older, newer), ...body.notes],
  };
}

/**
 * Says why a scan is no baseline for another: what a search for "the last time" has to pass over.
 *
 * @param older The earlier scan.
 * @param newer The later one.
 * @returns The reason, or null if the two compare and silence of the earlier one means absence.
 */
export function baselineFault(older: Scan, newer: Scan): string | null {
  if (older.tenant !== newer.tenant) return "it is another tenant's";
  if (older.report === null) return "it has no results";
  if (!isComplete(older)) return "it ended early or its results are cut";
  try {
    diffScans(
      { ...older, raw: null, report: emptied(older.report) },
      { ...newer, raw: null, report: emptied(reportOf(newer)) },
    );
    return null;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
}

/**
 * Tells from its head alone whether a scan may be a baseline for another, so that a long history need
 * not be read to find the one that is. Whether it is one is for {@linkcode baselineFault} to say.
 *
 * @param older The head of the earlier scan.
 * @param newer The later one.
 * @returns False if the two do not compare.
 */
export function mayBeBaseline(
  older: Omit<ScanHead, "summary">,
  newer: Scan,
): boolean {
  if (older.tenant !== newer.tenant) return false;
  if (older.status !== "succeeded") return false;
  if (older.tool === "gobuster" || newer.tool === "gobuster") {
    return older.tool === newer.tool &&
      older.request["mode"] === newer.request["mode"] &&
      placeKey(older.target) === placeKey(newer.target);
  }
  const [a, b] = [AddressSet.of(older.targets), AddressSet.of(newer.targets)];
  // Where the targets cannot be told, the reports may.
  if (a === null || b === null || a.empty || b.empty) return true;
  return !a.and(b).empty;
}

/** A URL in the form that a report names it in, or a domain. */
function placeKey(target: string): string {
  return URL.canParse(target) ? new URL(target).href : target.toLowerCase();
}

/** Whether two scans compare does not hang on what they found. */
function emptied(report: Report): Report {
  switch (report.kind) {
    case "hosts":
      return { ...report, hosts: [] };
    case "paths":
      return { ...report, paths: [] };
    case "names":
      return { ...report, names: [] };
  }
}

function reportOf(scan: Scan): Report {
  if (scan.report !== null) return scan.report;
  throw new AppError(
    "invalid_arguments",
    `Cannot compare the scan "${scan.id}": it is ${scan.status} and has no results; name a scan that has some`,
  );
}

function refOf(scan: Scan): ScanRef {
  return {
    scan_id: scan.id,
    tool: scan.tool,
    target: scan.target,
    status: scan.status,
    scan_type: scan.scanType,
    started_at: isoTime(scan.startedAt),
    finished_at: isoTime(scan.finishedAt),
    complete: isComplete(scan),
  };
}

function generalNotes(older: Scan, newer: Scan): string[] {
  const notes: string[] = [];
  for (const [which, scan] of [["older", older], ["newer", newer]] as const) {
    if (isComplete(scan)) continue;
    notes.push(
      `The ${which} scan ended early or its results are cut (${scan.status}): it is no proof that something was not there, so nothing is called ${
        which === "older" ? "new" : "gone"
      } on its word`,
    );
  }
  const [from, to] = [older.startedAt, newer.startedAt];
  if (from !== null && to !== null && from > to) {
    notes.push(
      "The scan given as the older one began after the other: read the changes backwards, or exchange them",
    );
  }
  return notes;
}
