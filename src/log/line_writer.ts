/**
 * Writes lines one after the other and never waits for the reader.
 *
 * MCP clients may leave a server's stderr unread. A synchronous write to a full pipe would then stop
 * the whole server, so lines are written asynchronously out of a bounded queue; what finds it full
 * is dropped and counted, and the count is told as soon as there is room.
 *
 * @module
 */

/** Most bytes that wait to be written. */
export const QUEUE_BYTES_MAX = 1_048_576;

/** What {@linkcode LineWriter} is made of. */
export interface LineWriterOptions {
  /** Writes some of the bytes and tells how many. */
  readonly write: (bytes: Uint8Array) => Promise<number>;
  /** Makes the line that tells of dropped ones. */
  readonly dropped: (count: number) => string;
  /** @default {1048576} */
  readonly queueBytesMax?: number;
}

/** A bounded queue of lines in front of a slow reader. Nothing in it throws. */
export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #encoder = new TextEncoder();
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;

  /** @param options Where to write. */
  constructor(options: LineWriterOptions) {
    this.#options = options;
  }

  /**
   * Queues a line.
   *
   * @param line The line, without its end.
   */
  push(line: string): void {
    const bytes = this.#encoder.encode(`${line}\n`);
    const { queueBytesMax = QUEUE_BYTES_MAX } = this.#options;
    if (this.#queuedBytes + bytes.length > queueBytesMax) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#writing ??= this.#drain();
  }

  /** Waits until everything queued is written or the reader is gone. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue;
        this.#queue = [];
        for (const bytes of batch) {
          await this.#writeAll(bytes);
          this.#queuedBytes -= bytes.length;
        }
        this.#tellDropped();
      }
    } catch {
      // The reader is gone, and there is no other place to say so.
      this.#queue = [];
      this.#queuedBytes = 0;
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const count = await this.#options.write(bytes.subarray(at));
      if (count <= 0) throw new TypeError("nothing was written");
      at += count;
    }
  }

  #tellDropped(): void {
    const { queueBytesMax = QUEUE_BYTES_MAX } = this.#options;
    // While the queue is still full the line would be dropped itself, and the count with it.
    if (this.#dropped === 0 || this.#queuedBytes > queueBytesMax / 2) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.push(this.#options.dropped(count));
  }
}
