/**
 * The disk as the audit log needs it: one folder, and few things that can be done in it. Everything
 * that has to outlive a loss of power says so by having been synced when it returns.
 *
 * The tests put a folder in memory in its place that fails on purpose.
 *
 * @module
 */

/** A lock that is held. */
export interface AuditLock {
  /** Lets go of it. */
  [Symbol.dispose](): void;
}

/** A folder. Names are plain names of files in it. */
export interface AuditFiles {
  /** Makes the folder unless it is there, for its owner only. */
  makeFolder(): Promise<void>;
  /** @returns The names of what is in it; empty if there is no such folder. */
  list(): Promise<readonly string[]>;
  /** @returns The bytes of a file, or null if there is none. */
  size(name: string): Promise<number | null>;
  /**
   * Reads a part of a file.
   *
   * @returns At most `bytesMax` bytes, or null if there is no such file.
   */
  read(
    name: string,
    from: number,
    bytesMax: number,
  ): Promise<Uint8Array | null>;
  /** @returns A file from its start, piece by piece. Rejects if there is none. */
  chunks(name: string): AsyncIterable<Uint8Array>;
  /** Writes at a place, making the file if need be, and syncs it. */
  write(name: string, at: number, bytes: Uint8Array): Promise<void>;
  /** Cuts a file off and syncs it. */
  truncate(name: string, length: number): Promise<void>;
  /**
   * Puts a whole file in the place of another: afterwards it is the old one or the new one.
   *
   * @param after What has to be done before it takes that place. The new file is written and synced
   * meanwhile. If it rejects, so does this, and the old file stays.
   */
  replace(
    name: string,
    bytes: Uint8Array,
    after?: Promise<void>,
  ): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Syncs what files there are. */
  syncFolder(): Promise<void>;
  /**
   * Takes a lock that no other process, and nobody else in this one, has.
   *
   * @param waitMs Most milliseconds to wait for it.
   * @returns The lock, or null if somebody else still has it.
   */
  lock(name: string, waitMs: number): Promise<AuditLock | null>;
}

/** The ending of a file that is going to replace another. */
const NEW = ".new";

const CHUNK_BYTES = 262_144;

/** Files are for their owner only: entries say who scanned what. */
const PRIVATE = { mode: 0o600 };

/**
 * Gives a real folder. It needs read and write permission for it; reading alone suffices to verify.
 *
 * @param folder Its path.
 * @returns The folder.
 */
export function auditFolder(folder: string): AuditFiles {
  const at = (name: string) => `${folder}/${name}`;
  return {
    makeFolder: () => Deno.mkdir(folder, { recursive: true, mode: 0o700 }),
    list: async () => await listFolder(folder),
    size: async (name) =>
      await unlessMissing(() => Deno.statSync(at(name)).size),
    read: async (name, from, bytesMax) =>
      await unlessMissing(() => readPart(at(name), from, bytesMax)),
    chunks: (name) => chunksOf(at(name)),
    async write(name, from, bytes) {
      const options = { write: true, create: true, ...PRIVATE };
      using file = Deno.openSync(at(name), options);
      if (from > 0) file.seekSync(from, Deno.SeekMode.Start);
      writeAll(file, bytes);
      await file.syncData();
    },
    async truncate(name, length) {
      using file = await Deno.open(at(name), { write: true });
      await file.truncate(length);
      await file.sync();
    },
    async replace(name, bytes, after) {
      // Both have to be over: whoever comes next writes the same new file.
      const done = await Promise.allSettled([
        writeWhole(at(name + NEW), bytes),
        after,
      ]);
      for (const one of done) if (one.status === "rejected") throw one.reason;
      Deno.renameSync(at(name + NEW), at(name));
    },
    rename: (from, to) => Deno.rename(at(from), at(to)),
    remove: (name) => Deno.remove(at(name)),
    async syncFolder() {
      using file = await Deno.open(folder, { read: true });
      await file.sync();
    },
    lock: (name, waitMs) => lock(at(name), waitMs),
  };
}

function listFolder(folder: string): readonly string[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap(({ name, isFile }) =>
      isFile ? [name] : []
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function unlessMissing<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function readPart(path: string, from: number, bytesMax: number): Uint8Array {
  using file = Deno.openSync(path, { read: true });
  const { size } = file.statSync();
  const buffer = new Uint8Array(Math.max(0, Math.min(bytesMax, size - from)));
  if (from > 0) file.seekSync(from, Deno.SeekMode.Start);
  let length = 0;
  while (length < buffer.length) {
    const read = file.readSync(buffer.subarray(length));
    if (read === null) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  for (;;) {
    // A new one each time: whoever reads keeps pieces of it.
    const buffer = new Uint8Array(CHUNK_BYTES);
    const read = await file.read(buffer);
    if (read === null) return;
    yield buffer.subarray(0, read);
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const options = { write: true, create: true, truncate: true, ...PRIVATE };
  using file = Deno.openSync(path, options);
  writeAll(file, bytes);
  await file.syncData();
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    const written = file.writeSync(bytes.subarray(at));
    if (written <= 0) throw new TypeError("nothing was written");
    at += written;
  }
}

/** The lock lies on the open file, so it ends with the process, however that ends. */
async function lock(path: string, waitMs: number): Promise<AuditLock | null> {
  const file = Deno.openSync(path, { write: true, create: true, ...PRIVATE });
  try {
    if (file.tryLockSync(true)) return file;
    if (waitMs > 0 && await lockWithin(file, waitMs)) return file;
  } catch (error) {
    file.close();
    throw error;
  }
  if (waitMs === 0) file.close();
  return null;
}

/** Waits in the kernel, which wakes the waiter at once. One that comes too late lets go again. */
async function lockWithin(file: Deno.FsFile, waitMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, waitMs, false);
  const locking = file.lock(true).then(() => true);
  try {
    const locked = await Promise.race([locking, promise]);
    if (!locked) void locking.finally(() => file.close()).catch(() => {});
    return locked;
  } finally {
    clearTimeout(timer);
  }
}
