/**
 * Whose a scan is that was queued when its server died: whoever asked for it is not there any more, so
 * its record says who it was.
 *
 * @module
 */
import type { Who } from "@/audit/entry.ts";
import { LOCAL, type Principal, principalOf } from "@/identity/principal.ts";
import type { Scan } from "@/scans/scan.ts";
import type { AskedBy } from "@/store/asked_by.ts";

/**
 * Gives whoever asked for a scan that a dead server left.
 *
 * @param scan The scan as it is kept.
 * @returns The principal with the roles that it had then, the demands that a second person answered, and
 * the request for approval that this scan uses up.
 */
export function askerOf(
  { askedBy, client, tenant }: Scan,
): Pick<AskedBy, "answered" | "approval"> & { readonly principal: Principal } {
  if (askedBy === null) {
    return { principal: LOCAL, answered: [], approval: null };
  }
  const { answered, approval, ...asker } = askedBy;
  const principal = principalOf({
    ...asker,
    client: client ?? asker.subject,
    tenant,
  });
  return { principal, answered, approval };
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
