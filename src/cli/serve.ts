/**
 * `serve`: the MCP server over stdio. It lives as long as its client keeps stdin open.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { flushLog, log } from "@/log/log.ts";
import { serveMcpStdio } from "@/mcp/stdio.ts";
import type { Fields } from "@/tools/field.ts";
import type { ToolName } from "@/tools/tool.ts";
import { Runtime } from "./runtime.ts";
import { EXIT, type World } from "./world.ts";

/**
 * Serves until the client goes or the process is told to stop; then every scan is ended.
 *
 * @param world The process.
 * @returns The exit code.
 */
export async function serve(world: World): Promise<number> {
  const starting = Runtime.start(world, { server: true });
  const engine = starting.then((runtime) => runtime.as());
  // Whoever awaits the engine below or in the adapter hears of a failed start.
  engine.catch(() => {});
  const handle = serveMcpStdio(engine, {
    version: world.version,
    fields: toolFields,
    now: () => performance.now(),
    wallNow: Date.now,
    input: world.input,
    output: world.output,
    onError: (error) => log("mcp").warn("protocol", { error: error.message }),
  });
  try {
    {
      await using runtime = await starting;
      refuseOtherTransport(runtime.loaded.config);
      await runtime.openHistory();
      await Promise.race([handle.closed, aborted(world.stop)]);
      // A client that went can take no answer any more; one that is still there may get its own.
      if (world.stop.aborted) {
        await Promise.race([handle.closed, runtime.drained()]);
      }
    }
    await handle.close();
    return EXIT.ok;
  } catch (thrown) {
    const { message, detail } = toAppError(thrown);
    log("main").error("the server cannot start", {
      message,
      ...(detail === undefined ? {} : { detail }),
    });
    world.printError(`${message}\n`);
    await flushLog();
    return EXIT.fault;
  }
}

/** The configuration may be shared with the HTTP server; here it would be silently ignored. */
function refuseOtherTransport({ server }: Config): void {
  if (server.transport === "stdio") return;
  throw new AppError(
    "invalid_arguments",
    `Cannot serve "${server.transport}": this command speaks MCP over stdio; set ` +
      "server.transport: stdio",
  );
}

/** The requests' fields, loaded when they are first listed. */
async function toolFields(): Promise<Record<ToolName, Fields>> {
  const { TOOLS } = await import("@/tools/registry.ts");
  const { nmap, masscan, gobuster } = TOOLS;
  return {
    nmap: nmap.fields,
    masscan: masscan.fields,
    gobuster: gobuster.fields,
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
