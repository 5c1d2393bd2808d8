/**
 * A folder in memory that can be out of space, read-only or faulty, and that can be copied and
 * damaged.
 *
 * @module
 */
import type { AuditFiles, AuditLock } from "@/audit/files.ts";

/** An error of the operating system as Deno throws it. */
export function osError(code: string, message: string): Error {
  return Object.assign(new Error(`${message} (os error)`), { code });
}

/** A folder. */
export class MemoryFiles implements AuditFiles {
  readonly files: Map<string, Uint8Array>;
  /** Most bytes of all files. */
  space = Number.POSITIVE_INFINITY;
  /** Every change fails with this error code. */
  fault: string | null = null;
  /** Syncs so far. */
  syncs = 0;
  /** Blocks every write until it resolves. */
  gate: Promise<void> = Promise.resolve();
  readonly #locks = new Map<string, Promise<void>>();
  readonly #held = new Set<string>();

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.files = new Map(files);
  }

  /** Copies the folder as it is. */
  copy(): MemoryFiles {
    return new MemoryFiles(this.files);
  }

  /** The text of a file. */
  text(name: string): string {
    return new TextDecoder().decode(this.files.get(name));
  }

  /** Puts a text into a file. */
  put(name: string, text: string): void {
    this.files.set(name, new TextEncoder().encode(text));
  }

  makeFolder(): Promise<void> {
    return this.#change(() => {});
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.files.keys()]);
  }

  size(name: string): Promise<number | null> {
    return Promise.resolve(this.files.get(name)?.length ?? null);
  }

  read(
    name: string,
    from: number,
    bytesMax: number,
  ): Promise<Uint8Array | null> {
    const bytes = this.files.get(name)?.slice(from, from + bytesMax) ?? null;
    return Promise.resolve(bytes);
  }

  async *chunks(name: string): AsyncGenerator<Uint8Array> {
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new Deno.errors.NotFound(name);
    await Promise.resolve();
    // An odd size, so that lines fall over the edges.
    for (let at = 0; at < bytes.length; at += 997) {
      yield bytes.slice(at, at + 997);
    }
  }

  async write(name: string, at: number, bytes: Uint8Array): Promise<void> {
    await this.gate;
    await this.#change(() => {
      const old = this.files.get(name) ?? new Uint8Array();
      const room = this.space - this.#used() + Math.max(0, old.length - at);
      // What fits is written before a full disk says that it is full.
      const part = bytes.subarray(0, Math.max(0, Math.min(bytes.length, room)));
      const joined = new Uint8Array(Math.max(old.length, at + part.length));
      joined.set(old);
      joined.set(part, at);
      this.files.set(name, joined);
      if (part.length < bytes.length) {
        throw osError("ENOSPC", "No space left on device");
      }
      this.syncs += 1;
    });
  }

  truncate(name: string, length: number): Promise<void> {
    return this.#change(() => {
      const old = this.files.get(name);
      if (old === undefined) throw new Deno.errors.NotFound(name);
      this.files.set(name, old.slice(0, length));
    });
  }

  async replace(
    name: string,
    bytes: Uint8Array,
    after?: Promise<void>,
  ): Promise<void> {
    await after;
    await this.#change(() => {
      if (this.#used() + bytes.length > this.space) {
        throw osError("ENOSPC", "No space left on device");
      }
      this.files.set(name, bytes.slice());
      this.syncs += 1;
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#change(() => {
      const bytes = this.files.get(from);
      if (bytes === undefined) throw new Deno.errors.NotFound(from);
      this.files.delete(from);
      this.files.set(to, bytes);
    });
  }

  remove(name: string): Promise<void> {
    return this.#change(() => {
      this.files.delete(name);
    });
  }

  syncFolder(): Promise<void> {
    return this.#change(() => {});
  }

  async lock(name: string, waitMs: number): Promise<AuditLock | null> {
    if (this.#held.has(name) && waitMs === 0) return null;
    while (this.#held.has(name)) await this.#locks.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.add(name);
    this.#locks.set(name, promise);
    return {
      [Symbol.dispose]: () => {
        this.#held.delete(name);
        resolve();
      },
    };
  }

  /** Lets go of every lock, as the end of a process does. */
  kill(): void {
    this.#held.clear();
  }

  #used(): number {
    return [...this.files.values()].reduce(
      (sum, { length }) => sum + length,
      0,
    );
  }

  async #change(change: () => void): Promise<void> {
    await Promise.resolve();
    if (this.fault !== null) throw osError(this.fault, "Input/output error");
    change();
  }
}
