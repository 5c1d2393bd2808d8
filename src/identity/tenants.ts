/**
 * Who the tenants are.
 *
 * @module
 */
import { HOUSE } from "./principal.ts";

/**
 * Lists the tenants of a configuration.
 *
 * @param identity The configuration.
 * @returns Their names, that of the house among them.
 */
export function tenantsOf(
  identity: { readonly tenants: readonly string[] },
): ReadonlySet<string> {
  return new Set([HOUSE, ...identity.tenants]);
}
