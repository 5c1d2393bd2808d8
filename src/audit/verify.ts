/**
 * Checks a whole log and names the first bad line. It reads each file once, from its start, and holds
 * no more than a few lines.
 *
 * What it cannot find, by nature: that the log and its head were both put back to an older genuine
 * state, unless `expect` names an entry that was kept elsewhere; without the key, lines that were
 * written anew from some point to the end together with the head; and what the holder of the key
 * forges.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { type Digest, NO_HASH } from "./digest.ts";
import {
  diagnose,
  examine,
  type Examined,
  type Expected,
  fits,
  type Problem,
} from "./fault.ts";
import { fileName, fileNumbers } from "./file_name.ts";
import type { AuditFiles } from "./files.ts";
import { HEAD_NAME, parseHead, type SealedHead } from "./head.ts";
import type { Line } from "./line.ts";
import { rawLines } from "./raw_lines.ts";
import { readHead } from "./tail.ts";
import type { Anchor } from "./writer.ts";

/** The first bad line. */
export interface BadLine {
  readonly file: string;
  /** Its number in the file; where an entry is missing, the place that it should stand in. */
  readonly line: number;
  readonly seq: number | null;
  readonly problem: Problem;
  readonly message: string;
}

/** What was found. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly bad: BadLine | null;
  /** Whether seals were checked, or the chain alone. */
  readonly keyed: boolean;
  readonly files: number;
  /** Sound entries, up to the first bad line. */
  readonly entries: number;
  readonly checkpoints: number;
  readonly first: Anchor | null;
  readonly last: Anchor | null;
  readonly firstTime: string | null;
  readonly lastTime: string | null;
  /** Entries behind the last checkpoint. */
  readonly behindCheckpoint: number;
  /** Entries behind the head. */
  readonly behindHead: number;
  /** Bytes behind the last line that are no line yet. */
  readonly tornBytes: number;
  /** What an auditor should know besides. */
  readonly notes: readonly string[];
}

/** Options of {@linkcode verifyLog}. */
export interface VerifyOptions {
  /** An entry that was kept elsewhere and has to be in the log. */
  readonly expect: Anchor | null;
}

/** Entries that were removed on purpose. */
interface Excuse {
  readonly throughSeq: number;
  readonly throughHash: string;
}

/**
 * Checks a log.
 *
 * @param files The log's folder.
 * @param digest With the key, or without one to check the chain alone.
 * @param options What else has to hold.
 * @returns What was found.
 * @throws {AppError} `not_found` if there is no log.
 */
export async function verifyLog(
  files: AuditFiles,
  digest: Digest,
  options: VerifyOptions,
): Promise<VerifyReport> {
  // First, because a server may be writing: what it adds meanwhile stands behind this head.
  const headText = await readHead(files);
  const numbers = fileNumbers(await files.list());
  if (headText === null && numbers.length === 0) {
    throw new AppError(
      "not_found",
      "Cannot verify the audit log: there is none in this folder",
    );
  }
  const head = headText === null ? null : parseHead(headText, digest);
  const verifier = new Verifier(digest, head, options.expect);
  const window = new Window(rawLines(files, numbers), digest);
  await verifier.read(window, numbers);
  return verifier.report(numbers);
}

/** The lines that were read and not yet judged. */
class Window {
  readonly #source: AsyncGenerator<readonly Parameters<typeof examine>[0][]>;
  readonly #digest: Digest;
  #lines: Examined[] = [];
  #at = 0;

  constructor(source: ReturnType<typeof rawLines>, digest: Digest) {
    this.#source = source;
    this.#digest = digest;
  }

  /** Makes sure that the next line and two behind it are there, as far as there are any. */
  async fill(): Promise<void> {
    while (this.#lines.length - this.#at < 3) {
      const { done, value } = await this.#source.next();
      if (done) return;
      this.#lines = [
        ...this.#lines.slice(this.#at),
        ...value.map((raw) => examine(raw, this.#digest)),
      ];
      this.#at = 0;
    }
  }

  get ready(): boolean {
    return this.#lines.length - this.#at >= 3;
  }

  peek(ahead: number): Examined | null {
    return this.#lines[this.#at + ahead] ?? null;
  }

  next(): void {
    this.#at += 1;
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    await this.#source.return(undefined);
  }
}

class Verifier {
  readonly #digest: Digest;
  readonly #head: SealedHead | null;
  readonly #expect: Anchor | null;
  #expected: Expected = { seq: 1, prev: NO_HASH };
  #bad: BadLine | null = null;
  #before: Examined | null = null;
  #first: Line | null = null;
  #firstSeq = 1;
  #firstPrev = NO_HASH;
  #excuse: Excuse | null = null;
  #entries = 0;
  #checkpoints = 0;
  #checkpointSeq = 0;
  #behindHead = 0;
  #tornBytes = 0;
  #keyFoundAtStart = false;

