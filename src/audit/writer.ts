/**
 * Writes blocks of lines: each is on the disk, and the head behind it, before `commit` returns.
 *
 * A block is written under a lock that is held for that one write. A command at a terminal can so
 * record its scan into the log of a server that runs, and their lines stand one behind the other in
 * one chain. Whoever comes second sees that the head is not the one it wrote and looks for the end
 * anew. Several servers on one state folder, one for each client that speaks over stdio, do the same.
 *
 * What fails is undone: the file is cut back to where it was, and nothing of the block counts.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { canonicalMembers } from "./canonical.ts";
import { Digest } from "./digest.ts";
import { fileName, fileNumbers, UNTOLD } from "./file_name.ts";
import type { AuditFiles, AuditLock } from "./files.ts";
import { HEAD_NAME, writeHead } from "./head.ts";
import type { AuditKey } from "./key.ts";
import { LINE_BYTES_MAX, parseLine, writeLine } from "./line.ts";
import {
  checkpoint,
  type CheckpointReason,
  filesRemoved,
  logOpened,
  type OwnEntry,
  recovered,
} from "./own_entry.ts";
import {
  type Position,
  readHead,
  readTail,
  START,
  untoldFiles,
} from "./tail.ts";

/** The lock of one write. */
const WRITE_LOCK = "write.lock";

/** Most milliseconds that a write waits for another process's write. */
export const LOCK_WAIT_MS = 5_000;

/** Most side files that one entry names. */
const TORN_NAMES_MAX = 16;

/** What may change while the log is open. */
export interface AuditLimits {
  /** A checkpoint stands behind so many entries. */
  readonly checkpointEvery: number;
  /** A file is closed when it has so many bytes. */
  readonly rotateBytes: number;
  /** So many files are kept; 0 keeps them all. */
  readonly keepFiles: number;
}

/** What an {@linkcode AuditWriter} is made of. */
export interface AuditWriterOptions {
  readonly files: AuditFiles;
  /** Gives the key; hears whether there is a log already. */
  readonly key: (logExists: boolean) => Promise<AuditKey>;
  readonly limits: AuditLimits;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Hears of each checkpoint, so that it can be kept elsewhere too. */
  readonly onCheckpoint: (anchor: Anchor) => void;
  /** Hears of what is wrong and stops nothing. */
  readonly onWarning: (message: string, detail?: string) => void;
}

/** A line by its number and hash. */
export interface Anchor {
  readonly seq: number;
  readonly hash: string;
}

/** An entry that waits for its number. */
export interface Draft {
  readonly time: string;
  readonly kind: string;
  readonly members: string;
}

/** What else a block has to say. */
export interface BlockNotes {
  /** Entries that could not be recorded before. */
  readonly rejected: number;
  readonly since: string | null;
  /** Whether the log is closed behind this block. */
  readonly closing: boolean;
}

/** Lines that are not written yet. */
interface Block {
  readonly start: Position;
  readonly text: string;
  readonly end: Position;
  readonly checkpoints: readonly Anchor[];
}

/** What a block owes to what came before it. */
interface Debts {
  readonly unheaded: number;
  readonly tornFiles: readonly string[];
}

/** Writes blocks of lines. One commit at a time. */
export class AuditWriter {
  readonly #options: AuditWriterOptions;
  readonly #digest: Digest;
  readonly #key: AuditKey;
  #limits: AuditLimits;
  #position = START;
  #head = "";
  #unheaded = 0;

  private constructor(
    options: AuditWriterOptions,
    digest: Digest,
    key: AuditKey,
  ) {
    this.#options = options;
    this.#digest = digest;
    this.#key = key;
    this.#limits = options.limits;
  }

