/**
 * Who asked, as it stands in rows: enough to go on in their name after a restart. `identity` proves who
 * it is and lies above the store, so its words are said again here; the compiler compares the two where
 * one becomes the other.
 *
 * @module
 */

/** What a caller may be. */
export type StoredRole = "viewer" | "operator" | "approver" | "admin";

/** A caller whose credentials were proved when it asked. */
export interface StoredCaller {
  readonly kind: "local" | "key" | "token";
  /** `local`, `key:ID`, `ISSUER#SUBJECT`. */
  readonly subject: string;
  readonly roles: readonly StoredRole[];
}

/** Who asked for a scan. */
export interface AskedBy extends StoredCaller {
  /**
   * What a second person's word answers: the policies that demanded it, each as it was worded then. It
   * is empty if none did. A policy that demands it later, or in other words, is not among them.
   */
  readonly answered: readonly string[];
  /** The request for approval that the scan uses up, or null if it needed none. */
  readonly approval: string | null;
}

/**
 * Reads who asked. What an earlier version kept has less in it, and then no policy counts as answered:
 * where one demands a second person, somebody has to ask again.
 *
 * @param text What is kept, as JSON.
 * @returns Who asked.
 */
export function parseAskedBy(text: string): AskedBy {
  const { kind, subject, roles, answered = [], approval = null }:
    & StoredCaller
    & Partial<AskedBy> = JSON.parse(text);
  return { kind, subject, roles, answered, approval };
}
