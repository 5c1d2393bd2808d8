/**
 * What a tool printed, compressed in pieces, so that a part of it is read without the rest.
 *
 * @module
 */
import { promisify } from "node:util";
import { deflateRaw, inflateRaw, type ZlibOptions } from "node:zlib";
import { AppError } from "@/error/app_error.ts";
import type { Link, Write } from "./link.ts";
import { lockOwn, type OwnScan, rowOf } from "./scan_rows.ts";

/** Bytes of a piece before it is compressed. */
export const PIECE_BYTES = 262_144;

/** Most bytes that are read in one go. */
export const READ_BYTES_MAX = 16 * 1_048_576;

/** Pieces of one transaction. */
const BATCH = 8;

/** A part of a scan's raw output. */
export interface RawPart {
  readonly bytes: Uint8Array;
  readonly offset: number;
  /** Bytes that are kept in all. */
  readonly total: number;
  /** Whether the tool printed more than was kept. */
  readonly truncated: boolean;
}

interface Piece {
  readonly at: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/**
 * Keeps output behind what is kept already.
 *
 * @param link The database.
 * @param own The scan, and who writes.
 * @param bytes The output.
 * @throws {AppError} `not_found`; `conflict` if the scan is over or somebody else's.
 */
export async function appendRaw(
  link: Link,
  own: OwnScan,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += BATCH * PIECE_BYTES) {
    const part = bytes.subarray(at, at + BATCH * PIECE_BYTES);
    const pieces = await piecesOf(part);
    await link.write((write) => putPieces(link, write, own, pieces));
    await link.pause();
  }
}

/**
 * Forgets the output that is kept of a scan that is alive.
 *
 * @param link The database.
 * @param own The scan, and who writes.
 * @throws {AppError} `not_found`; `conflict` if the scan is over or somebody else's.
 */
export async function clearRaw(link: Link, own: OwnScan): Promise<void> {
  await link.write(async (write) => {
    const { seq, raw_bytes } = await lockOwn(link, write, own);
    if (raw_bytes === 0) return;
    await write.deleteFrom("scan_raw").where("scan_seq", "=", seq).execute();
    await write.updateTable("scans").set({ raw_bytes: 0 })
      .where("seq", "=", seq).execute();
  });
}

/**
 * Reads a part of the output.
 *
 * @param link The database.
 * @param id The scan.
 * @param offset The first byte.
 * @param length Most bytes.
 * @returns The part; empty behind the end.
 * @throws {AppError} `not_found`; `invalid_arguments`.
 */
export async function getRaw(
  link: Link,
  id: string,
  offset: number,
  length: number,
): Promise<RawPart> {
  const fits = Number.isSafeInteger(offset) && offset >= 0 &&
    Number.isSafeInteger(length) && length >= 1 && length <= READ_BYTES_MAX;
  if (!fits) {
    throw new AppError(
      "invalid_arguments",
      `Cannot read that part of the output: give an offset of 0 or more and 1 to ${READ_BYTES_MAX} bytes`,
    );
  }
  return await link.read(async (db) => {
    const row = await rowOf(db, id);
    const first = await db.selectFrom("scan_raw").select("at")
      .where("scan_seq", "=", row.seq).where("at", "<=", offset)
      .orderBy("at", "desc").limit(1).executeTakeFirst();
    const pieces = await db.selectFrom("scan_raw")
      .select(["at", "length", "bytes"]).where("scan_seq", "=", row.seq)
      .where("at", ">=", first?.at ?? 0).where("at", "<", offset + length)
      .orderBy("at").execute();
    return {
      bytes: await cut(pieces, offset, offset + length),
      offset,
      total: row.raw_bytes,
      truncated: row.raw_truncated === 1,
    };
  });
}

async function putPieces(
  link: Link,
  write: Write,
  own: OwnScan,
  pieces: readonly Piece[],
): Promise<void> {
  const row = await lockOwn(link, write, own);
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  const packed = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  await write.insertInto("scan_raw").values(
    pieces.map(({ at, length, bytes }) => ({
      scan_seq: row.seq,
      at: row.raw_bytes + at,
      length,
      bytes,
    })),
  ).execute();
  await write.updateTable("scans")
    .set({ raw_bytes: row.raw_bytes + size, bytes: row.bytes + packed })
    .where("seq", "=", row.seq).execute();
}

async function piecesOf(bytes: Uint8Array): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const part = bytes.subarray(at, at + PIECE_BYTES);
    const packed = await pack(part);
    pieces.push({ at, length: part.length, bytes: packed });
  }
  return pieces;
}

// Not the Web's streams: they copy each piece four times over.
const pack: (bytes: Uint8Array) => Promise<Uint8Array> = promisify(deflateRaw);

/** No piece is larger, whatever a damaged one says of itself. */
function unpack(bytes: Uint8Array): Promise<Uint8Array> {
  return promisify<Uint8Array, ZlibOptions, Uint8Array>(inflateRaw)(bytes, {
    maxOutputLength: PIECE_BYTES,
  });
}

async function cut(
  pieces: readonly Piece[],
  from: number,
  to: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const { at, bytes } of pieces) {
    const whole = await unpack(bytes);
    parts.push(whole.subarray(Math.max(0, from - at), Math.max(0, to - at)));
  }
  const joined = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let end = 0;
  for (const part of parts) {
    joined.set(part, end);
    end += part.length;
  }
  return joined;
}
