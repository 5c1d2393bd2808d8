/**
 * The caller of a route, in the words of the engine.
 *
 * @module
 */
import type { Context } from "hono";
import type { From } from "@/audit/entry.ts";
import type { OperatorEnv } from "../env.ts";

/**
 * Says where a request came from.
 *
 * @param c The request.
 * @returns Client, transport and address.
 */
export function fromOf(c: Context<OperatorEnv>): From {
  return {
    client: c.get("session").principal.client,
    transport: "http",
    address: c.get("address"),
  };
}

/**
 * Records that somebody looks at what is kept, before it is shown.
 *
 * @param c The request.
 * @param route Method and path, as the document has them.
 * @param asked Parameters of the path and the query.
 */
export function recordReading(
  c: Context<OperatorEnv>,
  route: string,
  asked: Readonly<Record<string, unknown>>,
): Promise<void> {
  return c.get("session").recordReading({
    who: fromOf(c),
    tool: route,
    arguments: asked,
    traceId: c.get("traceId"),
  });
}
