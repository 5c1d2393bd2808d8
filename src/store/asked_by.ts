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
  /** Whether a second person has agreed to it. */
  readonly approved: boolean;
}
