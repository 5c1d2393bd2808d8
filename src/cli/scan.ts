/**
 * `scan`: the same engine for a person at a terminal.
 *
 * @module
 */
import { type AppError, toAppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import type { Scan } from "@/scans/scan.ts";
import type { Progress } from "@/tools/tool.ts";
import { parseScanArguments, type ScanArguments } from "./arguments.ts";
import { progressLine } from "./progress_bar.ts";
import { Runtime } from "./runtime.ts";
import { scanJson, scanText } from "./scan_view.ts";
import { styleOf } from "./style.ts";
import { AT_TERMINAL, EXIT, type World } from "./world.ts";

/**
 * Scans once and prints what was found.
 *
 * @param world The process.
 * @returns 0 done, 2 refused, 3 failed, 4 timed out, 130 interrupted.
 */
export async function scan(world: World): Promise<number> {
  let asked: ScanArguments | null = null;
  try {
    asked = parseScanArguments(world.args);
    await using runtime = await Runtime.start(world, { server: false });
    const bar = new Bar(world);
    const answer = await runtime.as().call({
      who: AT_TERMINAL,
      tool: asked.tool,
      arguments: asked.request,
      signal: world.stop,
      onProgress: (progress) => bar.show(progress),
    });
    bar.clear();
    if (answer.kind !== "scan") {
      throw new TypeError(`unexpected answer "${answer.kind}"`);
    }
    print(world, answer.scan, asked.json);
    return world.stop.aborted ? EXIT.interrupted : exitOf(answer.scan);
  } catch (thrown) {
    return report(
      world,
      toAppError(thrown),
      asked?.json ?? world.args.includes("--json"),
    );
  }
}

/**
 * Tells a refusal or a fault to a person or a program.
 *
 * @param world The process.
 * @param error What was wrong.
 * @param json Whether a program reads.
 * @returns The exit code.
 */
export function report(world: World, error: AppError, json: boolean): number {
  if (json) {
    world.print(JSON.stringify({ error: error.toBody() }, null, 2) + "\n");
  } else {
    const style = styleOf(world.terminal.stderr && world.terminal.colour);
    world.printError(`${style.red(error.code)}: ${error.message}\n`);
  }
  return world.stop.aborted ? EXIT.interrupted : exitOfCode(error.code);
}

function print(world: World, scan: Scan, json: boolean): void {
  const { stdout, colour, columns } = world.terminal;
  if (json) world.print(JSON.stringify(scanJson(scan), null, 2) + "\n");
  else {
    // What goes to a file or a program is not cut, whatever the terminal of stderr is.
    const width = stdout ? columns : Number.POSITIVE_INFINITY;
    world.print(scanText(scan, width, styleOf(stdout && colour)));
  }
}

function exitOf(scan: Scan): number {
  switch (scan.status) {
    case "succeeded":
      return EXIT.ok;
    case "timed_out":
      return EXIT.timedOut;
    case "cancelled":
    case "interrupted":
      return EXIT.interrupted;
    default:
      return EXIT.failed;
  }
}

/**
 * Codes of a tool or a server that did not do its work. Every other error that is thrown came before
 * anything was started, `tool_unavailable` too (a right or a program that is missing here): refusals.
 */
const FAULTS: ReadonlySet<ErrorCode> = new Set(
  ["tool_failed", "output_limit", "internal"] as const,
);

function exitOfCode(code: ErrorCode): number {
  if (code === "timeout") return EXIT.timedOut;
  if (code === "cancelled" || code === "interrupted") return EXIT.interrupted;
  return FAULTS.has(code) ? EXIT.failed : EXIT.refused;
}

/** The bar on stderr, if that is a terminal. */
class Bar {
  readonly #world: World;
  #shown = false;

  constructor(world: World) {
    this.#world = world;
  }

  show(progress: Progress): void {
    const { stderr, columns } = this.#world.terminal;
    if (!stderr) return;
    this.#world.printError(`\r\x1b[2K${progressLine(progress, columns)}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.#world.printError("\r\x1b[2K");
    this.#shown = false;
  }
}
