/**
 * `audit`: checks the audit log, and reads entries out of it. It needs no right to write.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { AppError, toAppError } from "@/error/app_error.ts";
import { Digest } from "@/audit/digest.ts";
import { ENTRY_KINDS } from "@/audit/entry.ts";
import {
  EXPORT_FORMATS,
  type ExportFilter,
  type ExportFormat,
  exportLines,
} from "@/audit/export.ts";
import { type AuditFiles, auditFolder } from "@/audit/files.ts";
import { findKey, type KeyOptions } from "@/audit/key.ts";
import { auditSettings } from "@/audit/settings.ts";
import { verifyLog, type VerifyReport } from "@/audit/verify.ts";
import type { Anchor } from "@/audit/writer.ts";
import { readConfig } from "@/config/boot.ts";
import { shown } from "@/tools/field.ts";
import { report } from "./scan.ts";
import { styleOf } from "./style.ts";
import { EXIT, type World } from "./world.ts";

/** Exit codes of `audit`: a log that cannot be read is told apart from one that is bad. */
const EXIT_UNREADABLE = EXIT.fault;

const OPTIONS = {
  json: { type: "boolean" },
  folder: { type: "string" },
  "key-file": { type: "string" },
  expect: { type: "string" },
  format: { type: "string" },
  since: { type: "string" },
  until: { type: "string" },
  kind: { type: "string" },
  scan: { type: "string" },
  engagement: { type: "string" },
  tag: { type: "string", multiple: true },
} as const;

type Options =
  & {
    readonly [K in Exclude<keyof typeof OPTIONS, "json" | "tag">]?: string;
  }
  & { readonly json?: boolean; readonly tag?: readonly string[] };

/** Options that an action takes besides `--folder`. */
const TAKES: Readonly<Record<string, readonly (keyof Options)[]>> = {
  verify: ["json", "folder", "key-file", "expect"],
  export: [
    "folder",
    "format",
    "since",
    "until",
    "kind",
    "scan",
    "engagement",
    "tag",
  ],
};

/**
 * Runs `audit verify` or `audit export`.
 *
 * @param world The process.
 * @returns 0 if the log is sound or was exported, 3 if it is bad, 2 if the command line is refused,
 * 1 if the log cannot be read.
 */
export async function audit(world: World): Promise<number> {
  const json = world.args.includes("--json");
  try {
    const { action, options } = readArguments(world.args);
    return action === "verify"
      ? await verify(world, options)
      : await exportEntries(world, options);
  } catch (thrown) {
    const error = thrown instanceof AppError ? thrown : unreadable(thrown);
    const code = report(world, error, json);
    return error.code === "invalid_arguments" || code === EXIT.interrupted
      ? code
      : EXIT_UNREADABLE;
  }
}

async function verify(world: World, options: Options): Promise<number> {
  const expect = options.expect === undefined
    ? null
    : parseAnchor(options.expect);
  const place = await placeOf(world, options);
  const key = await findKey(place.key);
  const digest = await Digest.load(key?.bytes ?? null);
  const found = await verifyLog(place.files, digest, { expect });
  const notes = [...found.notes, ...(key?.warnings ?? [])];
  if (options.json) {
    world.print(JSON.stringify(verifyJson(found, notes), null, 2) + "\n");
  } else {
    world.print(verifyText(world, found, notes));
  }
  return found.ok ? EXIT.ok : EXIT.failed;
}

async function exportEntries(world: World, options: Options): Promise<number> {
  const format = parseFormat(options.format ?? "jsonl");
  const filter = parseFilter(options);
  const { files } = await placeOf(world, options);
  if (await files.size("head.json") === null) {
    throw new AppError(
      "not_found",
      "Cannot export the audit log: there is none in this folder",
    );
  }
  let damaged = false;
  const lines = exportLines(files, {
    format,
    filter,
    version: world.version,
    onUnreadable: ({ file, line }) => {
      damaged = true;
      world.printError(`${file}:${line} is damaged and left out\n`);
    },
  });
  try {
    for await (const text of lines) {
      if (world.stop.aborted) return EXIT.interrupted;
      world.print(text);
    }
  } catch (thrown) {
    // `audit export | head` has what it wanted.
    if (thrown instanceof Deno.errors.BrokenPipe) return EXIT.ok;
    throw thrown;
  }
  return damaged ? EXIT.failed : EXIT.ok;
}

function readArguments(
  args: readonly string[],
): { action: "verify" | "export"; options: Options } {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: OPTIONS,
      allowPositionals: true,
      strict: true,
    });
  } catch (thrown) {
    const why = thrown instanceof Error
      ? thrown.message.split(". ")[0]
      : "malformed";
    throw refused(`Cannot read the command line: ${why}`);
  }
  const [action, ...others] = parsed.positionals;
  if ((action !== "verify" && action !== "export") || others.length > 0) {
    throw refused("Cannot run audit: the actions are verify and export");
  }
  const options: Options = parsed.values;
  const taken = TAKES[action] ?? [];
  for (const name of Object.keys(options) as (keyof Options)[]) {
    if (taken.includes(name)) continue;
    throw refused(
      `Cannot run audit ${action} with --${name}: it takes ${
        taken.map((one) => `--${one}`).join(", ")
      }`,
    );
  }
  return { action, options };
}

