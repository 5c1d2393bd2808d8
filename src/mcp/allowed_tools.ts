/**
 * Which tools a caller is shown: those that its roles and scopes reach. The engine refuses the others
 * all the same; a model that does not see them does not try them.
 *
 * @module
 */
import { may } from "@/identity/authorize.ts";
import type { Principal } from "@/identity/principal.ts";
import { isToolName } from "@/tools/tool.ts";

/**
 * Says whether a caller is shown a tool.
 *
 * @param principal The caller.
 * @param tool The tool's name.
 * @returns Whether it is.
 */
export function isToolShown(principal: Principal, tool: string): boolean {
  if (isToolName(tool)) return may(principal, `scan:${tool}`);
  return may(principal, tool === "scan_cancel" ? "cancel" : "read");
}
