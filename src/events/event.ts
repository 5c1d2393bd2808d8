/**
 * What is told live of scans and of the server, and the port through which it is told.
 *
 * @module
 */
import type { Progress } from "@/tools/tool.ts";

/** What can be told. The names are the `event:` of Server-Sent Events. */
export const EVENT_KINDS = [
  "scan.queued",
  "scan.started",
  "scan.progress",
  "scan.found",
  // Told to those alone who asked for it, as it comes: it is not kept.
  "scan.output",
  "scan.ended",
  "call.refused",
  "approval.requested",
  "approval.decided",
  "tool.changed",
  "breaker.changed",
  "config.changed",
  "health.changed",
  // Only the log itself tells it, to one listener: events before it are gone, so look at the state anew.
  "reset",
] as const;

/** One of {@linkcode EVENT_KINDS}. */
export type EventKind = typeof EVENT_KINDS[number];

/** What happened, before it has an id. */
export interface Happening {
  readonly kind: EventKind;
  /** Whose it is; null tells everybody (the server itself). */
  readonly tenant: string | null;
  readonly scanId: string | null;
  /** Plain data in `snake_case`, small, without anything that a scanned host sent but below `untrusted`. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** What happened. */
export interface LiveEvent extends Happening {
  /** For `Last-Event-ID`: `EPOCH-OWN-SHARED`, see `event_id.ts`. It says nothing of other tenants. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Whoever tells. */
export interface Teller {
  /** Tells everybody who listens. Never throws, never waits. */
  tell(happening: Happening): void;
}

/** Whose output it is. */
export type Whose = Pick<Happening, "tenant" | "scanId">;

/** Whoever tells also what scans print. */
export interface OutputTeller extends Teller {
  /** Tells whether somebody watches what a scan prints. */
  isWatched(scan: Whose): boolean;
  /** Tells those who watch a scan's output, now or never: it is not kept. Never throws, never waits. */
  tellOutput(scan: Whose, data: Happening["data"]): void;
}

/** How far a scan is, as an event's data has it. */
export function progressData(
  { percent, remainingSeconds, found, phase }: Progress,
): Readonly<Record<string, unknown>> {
  return { percent, remaining_seconds: remainingSeconds, found, phase };
}
