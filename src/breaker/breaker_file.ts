/**
 * Keeps the breakers' state in one small file of the state folder. A write goes to a second file that
 * then takes the first one's name, so a crash leaves the old state or the new one, never half of
 * one. Changes that come close together are written once. A disk that is full or read-only is
 * reported and changes nothing else: the breakers go on in memory.
 *
 * @module
 */
import type { BreakersSnapshot, BreakerStore } from "./breakers.ts";

/** Most bytes of a state file that are read. */
export const BREAKER_FILE_BYTES_MAX = 65_536;

/** Milliseconds that changes are gathered for, unless configured. */
export const BREAKER_SAVE_DELAY_MS = 250;

/** The file system as far as it is needed. */
export interface BreakerFiles {
  /** @returns The text, or undefined if there is no such file. Throws beyond `bytesMax`. */
  read(path: string, bytesMax: number): Promise<string | undefined>;
  /** Writes a whole file through to the disk, readable by its owner only. */
  write(path: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

/** What a {@linkcode BreakerFile} is made of. */
export interface BreakerFileOptions {
  /** Where the state is kept. The same path with `.new` behind it is used for writing. */
  readonly path: string;
  readonly files: BreakerFiles;
  /** Runs something later, without keeping the process alive; the result calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** @default {250} */
  readonly delayMs?: number;
  /** Hears of files that cannot be written. */
  readonly onError: (error: unknown) => void;
}

/** A {@linkcode BreakerStore} in a file. Disposing of it writes what is still to be written. */
export class BreakerFile implements BreakerStore, AsyncDisposable {
  readonly #options: BreakerFileOptions;
  #pending: BreakersSnapshot | undefined;
  #callOff: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  /** @param options The path and what reaches the disk. */
  constructor(options: BreakerFileOptions) {
    this.#options = options;
  }

  /**
   * Reads what was kept.
   *
   * @returns Parsed JSON, not trusted; undefined if there is no file.
   * @throws {Error} If the file is unreadable, too large or no JSON.
   */
  async load(): Promise<unknown> {
    const { files, path } = this.#options;
    const text = await files.read(path, BREAKER_FILE_BYTES_MAX);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /**
   * Takes a snapshot to write soon. A later one replaces it.
   *
   * @param snapshot What to keep.
   * @returns A promise that resolves at once.
   */
  save(snapshot: BreakersSnapshot): Promise<void> {
    this.#pending = snapshot;
    const { after, delayMs = BREAKER_SAVE_DELAY_MS } = this.#options;
    this.#callOff ??= after(delayMs, () => {
      this.#callOff = undefined;
      void this.flush();
    });
    return Promise.resolve();
  }

  /** Writes what is still to be written, now. Failures go to `onError`. */
  async flush(): Promise<void> {
    this.#callOff?.();
    this.#callOff = undefined;
    // One writer at a time: two would write the same second file. The loop is for what arrives
    // between a writer's last look and its end.
    while (this.#pending !== undefined || this.#writing !== undefined) {
      this.#writing ??= this.#write().finally(() => this.#writing = undefined);
      await this.#writing;
    }
  }

  /** Writes what is still to be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  async #write(): Promise<void> {
    const { files, path, onError } = this.#options;
    while (this.#pending !== undefined) {
      const text = JSON.stringify(this.#pending);
      this.#pending = undefined;
      try {
        await files.write(`${path}.new`, text);
        await files.rename(`${path}.new`, path);
      } catch (error) {
        onError(error);
      }
    }
  }
}

/** The real file system. It needs read and write permission for the path and its `.new`. */
export const BREAKER_FILES: BreakerFiles = {
  async read(path, bytesMax) {
    try {
      const { size } = await Deno.stat(path);
      if (size > bytesMax) throw new RangeError(`state file of ${size} bytes`);
      return await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  async write(path, text) {
    const options = { write: true, create: true, truncate: true, mode: 0o600 };
    using file = await Deno.open(path, options);
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at));
    }
    await file.syncData();
  },
  rename: (from, to) => Deno.rename(from, to),
};
