/**
 * Opens the audit log of a configuration on the real disk: what the composition root calls.
 *
 * @module
 */
import { AuditLog, type AuditLogOptions } from "./audit_log.ts";
import { auditFolder } from "./files.ts";
import { findOrMakeKey } from "./key.ts";
import { type AuditConfig, auditSettings } from "./settings.ts";

/** What {@linkcode openAudit} needs besides the configuration. */
export type OpenOptions = Pick<
  AuditLogOptions,
  "wallNow" | "now" | "onCheckpoint" | "onWarning"
>;

/**
 * Opens the log.
 *
 * @param config Where it lies and what bounds it.
 * @param options Clocks, and who hears of checkpoints and warnings.
 * @returns The log. One whose disk does not take it is not healthy and rejects every entry.
 * @throws {AppError} If the key is unfit, or the log was cut or changed.
 */
export function openAudit(
  config: AuditConfig,
  options: OpenOptions,
): Promise<AuditLog> {
  const { folder, key, limits } = auditSettings(config);
  return AuditLog.open({
    ...options,
    files: auditFolder(folder),
    limits,
    async key(logExists) {
      const found = await findOrMakeKey(key, logExists);
      for (const warning of found.warnings) options.onWarning(warning);
      return found;
    },
  });
}
