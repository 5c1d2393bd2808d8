/**
 * Which sandbox a permitted program stands for. `PATH` begins with the folder of one sandbox's
 * launchers, so the path that Deno permits says which one it is, and nobody else has to be asked.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** The sandboxes, the strongest first. */
export const SANDBOX_MODES = ["gvisor", "bwrap", "none"] as const;

/** One of {@linkcode SANDBOX_MODES}. */
export type SandboxMode = typeof SANDBOX_MODES[number];

/** What a program starts in: a sandbox, or nothing at all, not even limits. */
export type Launched = SandboxMode | "bare";

/**
 * Tells what a program starts in.
 *
 * @param program Its absolute path: `…/sandbox/bwrap/nmap` is bubblewrap's launcher.
 * @returns The sandbox, or `bare` for a program that is no launcher.
 */
export function launchedIn(program: string): Launched {
  const [folder, mode] = program.split("/").slice(-3);
  const known = SANDBOX_MODES.find((one) => one === mode);
  return folder === "sandbox" && known !== undefined ? known : "bare";
}

/** What the scanners run in, and why. */
export interface Sandbox {
  readonly mode: Launched;
  /** For a person: what was tried, or what is missing. */
  readonly reason: string;
}

/** What the configuration says of the sandbox. */
export interface SandboxRules {
  readonly mode: SandboxMode | "auto";
  /** Whether no sandbox at all is a reason not to start. */
  readonly required: boolean;
}

const START = "start the server with sandbox/start in front of its command";

/**
 * Finds out what the scanners run in, and holds it against the configuration.
 *
 * @param programs The permitted programs, by absolute path.
 * @param rules What the configuration says.
 * @param trial What `sandbox/start` saw when it tried the sandboxes.
 * @returns The sandbox.
 * @throws {AppError} `tool_unavailable` if it is another one than the configuration names, if the tools
 * have different ones, or if it is none where one is required.
 */
export function sandboxOf(
  programs: readonly string[],
  rules: SandboxRules,
  trial: string,
): Sandbox {
  const [mode = "none", ...others] = new Set(programs.map(launchedIn));
  if (others.length > 0) {
    throw refusal(
      `the scanners on PATH have different sandboxes (${
        [mode, ...others].join(", ")
      }); ${START}`,
    );
  }
  const named = mode === "bare" ? "none" : mode;
  if (mode === "bare" && rules.mode !== "none") {
    throw refusal(
      `the scanners on PATH are in no sandbox; ${START}, or set sandbox.mode: none`,
    );
  }
  if (rules.mode !== "auto" && rules.mode !== named) {
    throw refusal(
      `sandbox.mode is ${rules.mode}, and the scanners on PATH are those of ` +
        `${named}; set MCP_SANDBOX_MODE=${rules.mode} and ${START}`,
    );
  }
  if (rules.required && named === "none") {
    throw refusal(
      "sandbox.required is set and the scanners are in no sandbox" +
        (trial === "" ? "" : ` (${trial})`) +
        "; mend what is missing, or set sandbox.required: false",
    );
  }
  return { mode, reason: reasonOf(mode, rules, trial) };
}

function reasonOf(mode: Launched, rules: SandboxRules, trial: string): string {
  if (mode === "bare") {
    return "no launcher is on PATH: not even limits are applied";
  }
  const why = rules.mode === "auto" ? "chosen by trial" : "as configured";
  return trial === "" ? why : `${why}: ${trial}`;
}

function refusal(why: string): AppError {
  return new AppError("tool_unavailable", `Cannot start: ${why}`);
}
