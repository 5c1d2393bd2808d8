/**
 * What a scan prints, on its way through a tool isolate: handed to the reader, kept as raw up to the
 * cap, the end of stderr kept for the log, and the newest lines for whoever watches.
 *
 * @module
 */
import { Tail } from "@/spawn/tail.ts";
import type { Reader } from "@/tools/tool.ts";
import { OutputLines } from "./output_lines.ts";

/** Bytes of stderr's end that are kept for the log. */
export const STDERR_TAIL_BYTES = 2_048;

/** How far the buffer of raw output grows at a time. */
const RAW_STEP_BYTES = 262_144;

/**
 * What the passes of a scan print: handed to the reader, kept as raw up to the cap. The bytes are
 * copied into one buffer, as a chunk may be a small view of a large one and would keep all of it.
 */
export class Output {
  /** The newest lines, for whoever watches. */
  readonly lines = new OutputLines();
  readonly #reader: Reader;
  readonly #raw: ArrayBuffer;
  readonly #stderr = new Tail(STDERR_TAIL_BYTES);
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(reader: Reader, bytesMax: number) {
    this.#reader = reader;
    this.#bytesMax = bytesMax;
    this.#raw = new ArrayBuffer(0, { maxByteLength: bytesMax });
  }

  get bytesLeft(): number {
    return this.#bytesMax - this.#bytes;
  }

  stdout(bytes: Uint8Array): void {
    const end = this.#bytes + bytes.byteLength;
    if (end > this.#raw.byteLength) {
      this.#raw.resize(
        Math.min(
          this.#bytesMax,
          Math.ceil(end / RAW_STEP_BYTES) * RAW_STEP_BYTES,
        ),
      );
    }
    new Uint8Array(this.#raw, this.#bytes).set(bytes);
    this.#bytes = end;
    this.lines.stdout(bytes);
    this.#reader.stdout(bytes);
  }

  stderr(bytes: Uint8Array): void {
    this.#stderr.add(bytes);
    this.lines.stderr(bytes);
    this.#reader.stderr(bytes);
  }

  /** Gives the buffer away: to be called once, at the end. */
  raw(): Uint8Array {
    return new Uint8Array(this.#raw.transferToFixedLength(this.#bytes));
  }

  stderrTail(): string {
    return this.#stderr.text();
  }
}
