/**
 * Finds where a log ends, after a stop of any kind.
 *
 * The head says how far the log surely goes. Behind it there is at most what one write left: whole
 * lines whose writer was killed before it could write the head, and a torn one. Whole lines that fit
 * the chain and carry the seal are taken; from the first one that does not, everything is cut off and
 * kept in a side file, and an entry tells of it. Nothing is dropped without a word.
 *
 * A log that does not even go as far as its head was cut or changed. It is not continued: new lines
 * would make the damage look older than it is.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { type Digest, NO_HASH } from "./digest.ts";
import { fileName, fileNumbers, tornName, UNTOLD } from "./file_name.ts";
import type { AuditFiles } from "./files.ts";
import {
  HEAD_BYTES_MAX,
  HEAD_NAME,
  parseHead,
  type SealedHead,
} from "./head.ts";
import { isSealed, type Line, LINE_BYTES_MAX, parseLine } from "./line.ts";

/** Most bytes behind the head: more than one write leaves there. */
export const TAIL_BYTES_MAX = 16_777_216;

const NEWLINE = 10;

/** The end of a log. */
export interface Position {
  readonly seq: number;
  readonly hash: string;
  readonly file: number;
  readonly bytes: number;
  readonly checkpointSeq: number;
  /** Whether the file is closed by its checkpoint, so that the next line goes into a new one. */
  readonly closed: boolean;
}

/** The end of a log, and what stood behind its head. */
export interface Tail {
  readonly position: Position;
  /** The text of the head that it was found by. */
  readonly head: string;
  /** Whole lines behind the head. */
  readonly unheaded: number;
}

/** The end of a log without lines. */
export const START: Position = {
  seq: 0,
  hash: NO_HASH,
  file: 1,
  bytes: 0,
  checkpointSeq: 0,
  closed: false,
};

/**
 * Reads the head.
 *
 * @param files The log's folder.
 * @returns Its text, or null if there is none.
 */
export async function readHead(files: AuditFiles): Promise<string | null> {
  const bytes = await files.read(HEAD_NAME, 0, HEAD_BYTES_MAX);
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

/**
 * Finds the end of the log and makes it clean. Whoever calls holds the lock.
 *
 * @param files The log's folder.
 * @param digest With the key.
 * @returns The end; null if there is no log.
 * @throws {AppError} `internal` if the log was cut or changed, or its head was.
 */
export async function readTail(
  files: AuditFiles,
  digest: Digest,
): Promise<Tail | null> {
  const text = await readHead(files);
  const numbers = fileNumbers(await files.list());
  if (text === null) {
    if (numbers.length === 0) return null;
    throw damaged("its head is missing");
  }
  const head = parseHead(text, digest);
  if (head === null) throw damaged("its head was changed");
  if (!head.sealed) {
    throw damaged(
      head.keyId === digest.keyId
        ? "its head was changed"
        : "it was sealed with another key",
    );
  }
  const closed = await checkHeadLine(files, digest, head);
  const { seq, hash, file, bytes, checkpointSeq } = head;
  const start = { seq, hash, file, bytes, checkpointSeq, closed };
  const position = await follow(files, digest, start, numbers);
  return { position, head: text, unheaded: position.seq - seq };
}

/**
 * Finds the side files that no entry tells of yet.
 *
 * @param files The log's folder.
 * @returns Their names.
 */
export async function untoldFiles(
  files: AuditFiles,
): Promise<readonly string[]> {
  const names = await files.list();
  return names.filter((name) => name.endsWith(UNTOLD)).sort();
}

/** Makes sure that the line which the head names is there; tells whether it closes its file. */
async function checkHeadLine(
  files: AuditFiles,
  digest: Digest,
  head: SealedHead,
): Promise<boolean> {
  if (head.seq === 0) return false;
  const from = Math.max(0, head.bytes - LINE_BYTES_MAX - 2);
  const bytes = await files.read(fileName(head.file), from, head.bytes - from);
  if (bytes === null) throw damaged("a file of it is missing");
  if (bytes.length < head.bytes - from) throw damaged("it was cut off");
  const end = bytes.length - 1;
  const start = bytes.lastIndexOf(NEWLINE, end - 1) + 1;
  const line = parseLine(bytes.subarray(start, end));
  const sound = bytes[end] === NEWLINE && line !== null &&
    line.seq === head.seq && digest.hash(line.text) === head.hash;
  if (!sound) throw damaged("its last line was changed");
  return closesFile(line);
}

/** Goes on behind the head for as long as the lines fit, and cuts off what does not. */
async function follow(
  files: AuditFiles,
  digest: Digest,
  head: Position,
  numbers: readonly number[],
): Promise<Position> {
  let position = await followFile(files, digest, head);
  while (position.closed && numbers.includes(position.file + 1)) {
    const file = position.file + 1;
    const next = { ...position, file, bytes: 0, closed: false };
    const end = await followFile(files, digest, next);
    // A file without a line of the log is none of its files.
    if (end.bytes === 0) break;
    position = end;
  }
  await moveStrays(files, digest, position, numbers);
  return position;
}

async function followFile(
  files: AuditFiles,
  digest: Digest,
  from: Position,
): Promise<Position> {
  const name = fileName(from.file);
  const rest = await files.read(name, from.bytes, TAIL_BYTES_MAX + 1) ??
    new Uint8Array();
  if (rest.length > TAIL_BYTES_MAX) {
    throw damaged("there is more behind its head than a stop leaves");
  }
  const end = takeLines(rest, from, digest);
  const torn = rest.subarray(end.bytes - from.bytes);
  if (torn.length > 0) await moveAside(files, digest, end, torn);
  return end;
}

function takeLines(
  bytes: Uint8Array,
  from: Position,
  digest: Digest,
): Position {
  let position = from;
  for (let at = 0; !position.closed;) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) break;
    const line = parseLine(bytes.subarray(at, end));
    if (
      line === null || line.seq !== position.seq + 1 ||
      line.prev !== position.hash || !isSealed(line, digest)
    ) break;
    position = {
      seq: line.seq,
      hash: digest.hash(line.text),
      file: position.file,
      bytes: position.bytes + end + 1 - at,
      checkpointSeq: line.kind === "checkpoint"
        ? line.seq
        : position.checkpointSeq,
      closed: closesFile(line),
    };
    at = end + 1;
  }
  return position;
}

/** The side file is on the disk before anything is cut off. */
async function moveAside(
  files: AuditFiles,
  digest: Digest,
  { file, bytes }: Position,
  torn: Uint8Array,
): Promise<void> {
  const name = tornName(file, bytes, digest.hash(torn));
  await files.replace(name + UNTOLD, torn);
  await files.syncFolder();
  await files.truncate(fileName(file), bytes);
}

/** Files behind the end: begun by a write that failed, or put there by somebody. */
async function moveStrays(
  files: AuditFiles,
  digest: Digest,
  { file }: Position,
  numbers: readonly number[],
): Promise<void> {
  for (const number of numbers.filter((one) => one > file)) {
    const name = fileName(number);
    const side = tornName(number, 0, digest.hash(`${name} ${file}`));
    await files.rename(name, side + UNTOLD);
  }
}

function closesFile({ kind, fields }: Line): boolean {
  return kind === "checkpoint" && fields["reason"] === "rotation";
}

function damaged(why: string): AppError {
  return new AppError(
    "internal",
    `Cannot continue the audit log: ${why}; "deno task audit verify" says more. Keep the folder ` +
      "of the log as evidence, and move it aside to start a new log",
  );
}