  /**
   * Opens a log, making it if there is none, and cleans its end.
   *
   * @param options Folder, key and limits.
   * @returns The writer.
   * @throws {AppError} If the key does not fit, or the log is damaged.
   */
  static async open(options: AuditWriterOptions): Promise<AuditWriter> {
    const { files } = options;
    await files.makeFolder();
    using _lock = await takeWriteLock(files);
    const head = await readHead(files);
    const key = await options.key(head !== null);
    const digest = await Digest.load(key.bytes);
    const writer = new AuditWriter(options, digest, key);
    if (!await writer.#findEnd(0)) await writer.#begin();
    return writer;
  }

  /** The last line. */
  get last(): Anchor {
    const { seq, hash } = this.#position;
    return { seq, hash };
  }

  /** Entries since the last checkpoint. */
  get sinceCheckpoint(): number {
    return this.#position.seq - this.#position.checkpointSeq;
  }

  /** Takes new limits, from the next block on. */
  reconfigure(limits: AuditLimits): void {
    this.#limits = limits;
  }

  /**
   * Writes entries in their order. Without any it still writes the head, which shows whether anything
   * can be written.
   *
   * @param drafts The entries.
   * @param notes What else there is to say.
   * @throws {Error} If it failed; then nothing of it counts.
   */
  async commit(drafts: readonly Draft[], notes: BlockNotes): Promise<void> {
    const { files, onCheckpoint } = this.#options;
    using _lock = await takeWriteLock(files);
    await this.#refresh();
    const debts = {
      unheaded: this.#unheaded,
      tornFiles: (await this.#untold()).slice(0, TORN_NAMES_MAX),
    };
    const removable = await this.#removable();
    const block = this.#build(drafts, notes, debts, removable.entry);
    await this.#write(block);
    this.#position = block.end;
    this.#unheaded = 0;
    for (const anchor of block.checkpoints) onCheckpoint(anchor);
    await this.#tidy(debts.tornFiles, removable.names);
  }

  /** Looks whether the log is as this writer left it. */
  async #refresh(): Promise<void> {
    const { files } = this.#options;
    const { seq, file, bytes } = this.#position;
    const [head, size] = await Promise.all([
      readHead(files),
      files.size(fileName(file)),
    ]);
    if (head === this.#head && (size ?? 0) === bytes) return;
    // The head alone cannot show that it was put back together with the log; this memory can, and it
    // is kept: whoever tries again is refused again.
    if (await this.#findEnd(seq)) return;
    throw new AppError(
      "internal",
      "Cannot continue the audit log: it was cut off or removed while the server ran; keep what is " +
        "there as evidence, and restart the server on a new folder",
    );
  }

  /** Goes to the end of the log, unless that is before the entry that is known to be there. */
  async #findEnd(seqMin: number): Promise<boolean> {
    const tail = await readTail(this.#options.files, this.#digest);
    if (tail === null || tail.position.seq < seqMin) return false;
    this.#head = tail.head;
    this.#position = tail.position;
    this.#unheaded += tail.unheaded;
    return true;
  }

  /** The head comes before the first line, so that there is never a log without one. */
  async #begin(): Promise<void> {
    await this.#writeHead(START);
    await this.#options.files.syncFolder();
  }

  #untold(): Promise<readonly string[]> {
    return untoldFiles(this.#options.files);
  }

  #build(
    drafts: readonly Draft[],
    notes: BlockNotes,
    debts: Debts,
    removal: OwnEntry | null,
  ): Block {
    const builder = new BlockBuilder(
      this.#position,
      this.#digest,
      new Date(this.#options.wallNow()).toISOString(),
    );
    const { checkpointEvery, rotateBytes } = this.#limits;
    if (this.#position.seq === 0) {
      builder.own(logOpened(this.#digest.keyId, this.#key.origin));
    }
    if (
      debts.unheaded > 0 || debts.tornFiles.length > 0 || notes.rejected > 0
    ) {
      const tornFiles = debts.tornFiles.map(toldName);
      builder.own(recovered({ ...notes, ...debts, tornFiles }));
    }
    if (removal !== null) builder.own(removal);
    for (const draft of drafts) {
      builder.add(draft);
      if (builder.sinceCheckpoint >= checkpointEvery) {
        builder.checkpoint("interval");
      }
    }
    if (builder.bytes >= rotateBytes) builder.checkpoint("rotation");
    else if (notes.closing && builder.sinceCheckpoint > 0) {
      builder.checkpoint("closing");
    }
    return builder.block();
  }

  /** The disk takes lines and head at once, and the head counts when the lines are there. */
  async #write({ start, text, end }: Block): Promise<void> {
    const lines = this.#writeLines(start, text);
    const head = this.#writeHead(end, lines);
    const failed = (await Promise.allSettled([lines, head]))
      .find(({ status }) => status === "rejected");
    if (failed === undefined) return;
    await this.#undo(start);
    throw (failed as PromiseRejectedResult).reason;
  }

  async #writeLines({ file, bytes }: Position, text: string): Promise<void> {
    if (text === "") return;
    const { files } = this.#options;
    await files.write(fileName(file), bytes, new TextEncoder().encode(text));
    if (bytes === 0) await files.syncFolder();
  }

  /** If this fails too, whoever writes next finds more than the head says and cleans it. */
  async #undo({ file, bytes }: Position): Promise<void> {
    const { files, onWarning } = this.#options;
    const name = fileName(file);
    try {
      if (await files.size(name) === null) return;
      if (bytes === 0) await files.remove(name);
      else await files.truncate(name, bytes);
    } catch (error) {
      onWarning("a failed write of the audit log stays", String(error));
    }
  }

  async #writeHead(position: Position, after?: Promise<void>): Promise<void> {
    const { files, wallNow } = this.#options;
    const time = new Date(wallNow()).toISOString();
    const head = writeHead(
      { ...position, time, keyId: this.#digest.keyId },
      this.#digest,
    );
    await files.replace(HEAD_NAME, new TextEncoder().encode(head), after);
    this.#head = head;
  }

  /** Where a new file begins, the oldest may go. Their removal is recorded first. */
  async #removable(): Promise<
    { names: readonly string[]; entry: OwnEntry | null }
  > {
    const none = { names: [], entry: null };
    const { files } = this.#options;
    const { keepFiles } = this.#limits;
    if (!this.#position.closed || keepFiles === 0) return none;
    const numbers = fileNumbers(await files.list());
    const oldest = numbers.slice(
      0,
      Math.max(0, numbers.length + 1 - keepFiles),
    );
    const [from, through] = [oldest[0], oldest.at(-1)];
    if (from === undefined || through === undefined) return none;
    const end = await this.#endOf(through);
    const entry = filesRemoved({
      fromFile: fileName(from),
      throughFile: fileName(through),
      throughSeq: end.seq,
      throughHash: end.hash,
    });
    return { names: oldest.map(fileName), entry };
  }

  /** The last line of a file, as the first line of the next one names it. */
  async #endOf(file: number): Promise<Anchor> {
    if (file === this.#position.file) return this.last;
    const bytes = await this.#options.files.read(
      fileName(file + 1),
      0,
      LINE_BYTES_MAX + 1,
    ) ?? new Uint8Array();
    const line = parseLine(bytes.subarray(0, bytes.indexOf(10)));
    if (line === null) {
      throw new AppError(
        "internal",
        'Cannot remove old files of the audit log: it is damaged; "deno task audit verify" says more',
      );
    }
    return { seq: line.seq - 1, hash: line.prev };
  }

  /** What an entry has told of may go its way. What fails here is done with the next block. */
  async #tidy(
    told: readonly string[],
    removable: readonly string[],
  ): Promise<void> {
    const { files, onWarning } = this.#options;
    try {
      for (const name of told) await files.rename(name, toldName(name));
      // The head that no longer needs them has to be there first, even after a loss of power.
      if (removable.length > 0) await files.syncFolder();
      for (const name of removable) await files.remove(name);
    } catch (error) {
      onWarning("the audit log's folder cannot be tidied", String(error));
    }
  }
}

