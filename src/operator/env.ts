/**
 * What every route of the HTTP API is given.
 *
 * @module
 */
import type { Administration } from "@/dispatch/administration.ts";
import type { Engine } from "@/dispatch/engine.ts";
import type { Destination } from "./origin_rule.ts";

/** The program as one caller sees it. */
export type Session = Engine & Administration;

/** Hono's environment of this app. */
export interface OperatorEnv {
  readonly Variables: {
    /** Set on every route but those that are open: the caller's credentials were proved. */
    session: Session;
    /** The address that the request came from, behind trusted proxies the one that they name. */
    address: string;
    /** 32 hex digits: the client's `traceparent`, or made here. */
    traceId: string;
    /** What the answer's `X-Request-Id` says. */
    requestId: string;
    /** Which of this server's names the client called, and by what. */
    destination: Destination;
  };
}
