/**
 * Starts the worker of a tool. The entry files are written out so that the module graph of each
 * isolate can be read (and checked) from here.
 *
 * @module
 */
import type { ToolName } from "@/tools/tool.ts";
import type { Grant } from "./grant.ts";

/**
 * Starts a tool's worker.
 *
 * @param tool The tool.
 * @param permissions All that it may do.
 * @returns The worker, which waits for its birth message.
 */
export function toolWorker(tool: ToolName, permissions: Grant): Worker {
  return new Worker(entry(tool), {
    type: "module",
    name: tool,
    deno: { permissions },
  });
}

function entry(tool: ToolName): URL {
  switch (tool) {
    case "nmap":
      return new URL("../tools/nmap/worker.ts", import.meta.url);
    case "masscan":
      return new URL("../tools/masscan/worker.ts", import.meta.url);
    case "gobuster":
      return new URL("../tools/gobuster/worker.ts", import.meta.url);
  }
}
