/**
 * Whose a scan is that was queued when its server died: whoever asked for it is not there any more, so
 * its record says who it was.
 *
 * @module
 */
import type { Who } from "@/audit/entry.ts";
import { LOCAL, type Principal } from "@/identity/principal.ts";
import type { Scan } from "@/scans/scan.ts";

/**
 * Gives whoever asked for a scan that a dead server left.
 *
 * @param scan The scan as it is kept.
 * @returns The principal with the roles that it had then, and whether a second person had approved.
 */
export function askerOf(
  { askedBy, client, tenant }: Scan,
): { readonly principal: Principal; readonly approved: boolean } {
  if (askedBy === null) return { principal: LOCAL, approved: false };
  const { kind, subject, roles, approved } = askedBy;
  const principal: Principal = {
    kind,
    subject,
    client: client ?? subject,
    tenant,
    roles: new Set(roles),
    scopes: null,
  };
  return { principal, approved };
}

/**
 * Names whoever asked for it, for the audit log.
 *
 * @param scan The scan as it is kept.
 * @returns Who, with a word that it was before a restart.
 */
export function resumerOf({ client, tenant, askedBy }: Scan): Who {
  return {
    client: `${client ?? "a client"} (queued before a restart)`,
    transport: askedBy?.kind === "local" || askedBy === null ? "stdio" : "http",
    address: null,
    tenant,
    subject: askedBy?.subject ?? LOCAL.subject,
  };
}
