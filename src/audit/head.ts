/**
 * The head: a small file that says where the log ends, sealed like a line and replaced as a whole
 * after every write. Without it, lines cut off behind the last checkpoint would leave no trace.
 *
 * What it cannot show: a head and a log that are both put back to an older state which was once
 * genuine. Only what was kept elsewhere shows that; therefore every checkpoint also goes to the
 * server's own log, and `audit verify --expect SEQ:HASH` takes one.
 *
 * @module
 */
import { canonicalJson } from "./canonical.ts";
import type { Digest } from "./digest.ts";

/** The head's file. */
export const HEAD_NAME = "head.json";

/** Most bytes of it that are read. */
export const HEAD_BYTES_MAX = 4_096;

/** Where a log ends. */
export interface Head {
  /** The last line's number; 0 before the first line. */
  readonly seq: number;
  /** The last line's hash. */
  readonly hash: string;
  /** The number of the file that it is in. */
  readonly file: number;
  /** Bytes of that file up to the line's end. */
  readonly bytes: number;
  /** The number of the last checkpoint; 0 before the first. */
  readonly checkpointSeq: number;
  /** When it was written, ISO 8601. */
  readonly time: string;
  /** Names the key of its seal. */
  readonly keyId: string;
}

/** A head that was read, with what there is to say of its seal. */
export interface SealedHead extends Head {
  /** False if the key at hand did not seal it; true without a key, which can tell nothing. */
  readonly sealed: boolean;
}

/**
 * Writes a head and seals it.
 *
 * @param head Where the log ends.
 * @param digest Makes the seal.
 * @returns One line with its end.
 */
export function writeHead(head: Head, digest: Digest): string {
  const body = bodyOf(head);
  return `{"head":${body},"seal":"${digest.seal(body)}"}\n`;
}

/**
 * Reads a head.
 *
 * @param text The file's text.
 * @param digest Checks the seal.
 * @returns The head, or null if no writer of ours wrote this text.
 */
export function parseHead(text: string, digest: Digest): SealedHead | null {
  const [, json = "", seal = ""] =
    /^\{"head":(\{[^{}]*\}),"seal":"([0-9a-f]{64})"\}\n$/.exec(text) ?? [];
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  const { seq, hash, file, bytes, checkpoint_seq, time, key_id } = value;
  if (
    !isCount(seq) || !isCount(file) || !isCount(bytes) ||
    !isCount(checkpoint_seq) || typeof time !== "string" ||
    typeof key_id !== "string" || typeof hash !== "string" ||
    !/^[0-9a-f]{64}$/.test(hash)
  ) return null;
  const checkpointSeq = checkpoint_seq;
  const head = { seq, hash, file, bytes, checkpointSeq, time, keyId: key_id };
  if (bodyOf(head) !== json) return null;
  return { ...head, sealed: !digest.keyed || digest.seal(json) === seal };
}

function bodyOf(head: Head): string {
  const { seq, hash, file, bytes, checkpointSeq, time, keyId } = head;
  return canonicalJson({
    version: 1,
    seq,
    hash,
    file,
    bytes,
    checkpoint_seq: checkpointSeq,
    time,
    key_id: keyId,
  });
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
