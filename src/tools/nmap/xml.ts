/**
 * A streaming reader of nmap's XML with a cap on everything, around saxes, which has none. nmap's
 * XML carries text that a scanned host chose, and it breaks off where nmap was killed, so whatever
 * arrives is bounded, and nothing is thrown: the first fault ends the reading, and what was handed
 * over before it stays good.
 *
 * Only elements, attributes and the text of elements that were asked for come out. Comments,
 * processing instructions and the document type are passed over; an entity that XML itself does
 * not define is a fault, so no document can make text out of definitions of its own.
 *
 * @module
 */
import { SaxesParser } from "saxes";

/** Deepest nesting of elements. nmap's own is about ten, with nested script tables. */
export const DEPTH_MAX = 32;

/** Longest attribute value that is handed over, in UTF-16 code units; the rest of it is dropped. */
export const ATTRIBUTE_LENGTH_MAX = 64 * 1024;

/** Most attributes of one element. nmap's own most is about twenty. */
export const ATTRIBUTES_MAX = 64;

/**
 * Longest piece of the document without an element's or an attribute's begin or end, in UTF-16 code
 * units: a longer comment, value or text is a fault, as the parser would have to hold it whole.
 */
export const PIECE_LENGTH_MAX = 4 * 1024 * 1024;

/** Longest text of an element that is handed over, in UTF-16 code units. */
export const TEXT_LENGTH_MAX = 4_096;

/** Most character references to characters that XML does not allow. */
const BAD_REFERENCES_MAX = 10_000;

/** Bytes that are decoded at once, whatever the caller hands over. */
const SLICE_BYTES = 64 * 1024;

/** Why the reading ended before the document did. */
export type XmlFault = "malformed" | "too_deep" | "too_large";

/** An element's attributes by name. It has no prototype. */
export type Attributes = Readonly<Record<string, string>>;

/** What hears of the document. */
export interface XmlListener {
  /**
   * An element begins.
   *
   * @returns Whether its text is wanted at its end.
   */
  open(name: string, attributes: Attributes): boolean;
  /**
   * An element ends.
   *
   * @param name Its name.
   * @param text Its text where that was wanted, or an empty one.
   */
  close(name: string, text: string): void;
}

/** No line counting and no name spaces: nothing here needs them, and both cost time. */
const OPTIONS = { position: false, xmlns: false } as const;

/** Thrown inside the parser to leave it, and caught in this file. */
const LEAVE = new Error("leave the parser");

/** Characters that XML does not allow. nmap prints none; they are no reason to lose a report. */
// deno-lint-ignore no-control-regex
const DISALLOWED = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g;

/** A reader of one document. */
export class XmlReader {
  readonly #listener: XmlListener;
  readonly #decoder = new TextDecoder("utf-8", { fatal: false });
  readonly #parser = new SaxesParser(OPTIONS);
  #fault: XmlFault | null = null;
  #depth = 0;
  #attributes = 0;
  #badReferences = 0;
  #closed = false;
  /** Where the last element or attribute began or ended, and how much was fed. */
  #moved = false;
  #still = 0;
  /** The depth of the element whose text is collected, or 0. */
  #textDepth = 0;
  #text = "";

  /** @param listener What hears of the document. */
  constructor(listener: XmlListener) {
    this.#listener = listener;
    this.#parser.on("opentagstart", () => this.#start());
    this.#parser.on("attribute", (attribute) => this.#attribute(attribute));
    this.#parser.on("opentag", (tag) => this.#open(tag.name, tag.attributes));
    this.#parser.on("closetag", (tag) => this.#close(tag.name));
    this.#parser.on("error", (error) => this.#error(error));
  }

  /** @returns Why the reading ended before the document did, or null. */
  get fault(): XmlFault | null {
    return this.#fault;
  }

  /** @returns Whether the root element was seen to its end. */
  get complete(): boolean {
    return this.#closed;
  }

  /**
   * Reads on.
   *
   * @param bytes The next bytes of the document, cut anywhere.
   */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      if (this.#fault !== null) return;
      const slice = bytes.subarray(at, at + SLICE_BYTES);
      this.#feed(this.#decoder.decode(slice, { stream: true }));
    }
  }

  #feed(text: string): void {
    if (text === "") return;
    this.#moved = false;
    try {
      this.#parser.write(text.replace(DISALLOWED, "\ufffd"));
    } catch {
      // Ours, or a fault that saxes throws of itself: the document is not to be read on either way.
      this.#fault ??= "malformed";
      return;
    }
    this.#still = this.#moved ? 0 : this.#still + text.length;
    if (this.#still > PIECE_LENGTH_MAX) this.#fault = "too_large";
  }

  #leave(fault: XmlFault): never {
    this.#fault = fault;
    throw LEAVE;
  }

  #start(): void {
    this.#moved = true;
    this.#attributes = 0;
    if (this.#depth >= DEPTH_MAX) this.#leave("too_deep");
  }

  #attribute(attribute: { value: string }): void {
    this.#moved = true;
    if (++this.#attributes > ATTRIBUTES_MAX) this.#leave("too_large");
    if (attribute.value.length > ATTRIBUTE_LENGTH_MAX) {
      attribute.value = attribute.value.slice(0, ATTRIBUTE_LENGTH_MAX);
    }
  }

  #open(name: string, attributes: Attributes): void {
    this.#depth++;
    if (this.#listener.open(name, attributes) && this.#textDepth === 0) {
      this.#textDepth = this.#depth;
      this.#text = "";
      // Without a handler the parser does not collect text at all.
      this.#parser.on("text", (text) => this.#addText(text));
    }
  }

  #addText(text: string): void {
    const room = TEXT_LENGTH_MAX - this.#text.length;
    if (room > 0) this.#text += text.slice(0, room);
  }

  #close(name: string): void {
    this.#moved = true;
    let text = "";
    if (this.#textDepth === this.#depth) {
      text = this.#text;
      this.#text = "";
      this.#textDepth = 0;
      this.#parser.off("text");
    }
    if (--this.#depth === 0) this.#closed = true;
    this.#listener.close(name, text);
  }

  #error(error: Error): void {
    // The text stays as it was written, `&#27;`, which is readable and harmless.
    if (
      error.message === "malformed character entity." &&
      ++this.#badReferences <= BAD_REFERENCES_MAX
    ) return;
    this.#leave("malformed");
  }
}
