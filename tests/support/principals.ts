/**
 * Callers whose credentials were proved, for tests of who may what.
 *
 * @module
 */
import type { Principal, Role } from "@/identity/principal.ts";

/**
 * Makes the holder of a key.
 *
 * @param name Its name: the subject is `key:NAME`.
 * @param roles Its roles.
 * @param tenant Whose it is.
 * @returns The caller.
 */
export function keyOf(
  name: string,
  roles: readonly Role[] = ["operator"],
  tenant = "default",
): Principal {
  return {
    kind: "key",
    subject: `key:${name}`,
    client: `the key ${name}`,
    tenant,
    roles: new Set(roles),
    scopes: null,
  };
}
