/**
 * Limits for tests that are about something else, written out: a changed default elsewhere changes no
 * test.
 *
 * @module
 */
import type { ToolLimits } from "@/tools/guardrails.ts";

/** Wide enough for every stand-in and every scan of the tests. */
export const LIMITS: ToolLimits = {
  cpuSeconds: 600,
  addressSpaceBytes: 4_294_967_296,
  fileBytes: 1_048_576,
  processes: 256,
  openFiles: 1_024,
  wallSeconds: 86_400,
  outputBytes: 104_857_600,
};

/** What `spawn` is told of a child that runs without an egress guard. */
export const CAGE = { limits: LIMITS, egressGuard: false } as const;
