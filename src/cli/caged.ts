/**
 * The permitted programs, and the sandbox that they are launchers of.
 *
 * @module
 */
import { type Config, SANDBOX_TRIAL_VARIABLE } from "@/config/schema.ts";
import { AppError } from "@/error/app_error.ts";
import { queryPermission } from "@/isolate/grant.ts";
import type { Programs } from "@/isolate/protocol.ts";
import { type Sandbox, sandboxOf } from "@/spawn/launcher.ts";
import { findPrograms } from "@/spawn/program.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import type { World } from "./world.ts";

/** Programs and their sandbox. */
export interface Caged {
  readonly programs: Programs;
  readonly sandbox: Sandbox;
}

/**
 * Finds the programs that this process may run.
 *
 * @param world The process.
 * @param config Which sandbox it demands.
 * @returns Programs and sandbox.
 * @throws {AppError} If a program may be run from two places, or the sandbox is not the one demanded.
 */
export function findCaged(world: World, config: Config): Caged {
  const query = (command: string) => queryPermission({ name: "run", command });
  const programs: Partial<Record<ToolName, string>> = {};
  for (const name of TOOL_NAMES) {
    const [program, ...others] = findPrograms(name, world.path, query);
    if (others.length > 0) {
      throw new AppError(
        "internal",
        `Cannot start: the process may run ${name} from more than one place; ` +
          "start it with the flags of its task in deno.json",
      );
    }
    if (program !== undefined) programs[name] = program;
  }
  const { mode, required } = config.sandbox;
  const trial = world.env[SANDBOX_TRIAL_VARIABLE] ?? "";
  const sandbox = sandboxOf(
    Object.values(programs),
    { mode, required },
    trial.replace(/[^\x20-\x7e]/g, "").slice(0, 500),
  );
  return { programs, sandbox };
}
