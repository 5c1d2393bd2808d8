/**
 * What a scan is kept under where a test does not care.
 *
 * @module
 */
import type { Binding } from "@/scope/rules.ts";

/** Under nothing, and whose it is where there is one tenant. */
export const UNLABELLED: Binding = {
  engagement: null,
  tags: [],
  tenant: "default",
};
