/**
 * A key for a text of any length: an index takes only so much of one.
 *
 * @module
 */
import { createHash } from "node:crypto";

/**
 * Makes the key.
 *
 * @param text The text.
 * @returns 32 hex digits.
 */
export function textKey(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
