/**
 * Reads a JSON file into a tree with positions. `JSON.parse` would be shorter, but it takes a key
 * twice, and its messages often do not say where.
 *
 * @module
 */
import { type Entry, FILE_DEPTH_MAX, Misread, type Node } from "./tree.ts";

/**
 * Reads JSON.
 *
 * @param text The whole text.
 * @returns Its tree.
 * @throws {Misread} If it is not JSON, or too deep.
 */
export function jsonTree(text: string): Node {
  const reader = new JsonReader(text);
  const node = reader.value(0);
  reader.end();
  return node;
}

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Node {
    const next = this.#peek();
    if (depth >= FILE_DEPTH_MAX) {
      throw new Misread(
        `it is nested more than ${FILE_DEPTH_MAX} deep`,
        this.#at,
      );
    }
    if (next === "{") return this.#map(depth);
    if (next === "[") return this.#list(depth);
    const offset = this.#at;
    if (next === '"') return { kind: "scalar", offset, value: this.#string() };
    const word = this.#match(
      /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y,
    );
    if (word === null) throw new Misread("expected a JSON value", offset);
    return { kind: "scalar", offset, value: JSON.parse(word) };
  }

  end(): void {
    if (this.#peek() !== "") {
      throw new Misread("expected the end of the file", this.#at);
    }
  }

  #map(depth: number): Node {
    const offset = this.#at;
    const entries: Entry[] = [];
    this.#items("}", () => {
      if (this.#peek() !== '"') {
        throw new Misread("expected a key in double quotes", this.#at);
      }
      const keyOffset = this.#at;
      const key = this.#string();
      if (this.#peek() !== ":") {
        throw new Misread('expected ":" after a key', this.#at);
      }
      this.#at += 1;
      entries.push({ key, offset: keyOffset, value: this.value(depth + 1) });
    });
    return { kind: "map", offset, entries };
  }

  #list(depth: number): Node {
    const offset = this.#at;
    const items: Node[] = [];
    this.#items("]", () => items.push(this.value(depth + 1)));
    return { kind: "list", offset, items };
  }

  /** Reads what stands between an opening sign and its closing one, parted by commas. */
  #items(closing: string, read: () => void): void {
    this.#at += 1;
    if (this.#peek() !== closing) {
      read();
      while (this.#peek() === ",") {
        this.#at += 1;
        read();
      }
      if (this.#peek() !== closing) {
        throw new Misread(`expected "," or "${closing}"`, this.#at);
      }
    }
    this.#at += 1;
  }

  #string(): string {
    const offset = this.#at;
    // Control characters are not allowed in a JSON string, so none is matched.
    // deno-lint-ignore no-control-regex
    const quoted = this.#match(/"(?:[^"\\\u0000-\u001f]|\\.)*"/y);
    if (quoted === null) {
      throw new Misread("expected the string to end on its line", offset);
    }
    try {
      return JSON.parse(quoted);
    } catch {
      // The only thing that is left to be wrong.
      throw new Misread("expected a valid escape in the string", offset);
    }
  }

  /** The next character that is no white space, or an empty text at the end. */
  #peek(): string {
    this.#match(/[ \t\r\n]*/y);
    return this.#text.charAt(this.#at);
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at += match[0].length;
    return match[0];
  }
}
