/**
 * How a child process ended.
 *
 * @module
 */

/** The end of a child, told apart by `kind`. */
export type Exit =
  /** It ended by itself. `signal` is set when a signal that is not ours ended it. */
  | {
    readonly kind: "exited";
    readonly code: number;
    readonly signal: string | null;
  }
  /** Its deadline passed and it was ended. */
  | { readonly kind: "timed_out" }
  /** The caller cancelled and it was ended. */
  | { readonly kind: "cancelled" }
  /** It printed more than it may and was ended. */
  | { readonly kind: "output_limit" }
  /** Its reader said that nothing more was to come, and it was ended. */
  | { readonly kind: "settled" };
