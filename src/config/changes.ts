/**
 * Hears that a configuration file may have changed. Two ways: the system's notices about the file's
 * folder, and looking from time to time.
 *
 * The folder is watched and not the file: an editor that writes a new file and renames it over the
 * old one would leave a watch on a file that has no name any more, and a file that is a link (as in a
 * mounted ConfigMap) changes without being touched. What came is no more than a hint; the watcher
 * reads the file and compares.
 *
 * @module
 */

/** A stream of hints. */
export interface Changes extends Disposable {
  /** One item for each hint. Ends when it is disposed, or when no more can come. */
  hints(): AsyncIterable<void>;
}

/** What of an event of the file system is looked at. */
export interface FolderEvent {
  readonly kind: string;
}

/**
 * Watches a folder with the system's notices. A process that waits for one stays alive.
 *
 * @param folder The folder.
 * @returns The stream.
 */
export function watchFolder(folder: string): Changes {
  return folderChanges(Deno.watchFs(folder, { recursive: false }));
}

/**
 * Makes a stream of a folder's events. Reading a file is an event, too, and no change.
 *
 * @param events The events.
 * @returns The stream.
 */
export function folderChanges(
  events: AsyncIterable<FolderEvent> & { close(): void },
): Changes {
  let closed = false;
  return {
    async *hints() {
      for await (const { kind } of events) {
        if (kind !== "access") yield;
      }
    },
    [Symbol.dispose]() {
      if (closed) return;
      closed = true;
      events.close();
    },
  };
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
    Deno.unrefTimer(Number(timer));
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

async function lookAt(path: string): Promise<string | null> {
  try {
    const { ino, size, mtime, ctime } = await Deno.stat(path);
    return `${ino} ${size} ${mtime?.getTime()} ${ctime?.getTime()}`;
  } catch {
    // No file, or one that may not be read: the reader will say so.
    return null;
  }
}
