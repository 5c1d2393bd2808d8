/**
 * Hears that a configuration file may have changed, by looking at it from time to time. What comes is
 * no more than a hint; the watcher reads the file and compares.
 *
 * The system's own notices are not used: Deno's watcher keeps the process alive and cannot be told
 * not to, an editor that renames a new file over the old one leaves a watch on a file without a name,
 * and a file that is a link (as in a mounted ConfigMap) changes without being touched.
 *
 * @module
 */

/** A stream of hints. */
export interface Changes extends Disposable {
  /** One item for each hint. Ends when it is disposed, or when no more can come. */
  hints(): AsyncIterable<void>;
}

/** What looking from time to time needs. */
export interface PollOptions {
  /** Milliseconds between two looks. @default 1000 */
  readonly everyMs?: number;
  /** Tells what of a file changes when it does; null when there is none. */
  readonly look?: (path: string) => Promise<string | null>;
}

/**
 * Looks at a file from time to time. It does not keep the process alive: Deno's own watcher cannot
 * be told that.
 *
 * @param path The file.
 * @param options How often, and how.
 * @returns The stream.
 */
export function pollFile(path: string, options: PollOptions = {}): Changes {
  const { everyMs = 1_000, look = lookAt } = options;
  let stopped = false;
  let wake = () => {};
  async function pause(): Promise<void> {
    const over = Promise.withResolvers<void>();
    wake = over.resolve;
    const timer = setTimeout(over.resolve, everyMs);
    Deno.unrefTimer(timer);
    await over.promise;
    clearTimeout(timer);
  }
  return {
    async *hints() {
      let seen = await look(path);
      while (!stopped) {
        await pause();
        if (stopped) return;
        const now = await look(path);
        if (now !== seen) yield;
        seen = now;
      }
    },
    [Symbol.dispose]() {
      stopped = true;
      wake();
    },
  };
}

/**
 * Tells what of a folder changes when a file in it does: for {@linkcode pollFile}.
 *
 * @param path The folder.
 * @returns A text, or null if there is no such folder.
 */
export async function lookAtFolder(path: string): Promise<string | null> {
  try {
    const names = (await Array.fromAsync(Deno.readDir(path)))
      .filter(({ isFile, isSymlink }) => isFile || isSymlink)
      .map(({ name }) => name).sort().slice(0, FILES_MAX);
    const seen = await Promise.all(
      names.map((name) => lookAt(`${path}/${name}`)),
    );
    return names.map((name, at) => `${name} ${seen[at]}`).join("\n");
  } catch {
    // No folder, or one that may not be read: the reader will say so.
    return null;
  }
}

/** Most files of a folder that are looked at. */
const FILES_MAX = 256;

async function lookAt(path: string): Promise<string | null> {
  try {
    const { ino, size, mtime, ctime } = await Deno.stat(path);
    return `${ino} ${size} ${mtime?.getTime()} ${ctime?.getTime()}`;
  } catch {
    // No file, or one that may not be read: the reader will say so.
    return null;
  }
}
