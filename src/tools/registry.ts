/**
 * All tools of this server by name. For the main isolate: a tool isolate imports its own tool only.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { shown } from "./field.ts";
import { gobuster } from "./gobuster/tool.ts";
import { masscan } from "./masscan/tool.ts";
import { nmap } from "./nmap/tool.ts";
import { isToolName, type Tool, TOOL_NAMES, type ToolName } from "./tool.ts";

/** Every tool. What a tool's own request looks like is its own affair. */
export const TOOLS: Readonly<Record<ToolName, Tool<unknown>>> = {
  nmap,
  masscan,
  gobuster,
};

/**
 * Finds a tool.
 *
 * @param name The name as a client sent it.
 * @returns The tool.
 * @throws {AppError} `tool_not_found`, naming the tools there are.
 */
export function toolNamed(name: string): Tool<unknown> {
  if (isToolName(name)) return TOOLS[name];
  throw new AppError(
    "tool_not_found",
    `Cannot find the tool ${shown(name)}: the tools are ${
      TOOL_NAMES.join(", ")
    }`,
  );
}
