/**
 * Entries that the log writes about itself.
 *
 * @module
 */
import type { Plain } from "@/log/redact.ts";

/** Why a checkpoint stands where it stands. */
export type CheckpointReason = "interval" | "rotation" | "closing";

/** What was put right before the log went on. */
export interface Recovery {
  /** Whole entries that were on the disk before their writer could say so. */
  readonly unheaded: number;
  /** Files that hold what a torn write left. */
  readonly tornFiles: readonly string[];
  /** Entries that could not be recorded and whose callers were told so. */
  readonly rejected: number;
  /** When the first of those was refused, ISO 8601. */
  readonly since: string | null;
}

/** Files that were removed because of their age. */
export interface Removal {
  /** The oldest that was still there, and the youngest that is removed. */
  readonly fromFile: string;
  readonly throughFile: string;
  /** The last entry that is gone with them. */
  readonly throughSeq: number;
  readonly throughHash: string;
}

/** A kind and its members. */
export interface OwnEntry {
  readonly kind:
    | "log_opened"
    | "checkpoint"
    | "recovered"
    | "files_removed";
  readonly fields: Readonly<Record<string, Plain>>;
}

/**
 * The first entry of a log.
 *
 * @param keyId Names the key.
 * @param keyOrigin Where the key came from. A key that was found although there was no log says that
 * a log may have been taken away.
 * @returns The entry.
 */
export function logOpened(keyId: string, keyOrigin: string): OwnEntry {
  return {
    kind: "log_opened",
    fields: { version: 1, key_id: keyId, key_origin: keyOrigin },
  };
}

/**
 * A checkpoint. Its line holds number, chain hash (`prev`), file and time under one seal.
 *
 * @param file The file that it stands in.
 * @param entries Entries since the checkpoint before.
 * @param reason Why it stands here.
 * @returns The entry.
 */
export function checkpoint(
  file: string,
  entries: number,
  reason: CheckpointReason,
): OwnEntry {
  return { kind: "checkpoint", fields: { file, entries, reason } };
}

/** Says what was put right. */
export function recovered(recovery: Recovery): OwnEntry {
  const { unheaded, tornFiles, rejected, since } = recovery;
  return {
    kind: "recovered",
    fields: { unheaded, torn_files: [...tornFiles], rejected, since },
  };
}

/** Says which files are removed next. It is on the disk before they are. */
export function filesRemoved(removal: Removal): OwnEntry {
  const { fromFile, throughFile, throughSeq, throughHash } = removal;
  return {
    kind: "files_removed",
    fields: {
      from_file: fromFile,
      through_file: throughFile,
      through_seq: throughSeq,
      through_hash: throughHash,
    },
  };
}
