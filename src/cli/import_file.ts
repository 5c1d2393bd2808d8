/**
 * Reads a file for the history: tells by its content what it is, hands it to the reader of its form,
 * and notes its digest and its bytes on the way, so that the same file is known again.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { AppError } from "@/error/app_error.ts";
import { readMasscanJson } from "@/scans/import_masscan.ts";
import { readNmapXml } from "@/scans/import_nmap.ts";
import {
  chunksOf,
  type ImportedScan,
  refuseFile,
} from "@/scans/import_scan.ts";
import type { World } from "./world.ts";

/** Standard input. */
export const STANDARD_INPUT = "-";

/** Bytes in which the first letter has to stand. */
const HEAD_BYTES = 4_096;

/** How a file is read. */
export interface ReadOptions {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** A file of more bytes is not kept as it came. */
  readonly rawBytesMax: number;
}

/** A file that was read. */
export interface ReadFile {
  readonly scan: ImportedScan;
  /** 64 hex digits. */
  readonly digest: string;
  readonly bytes: number;
  /** The file as it came, or null if it is too large to be kept. */
  readonly raw: Uint8Array | null;
}

/**
 * Reads a file.
 *
 * @param world The process.
 * @param name Its name, or `-` for standard input.
 * @param options Clock and bounds.
 * @returns The scan that is in it.
 * @throws {AppError} With the way out; `interrupted` if it was stopped.
 */
export async function readFile(
  world: World,
  name: string,
  options: ReadOptions,
): Promise<ReadFile> {
  try {
    if (name === STANDARD_INPUT) {
      return await readStream(world.input, world.stop, options);
    }
    await refuseOdd(name);
    using file = await Deno.open(name);
    return await readStream(file.readable, world.stop, options);
  } catch (thrown) {
    throw world.stop.aborted
      ? new AppError(
        "interrupted",
        "Cannot import the file: the import was stopped; nothing of it is kept",
      )
      : faultOf(thrown);
  }
}

/** A device or a pipe could be waited for without end. */
async function refuseOdd(name: string): Promise<void> {
  const { isFile, isDirectory } = await Deno.stat(name);
  if (isDirectory) throw refuseFile("it is a folder; name the files in it");
  if (!isFile) {
    throw refuseFile(
      "it is no regular file; give what it says on standard input: deno task import - < FILE",
    );
  }
}

function faultOf(thrown: unknown): unknown {
  if (thrown instanceof Deno.errors.NotFound) {
    return new AppError(
      "not_found",
      "Cannot import the file: there is none of that name; a relative name starts at the folder of deno.json",
    );
  }
  if (thrown instanceof Deno.errors.NotCapable) {
    return refuseFile(
      "this command may read files below the folder of deno.json only; let the shell read any other: deno task import - < FILE",
    );
  }
  return thrown instanceof Deno.errors.PermissionDenied
    ? refuseFile("this user may not read it")
    : thrown;
}

async function readStream(
  stream: ReadableStream<Uint8Array>,
  stop: AbortSignal,
  options: ReadOptions,
): Promise<ReadFile> {
  // Ends a read that waits, of a terminal say.
  const stoppable = stream.pipeThrough(new TransformStream(), { signal: stop });
  const chunks = stoppable[Symbol.asyncIterator]();
  const copy = new Copy(options.rawBytesMax);
  try {
    const { head, text } = await sniff(chunks);
    await refuseUnreadable(head, options);
    const kind = kindOf(text);
    const file = copy.of(whole(head, chunks));
    const scan = kind === "xml"
      ? await readNmapXml(file, options)
      : await readMasscanJson(file, options);
    return { scan, ...copy.end() };
  } finally {
    await chunks.return?.();
  }
}

async function* whole(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* head;
  yield* { [Symbol.asyncIterator]: () => rest };
}

/** Reads up to the first words, which tell what a file is. */
async function sniff(
  chunks: AsyncIterator<Uint8Array>,
): Promise<{ head: Uint8Array[]; text: string }> {
  const head: Uint8Array[] = [];
  let text = "";
  const decoder = new TextDecoder();
  for (let bytes = 0; bytes < HEAD_BYTES;) {
    const { value, done } = await chunks.next();
    if (done === true) break;
    head.push(value);
    bytes += value.length;
    text += decoder.decode(value.subarray(0, HEAD_BYTES), { stream: true });
    if (text.trim().length >= 16) break;
  }
  return { head, text: text.trimStart() };
}

/** The readers know what no text can be read of: what is empty, packed, or in another encoding. */
async function refuseUnreadable(
  head: readonly Uint8Array[],
  options: ReadOptions,
): Promise<void> {
  const chunks = ReadableStream.from(head);
  for await (const _chunk of chunksOf(chunks, options)) return;
}

function kindOf(text: string): "xml" | "json" {
  const first = text.charAt(0);
  if (first === "<") return "xml";
  // An array, an object a line, or what masscan leaves of either when it found nothing.
  if (first === "[" || first === "{" || first === ",") return "json";
  if (/^# ?nmap /i.test(text)) {
    throw refuseFile(
      "it is nmap's output for people or for grep, which leaves out much; write XML with nmap -oX",
    );
  }
  if (/^#masscan|^Host: /.test(text)) {
    throw refuseFile(
      "it is a list of masscan or output for grep; write JSON with masscan -oJ, or XML with nmap -oX",
    );
  }
  throw refuseFile(
    "it is neither XML of nmap (-oX) nor JSON of masscan (-oJ or -oD)",
  );
}

/** Notes what goes by. */
class Copy {
  readonly #bytesMax: number;
  readonly #hash = createHash("sha256");
  #kept: Uint8Array[] | null = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  async *of(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.#bytes += chunk.length;
      if (this.#bytes > this.#bytesMax) this.#kept = null;
      else this.#kept?.push(chunk);
      yield chunk;
    }
  }

  end(): Pick<ReadFile, "digest" | "bytes" | "raw"> {
    const raw = this.#kept === null ? null : new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#kept ?? []) {
      raw?.set(chunk, at);
      at += chunk.length;
    }
    return { digest: this.#hash.digest("hex"), bytes: this.#bytes, raw };
  }
}
