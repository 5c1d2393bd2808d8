/**
 * What a client calls itself, made fit for lists, terminals, models and the audit log.
 *
 * @module
 */
import { auditText, LONG_TEXT_MAX } from "@/audit/text.ts";
import { cleanText } from "@/tools/untrusted.ts";

/**
 * Makes such a text fit: cleaned first, so that nothing unseen splits a secret; cut last, so that no
 * cut hides one.
 *
 * @param said What the client or its issuer said.
 * @param lengthMax Most UTF-16 code units.
 * @returns The text.
 */
export function clientText(said: string, lengthMax: number): string {
  const seen = cleanText(said, { lengthMax: LONG_TEXT_MAX });
  return cleanText(auditText(seen, LONG_TEXT_MAX), { lengthMax });
}
