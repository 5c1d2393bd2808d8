/**
 * `report`: a scan, a difference or many scans as a document, on standard output or in a file.
 *
 * A report leaves this program's keeping, so that each one is in the audit log before it is written.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import {
  FORMAT_FACTS,
  renderReport,
  REPORT_FORMATS,
  type ReportFormat,
} from "@/report/format.ts";
import type { ReportContext, ReportInput } from "@/report/input.ts";
import { rawXml } from "@/report/raw_xml.ts";
import { loadScan } from "@/scans/load.ts";
import type { Scan } from "@/scans/scan.ts";
import type { StoredScanFilter } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import { shown } from "@/tools/field.ts";
import {
  findScan,
  HistoryAccess,
  readScan,
  type TenantHistory,
} from "./history_access.ts";
import {
  type CommandForm,
  CommandLine,
  given,
} from "./history_command_line.ts";
import { compare } from "./history_diff.ts";
import { tellFault } from "./history_fault.ts";
import { cell, sizeText } from "./history_view.ts";
import { refusePlace, writeWhole } from "./report_file.ts";
import { EXIT, type World } from "./world.ts";

/** Most scans of one report, and of one page of them. */
const SCANS_MAX = 10_000;
const PAGE_SCANS = 1_000;

const FORMATS = [...REPORT_FORMATS, "xml"] as const;

type Format = ReportFormat | "xml";

const FORM: CommandForm = {
  form:
    "deno task report SCAN_ID | SCAN_ID --since OLD_SCAN_ID | --engagement NAME | --tag T, then [--format " +
    `${FORMATS.join("|")}] [--output FILE [--force]] [--tenant NAME]`,
  options: {
    format: "text",
    output: "text",
    force: "flag",
    since: "text",
    engagement: "text",
    tag: "texts",
    tenant: "text",
    json: "flag",
  },
  operands: [0, 1],
};

/** What is wanted. */
interface Wanted {
  readonly format: Format;
  /** The file, or null for standard output. */
  readonly output: string | null;
  readonly force: boolean;
  /** Whose. */
  readonly tenant: string;
  readonly subject: Subject;
}

type Subject =
  | { readonly kind: "scan"; readonly id: string }
  | { readonly kind: "diff"; readonly id: string; readonly since: string }
  | { readonly kind: "set"; readonly filter: SetFilter };

type SetFilter = Pick<StoredScanFilter, "engagement" | "tags">;

/**
 * Writes a report.
 *
 * @param world The process.
 * @returns 0, 2 if it is refused, 3 if it fails, 130 if it was stopped.
 */
export async function reports(world: World): Promise<number> {
  try {
    const wanted = readWanted(world);
    await using access = await HistoryAccess.look(world, wanted.tenant);
    if (wanted.output !== null) {
      await refusePlace(wanted.output, {
        force: wanted.force,
        state: access.config.state.folder,
      });
    }
    const pieces = await piecesOf(world, access, wanted);
    if (wanted.output === null) await writeOut(world, pieces);
    else {
      const bytes = await writeWhole(wanted.output, pieces, {
        force: wanted.force,
        stop: world.stop,
      });
      world.printError(
        `${cell(wanted.output)}: ${wanted.format}, ${sizeText(bytes)}\n`,
      );
    }
    return world.stop.aborted ? EXIT.interrupted : EXIT.ok;
  } catch (thrown) {
    // What is on standard output is a report, so that a refusal is told beside it in any case.
    return tellFault(world, thrown, false);
  }
}

function readWanted(world: World): Wanted {
  const line = new CommandLine(world.args, FORM);
  if (line.flag("json")) {
    throw line.refuse("a report in JSON is --format json_lines");
  }
  const output = line.text("output") ?? null;
  const force = line.flag("force");
  if (force && output === null) throw line.refuse("--force is of --output");
  const subject = subjectOf(line);
  const format = line.choice("format", FORMATS) ??
    (output === null ? usualFormat(world) : formatOf(line, output));
  if (format === "xml" && subject.kind !== "scan") {
    throw line.refuse("--format xml is of one scan");
  }
  if (format === "xml" && output === null && world.terminal.stdout) {
    throw new AppError(
      "invalid_arguments",
      "Cannot show nmap's XML on a terminal: what hosts said stands in it as it came; add --output reports/NAME.xml, or write > FILE",
    );
  }
  return { format, output, force, tenant: line.tenant(), subject };
}

/** A page for a browser, unless a person would get it on a terminal. */
function usualFormat({ terminal }: World): Format {
  return terminal.stdout ? "markdown" : "html";
}

function formatOf(line: CommandLine, output: string): Format {
  const name = output.slice(output.lastIndexOf("/") + 1);
  const extension = name.includes(".")
    ? name.slice(name.lastIndexOf(".") + 1).toLowerCase()
    : "";
  const found = FORMATS.find((one) =>
    FORMAT_FACTS[one].extension === extension
  );
  if (found !== undefined) return found;
  throw line.refuse(
    `the format cannot be told from the name ${
      shown(name)
    }, so that --format is needed`,
  );
}

