/**
 * Compares what two scans found of a web server's paths, or of names.
 *
 * A word that was tried and is not in a report is absent only if both scans tried the same words and
 * took the same answers for a find.
 *
 * @module
 */
import type { NamesReport, PathsReport } from "@/tools/report.ts";
import type {
  ChangeKind,
  DiffBody,
  NameChange,
  PathChange,
  WebSide,
} from "./diff.ts";
import { flagValue } from "./diff_arguments.ts";
import { isComplete, refuse } from "./diff_coverage.ts";
import { Changes, Tally, Uncompared } from "./diff_tally.ts";
import type { Scan } from "./scan.ts";

/** A scan with its report. */
export interface FindingsScan {
  readonly scan: Scan;
  readonly report: PathsReport | NamesReport;
}

/** Flags that decide what is tried and what counts as a find, with a word for each. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ["--wordlist", "wordlist"],
  ["--extensions", "extensions"],
  ["--status-codes", "status codes"],
  ["--status-codes-blacklist", "status codes"],
  ["--exclude-length", "excluded lengths"],
  ["--add-slash", "slash"],
  ["--resolver", "name server"],
  ["--wildcard", "wildcard"],
];

/** A path or a name, the same for both kinds of report. */
interface Finding {
  readonly key: string;
  readonly side: WebSide;
  readonly suspicious: readonly string[];
}

/**
 * Compares two reports of paths, or two of names.
 *
 * @param older The one to compare with.
 * @param newer The other one.
 * @param changesMax Most changes that are held.
 * @returns The comparison without the names of its scans.
 * @throws {AppError} `invalid_arguments` if the two looked at different servers or domains.
 */
export function diffFindings(
  older: FindingsScan,
  newer: FindingsScan,
  changesMax: number,
): DiffBody {
  const [from, to] = [placeOf(older), placeOf(newer)];
  if (from.key !== to.key) {
    refuse(
      older.scan,
      newer.scan,
      `one looked at ${from.text}, the other at ${to.text}`,
    );
  }
  const differing = differingSettings(older, newer);
  const comparison = new Comparison(older, newer, {
    sameSettings: differing.length === 0,
    changesMax,
  });
  const [before, after] = [findingsOf(older.report), findingsOf(newer.report)];
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  for (const key of keys) {
    comparison.finding(before.get(key) ?? null, after.get(key) ?? null);
  }
  return {
    compared: {
      targets: [from.text],
      addresses: null,
      ports: null,
      services: false,
    },
    ...comparison.result(),
    notes: differing.length === 0 ? [] : [
      `The scans differ in ${
        differing.join(", ")
      }: what only one of them found may not have been looked for by the other`,
    ],
  };
}

class Comparison {
  readonly #subject: "paths" | "names";
  readonly #fault: "settings_differ" | null;
  readonly #olderComplete: boolean;
  readonly #newerComplete: boolean;
  readonly #changes: Changes;
  readonly #tally = new Tally(["appeared", "vanished", "changed", "unchanged"]);
  readonly #uncompared = new Uncompared();

  constructor(
    older: FindingsScan,
    newer: FindingsScan,
    options: { sameSettings: boolean; changesMax: number },
  ) {
    this.#subject = older.report.kind;
    this.#fault = options.sameSettings ? null : "settings_differ";
    this.#olderComplete = isComplete(older.scan);
    this.#newerComplete = isComplete(newer.scan);
    this.#changes = new Changes(options.changesMax);
  }

