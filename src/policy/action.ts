/**
 * What can be done to a target, in the words of the policies: `Action::"nmap:connect"` is a member of
 * `Action::"nmap"`, which is a member of `Action::"scan"`.
 *
 * @module
 */
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";

/** The modes of each tool. The first one is what a case of a policy test means if it names none. */
export const MODES: Readonly<Record<ToolName, readonly string[]>> = {
  nmap: ["connect", "syn", "udp", "ping"],
  masscan: ["syn"],
  gobuster: ["dir", "dns", "vhost"],
};

/** Every action that a request can be about. */
export const ACTIONS: readonly string[] = TOOL_NAMES.flatMap((tool) =>
  MODES[tool].map((mode) => `${tool}:${mode}`)
);