function subjectOf(line: CommandLine): Subject {
  const [id] = line.operands;
  const since = line.text("since");
  const filter = given({
    engagement: line.text("engagement"),
    tags: line.texts("tag"),
  });
  const isSet = Object.keys(filter).length > 0;
  if (id === undefined) {
    if (since !== undefined) throw line.refuse("--since wants a newer scan");
    if (!isSet) throw line.refuse("name a scan, --engagement or --tag");
    return { kind: "set", filter };
  }
  if (isSet) {
    throw line.refuse(
      "a report is of one scan, or of all of an engagement or a tag",
    );
  }
  return since === undefined
    ? { kind: "scan", id }
    : { kind: "diff", id, since };
}

/** Reads what is to be reported, records that it is, and gives the document. */
async function piecesOf(
  world: World,
  access: HistoryAccess,
  wanted: Wanted,
): Promise<AsyncIterable<Uint8Array>> {
  const { format, output, subject } = wanted;
  const record = await access.begin("export", "report", {
    ...subject,
    tenant: access.tenant,
    format,
    output: output ?? "standard output",
  });
  let made;
  try {
    made = format === "xml"
      ? await xmlOf(world, access, subject)
      : await documentOf(world, access, subject, format);
  } catch (thrown) {
    const error = toAppError(thrown);
    await record.refused(error);
    throw error;
  }
  await record.allowed({
    rule: "export",
    target: made.target,
    scanId: subject.kind === "set" ? null : subject.id,
  });
  return made.pieces;
}

interface Made {
  readonly target: string;
  readonly pieces: AsyncIterable<Uint8Array>;
}

async function documentOf(
  world: World,
  history: TenantHistory,
  subject: Subject,
  format: ReportFormat,
): Promise<Made> {
  const { input, target, ...labels } = await inputOf(history, subject);
  const context: ReportContext = {
    generatedAtMs: Date.now(),
    version: world.version,
    ...labels,
  };
  return { target, pieces: bytesOf(renderReport(format, input, context)) };
}

async function xmlOf(
  world: World,
  history: TenantHistory,
  subject: Subject,
): Promise<Made> {
  if (subject.kind !== "scan") throw new TypeError("XML is of one scan");
  const { id } = await findScan(history, subject.id);
  const scan = await loadScan(history.store, id);
  const { bytes, whole } = rawXml(scan);
  if (!whole) {
    world.printError(
      "note: nmap wrote more than was kept; the XML breaks off and is not well-formed\n",
    );
  }
  return { target: scan.target, pieces: single(bytes) };
}

/** What a report is made of, and under what it is kept. */
type Input =
  & { readonly input: ReportInput; readonly target: string }
  & Pick<ReportContext, "engagement" | "tags">;

async function inputOf(
  history: TenantHistory,
  subject: Subject,
): Promise<Input> {
  switch (subject.kind) {
    case "scan": {
      const scan = await readScan(history, subject.id);
      const { target } = scan;
      return { input: { kind: "scan", scan }, target, ...labelsOf(scan) };
    }
    case "diff": {
      const { id, since } = subject;
      const { diff, scan } = await compare(history, since, id);
      const { target } = scan;
      return { input: { kind: "diff", diff }, target, ...labelsOf(scan) };
    }
    case "set":
      return await setOf(history, subject.filter);
  }
}

function labelsOf(
  { engagement, tags }: Pick<Scan, "engagement" | "tags">,
): Pick<ReportContext, "engagement" | "tags"> {
  return { tags, ...engagement === null ? {} : { engagement } };
}

async function setOf(
  history: TenantHistory,
  filter: SetFilter,
): Promise<Input> {
  const ids = await idsOf(history, filter);
  const title = filter.engagement ?? `Tag ${filter.tags?.join(", ")}`;
  const scans = async function* (): AsyncGenerator<Scan> {
    for (const id of ids) {
      const scan = await readIfKept(history, id);
      if (scan !== null) yield scan;
    }
  };
  return { input: { kind: "set", title, scans }, target: title, ...filter };
}

/** The scans of a set, oldest first. */
async function idsOf(
  { store, tenant }: TenantHistory,
  filter: SetFilter,
): Promise<readonly string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Store["listScans"]>> = await store.listScans(
      { tenant, ...filter },
      { limit: PAGE_SCANS, cursor },
    );
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== null && ids.length <= SCANS_MAX);
  if (ids.length === 0) {
    throw new AppError(
      "not_found",
      "Cannot report: no scan is kept under that engagement or tag; deno task history list shows what scans are kept under",
    );
  }
  if (ids.length > SCANS_MAX) {
    throw new AppError(
      "invalid_arguments",
      `Cannot report: there are more than ${SCANS_MAX} such scans; add a --tag that fewer have`,
    );
  }
  return ids.reverse();
}

/** Retention may take one away while the report is written. */
async function readIfKept(
  history: TenantHistory,
  id: string,
): Promise<Scan | null> {
  try {
    return await readScan(history, id);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "not_found") return null;
    throw thrown;
  }
}

async function* bytesOf(
  pieces: AsyncIterable<string>,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const piece of pieces) yield encoder.encode(piece);
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}

async function writeOut(
  world: World,
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const writer = world.output.getWriter();
  for await (const bytes of pieces) {
    if (world.stop.aborted) return;
    await writer.write(bytes);
  }
}
