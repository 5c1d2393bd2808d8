/**
 * The newest lines that a scan printed, for whoever watches it live.
 *
 * A scanner prints up to a hundred megabytes, and mostly nobody watches. So of each stream only the
 * newest bytes are kept, whatever arrives; they become lines when somebody watches, a few times a
 * second, and what fell off before that is counted and no more. A line that has no end yet waits for it
 * within the same bytes.
 *
 * @module
 */
import { isLauncherLine } from "@/spawn/launcher_line.ts";
import { cleanText } from "@/tools/untrusted.ts";
import {
  OUTPUT_JSON_MAX,
  OUTPUT_LINES_MAX,
  OUTPUT_TEXT_MAX,
  type OutputLine,
  type Printed,
} from "./protocol.ts";

/** Bytes of each stream that are kept between two looks: a line that is longer is left out. */
const KEPT_BYTES_MAX = 8_192;

const LF = 0x0a;
const CR = 0x0d;
const LINE_END = new Uint8Array([LF]);

/** The newest lines of both streams of a scan. */
export class OutputLines {
  readonly #stdout = new Newest("stdout");
  readonly #stderr = new Newest("stderr");
  #watched = false;

  /**
   * Takes bytes of stdout.
   *
   * @param bytes Any bytes.
   */
  stdout(bytes: Uint8Array): void {
    this.#stdout.write(bytes, this.#watched);
  }

  /**
   * Takes bytes of stderr.
   *
   * @param bytes Any bytes.
   */
  stderr(bytes: Uint8Array): void {
    this.#stderr.write(bytes, this.#watched);
  }

  /** Ends the last line of each stream: the program is gone. */
  end(): void {
    this.stdout(LINE_END);
    this.stderr(LINE_END);
  }

  /**
   * Hears whether somebody watches. Whoever begins to is told first of the newest lines before that.
   *
   * @param on Whether somebody does.
   */
  watch(on: boolean): void {
    this.#watched = on;
  }

  /**
   * Takes what was printed since the last time.
   *
   * @returns The newest lines that fit a message, or null if there is nothing to tell or nobody watches.
   */
  next(): Printed | null {
    if (!this.#watched) return null;
    const [out, err] = [this.#stdout.take(), this.#stderr.take()];
    const lines = [...out.lines, ...err.lines];
    const skipped = out.skipped + err.skipped;
    return lines.length === 0 && skipped === 0 ? null : { lines, skipped };
  }
}

/** The newest bytes of one stream. */
class Newest {
  readonly #stream: OutputLine["stream"];
  readonly #decoder = new TextDecoder();
  /** Twice as much as is kept: so not every chunk moves what is there. */
  readonly #kept = new Uint8Array(2 * KEPT_BYTES_MAX);
  #length = 0;
  /** Whether what is kept begins inside of a line. */
  #torn = false;
  #skipped = 0;

  constructor(stream: OutputLine["stream"]) {
    this.#stream = stream;
  }

  write(bytes: Uint8Array, counts: boolean): void {
    const over = Math.max(0, bytes.length - KEPT_BYTES_MAX);
    const fresh = bytes.subarray(over);
    if (this.#length + fresh.length > this.#kept.length || over > 0) {
      const stay = over > 0 ? 0 : KEPT_BYTES_MAX - fresh.length;
      this.#drop(this.#length - stay, counts);
    }
    this.#skip(bytes.subarray(0, over), counts);
    this.#kept.set(fresh, this.#length);
    this.#length += fresh.length;
  }

  /** Takes the lines that have an end. */
  take(): Printed {
    const bytes = this.#kept.subarray(0, this.#length);
    const end = Math.max(bytes.lastIndexOf(LF), bytes.lastIndexOf(CR)) + 1;
    const text = this.#decoder.decode(bytes.subarray(0, end));
    const printed = text.split(/[\r\n]/);
    if (end > 0 && this.#torn) {
      printed.shift();
      this.#skipped++;
      this.#torn = false;
    }
    this.#kept.copyWithin(0, end, this.#length);
    this.#length -= end;
    const { lines, left } = this.#newest(printed);
    const skipped = this.#skipped + left;
    this.#skipped = 0;
    return { lines, skipped };
  }

  /** Cleans the newest lines that fit a message, and says how many do not. */
  #newest(printed: readonly string[]): { lines: OutputLine[]; left: number } {
    const lines: OutputLine[] = [];
    let [left, size] = [0, 0];
    for (const line of printed.toReversed()) {
      // Once the message is full, the rest is not worth the cleaning.
      if (size > OUTPUT_JSON_MAX || lines.length === OUTPUT_LINES_MAX) {
        if (line !== "") left++;
        continue;
      }
      const text = cleanText(line, { lengthMax: OUTPUT_TEXT_MAX });
      if (text === "") continue;
      const made = { stream: this.#stream, text };
      size += JSON.stringify(made).length + 1;
      if (size <= OUTPUT_JSON_MAX && !this.#isLaunchers(text)) lines.push(made);
      else left++;
    }
    return { lines: lines.reverse(), left };
  }

  #isLaunchers(text: string): boolean {
    return this.#stream === "stderr" && isLauncherLine(text);
  }

  /** Lets the oldest bytes go. */
  #drop(count: number, counts: boolean): void {
    this.#skip(this.#kept.subarray(0, count), counts);
    this.#kept.copyWithin(0, count, this.#length);
    this.#length -= count;
  }

  #skip(bytes: Uint8Array, counts: boolean): void {
    if (bytes.length === 0) return;
    // Unwatched, the bytes are not even looked at, but for the last one.
    if (counts) this.#skipped += linesIn(bytes, this.#torn);
    this.#torn = !isEnd(bytes[bytes.length - 1]);
  }
}

/** Counts the line ends that stand behind something: an empty line is none. */
function linesIn(bytes: Uint8Array, beginsInside: boolean): number {
  let [lines, isEmpty] = [0, !beginsInside];
  for (let at = 0; at < bytes.length; at++) {
    const ends = isEnd(bytes[at]);
    if (ends && !isEmpty) lines++;
    isEmpty = ends;
  }
  return lines;
}

function isEnd(byte: number | undefined): boolean {
  return byte === LF || byte === CR;
}
