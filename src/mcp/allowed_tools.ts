/**
 * Which tools a caller is shown: those that its roles and scopes reach. The engine refuses the others
 * all the same; a model that does not see them does not try them.
 *
 * @module
 */
import { type AuthorizedOperation, may } from "@/identity/authorize.ts";
import type { Principal } from "@/identity/principal.ts";
import { isToolName } from "@/tools/tool.ts";
import { SCAN_TOOL_NAMES } from "./scan_tools.ts";

/**
 * Says whether a caller is shown a tool.
 *
 * @param principal The caller.
 * @param tool The tool's name.
 * @returns Whether it is.
 */
export function isToolShown(principal: Principal, tool: string): boolean {
  const operation = operationOf(tool);
  return operation !== null && may(principal, operation);
}

/**
 * Says what a call of a tool asks for.
 *
 * @param tool The tool's name: untrusted text.
 * @returns The operation; null if there is no such tool.
 */
export function operationOf(tool: string): AuthorizedOperation | null {
  if (isToolName(tool)) return `scan:${tool}`;
  if (!(SCAN_TOOL_NAMES as readonly string[]).includes(tool)) return null;
  return tool === "scan_cancel" ? "cancel" : "read";
}
