/**
 * Reports as SARIF 2.1.0, for the dashboards that take findings of all kinds.
 *
 * SARIF is made for faults, and an open port is none. What fits is said, and no more: a reachable
 * service, a path or a name is a result of level `note`, which claims nothing but that it was found.
 * (`kind: informational` would say the same; readers drop results of that kind, since the standard
 * wants the level `none` with it.) Text that tries to speak to a model is a `warning`. Hosts without an
 * open port, closed ports and charts have no place in it.
 *
 * A comparison fits well: `baselineState` says `new`, `absent` or `updated`.
 *
 * Messages are of our own words. Text of scanned hosts stands below `properties.untrusted`.
 *
 * @module
 */
import type { Change, ScanDiff } from "@/scans/diff.ts";
import { changeText, notComparedText } from "@/scans/diff_text.ts";
import type { Scan } from "@/scans/scan.ts";
import { isoTime } from "@/scans/times.ts";
import {
  type HostReport,
  isOpen,
  type PortReport,
  type Report,
} from "@/tools/report.ts";
import { serviceOf } from "./facts.ts";
import { PRODUCT, type ReportContext, type ReportInput } from "./input.ts";
import { visible } from "./visible.ts";
import { commandText, limitsOf } from "./words.ts";

const SCHEMA =
  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/** What a result can be about. */
const RULES = [
  ["open-port", "OpenPort", "A port accepts connections", "note"],
  ["web-path", "WebPath", "A web server answers to a path", "note"],
  ["name-found", "NameFound", "A name exists below a domain", "note"],
  ["host-presence", "HostPresence", "A host came or went", "note"],
  [
    "suspicious-text",
    "SuspiciousText",
    "A host sends text that reads like an instruction to a language model",
    "warning",
  ],
] as const;

type RuleId = typeof RULES[number][0];

interface Result {
  readonly ruleId: RuleId;
  readonly text: string;
  /** What is looked at, in one text: an address with its port, a name. */
  readonly place: string;
  readonly uri?: string;
  readonly fingerprint: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly baselineState?: "new" | "absent" | "updated";
}

/**
 * Writes results.
 *
 * @param input What to report.
 * @param context What is said beside it.
 * @returns The pieces of one JSON document.
 */
export async function* sarif(
  input: ReportInput,
  context: ReportContext,
): AsyncGenerator<string> {
  yield `{"$schema":${JSON.stringify(SCHEMA)},"version":"2.1.0","runs":[\n`;
  if (input.kind === "diff") yield* diffRun(input.diff, context);
  else if (input.kind === "scan") yield* scanRun(input.scan, context);
  else {
    let first = true;
    for await (const scan of input.scans()) {
      if (!first) yield ",\n";
      first = false;
      yield* scanRun(scan, context);
    }
  }
  yield "]}\n";
}

function* scanRun(scan: Scan, context: ReportContext): Generator<string> {
  const head = {
    tool: driver(context),
    automationDetails: { id: `${scan.tool}/${scan.id}` },
    invocations: [{
      ...(scan.argv[0] === undefined
        ? {}
        : { commandLine: commandText(scan.argv[0]) }),
      ...times(isoTime(scan.startedAt), isoTime(scan.finishedAt)),
      executionSuccessful: scan.status === "succeeded",
      toolExecutionNotifications: [...scan.notes, ...limitsOf(scan)].map(note),
    }],
    properties: properties(context, {
      scanner: scan.tool,
      scanner_version: scan.report?.kind === "hosts"
        ? scan.report.tool_version
        : null,
      target: scan.target,
      status: scan.status,
    }),
  };
  yield* run(
    head,
    scan.report === null ? [] : resultsOf(scan.report),
  );
}

function* diffRun(diff: ScanDiff, context: ReportContext): Generator<string> {
  const head = {
    tool: driver(context),
    automationDetails: { id: `diff/${diff.newer.scan_id}` },
    invocations: [{
      ...times(diff.newer.started_at, diff.newer.finished_at),
      executionSuccessful: diff.newer.complete,
      toolExecutionNotifications: [
        ...diff.notes,
        ...diff.not_compared.map((one) =>
          `Not compared: ${notComparedText(one)}`
        ),
      ].map(note),
    }],
    properties: properties(context, { older: diff.older, newer: diff.newer }),
  };
  yield* run(head, changeResults(diff.changes));
}

