/**
 * What the routes are given besides the caller's session.
 *
 * @module
 */
import type { Session } from "../env.ts";

/** Where to begin with live events, and which. */
export interface Asked {
  /** The id of the last event that was seen, or null for what comes from now on. */
  readonly after: string | null;
  /** Only of this scan; null for all. */
  readonly scanId: string | null;
  /** Whether what scans print is told too. */
  readonly output: boolean;
}

/** What the routes are given. */
export interface RouteDeps {
  /** The version of this server. */
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Streams live events. */
  readonly events: (
    request: Request,
    session: Session,
    asked: Asked,
  ) => Response | Promise<Response>;
  /** Upgrades to a WebSocket. */
  readonly socket: (
    request: Request,
    session: Session,
  ) => Response | Promise<Response>;
}
