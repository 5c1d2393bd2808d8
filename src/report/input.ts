/**
 * What a report is made of: one scan, two scans compared, or several scans, and what is said beside
 * them.
 *
 * @module
 */
import type { ScanDiff } from "@/scans/diff.ts";
import type { Scan } from "@/scans/scan.ts";

/** What to report. */
export type ReportInput = ScanInput | DiffInput | SetInput;

/** One scan. */
export interface ScanInput {
  readonly kind: "scan";
  readonly scan: Scan;
}

/** Two scans compared. */
export interface DiffInput {
  readonly kind: "diff";
  readonly diff: ScanDiff;
}

/** Several scans, for example those of an engagement. */
export interface SetInput {
  readonly kind: "set";
  /** What they have in common: an engagement's name, a network. */
  readonly title: string;
  /**
   * Gives the scans, in the order of their acceptance. It is asked more than once, so that one scan
   * at a time is held.
   */
  readonly scans: () => AsyncIterable<Scan> | Iterable<Scan>;
}

/** What is said beside the findings. */
export interface ReportContext {
  /** When the report is written, in milliseconds since the epoch. */
  readonly generatedAtMs: number;
  /** The version of this server. */
  readonly version: string;
  /** The rules that held for the scans, in words, for example `allowed: 10.0.0.0/8`. */
  readonly guardrails?: readonly string[];
  readonly engagement?: string;
  readonly tags?: readonly string[];
}

/** The name of this program in a report. */
export const PRODUCT = "Security MCP Server";

/** Pieces of a report are joined up to this many characters. */
const CHUNK_LENGTH = 32_768;

/** Text in pieces, made as they are asked for. */
export type Pieces = AsyncIterable<string> | Iterable<string>;

/**
 * Joins small pieces, so that whoever writes them out does so in few steps.
 *
 * @param pieces The pieces.
 * @returns Larger ones.
 */
export async function* inChunks(pieces: Pieces): AsyncGenerator<string> {
  let chunk = "";
  for await (const piece of pieces) {
    chunk += piece;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}