async function placeOf(
  world: World,
  options: Options,
): Promise<{ files: AuditFiles; key: KeyOptions }> {
  const { config } = await readConfig(world.env);
  const settings = auditSettings(config);
  const folder = (options.folder ?? settings.folder).replace(/\/+$/, "");
  const file = options["key-file"];
  const key = file === undefined
    ? { ...settings.key, folder }
    : { secret: null, file, folder };
  return { files: auditFolder(folder), key };
}

function parseAnchor(text: string): Anchor {
  const [, seq, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/i.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw refused(
      "Cannot read --expect: it is a number and a hash, as a checkpoint in the log of the server " +
        "has them: 1200:9f86d0…",
    );
  }
  return { seq: Number(seq), hash: hash.toLowerCase() };
}

function parseFormat(text: string): ExportFormat {
  const found = EXPORT_FORMATS.find((format) => format === text);
  if (found !== undefined) return found;
  throw refused(
    `Cannot export as ${shown(text)}: the formats are ${
      EXPORT_FORMATS.join(" and ")
    }`,
  );
}

function parseFilter(options: Options): ExportFilter {
  const { since, until, kind, scan, engagement, tag = [] } = options;
  return {
    since: since === undefined ? null : parseTime("--since", since),
    until: until === undefined ? null : parseTime("--until", until),
    kinds: kind === undefined ? null : parseKinds(kind),
    scanId: scan ?? null,
    labels: engagement === undefined && tag.length === 0
      ? null
      : { engagement: engagement ?? null, tags: tag },
  };
}

function parseKinds(text: string): ReadonlySet<string> {
  const kinds = text.split(",").map((kind) => kind.trim());
  const wrong = kinds.find((kind) => !ENTRY_KINDS.includes(kind));
  if (wrong === undefined) return new Set(kinds);
  throw refused(
    `Cannot read --kind: ${shown(wrong)} is none; the kinds are ${
      ENTRY_KINDS.join(", ")
    }`,
  );
}

/** A day or a time; without a zone it is UTC, as in the log. */
function parseTime(option: string, text: string): string {
  const [, day, time = "", zone = ""] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/
      .exec(text) ?? [];
  const ms = Date.parse(`${day}T${time || "00:00"}${zone || "Z"}`);
  const midnight = Date.parse(`${day}T00:00Z`);
  // A day that a month does not have would be read as one of the next month.
  const real = day !== undefined && !Number.isNaN(midnight) &&
    new Date(midnight).toISOString().startsWith(day);
  if (!real || Number.isNaN(ms)) {
    throw refused(
      `Cannot read ${option}: ${
        shown(text)
      } is no time; write 2026-03-01 or 2026-03-01T12:00:00Z`,
    );
  }
  return new Date(ms).toISOString();
}

function verifyJson(
  found: VerifyReport,
  notes: readonly string[],
): Readonly<Record<string, unknown>> {
  return {
    ok: found.ok,
    first_bad: found.bad,
    keyed: found.keyed,
    files: found.files,
    entries: found.entries,
    checkpoints: found.checkpoints,
    first: found.first,
    last: found.last,
    first_time: found.firstTime,
    last_time: found.lastTime,
    behind_checkpoint: found.behindCheckpoint,
    behind_head: found.behindHead,
    torn_bytes: found.tornBytes,
    notes,
  };
}

function verifyText(
  world: World,
  found: VerifyReport,
  notes: readonly string[],
): string {
  const { stdout, colour } = world.terminal;
  const style = styleOf(stdout && colour);
  const { bad, last } = found;
  const lines: string[] = [];
  if (bad === null) {
    const what = found.keyed ? "chain and seals hold" : "the chain holds";
    lines.push(`${style.green("sound")}: ${what}`);
  } else {
    const entry = bad.seq === null ? "" : ` (entry ${bad.seq})`;
    const problem = bad.problem.replaceAll("_", " ");
    lines.push(
      `${
        style.red("BAD")
      }: ${bad.file}:${bad.line}${entry}: ${problem}: ${bad.message}`,
    );
  }
  const sound = bad === null ? "" : " before it";
  lines.push(
    `${counted(found.entries, "entry")}${sound} in ${
      counted(found.files, "file")
    }, ${counted(found.checkpoints, "checkpoint")}`,
  );
  if (found.firstTime !== null) {
    lines.push(`from ${found.firstTime} to ${found.lastTime ?? "?"}`);
  }
  if (last !== null) {
    lines.push(
      `last ${last.seq}:${last.hash}`,
      `${counted(found.behindCheckpoint, "entry")} behind the last checkpoint`,
    );
  }
  return [...lines, ...notes.map((note) => `note: ${note}`)]
    .map((line) => `${line}\n`).join("");
}

function counted(count: number, noun: "entry" | "file" | "checkpoint"): string {
  const plural = noun === "entry" ? "entries" : `${noun}s`;
  return `${count} ${count === 1 ? noun : plural}`;
}

function refused(message: string): AppError {
  return new AppError("invalid_arguments", message);
}

/** A fault of the disk, or a right that is missing. */
function unreadable(thrown: unknown): AppError {
  const why = thrown instanceof Deno.errors.NotCapable
    ? "this program may not read it; start it by its task, on a folder below state/"
    : thrown instanceof Deno.errors.PermissionDenied
    ? "this user may not read it"
    : thrown instanceof Deno.errors.NotFound
    ? "a file went away while it was read; try again"
    : null;
  if (why === null) return toAppError(thrown);
  return new AppError("not_found", `Cannot read the audit log: ${why}`, {
    detail: String(thrown),
    cause: thrown,
  });
}
