/**
 * A folder for one test that is gone with it.
 *
 * @module
 */

/** A folder that is removed with everything in it when it is disposed of. */
export interface TempDir extends AsyncDisposable {
  /** Its absolute path, without a slash at the end. */
  readonly path: string;
}

/**
 * Makes a folder: `await using folder = await withTempDir();`
 *
 * @returns The folder.
 */
export async function withTempDir(): Promise<TempDir> {
  const path = await Deno.makeTempDir({ prefix: "scan-test-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