  result(): Pick<DiffBody, "totals" | "changes" | "not_compared"> {
    return {
      totals: { [this.#subject]: this.#tally.counts },
      changes: this.#changes.list,
      not_compared: this.#uncompared.list,
      ...this.#changes.truncated,
    };
  }

  finding(before: Finding | null, after: Finding | null): void {
    const found = after ?? before;
    if (found === null) return;
    if (before !== null && after !== null) {
      const changed = changedFields(before.side, after.side);
      const kind = changed.length === 0 ? "unchanged" : "changed";
      this.#tally.add(kind);
      if (kind === "changed") {
        this.#changes.add(
          this.#change(found, kind, { before, after, changed }),
        );
      }
      return;
    }
    const seenIn = before === null ? "newer" : "older";
    const silentIsProof = before === null
      ? this.#olderComplete
      : this.#newerComplete;
    const fault = silentIsProof ? this.#fault : "partial";
    if (fault !== null) {
      this.#uncompared.add(this.#subject, seenIn, fault);
      return;
    }
    const kind = before === null ? "appeared" : "vanished";
    this.#tally.add(kind);
    this.#changes.add(
      this.#change(found, kind, { before, after, changed: [] }),
    );
  }

  #change(
    found: Finding,
    change: ChangeKind,
    sides: {
      before: Finding | null;
      after: Finding | null;
      changed: readonly string[];
    },
  ): PathChange | NameChange {
    const facts = {
      change,
      before: sides.before?.side ?? null,
      after: sides.after?.side ?? null,
      changed: sides.changed,
    };
    if (this.#subject === "names") {
      return { kind: "name", name: found.key, ...facts };
    }
    const suspicious = found.suspicious.includes("path")
      ? { suspicious: ["path"] }
      : {};
    return {
      kind: "path",
      untrusted: { path: found.key },
      ...suspicious,
      ...facts,
    };
  }
}

/** What two scans must have in common to be compared. */
function placeOf(
  { scan, report }: FindingsScan,
): { key: string; text: string } {
  if (report.kind === "paths") {
    return { key: `paths ${report.url}`, text: report.url };
  }
  // Virtual hosts belong to one web server, names to the domain alone.
  const server = report.mode === "vhost" ? ` of ${scan.target}` : "";
  const text = `${report.mode} ${report.domain}${server}`;
  return { key: text, text };
}

function differingSettings(
  older: FindingsScan,
  newer: FindingsScan,
): readonly string[] {
  const [a, b] = [older.scan.argv[0] ?? [], newer.scan.argv[0] ?? []];
  const differing = SETTINGS.filter(([flag]) =>
    flagValue(a, flag) !== flagValue(b, flag)
  ).map(([, word]) => word);
  // A list may have changed under its name.
  if (older.report.totals.words !== newer.report.totals.words) {
    differing.push("number of words");
  }
  return [...new Set(differing)];
}

function findingsOf(report: PathsReport | NamesReport): Map<string, Finding> {
  const findings = new Map<string, Finding>();
  const add = (key: string, side: WebSide, suspicious: readonly string[]) => {
    if (!findings.has(key)) findings.set(key, { key, side, suspicious });
  };
  if (report.kind === "paths") {
    for (const { status, size, untrusted, suspicious = [] } of report.paths) {
      const said = redirectOf(untrusted.redirect, suspicious);
      add(untrusted.path, { status, size, ...said }, suspicious);
    }
    return findings;
  }
  for (const one of report.names) {
    const { name, addresses, status, size, untrusted, suspicious = [] } = one;
    add(name, {
      ...(addresses === undefined ? {} : { addresses }),
      ...(status === undefined ? {} : { status }),
      ...(size === undefined ? {} : { size }),
      ...redirectOf(untrusted?.redirect, suspicious),
    }, suspicious);
  }
  return findings;
}

function redirectOf(
  redirect: string | undefined,
  suspicious: readonly string[],
): Pick<WebSide, "untrusted" | "suspicious"> {
  if (redirect === undefined) return {};
  return {
    untrusted: { redirect },
    ...(suspicious.includes("redirect") ? { suspicious: ["redirect"] } : {}),
  };
}

/** A size changes with every visit of a page, so it is shown and not compared. */
function changedFields(before: WebSide, after: WebSide): string[] {
  const changed: string[] = [];
  const addresses = (side: WebSide) => (side.addresses ?? []).join(" ");
  if (addresses(before) !== addresses(after)) changed.push("addresses");
  if (before.status !== after.status) changed.push("status");
  if (before.untrusted?.redirect !== after.untrusted?.redirect) {
    changed.push("redirect");
  }
  return changed;
}
