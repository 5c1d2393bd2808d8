/**
 * Calls over HTTP that a caller's scopes do not reach. The authorization section of MCP wants them to be
 * refused by the status of the answer and not by a result in it, so that a client which can get wider
 * credentials asks for them and comes back.
 *
 * That is known before the call is answered, whose stream begins with its status. The engine refuses it
 * all the same: so the audit log has it like any other call.
 *
 * @module
 */
import type { From } from "@/audit/entry.ts";
import type { Engine } from "@/dispatch/engine.ts";
import { type ScopeError, scopeErrorOf } from "@/identity/authorize.ts";
import { operationOf } from "./allowed_tools.ts";
import { callTool, traceIdOf } from "./call_tool.ts";

/**
 * Refuses a call for its scope.
 *
 * @param engine The engine, bound to the caller.
 * @param value The body of a request: untrusted JSON.
 * @param from Where it came from.
 * @returns The refusal, which is recorded; null for what is no call, and for one that the scopes reach.
 */
export async function scopeRefusal(
  engine: Engine,
  value: unknown,
  from: Pick<From, "address">,
): Promise<ScopeError | null> {
  const call = callIn(value);
  const operation = call === null ? null : operationOf(call.name);
  if (call === null || operation === null) return null;
  const { principal } = engine;
  const error = scopeErrorOf(principal, operation);
  if (error === null) return null;
  const { name, arguments: given, traceId } = call;
  await callTool(engine, {
    who: { client: principal.client, transport: "http", ...from },
    name,
    arguments: given,
    signal: new AbortController().signal,
    ...(traceId === undefined ? {} : { traceId }),
  });
  return error;
}

/** What a request calls. One that is malformed is refused by whoever reads it as a message. */
function callIn(value: unknown): {
  readonly name: string;
  readonly arguments: unknown;
  readonly traceId: string | undefined;
} | null {
  if (!isRecord(value) || value["method"] !== "tools/call") return null;
  const { id, params } = value;
  if (typeof id !== "string" && typeof id !== "number") return null;
  if (!isRecord(params) || typeof params["name"] !== "string") return null;
  const { name, arguments: given = {}, _meta: meta } = params;
  return { name, arguments: given, traceId: traceIdOf(meta) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