  constructor(
    digest: Digest,
    head: SealedHead | null,
    expect: Anchor | null,
  ) {
    this.#digest = digest;
    this.#head = head;
    this.#expect = expect;
  }

  async read(window: Window, numbers: readonly number[]): Promise<void> {
    const last = numbers.at(-1);
    try {
      while (this.#bad === null) {
        if (!window.ready) await window.fill();
        const current = window.peek(0);
        if (current === null) break;
        if (this.#first === null) this.#begin(current);
        const { raw } = current;
        if (!raw.whole && raw.file === last && this.#reachesHead()) {
          // A crash or a writer at work leaves this; whoever writes next moves it aside.
          this.#tornBytes = raw.bytes?.length ?? 0;
          break;
        }
        if (current.sealed && fits(current, this.#expected)) {
          this.#accept(current);
        } else this.#broken(current, window);
        window.next();
      }
    } finally {
      await window.close();
    }
    this.#bad ??= this.#badEnd(numbers) ?? this.#badStart(numbers);
  }

  report(numbers: readonly number[]): VerifyReport {
    const last = this.#before?.line ?? null;
    const lastAnchor = this.#before === null || last === null
      ? null
      : { seq: last.seq, hash: this.#before.hash };
    return {
      ok: this.#bad === null,
      bad: this.#bad,
      keyed: this.#digest.keyed,
      files: numbers.length,
      entries: this.#entries,
      checkpoints: this.#checkpoints,
      first: this.#first === null
        ? null
        : { seq: this.#first.seq, hash: this.#digest.hash(this.#first.text) },
      last: lastAnchor,
      firstTime: this.#first?.time ?? null,
      lastTime: last?.time ?? null,
      behindCheckpoint: last === null ? 0 : last.seq - this.#checkpointSeq,
      behindHead: this.#behindHead,
      tornBytes: this.#tornBytes,
      notes: this.#notes(),
    };
  }

  /** A log whose oldest files were removed begins where it begins; the end tells whether it may. */
  #begin({ line, raw }: Examined): void {
    if (line === null) return;
    this.#first = line;
    if (raw.file === 1) return;
    this.#firstSeq = line.seq;
    this.#firstPrev = line.prev;
    this.#expected = { seq: line.seq, prev: line.prev };
    this.#checkpointSeq = line.seq - 1;
  }

  #accept(current: Examined): void {
    const { raw, hash } = current;
    const line = current.line as Line;
    const misplaced = this.#misplaced(current, line);
    if (misplaced !== null) {
      this.#bad = misplaced;
      return;
    }
    this.#entries += 1;
    this.#before = current;
    this.#expected = { seq: line.seq + 1, prev: hash };
    if (this.#head !== null && line.seq > this.#head.seq) this.#behindHead += 1;
    if (line.kind === "checkpoint") {
      this.#checkpoints += 1;
      this.#checkpointSeq = line.seq;
    }
    const { fields } = line;
    if (line.kind === "log_opened" && raw.line === 1) {
      this.#keyFoundAtStart = fields["key_origin"] === "file";
    }
    if (line.kind === "files_removed") {
      const { through_seq: seq, through_hash: prev } = fields;
      if (typeof seq === "number" && typeof prev === "string") {
        this.#excuse = { throughSeq: seq, throughHash: prev };
      }
    }
  }

  /** What else than the chain speaks against a line that fits. */
  #misplaced({ raw, hash }: Examined, line: Line): BadLine | null {
    const bad = (problem: Problem, message: string): BadLine => ({
      file: fileName(raw.file),
      line: raw.line,
      seq: line.seq,
      problem,
      message,
    });
    if (
      line.kind === "checkpoint" && line.fields["file"] !== fileName(raw.file)
    ) return bad("bad_checkpoint", "it was made for another file");
    const head = this.#head;
    if (head !== null && head.sealed && line.seq === head.seq) {
      if (hash !== head.hash) {
        return bad("changed", "the head names another hash for it");
      }
      if (raw.file !== head.file || raw.end !== head.bytes) {
        return bad("reordered", "the head names another place for it");
      }
    }
    const expect = this.#expect;
    if (expect !== null && line.seq === expect.seq && hash !== expect.hash) {
      return bad("not_expected", "it is not the entry that was to be expected");
    }
    return null;
  }

  #broken(current: Examined, window: Window): void {
    const { raw, line } = current;
    const head = this.#head;
    if (this.#before === null && line !== null && this.#isForeign(current)) {
      this.#bad = {
        file: fileName(raw.file),
        line: raw.line,
        seq: line.seq,
        problem: "wrong_key",
        message: "the log was sealed with another key than the one given",
      };
      return;
    }
    const pinned = head !== null && head.seq === line?.seq ? head.hash : null;
    const { problem, at, seq, message } = diagnose({
      expected: this.#expected,
      before: this.#before,
      current,
      next: window.peek(1),
      afterNext: window.peek(2),
      pinned,
      digest: this.#digest,
    });
    this.#bad = {
      ...this.#placeOf(problem, at),
      seq,
      problem: !raw.whole && problem === "changed" ? "truncated" : problem,
      message,
    };
    this.#missingFile(raw.file);
  }

