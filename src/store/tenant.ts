/**
 * Whose rows are meant. A scan, a key and a request for approval belong to one tenant each, and so do
 * the inventories that engagements, tags and everything together have. There is none over all tenants:
 * what was never put together cannot leak.
 *
 * @module
 */
import { tenantComplaint } from "@/config/http_complaint.ts";
import { AppError } from "@/error/app_error.ts";

/** The tenant of whoever runs the server. What was kept before there were tenants is its own. */
export const HOUSE_TENANT = "default";

/** Whose rows are asked for. */
export interface OfTenant {
  /** Never left out: who forgets it must not be shown everybody's. */
  readonly tenant: string;
}

/**
 * Checks the name of a tenant.
 *
 * @param tenant The name.
 * @returns The same name.
 * @throws {AppError} `invalid_arguments`.
 * @throws {TypeError} If there is none: types are erased, and a filter without it would cut nothing.
 */
export function parseTenant(tenant: string): string {
  if (typeof tenant !== "string") {
    throw new TypeError("Cannot use the store: the tenant is missing");
  }
  const complaint = tenantComplaint(tenant);
  if (complaint === null) return tenant;
  throw new AppError(
    "invalid_arguments",
    `Cannot use that tenant: ${complaint}`,
  );
}
