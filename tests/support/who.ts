/**
 * A caller, for tests that are not about who calls.
 *
 * @module
 */
import type { Who } from "@/audit/entry.ts";

/** A client over stdio. */
export const SOMEONE: Who = {
  client: "test 1.0.0",
  transport: "stdio",
  address: null,
  tenant: "default",
  subject: "local",
};