  /** What is missing in front of a file's first line is missing at the end of the file before. */
  #placeOf(
    problem: Problem,
    at: { file: number; line: number },
  ): { file: string; line: number } {
    const before = this.#before;
    if (problem !== "removed" || before === null || at.line > 1) {
      return { file: fileName(at.file), line: at.line };
    }
    return closes(before.line)
      ? { file: fileName(before.raw.file + 1), line: 1 }
      : { file: fileName(before.raw.file), line: before.raw.line + 1 };
  }

  #missingFile(found: number): void {
    const bad = this.#bad;
    const before = this.#before?.raw.file ?? 0;
    if (bad?.problem !== "removed" || found <= before + 1) return;
    this.#bad = {
      ...bad,
      file: fileName(before + 1),
      line: 1,
      problem: "missing_file",
    };
  }

  #isForeign({ line, sealed }: Examined): boolean {
    if (sealed || !this.#digest.keyed) return false;
    const said = line?.kind === "log_opened"
      ? line.fields["key_id"]
      : this.#head?.keyId;
    return said !== undefined && said !== this.#digest.keyId;
  }

  #reachesHead(): boolean {
    return this.#head === null ||
      (this.#before?.line?.seq ?? 0) >= this.#head.seq;
  }

  /** What the head and the caller know of the end. */
  #badEnd(numbers: readonly number[]): BadLine | null {
    const head = this.#head;
    if (head === null || !head.sealed) {
      return {
        file: HEAD_NAME,
        line: 1,
        seq: null,
        problem: "bad_head",
        message:
          "the head is missing or was changed, so lines may have been cut off at the end",
      };
    }
    const seq = this.#before?.line?.seq ?? 0;
    if (seq < head.seq) return this.#cutOff(seq, head.seq, head, numbers);
    const expect = this.#expect;
    if (expect !== null && seq < expect.seq) {
      return this.#cutOff(seq, expect.seq, head, numbers);
    }
    if (expect !== null && expect.seq < this.#firstSeq) {
      return {
        file: fileName(numbers[0] ?? 1),
        line: 1,
        seq: expect.seq,
        problem: "not_expected",
        message: "the entry to be expected was in a file that is gone",
      };
    }
    return null;
  }

  #cutOff(
    seq: number,
    throughSeq: number,
    head: SealedHead,
    numbers: readonly number[],
  ): BadLine {
    const raw = this.#before?.raw;
    const inNext = raw === undefined || closes(this.#before?.line ?? null);
    const file = inNext ? (raw?.file ?? 0) + 1 : raw.file;
    const gone = inNext && head.file >= file && !numbers.includes(file);
    return {
      file: fileName(file),
      line: inNext ? 1 : raw.line + 1,
      seq: seq + 1,
      problem: gone ? "missing_file" : "truncated",
      message: seq + 1 === throughSeq
        ? `entry ${throughSeq} is missing at the end`
        : `entries ${seq + 1} to ${throughSeq} are missing at the end`,
    };
  }

  #badStart(numbers: readonly number[]): BadLine | null {
    const firstSeq = this.#firstSeq;
    const excuse = this.#excuse;
    if (firstSeq === 1) return null;
    const excused = excuse !== null && (excuse.throughSeq >= firstSeq ||
      (excuse.throughSeq === firstSeq - 1 &&
        excuse.throughHash === this.#firstPrev));
    if (excused) return null;
    return {
      file: fileName(Math.max(1, (numbers[0] ?? 1) - 1)),
      line: 1,
      seq: firstSeq - 1,
      problem: "missing_file",
      message: `entries up to ${
        firstSeq - 1
      } are missing, and no entry tells that they were removed`,
    };
  }

  #notes(): readonly string[] {
    const notes: string[] = [];
    if (!this.#digest.keyed) {
      notes.push(
        "without the key only the chain was checked: lines that were written anew up to the end " +
          "are not found",
      );
    }
    if (this.#firstSeq > 1 && this.#bad === null) {
      notes.push(`entries up to ${this.#firstSeq - 1} were removed by age`);
    }
    if (this.#behindHead > 0) {
      notes.push(
        `${this.#behindHead} entries stand behind the head: a server writes, was killed, or the ` +
          "head was put back",
      );
    }
    if (this.#tornBytes > 0) {
      notes.push(
        `${this.#tornBytes} bytes behind the last line are no entry: a server writes or was killed`,
      );
    }
    if (this.#keyFoundAtStart) {
      notes.push(
        "the log began with a key file that was there before: an older log may have been taken away",
      );
    }
    return notes;
  }
}

function closes(line: Line | null): boolean {
  return line?.kind === "checkpoint" && line.fields["reason"] === "rotation";
}
