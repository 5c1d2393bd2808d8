/**
 * `history list` and `history show`: scans, newest first, and one of them whole.
 *
 * @module
 */
import { commandText } from "@/report/words.ts";
import { headOfStored } from "@/scans/load.ts";
import {
  type Scan,
  SCAN_STATUSES,
  type ScanHead,
  scanTypeOf,
} from "@/scans/scan.ts";
import { isoTime } from "@/scans/times.ts";
import { writeCursor } from "@/store/cursor.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import { type HistoryAccess, readScan } from "./history_access.ts";
import { type CommandLine, given } from "./history_command_line.ts";
import {
  cell,
  minute,
  outColumns,
  outStyle,
  printJson,
  printLines,
  printTable,
} from "./history_view.ts";
import { scanJson, scanText } from "./scan_view.ts";
import type { World } from "./world.ts";

/** Scans that are listed unless told otherwise, and at most. */
const LIST_DEFAULT = 20;
const LIST_MAX = 1_000;

/** Longest text of a target in a list, and of a command line. */
const TARGET_LENGTH_MAX = 40;
const COMMAND_LENGTH_MAX = 2_000;

/**
 * Lists scans.
 *
 * @param world The process.
 * @param line The command line.
 * @param access The history.
 */
export async function list(
  world: World,
  line: CommandLine,
  { store, tenant }: HistoryAccess,
): Promise<void> {
  const filter = given({
    status: line.choice("status", SCAN_STATUSES),
    tool: line.choice("tool", TOOL_NAMES),
    engagement: line.text("engagement"),
    tags: line.texts("tag"),
  });
  const limit = line.integer("limit", { min: 1, max: LIST_MAX }) ??
    LIST_DEFAULT;
  const before = line.text("before");
  const cursor = before === undefined ? null : writeCursor("scans", [before]);
  const { items, next } = await store.listScans(
    { tenant, ...filter },
    { limit, cursor },
  );
  const heads = items.map(headOfStored);
  const last = next === null ? null : heads.at(-1)?.id ?? null;
  if (line.flag("json")) {
    printJson(world, { scans: heads.map(headJson), next_before: last });
    return;
  }
  if (heads.length === 0) {
    const narrowed = Object.keys(filter).length > 0 || before !== undefined;
    printLines(world, [
      narrowed
        ? "no scan is kept that is all of this"
        : "no scan is kept yet: deno task scan, or deno task import",
    ]);
    return;
  }
  printTable(world, listRows(heads));
  if (last !== null) {
    printLines(world, [outStyle(world).dim(`more: add --before ${last}`)]);
  }
}

function listRows(heads: readonly ScanHead[]): readonly string[][] {
  const labelled = heads.some((head) => labelsOf(head) !== "");
  const heading = ["SCAN", "BEGAN", "TOOL", "STATUS", "TARGET"];
  return [
    [...heading, ...labelled ? ["KEPT UNDER"] : [], "SUMMARY"],
    ...heads.map((head) => [
      head.id,
      minute(head.startedAt ?? head.queuedAt),
      head.tool,
      head.status,
      cell(head.target, TARGET_LENGTH_MAX),
      ...labelled ? [labelsOf(head)] : [],
      cell(head.summary),
    ]),
  ];
}

/** `acme [web, prod]` */
function labelsOf(
  { engagement, tags }: Pick<Scan, "engagement" | "tags">,
): string {
  const named = tags.length === 0 ? "" : `[${cell(tags.join(", "))}]`;
  return [cell(engagement), named].filter((text) => text !== "").join(" ");
}

function headJson(head: ScanHead): Readonly<Record<string, unknown>> {
  return {
    scan_id: head.id,
    tool: head.tool,
    target: head.target,
    status: head.status,
    scan_type: scanTypeOf(head),
    queued_at: isoTime(head.queuedAt),
    started_at: isoTime(head.startedAt),
    finished_at: isoTime(head.finishedAt),
    engagement: head.engagement,
    tags: head.tags,
    client: head.client,
    summary: head.summary,
  };
}

/**
 * Shows one scan.
 *
 * @param world The process.
 * @param line The command line.
 * @param access The history.
 * @throws {AppError} `not_found`.
 */
export async function show(
  world: World,
  line: CommandLine,
  access: HistoryAccess,
): Promise<void> {
  const scan = await readScan(access, line.operands[0] ?? "");
  if (line.flag("json")) {
    const { queuedAt, engagement, tags, client } = scan;
    printJson(world, {
      ...scanJson(scan),
      queued_at: isoTime(queuedAt),
      engagement,
      tags,
      client,
    });
    return;
  }
  const style = outStyle(world);
  const facts = [
    ["began", minute(scan.startedAt ?? scan.queuedAt)],
    ["ended", minute(scan.finishedAt)],
    ["kept under", labelsOf(scan)],
    ["asked by", cell(scan.client)],
    ...scan.argv.map((argv) => ["command", command(argv)]),
    ["trace", cell(scan.traceId)],
  ].filter(([, value]) => value !== "");
  world.print(
    scanText(
      {
        ...scan,
        target: cell(scan.target),
        notes: scan.notes.map((note) => cell(note, COMMAND_LENGTH_MAX)),
      },
      outColumns(world),
      style,
    ),
  );
  printLines(
    world,
    facts.map(([name = "", value]) => style.dim(`${name}: ${value}`)),
  );
}

function command(argv: readonly string[]): string {
  return cell(commandText(argv), COMMAND_LENGTH_MAX);
}
