/**
 * What a scan is kept under where a test does not care.
 *
 * @module
 */
import type { Labels } from "@/scope/rules.ts";

/** Under nothing. */
export const UNLABELLED: Labels = { engagement: null, tags: [] };