/** Puts lines one behind the other. */
class BlockBuilder {
  readonly #digest: Digest;
  readonly #time: string;
  readonly #after: Position;
  readonly #start: Position;
  readonly #checkpoints: Anchor[] = [];
  #end: Position;
  #text = "";

  constructor(after: Position, digest: Digest, time: string) {
    this.#digest = digest;
    this.#time = time;
    this.#after = after;
    this.#start = after.closed
      ? { ...after, file: after.file + 1, bytes: 0, closed: false }
      : after;
    this.#end = this.#start;
  }

  get bytes(): number {
    return this.#end.bytes;
  }

  get sinceCheckpoint(): number {
    return this.#end.seq - this.#end.checkpointSeq;
  }

  add({ time, kind, members }: Draft): void {
    const { seq, hash, bytes } = this.#end;
    const line = writeLine(
      { seq: seq + 1, time, prev: hash, kind, members },
      this.#digest,
    );
    this.#text += `${line}\n`;
    this.#end = {
      ...this.#end,
      seq: seq + 1,
      hash: this.#digest.hash(line),
      bytes: bytes + line.length + 1,
    };
  }

  own({ kind, fields }: OwnEntry): void {
    this.add({ time: this.#time, kind, members: canonicalMembers(fields) });
  }

  checkpoint(reason: CheckpointReason): void {
    const file = fileName(this.#end.file);
    this.own(checkpoint(file, this.sinceCheckpoint, reason));
    const { seq, hash } = this.#end;
    this.#checkpoints.push({ seq, hash });
    this.#end = {
      ...this.#end,
      checkpointSeq: seq,
      closed: reason === "rotation",
    };
  }

  block(): Block {
    return {
      start: this.#start,
      text: this.#text,
      // Without a line nothing begins: a new file least of all.
      end: this.#text === "" ? this.#after : this.#end,
      checkpoints: this.#checkpoints,
    };
  }
}

async function takeWriteLock(files: AuditFiles): Promise<AuditLock> {
  const lock = await files.lock(WRITE_LOCK, LOCK_WAIT_MS);
  if (lock !== null) return lock;
  throw new AppError(
    "internal",
    "Cannot write the audit log: another process holds it; look whether one hangs",
  );
}

function toldName(name: string): string {
  return name.slice(0, -UNTOLD.length);
}
