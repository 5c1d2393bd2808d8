/**
 * `import`: scans that were made elsewhere, out of files. A file is read to its end before anything of
 * it is kept, and what is kept is kept whole.
 *
 * @module
 */
import { newTraceId } from "@/dispatch/trace_id.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import { isoTime } from "@/scans/times.ts";
import { parseLabel, parseTags } from "@/store/plain_text.ts";
import type { StoredScan } from "@/store/scan_record.ts";
import { HOUSE_TENANT } from "@/store/tenant.ts";
import { HistoryAccess } from "./history_access.ts";
import { type CommandForm, CommandLine } from "./history_command_line.ts";
import { tellFault } from "./history_fault.ts";
import { cell, minute, printJson } from "./history_view.ts";
import { type ReadFile, readFile, STANDARD_INPUT } from "./import_file.ts";
import { keepFile, type Labels, placeOf } from "./import_keep.ts";
import { importLock } from "./import_lock.ts";
import { EXIT, fillRandom, type World } from "./world.ts";

/** Most files of one call. */
const FILES_MAX = 4_096;

const FORM: CommandForm = {
  form:
    "deno task import FILE… [--engagement NAME] [--tag T] [--tenant NAME] [--json], where - is standard input",
  options: {
    engagement: "text",
    tag: "texts",
    tenant: "text",
    json: "flag",
  },
  operands: [1, FILES_MAX],
};

/** Errors that speak of one file: the next one may be sound. */
const OF_THE_FILE: ReadonlySet<ErrorCode> = new Set(
  ["invalid_arguments", "payload_too_large", "not_found"] as const,
);

/** What became of a file. */
type Outcome =
  | {
    readonly file: string;
    readonly outcome: "imported" | "known";
    readonly scan: StoredScan;
  }
  | {
    readonly file: string;
    readonly outcome: "refused";
    readonly error: AppError;
  };

/**
 * Imports files.
 *
 * @param world The process.
 * @returns 0 if the history has all of them now, 2 if one is refused, 3 if the store fails, 130 if it
 * was stopped.
 */
export async function importScans(world: World): Promise<number> {
  const json = world.args.includes("--json");
  const outcomes: Outcome[] = [];
  const told = (outcome: Outcome) => {
    outcomes.push(outcome);
    if (!json) tell(world, outcome);
  };
  try {
    const line = new CommandLine(world.args, FORM);
    if (line.operands.filter((name) => name === STANDARD_INPUT).length > 1) {
      throw line.refuse("standard input can be read once only");
    }
    const labels = labelsOf(line);
    await using access = await HistoryAccess.open(world, line.tenant());
    refuseUnknownTenant(access);
    await using _lock = await importLock(world, access.config.state.folder);
    for (const name of line.operands) {
      if (world.stop.aborted) break;
      told(await importFile(world, access, name, labels));
    }
    if (json) printJson(world, { files: outcomes.map(outcomeJson) });
    else tellRest(world, line.operands.slice(outcomes.length));
    if (world.stop.aborted) return EXIT.interrupted;
    const refused = outcomes.some(({ outcome }) => outcome === "refused");
    return refused ? EXIT.refused : EXIT.ok;
  } catch (thrown) {
    if (!json || outcomes.length === 0) return tellFault(world, thrown, json);
    const files = outcomes.map(outcomeJson);
    printJson(world, { files, error: toAppError(thrown).toBody() });
    // The document is there; what ended it is told beside it.
    return tellFault(world, thrown, false);
  }
}

function labelsOf(line: CommandLine): Labels {
  const engagement = line.text("engagement");
  return {
    engagement: engagement === undefined
      ? null
      : parseLabel(engagement, "engagement"),
    tags: parseTags(line.texts("tag") ?? []),
  };
}

/** Nobody would ever see what is kept for a tenant whose name has a slip in it. */
function refuseUnknownTenant({ config, tenant }: HistoryAccess): void {
  const { tenants } = config.identity;
  if (tenant === HOUSE_TENANT || tenants.includes(tenant)) return;
  throw new AppError(
    "invalid_arguments",
    `Cannot import for the tenant "${tenant}": identity.tenants does not name it; there are ${
      [HOUSE_TENANT, ...tenants].join(", ")
    }`,
  );
}

async function importFile(
  world: World,
  access: HistoryAccess,
  name: string,
  labels: Labels,
): Promise<Outcome> {
  const traceId = newTraceId(fillRandom);
  const nowMs = Date.now();
  const rawBytesMax = access.config.security.max_output_bytes;
  const asked = { file: name, tenant: access.tenant, ...labels };
  const record = await access.begin("import", "import", asked, traceId);
  let file: ReadFile;
  try {
    file = await readFile(world, name, { nowMs, rawBytesMax });
  } catch (thrown) {
    const error = toAppError(thrown);
    await record.refused(error);
    if (!OF_THE_FILE.has(error.code)) throw error;
    return { file: name, outcome: "refused", error };
  }
  const place = await placeOf(access, file, nowMs);
  const known = place.state === "known";
  await record.allowed({
    rule: known ? "idempotency_key" : "import",
    target: file.scan.target,
    scanId: place.id,
  });
  if (known) {
    const scan = await access.store.getScan(place.id);
    return { file: name, outcome: "known", scan };
  }
  using _told = tellOfStop(world);
  const scan = await keepFile(access, file, {
    place,
    labels,
    traceId,
    nowMs,
    rawBytesMax,
  });
  return { file: name, outcome: "imported", scan };
}

/** Half a scan in the history would be worse than a moment's wait. */
function tellOfStop({ stop, printError }: World): Disposable {
  const tell = () =>
    printError("stopping: the file that is being kept is finished first\n");
  stop.addEventListener("abort", tell);
  return { [Symbol.dispose]: () => stop.removeEventListener("abort", tell) };
}

function tell(world: World, outcome: Outcome): void {
  const name = outcome.file === STANDARD_INPUT
    ? "standard input"
    : cell(outcome.file);
  if (outcome.outcome === "refused") {
    const { code, message } = outcome.error;
    world.printError(`${name}: ${code}: ${message}\n`);
    return;
  }
  const { scan } = outcome;
  const when = minute(scan.startedAt);
  const what = `${scan.tool} ${cell(scan.target)}${
    when === "" ? "" : `, ${when}`
  }`;
  world.print(
    outcome.outcome === "known"
      ? `${name}: known: the history has it as ${scan.id} (${what})\n`
      : `${name}: imported as ${scan.id} (${what})\n  ${
        cell(scan.summary, 1_000)
      }\n`,
  );
}

function tellRest(world: World, names: readonly string[]): void {
  for (const name of names) {
    world.printError(
      `${cell(name)}: not imported, as the import was stopped\n`,
    );
  }
}

function outcomeJson(outcome: Outcome): Readonly<Record<string, unknown>> {
  const { file } = outcome;
  if (outcome.outcome === "refused") {
    return { file, outcome: "refused", error: outcome.error.toBody() };
  }
  const { scan } = outcome;
  return {
    file,
    outcome: outcome.outcome,
    scan_id: scan.id,
    tool: scan.tool,
    target: scan.target,
    status: scan.status,
    started_at: isoTime(scan.startedAt),
    finished_at: isoTime(scan.finishedAt),
    engagement: scan.engagement,
    tags: scan.tags,
    summary: scan.summary,
    notes: scan.notes,
  };
}
