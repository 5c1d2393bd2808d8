/**
 * Where the audit log of a configuration lies and what bounds it.
 *
 * @module
 */
import type { KeyOptions } from "./key.ts";
import type { AuditLimits } from "./writer.ts";

/** The part of a configuration that the audit log needs. */
export interface AuditConfig {
  readonly state: { readonly folder: string };
  readonly audit?: {
    /** The file of the key; null takes `audit.key` in the state folder. */
    readonly key_file: string | null;
    /** The key itself, a secret. */
    readonly key: string | null;
    readonly checkpoint_every: number;
    readonly rotate_bytes: number;
    readonly keep_files: number;
  };
}

/** Where a log lies and what bounds it. */
export interface AuditSettings {
  readonly folder: string;
  readonly key: KeyOptions;
  readonly limits: AuditLimits;
}

/** What holds where a configuration says nothing. */
export const AUDIT_LIMITS: AuditLimits = {
  checkpointEvery: 100,
  rotateBytes: 67_108_864,
  keepFiles: 0,
};

/**
 * Reads the settings.
 *
 * @param config The configuration.
 * @returns Folder, key and limits.
 */
export function auditSettings(config: AuditConfig): AuditSettings {
  const { state, audit } = config;
  const folder = `${state.folder}/audit`;
  const file = audit?.key_file ?? `${state.folder}/audit.key`;
  return {
    folder,
    key: { secret: audit?.key ?? null, file, folder },
    limits: audit === undefined ? AUDIT_LIMITS : {
      checkpointEvery: audit.checkpoint_every,
      rotateBytes: audit.rotate_bytes,
      keepFiles: audit.keep_files,
    },
  };
}
