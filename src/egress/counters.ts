/**
 * Reads what the egress guard counts. The guard runs as root beside the server and writes a file into the
 * state folder; the server, which may not look into another network namespace, reads that file.
 *
 * Whoever can write into the state folder can write this file, so it is read as untrusted: a regular file of
 * few bytes with a few whole numbers, not older than {@linkcode AGE_SECONDS_MAX}. Anything else is as good as
 * no file.
 *
 * @module
 */
import type { EgressCount, EgressCounts } from "@/metrics/metrics.ts";

/** Most bytes of the file. */
export const FILE_BYTES_MAX = 1_024;

/** Seconds after which the numbers say nothing about now. The guard writes them every five. */
export const AGE_SECONDS_MAX = 30;

/** What reading takes from the process. */
export interface CounterFiles {
  readonly stat: (
    path: string,
  ) => Promise<{ readonly isFile: boolean; readonly size: number }>;
  readonly readTextFile: (path: string) => Promise<string>;
}

const FILES: CounterFiles = {
  stat: (path) => Deno.stat(path),
  readTextFile: (path) => Deno.readTextFile(path),
};

/**
 * Names the file.
 *
 * @param stateFolder The server's state folder.
 * @returns Its path.
 */
export function counterFile(stateFolder: string): string {
  return `${stateFolder}/egress_guard.json`;
}

/**
 * Reads the counters.
 *
 * @param stateFolder The server's state folder.
 * @param nowMs Milliseconds since the epoch.
 * @param files The file system.
 * @returns The counts, or null where there are none that can be trusted to be of now.
 */
export async function readCounters(
  stateFolder: string,
  nowMs: number,
  files: CounterFiles = FILES,
): Promise<EgressCounts | null> {
  const path = counterFile(stateFolder);
  try {
    // A pipe or a device is not opened: reading one could wait for ever.
    const { isFile, size } = await files.stat(path);
    if (!isFile || size > FILE_BYTES_MAX) return null;
    return parseCounters(await files.readTextFile(path), nowMs);
  } catch {
    // No guard, no right to read, or half a file: the series are absent, and that is what tells.
    return null;
  }
}

/**
 * Parses the file's text.
 *
 * @param text The text.
 * @param nowMs Milliseconds since the epoch.
 * @returns The counts, or null if the text is anything else or too old.
 */
export function parseCounters(
  text: string,
  nowMs: number,
): EgressCounts | null {
  if (text.length > FILE_BYTES_MAX) return null;
  const fields = fieldsOf(parseJson(text));
  const writtenAt = count(fields.get("written_at"));
  const accepted = countOf(fields.get("accepted"));
  const dropped = countOf(fields.get("dropped"));
  if (writtenAt === null || accepted === null || dropped === null) return null;
  const age = nowMs / 1_000 - writtenAt;
  return Math.abs(age) > AGE_SECONDS_MAX ? null : { accepted, dropped };
}

function countOf(value: unknown): EgressCount | null {
  const fields = fieldsOf(value);
  const packets = count(fields.get("packets"));
  const bytes = count(fields.get("bytes"));
  return packets === null || bytes === null ? null : { packets, bytes };
}

function count(value: unknown): number | null {
  return Number.isSafeInteger(value) && Number(value) >= 0
    ? Number(value)
    : null;
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(
    typeof value === "object" && value !== null ? Object.entries(value) : [],
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