function* run(
  head: Readonly<Record<string, unknown>>,
  results: Iterable<Result>,
): Generator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"results":[\n`;
  let first = true;
  for (const result of results) {
    yield `${first ? "" : ",\n"}${JSON.stringify(resultObject(result))}`;
    first = false;
  }
  yield "\n]}";
}

function driver(context: ReportContext) {
  return {
    driver: {
      name: PRODUCT,
      version: context.version,
      rules: RULES.map(([id, name, text, level]) => ({
        id,
        name,
        shortDescription: { text },
        defaultConfiguration: { level },
      })),
    },
  };
}

function resultObject(result: Result): Readonly<Record<string, unknown>> {
  const { ruleId, text, place, uri, fingerprint, baselineState } = result;
  const ruleIndex = RULES.findIndex(([id]) => id === ruleId);
  return {
    ruleId,
    ruleIndex,
    level: RULES[ruleIndex]?.[3] ?? "note",
    message: { text },
    locations: [{
      ...(uri === undefined
        ? {}
        : { physicalLocation: { artifactLocation: { uri } } }),
      logicalLocations: [{ fullyQualifiedName: place, kind: "resource" }],
    }],
    partialFingerprints: { "place/v1": fingerprint },
    ...(baselineState === undefined ? {} : { baselineState }),
    properties: result.properties,
  };
}

function* resultsOf(report: Report): Generator<Result> {
  switch (report.kind) {
    case "hosts":
      for (const host of report.hosts) yield* hostResults(host);
      return;
    case "paths":
      for (const path of report.paths) {
        yield* webResult("web-path", report.url, path.untrusted.path, path);
      }
      return;
    case "names":
      for (const name of report.names) {
        yield* webResult("name-found", null, name.name, name);
      }
  }
}

function* hostResults(host: HostReport): Generator<Result> {
  for (const port of host.ports) {
    const place = portPlace(host.address, port.port, port.protocol);
    if (isOpen(port)) {
      yield {
        ruleId: "open-port",
        text: `${place} is open${
          port.service === undefined ? "" : ` (${serviceOf(port)})`
        }.`,
        place,
        fingerprint: place,
        properties: portProperties(port),
      };
    }
    const scripts = port.scripts ?? [];
    if (
      port.suspicious !== undefined ||
      scripts.some(({ suspicious }) => suspicious !== undefined)
    ) yield suspicious(place);
  }
  const marked = host.suspicious !== undefined ||
    (host.scripts ?? []).some(({ suspicious }) => suspicious !== undefined);
  if (marked) yield suspicious(host.address);
}

function suspicious(place: string): Result {
  return {
    ruleId: "suspicious-text",
    text:
      "What is found here sends text that reads like an instruction to a language model.",
    place,
    fingerprint: `suspicious ${place}`,
    properties: {},
  };
}

function* webResult(
  ruleId: "web-path" | "name-found",
  url: string | null,
  text: string,
  found: {
    readonly status?: number;
    readonly untrusted?: unknown;
    readonly suspicious?: readonly string[];
  },
): Generator<Result> {
  const uri = url === null ? null : uriOf(url, text);
  const place = uri ?? text;
  yield {
    ruleId,
    text: url === null
      ? `${text} exists.`
      : `A path answers with status ${found.status ?? "unknown"}.`,
    place,
    ...(uri === null ? {} : { uri }),
    fingerprint: place,
    properties: shown(found),
  };
  if (found.suspicious !== undefined) yield suspicious(place);
}

function* changeResults(changes: readonly Change[]): Generator<Result> {
  for (const change of changes) {
    const place = placeOf(change);
    yield {
      ruleId: change.kind === "host"
        ? "host-presence"
        : change.kind === "port"
        ? "open-port"
        : change.kind === "path"
        ? "web-path"
        : "name-found",
      text: change.kind === "path"
        ? `A path ${changeText(change.change)}.`
        : `${place} ${changeText(change.change)}.`,
      place,
      fingerprint: place,
      baselineState: stateOf(change),
      properties: shown(change),
    };
  }
}

function placeOf(change: Change): string {
  switch (change.kind) {
    case "host":
      return change.address;
    case "port":
      return portPlace(change.address, change.port, change.protocol);
    case "path":
      return encoded(change.untrusted.path);
    case "name":
      return change.name;
  }
}

function stateOf({ change }: Change): "new" | "absent" | "updated" {
  switch (change) {
    case "appeared":
    case "opened":
    case "first_seen":
      return "new";
    case "vanished":
    case "closed":
    case "not_seen_again":
      return "absent";
    case "changed":
      return "updated";
  }
}

function portProperties(port: PortReport): Readonly<Record<string, unknown>> {
  const { scripts: _scripts, ...facts } = port;
  return shown(facts);
}

/** Whatever is kept of a finding, with every text made safe to look at. */
function shown(value: object): Readonly<Record<string, unknown>> {
  return JSON.parse(
    JSON.stringify(
      value,
      (_, one: unknown) => typeof one === "string" ? visible(one) : one,
    ),
  );
}

function portPlace(address: string, port: number, protocol: string): string {
  return `${
    address.includes(":") ? `[${address}]` : address
  }:${port}/${protocol}`;
}

/** The address of a path on the server that was looked at, whatever is in the path. */
function uriOf(url: string, path: string): string {
  const origin = /^https?:\/\/[^/?#]+/.exec(url)?.[0] ?? "";
  return origin + encoded(path);
}

function encoded(path: string): string {
  return encodeURI(visible(path).toWellFormed()).replace(
    /[#?[\]]/g,
    (letter) => encodeURIComponent(letter),
  );
}

function times(
  start: string | null,
  end: string | null,
): Readonly<Record<string, string>> {
  return {
    ...(start === null ? {} : { startTimeUtc: start }),
    ...(end === null ? {} : { endTimeUtc: end }),
  };
}

function note(text: string) {
  return { level: "note", message: { text } };
}

function properties(
  { engagement, tags }: ReportContext,
  facts: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    ...(engagement === undefined ? {} : { engagement }),
    ...(tags === undefined ? {} : { tags }),
    ...facts,
  };
}
