/**
 * Reads the files of a log line by line, in order, holding no more than a piece of one at a time.
 *
 * @module
 */
import { fileName } from "./file_name.ts";
import type { AuditFiles } from "./files.ts";
import { LINE_BYTES_MAX } from "./line.ts";

/** A line as it lies on the disk. */
export interface RawLine {
  /** The number of its file. */
  readonly file: number;
  /** Its number in the file, from 1. */
  readonly line: number;
  /** Its bytes without the end; null if there are more than any line of ours has. */
  readonly bytes: Uint8Array | null;
  /** Where the next one begins. */
  readonly end: number;
  /** Whether it has an end at all. */
  readonly whole: boolean;
}

const NEWLINE = 10;

/**
 * Reads lines.
 *
 * @param files The log's folder.
 * @param numbers The files, in order.
 * @returns The lines, some at a time.
 */
export async function* rawLines(
  files: AuditFiles,
  numbers: readonly number[],
): AsyncGenerator<readonly RawLine[]> {
  for (const number of numbers) {
    const cutter = new Cutter(number);
    for await (const chunk of files.chunks(fileName(number))) {
      const lines = cutter.push(chunk);
      if (lines.length > 0) yield lines;
    }
    const last = cutter.finish();
    if (last !== null) yield [last];
  }
}

/** Cuts the pieces of one file into lines. */
class Cutter {
  readonly #file: number;
  #line = 0;
  #at = 0;
  /** What is still without an end; null once it is too long to be kept. */
  #rest: Uint8Array | null = new Uint8Array();
  #restLength = 0;

  constructor(file: number) {
    this.#file = file;
  }

  push(chunk: Uint8Array): readonly RawLine[] {
    const lines: RawLine[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      if (end < 0) break;
      this.#add(chunk.subarray(from, end));
      lines.push(this.#take(true));
      from = end + 1;
    }
    this.#add(chunk.subarray(from));
    return lines;
  }

  finish(): RawLine | null {
    return this.#restLength === 0 ? null : this.#take(false);
  }

  #add(bytes: Uint8Array): void {
    this.#restLength += bytes.length;
    if (this.#restLength > LINE_BYTES_MAX) this.#rest = null;
    if (this.#rest === null) return;
    if (this.#rest.length === 0) {
      this.#rest = bytes;
      return;
    }
    const joined = new Uint8Array(this.#rest.length + bytes.length);
    joined.set(this.#rest);
    joined.set(bytes, this.#rest.length);
    this.#rest = joined;
  }

  #take(whole: boolean): RawLine {
    this.#line += 1;
    this.#at += this.#restLength + (whole ? 1 : 0);
    const bytes = this.#rest;
    this.#rest = new Uint8Array();
    this.#restLength = 0;
    return {
      file: this.#file,
      line: this.#line,
      bytes,
      end: this.#at,
      whole,
    };
  }
}
