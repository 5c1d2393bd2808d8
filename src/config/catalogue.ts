/**
 * Reads the catalogue of wordlists: the `.txt` files of the configured folders, each under the name
 * that a caller may use. A caller never names a path, so what stands here is all that gobuster can be
 * made to read.
 *
 * A file counts by its real path, which has to lie in the real folder: a link that leads out would
 * let whoever can write into the folder have any file of this machine sent to a target, word by word.
 *
 * @module
 */

/** Most entries of one folder that are looked at. */
export const FOLDER_ENTRIES_MAX = 4_096;

/** Most wordlists of a catalogue. */
export const WORDLISTS_MAX = 256;

/** Largest wordlist, in bytes. */
export const WORDLIST_BYTES_MAX = 67_108_864;

/** A wordlist of the catalogue. */
export interface Wordlist {
  /** The file's name without `.txt`. */
  readonly name: string;
  /** Absolute and real: no part of it is a link. */
  readonly path: string;
  /** How many words it holds. */
  readonly words: number;
}

/** The few things that are asked of a file system. */
export interface CatalogueFiles {
  realPath(path: string): Promise<string>;
  /** Names of a folder's entries, in any order. */
  names(folder: string): AsyncIterable<string>;
  stat(path: string): Promise<{ isFile: boolean; size: number }>;
  /** A file's bytes, in chunks. */
  chunks(path: string): AsyncIterable<Uint8Array>;
}

/** Options of {@linkcode readCatalogue}. */
export interface CatalogueOptions {
  /** Hears of folders and files that are left out, and why. */
  readonly warn?: (message: string) => void;
  /** The file system. @default Deno's */
  readonly files?: CatalogueFiles;
}

/**
 * Reads the catalogue.
 *
 * What cannot be used is left out with a warning. Of two files with one name the first folder's
 * counts.
 *
 * @param folders The configured folders.
 * @param options Warnings and the file system.
 * @returns The wordlists, by name.
 */
export async function readCatalogue(
  folders: readonly string[],
  options: CatalogueOptions = {},
): Promise<readonly Wordlist[]> {
  const reader = new CatalogueReader(
    options.files ?? denoFiles(),
    options.warn ?? (() => {}),
  );
  for (const folder of folders) await reader.takeFolder(folder);
  return reader.wordlists();
}

class CatalogueReader {
  readonly #files: CatalogueFiles;
  readonly #warn: (message: string) => void;
  readonly #found = new Map<string, Wordlist>();

  constructor(files: CatalogueFiles, warn: (message: string) => void) {
    this.#files = files;
    this.#warn = warn;
  }

  async takeFolder(folder: string): Promise<void> {
    let real: string;
    const names: string[] = [];
    try {
      real = await this.#files.realPath(folder);
      for await (const name of this.#files.names(real)) {
        if (names.length >= FOLDER_ENTRIES_MAX) {
          this.#warn(
            `The wordlist folder "${folder}" has more than ${FOLDER_ENTRIES_MAX} entries; the others are left out`,
          );
          break;
        }
        names.push(name);
      }
    } catch (error) {
      this.#warn(
        `The wordlist folder "${folder}" cannot be read and is left out: ${
          nameOf(error)
        }`,
      );
      return;
    }
    for (const name of names.sort()) {
      if (name.endsWith(".txt")) await this.#takeFile(real, name);
    }
  }

  wordlists(): readonly Wordlist[] {
    return [...this.#found.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  }

  async #takeFile(folder: string, file: string): Promise<void> {
    const name = file.slice(0, -".txt".length);
    const why = this.#found.size >= WORDLISTS_MAX
      ? `there are ${WORDLISTS_MAX} wordlists already`
      : !/^[a-z0-9_-]{1,64}$/.test(name)
      ? "its name is not made of a-z, 0-9, _ and -"
      : this.#found.has(name)
      ? "another wordlist has the same name"
      : await this.#read(name, folder, `${folder}/${file}`);
    if (why === null) return;
    this.#warn(`The wordlist ${JSON.stringify(file)} is left out: ${why}`);
  }

  /** @returns Why the file is left out, or null. */
  async #read(
    name: string,
    folder: string,
    file: string,
  ): Promise<string | null> {
    try {
      const path = await this.#files.realPath(file);
      if (!path.startsWith(folder === "/" ? "/" : `${folder}/`)) {
        return "it is a link that leads out of its folder";
      }
      const { isFile, size } = await this.#files.stat(path);
      if (!isFile) return "it is no regular file";
      if (size > WORDLIST_BYTES_MAX) {
        return `it has more than ${WORDLIST_BYTES_MAX} bytes`;
      }
      const words = await countWords(this.#files.chunks(path));
      if (words === null) return `it has more than ${WORDLIST_BYTES_MAX} bytes`;
      if (words === 0) return "it holds no word";
      this.#found.set(name, { name, path, words });
      return null;
    } catch (error) {
      return `it cannot be read: ${nameOf(error)}`;
    }
  }
}

/**
 * Counts the words of a list as gobuster does: lines that are neither blank nor begin with `#`.
 *
 * @param chunks The file's bytes.
 * @returns How many words, or null if there are more bytes than a wordlist may have.
 */
async function countWords(
  chunks: AsyncIterable<Uint8Array>,
): Promise<number | null> {
  let words = 0;
  let bytes = 0;
  // 0: nothing but white space so far. 1: a word. 2: a comment.
  let line = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > WORDLIST_BYTES_MAX) return null;
    for (const byte of chunk) {
      if (byte === 0x0a) {
        if (line === 1) words += 1;
        line = 0;
      } else if (
        line === 0 && byte !== 0x20 && byte !== 0x09 && byte !== 0x0d
      ) {
        line = byte === 0x23 ? 2 : 1;
      }
    }
  }
  return line === 1 ? words + 1 : words;
}

function denoFiles(): CatalogueFiles {
  return {
    realPath: (path) => Deno.realPath(path),
    stat: (path) => Deno.stat(path),
    async *names(folder) {
      for await (const { name } of Deno.readDir(folder)) yield name;
    },
    async *chunks(path) {
      using file = await Deno.open(path, { read: true });
      const buffer = new Uint8Array(65_536);
      for (;;) {
        const length = await file.read(buffer);
        if (length === null) return;
        yield buffer.subarray(0, length);
      }
    },
  };
}

/** The kind of a fault, without the path that its message holds. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "unknown fault";
}
