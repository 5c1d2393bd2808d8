/**
 * One import at a time: whoever finds half a scan of a file may then be sure that nobody is writing the
 * other half. The system lets go of the lock in every kind of death.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { World } from "./world.ts";

/** Milliseconds between two tries. */
const AGAIN_MS = 100;

/**
 * Takes the lock, waiting for it if need be.
 *
 * @param world The process.
 * @param folder The state folder.
 * @returns What lets go of it.
 * @throws {AppError} `interrupted` if the wait was stopped.
 */
export async function importLock(
  world: World,
  folder: string,
): Promise<AsyncDisposable> {
  const file = await Deno.open(`${folder}/import.lock`, {
    read: true,
    write: true,
    create: true,
    mode: 0o600,
  });
  try {
    for (let tries = 0; !await file.tryLock(true); tries++) {
      if (tries === 0) world.printError("waiting for another import to end\n");
      if (world.stop.aborted) {
        throw new AppError(
          "interrupted",
          "Cannot import: the wait for another import was stopped",
        );
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  } catch (thrown) {
    file.close();
    throw thrown;
  }
  return {
    [Symbol.asyncDispose]: () => Promise.resolve(file.close()),
  };
}
