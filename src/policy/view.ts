/**
 * Policies as they are shown, and cases by which they are tested.
 *
 * @module
 */

/** What policies decide. */
export type Verdict = "allow" | "deny" | "approval";

/** A policy in force. */
export interface PolicyView {
  /** Its `@id`. */
  readonly id: string;
  readonly effect: "permit" | "forbid";
  /** The name of its file. */
  readonly file: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** As it stands in its file. */
  readonly text: string;
}

/** One case of a policy test. */
export interface PolicyCase {
  readonly name: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly expect?: Verdict;
}

/** What came of a case. */
export interface PolicyVerdict {
  readonly name: string;
  readonly decision: Verdict;
  readonly policies: readonly string[];
  /** Null where nothing was expected. */
  readonly ok: boolean | null;
}
