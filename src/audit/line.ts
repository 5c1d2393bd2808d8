/**
 * A line of the log: one canonical JSON object.
 *
 *     {"seq":7,"time":"…","prev":"<hash of line 6>","kind":"request",…,"seal":"<HMAC>"}
 *
 * Four members stand first, the seal stands last, the rest is sorted between them. The seal is made
 * over all that stands before it; the hash that the next line carries is made over the whole line
 * without its end. What cannot be read back to the same bytes is no line of ours.
 *
 * @module
 */
import type { Plain } from "@/log/redact.ts";
import { canonicalMembers } from "./canonical.ts";
import { type Digest, SUM_LENGTH } from "./digest.ts";

/** Most bytes of a line, without its end. */
export const LINE_BYTES_MAX = 65_536;

/** What is known of a line before it is sealed. */
export interface LineDraft {
  readonly seq: number;
  /** ISO 8601 in UTC with milliseconds. */
  readonly time: string;
  /** The hash of the line before. */
  readonly prev: string;
  readonly kind: string;
  /** The other members as {@linkcode canonicalMembers} writes them. */
  readonly members: string;
}

/** A line that was read. */
export interface Line {
  readonly seq: number;
  readonly time: string;
  readonly prev: string;
  readonly kind: string;
  /** The members between the first four and the seal. */
  readonly fields: Readonly<Record<string, Plain>>;
  readonly seal: string;
  /** The line itself, without its end. */
  readonly text: string;
}

/** `,"seal":"` before the digits and `"}` behind them. */
const SEAL_LENGTH = SUM_LENGTH + 11;

const HEX = /^[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const KIND = /^[a-z][a-z_]{0,31}$/;
const PRINTABLE = /^[\x20-\x7e]+$/;

/**
 * Writes a line and seals it.
 *
 * @param draft What it says.
 * @param digest Makes the seal.
 * @returns The line, without its end.
 * @throws {RangeError} If it is longer than a reader takes.
 */
export function writeLine(draft: LineDraft, digest: Digest): string {
  const body = bodyOf(draft);
  const line = `${body},"seal":"${digest.seal(body)}"}`;
  if (line.length > LINE_BYTES_MAX) {
    throw new RangeError(`Cannot write a line of ${line.length} bytes`);
  }
  return line;
}

/**
 * Reads a line.
 *
 * @param bytes The line, without its end.
 * @returns The line, or null if no writer of ours wrote these bytes.
 */
export function parseLine(bytes: Uint8Array): Line | null {
  if (bytes.length > LINE_BYTES_MAX) return null;
  const text = new TextDecoder().decode(bytes);
  if (!PRINTABLE.test(text)) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { seq, time, prev, kind, seal, ...fields } = value as Record<
    string,
    Plain
  >;
  if (typeof seq !== "number" || !Number.isSafeInteger(seq) || seq < 1) {
    return null;
  }
  if (
    !is(time, TIME) || !is(prev, HEX) || !is(kind, KIND) || !is(seal, HEX)
  ) return null;
  const members = canonicalMembers(fields);
  const body = bodyOf({ seq, time, prev, kind, members });
  if (`${body},"seal":"${seal}"}` !== text) return null;
  return { seq, time, prev, kind, fields, seal, text };
}

/**
 * Tells whether a line carries the seal of a key.
 *
 * @param line The line.
 * @param digest Has the key.
 * @returns Whether it does.
 */
export function isSealed(line: Line, digest: Digest): boolean {
  return digest.seal(line.text.slice(0, -SEAL_LENGTH)) === line.seal;
}

/**
 * Gives a line another predecessor, to find out whether that was all that was changed in it.
 *
 * @param line The line.
 * @param prev The hash of the line before.
 * @returns The text of that line.
 */
export function withPrev(line: Line, prev: string): string {
  const { seq, time, kind, fields, seal } = line;
  const members = canonicalMembers(fields);
  return `${bodyOf({ seq, time, prev, kind, members })},"seal":"${seal}"}`;
}

function bodyOf({ seq, time, prev, kind, members }: LineDraft): string {
  const head =
    `{"seq":${seq},"time":"${time}","prev":"${prev}","kind":"${kind}"`;
  return members === "" ? head : `${head},${members}`;
}

function is(value: Plain | undefined, form: RegExp): value is string {
  return typeof value === "string" && form.test(value);
}
