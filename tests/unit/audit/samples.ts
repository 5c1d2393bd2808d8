/**
 * Logs to test with.
 *
 * @module
 */
import { AuditLog } from "@/audit/audit_log.ts";
import { Digest } from "@/audit/digest.ts";
import type { AuditEntry, Who } from "@/audit/entry.ts";
import { fileName, fileNumbers } from "@/audit/file_name.ts";
import type { AuditFiles } from "@/audit/files.ts";
import type { Anchor, AuditLimits } from "@/audit/writer.ts";
import { MemoryFiles } from "./memory_files.ts";

/** The key of every sample. */
export const KEY = new Uint8Array(32).fill(7);

/** Somebody. */
export const WHO: Who = {
  client: "tester",
  transport: "http",
  address: "127.0.0.1",
  tenant: "default",
  subject: "key:tester",
};

/** A request for a scan. */
export function request(number: number): AuditEntry {
  return {
    kind: "request",
    who: WHO,
    operation: "scan",
    tool: "nmap",
    arguments: { target: `127.0.0.${number % 250}`, ports: "22,80" },
    traceId: "0123456789abcdef0123456789abcdef",
  };
}

/** A decision upon it. */
export function decision(
  outcome: "allowed" | "refused",
  change: Partial<Extract<AuditEntry, { kind: "decision" }>> = {},
): AuditEntry {
  return {
    kind: "decision",
    who: WHO,
    operation: "scan",
    tool: "nmap",
    target: "127.0.0.1",
    outcome,
    rule: outcome === "allowed" ? "guardrails" : "scope",
    code: outcome === "allowed" ? null : "target_not_allowed",
    message: outcome === "allowed"
      ? null
      : "Cannot scan it: it is not in scope",
    scanId: outcome === "allowed" ? "01hqz7v6x2abcdefghjkmnpqrs" : null,
    labels: null,
    traceId: "0123456789abcdef0123456789abcdef",
    configHash: "a".repeat(64),
    policyHash: null,
    policies: [],
    ...change,
  };
}

/** What a sample log is opened with. */
export interface SampleOptions {
  readonly limits?: Partial<AuditLimits>;
  readonly key?: Uint8Array;
  readonly now?: () => number;
  readonly onCheckpoint?: (anchor: Anchor) => void;
  readonly onWarning?: (message: string, detail?: string) => void;
}

/** Opens a log with a clock that stands still between calls. */
export function openLog(
  files: AuditFiles,
  options: SampleOptions = {},
): Promise<AuditLog> {
  let wall = Date.UTC(2026, 0, 1);
  const { limits, key = KEY, now = () => 0 } = options;
  return AuditLog.open({
    files,
    key: () => Promise.resolve({ bytes: key, origin: "made", warnings: [] }),
    limits: {
      checkpointEvery: 5,
      rotateBytes: 4_500,
      keepFiles: 0,
      ...limits,
    },
    wallNow: () => wall += 7,
    now,
    onCheckpoint: options.onCheckpoint ?? (() => {}),
    onWarning: options.onWarning ?? (() => {}),
  });
}

/** A log of some entries over some files, closed. */
export async function sampleLog(
  entries: number,
  options: SampleOptions = {},
): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await using log = await openLog(files, options);
  for (let number = 1; number <= entries; number++) {
    await log.append(request(number));
  }
  return files;
}

/** The digest with the key of the samples, and the one without. */
export async function digests(): Promise<{ keyed: Digest; keyless: Digest }> {
  return { keyed: await Digest.load(KEY), keyless: await Digest.load(null) };
}

/** A line of a log and its place. */
export interface Placed {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** Every line of a log. */
export function linesOf(files: MemoryFiles): readonly Placed[] {
  return fileNumbers([...files.files.keys()]).flatMap((number) => {
    const file = fileName(number);
    const texts = files.text(file).split("\n").slice(0, -1);
    return texts.map((text, index) => ({ file, line: index + 1, text }));
  });
}

/** Every entry of a log, parsed. */
export function entriesOf(
  files: MemoryFiles,
): readonly Readonly<Record<string, unknown>>[] {
  return linesOf(files).map(({ text }) => JSON.parse(text));
}

/** Puts lines into their files, and empties a file that has none left. */
export function putLines(files: MemoryFiles, lines: readonly Placed[]): void {
  for (const number of fileNumbers([...files.files.keys()])) {
    const file = fileName(number);
    const own = lines.filter((line) => line.file === file);
    files.put(file, own.map(({ text }) => `${text}\n`).join(""));
  }
}
