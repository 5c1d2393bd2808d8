/**
 * A live event as every adapter writes it.
 *
 * @module
 */
import type { LiveEvent } from "./event.ts";

/**
 * Makes an event's body: plain JSON in `snake_case`.
 *
 * @param event The event.
 * @returns The body.
 */
export function eventBody(
  { id, kind, at, scanId, data }: LiveEvent,
): Readonly<Record<string, unknown>> {
  return {
    id,
    kind,
    at: new Date(at).toISOString(),
    scan_id: scanId,
    data,
  };
}
