/**
 * Names a configuration or a policy by its hash, so that an entry says under which rules a decision
 * was made.
 *
 * Secrets are taken out first: the hash of a short password among known values could be guessed.
 *
 * @module
 */
import { redact } from "@/config/redact.ts";
import type { Plain } from "@/log/redact.ts";
import { canonicalJson } from "./canonical.ts";

/**
 * Makes the hash of a configuration.
 *
 * @param value Plain data.
 * @returns 64 hex digits; the same for the same value, whatever the order of its keys.
 */
export async function fingerprint(value: unknown): Promise<string> {
  const json = canonicalJson(redact(value) as Plain);
  const bytes = new TextEncoder().encode(json);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
