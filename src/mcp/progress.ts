/**
 * Progress as the protocol wants it: a number that only grows, of 100, at most four times a second.
 * A client that reads slowly gets fewer messages, not a growing queue of them.
 *
 * @module
 */
import type { Progress } from "@/tools/tool.ts";
import { progressText } from "@/scans/summary.ts";

/** Least milliseconds between two messages. */
export const PROGRESS_INTERVAL_MS = 250;

/** Added where the tool does not say how far it is, so that the number still grows. */
const STEP = 0.001;

/** A progress notification's parameters. */
export interface ProgressMessage {
  readonly progressToken: string | number;
  readonly progress: number;
  readonly total: number;
  readonly message: string;
}

/** Options of {@linkcode progressSender}. */
export interface ProgressOptions {
  readonly token: string | number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Sends one message; a rejection means that the client is gone. */
  readonly send: (message: ProgressMessage) => Promise<void>;
}

/** Sends progress until it is closed. */
export interface ProgressSender {
  /** Takes progress as it comes. */
  readonly report: (progress: Progress) => void;
  /** Ends it: nothing is sent after the answer. */
  readonly close: () => void;
}

/**
 * Makes a sender for one call.
 *
 * @param options Token, clock and the way out.
 * @returns The sender.
 */
export function progressSender(options: ProgressOptions): ProgressSender {
  let last = -1;
  let sentAt = -Infinity;
  let busy = false;
  let closed = false;
  return {
    report: (progress) => {
      const at = options.now();
      if (closed || busy || at - sentAt < PROGRESS_INTERVAL_MS) return;
      const percent = Math.min(100, Math.max(0, progress.percent ?? 0));
      const next = Math.max(percent, last < 0 ? 0 : last + STEP);
      if (next > 100 || next <= last) return;
      last = next;
      sentAt = at;
      busy = true;
      options.send({
        progressToken: options.token,
        // Sums of steps end in digits that nobody means.
        progress: Number(next.toFixed(3)),
        total: 100,
        message: progressText(progress),
      }).then(() => {
        busy = false;
      }, () => {
        // The client is gone; the call's own signal says so to the engine.
        closed = true;
      });
    },
    close: () => {
      closed = true;
    },
  };
}
