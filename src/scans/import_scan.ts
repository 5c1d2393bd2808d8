/**
 * A scan that was made elsewhere, read from a file. Nothing in such a file is believed further than
 * its form can be checked: whoever wrote it may have written anything.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { cleanText, looksLikeInstruction } from "@/tools/untrusted.ts";
import type { Scan } from "./scan.ts";

/** Most bytes of a file unless told otherwise. */
export const IMPORT_BYTES_MAX = 268_435_456;

/** Most tokens of a command line, and most characters of one. */
const TOKENS_MAX = 512;
const TOKEN_LENGTH_MAX = 1_024;

/** The first public version of nmap; no scan is older. */
const FIRST_NMAP_MS = Date.UTC(1997, 8, 1);

/** How far a clock may be ahead of ours. */
const AHEAD_MS = 86_400_000;

/** What of a scan a file tells. Its id, its trace, its raw bytes and where it belongs are the caller's to give. */
export type ImportedScan = Omit<
  Scan,
  | "id"
  | "tenant"
  | "queuedAt"
  | "traceId"
  | "engagement"
  | "tags"
  | "client"
  | "askedBy"
  | "raw"
  | "rawTruncated"
  | "progress"
>;

/** Options of the readers. */
export interface ImportOptions {
  /** Milliseconds since the epoch: what lies after it is no time of a scan. */
  readonly nowMs: number;
  /** Most bytes of the file. @default {IMPORT_BYTES_MAX} */
  readonly bytesMax?: number;
}

/**
 * Hands the chunks of a file on, up to a number of bytes.
 *
 * @param file The file.
 * @param options How large it may be.
 * @returns The same chunks.
 * @throws {AppError} `payload_too_large`; `invalid_arguments` for a file that is packed or empty.
 */
export async function* chunksOf(
  file: AsyncIterable<Uint8Array>,
  { bytesMax = IMPORT_BYTES_MAX }: ImportOptions,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of file) {
    if (chunk.length === 0) continue;
    if (bytes === 0) refusePacked(chunk);
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new AppError(
        "payload_too_large",
        `Cannot import the file: it has more than ${bytesMax} bytes; split the scan, or import its parts`,
      );
    }
    yield chunk;
  }
  if (bytes === 0) {
    throw refuseFile(
      "it is empty; masscan writes nothing where it found nothing, and there is nothing to import",
    );
  }
}

function refusePacked(chunk: Uint8Array): void {
  const [a, b] = chunk;
  const packed = (a === 0x1f && b === 0x8b) || (a === 0x50 && b === 0x4b) ||
    (a === 0x28 && b === 0xb5) || (a === 0xfd && b === 0x37) ||
    (a === 0x42 && b === 0x5a);
  if (packed) {
    throw refuseFile("it is packed; unpack it first");
  }
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw refuseFile("it is UTF-16; convert it to UTF-8 first");
  }
}

/**
 * Makes the refusal of a file.
 *
 * @param why What is wrong with it, and the way out.
 * @returns The error.
 */
export function refuseFile(why: string): AppError {
  return new AppError("invalid_arguments", `Cannot import the file: ${why}`);
}

/**
 * Reads a time of a file.
 *
 * @param seconds Seconds since the epoch.
 * @param nowMs The time now.
 * @returns Milliseconds, or null for what cannot be the time of a scan.
 */
export function timeOf(seconds: number | null, nowMs: number): number | null {
  if (seconds === null) return null;
  const ms = seconds * 1_000;
  return ms >= FIRST_NMAP_MS && ms <= nowMs + AHEAD_MS ? ms : null;
}

/**
 * Cleans a command line of a file. It is shown beside our own ones, so it must not speak.
 *
 * @param text The command line as one text.
 * @param program What it has to begin with.
 * @returns Its tokens, or the program's name alone if it is no plain command line.
 */
export function argvOf(text: string, program: string): readonly string[] {
  if (text.length > TOKENS_MAX * TOKEN_LENGTH_MAX) return [program];
  if (looksLikeInstruction(text)) return [program];
  const [first = "", ...tokens] = text.trim().split(/ +/);
  const name = first.split(/[\\/]/).at(-1)?.replace(/\.exe$/i, "");
  if (name !== program || tokens.length >= TOKENS_MAX) return [program];
  return [
    program,
    ...tokens.map((token) => cleanText(token, { lengthMax: TOKEN_LENGTH_MAX })),
  ];
}
