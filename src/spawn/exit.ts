/**
 * How a child process ended.
 *
 * @module
 */

import type { LimitName } from "./limits.ts";

/** The end of a child, told apart by `kind`. */
export type Exit =
  /** It ended by itself. `signal` is set when a signal that is not ours ended it or what it started. */
  | {
    readonly kind: "exited";
    readonly code: number;
    readonly signal: string | null;
  }
  /** It reached a limit that the kernel keeps for it. */
  | { readonly kind: "limit"; readonly limit: LimitName }
  /** Its deadline passed and it was ended. */
  | { readonly kind: "timed_out" }
  /** The caller cancelled and it was ended. */
  | { readonly kind: "cancelled" }
  /** It printed more than it may and was ended. */
  | { readonly kind: "output_limit" }
  /** Its reader said that nothing more was to come, and it was ended. */
  | { readonly kind: "settled" };

/** Signals by number, the same on every architecture that Deno runs on. */
const SIGNAL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "SIGHUP"],
  [2, "SIGINT"],
  [3, "SIGQUIT"],
  [4, "SIGILL"],
  [5, "SIGTRAP"],
  [6, "SIGABRT"],
  [7, "SIGBUS"],
  [8, "SIGFPE"],
  [9, "SIGKILL"],
  [11, "SIGSEGV"],
  [13, "SIGPIPE"],
  [14, "SIGALRM"],
  [15, "SIGTERM"],
  [24, "SIGXCPU"],
  [25, "SIGXFSZ"],
  [31, "SIGSYS"],
]);

/**
 * Names the signal that ended a scanner. A sandbox is told of it and exits with 128 and the signal's
 * number, as shells do; no scanner has exit codes there.
 *
 * @param code The exit code.
 * @param signal The signal that ended the child itself, if one did.
 * @returns The signal's name, or null.
 */
export function signalOf(code: number, signal: string | null): string | null {
  return signal ?? SIGNAL_NAMES.get(code - 128) ?? null;
}
