/**
 * How the commands of the history end when something goes wrong.
 *
 * @module
 */
import { type AppError, toAppError } from "@/error/app_error.ts";
import { cell } from "./history_view.ts";
import { report } from "./scan.ts";
import { EXIT, type World } from "./world.ts";

/** Longest text of what a database says of itself. */
const DETAIL_LENGTH_MAX = 1_000;

/**
 * Tells a person what went wrong.
 *
 * @param world The process.
 * @param thrown What was caught.
 * @param json Whether JSON is wanted.
 * @returns The exit code. A store that fails is no refusal of what was asked.
 */
export function tellFault(
  world: World,
  thrown: unknown,
  json: boolean,
): number {
  // `history list | head` has what it wanted.
  if (thrown instanceof Deno.errors.BrokenPipe) return EXIT.ok;
  const error = toAppError(thrown);
  const code = report(world, error, json);
  tellDetail(world, error);
  return error.code === "tool_unavailable" && code === EXIT.refused
    ? EXIT.failed
    : code;
}

/** A command has no log in which it could be looked up, and nobody else reads what it prints. */
function tellDetail(world: World, { code, detail }: AppError): void {
  if (code !== "internal" || detail === undefined) return;
  world.printError(`detail: ${cell(detail, DETAIL_LENGTH_MAX)}\n`);
}
