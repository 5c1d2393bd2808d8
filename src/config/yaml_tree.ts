/**
 * Reads a YAML file into a tree with positions.
 *
 * Only plain YAML is taken: no aliases (a few lines of them unfold to gigabytes), no tags (they are a
 * way to name types), one document. What is left is the core schema of YAML 1.2, where `no` and `on`
 * are texts.
 *
 * @module
 */
import {
  constructFromEvents,
  type DocumentEvent,
  type Event,
  EVENT_ID,
  parseEvents,
  type ScalarEvent,
  YAMLException,
} from "js-yaml";
import { type Entry, FILE_DEPTH_MAX, Misread, type Node } from "./tree.ts";

/**
 * Reads YAML.
 *
 * @param text The whole text.
 * @returns Its tree; null for a file without content.
 * @throws {Misread} If it is not YAML, not plain, or too deep.
 */
export function yamlTree(text: string): Node | null {
  const reader = new EventReader(text, eventsOf(text));
  return reader.document();
}

function eventsOf(text: string): readonly Event[] {
  try {
    return parseEvents(text, { maxDepth: FILE_DEPTH_MAX });
  } catch (error) {
    if (error instanceof YAMLException) {
      throw new Misread(error.reason, error.mark?.position ?? 0);
    }
    throw error;
  }
}

class EventReader {
  readonly #text: string;
  readonly #events: readonly Event[];
  #at = 0;
  #document: DocumentEvent | null = null;
  /** Where the last node began: the place of a node that has no text of its own. */
  #last = 0;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
  }

  document(): Node | null {
    const first = this.#next();
    if (first === undefined) return null;
    if (first.type !== EVENT_ID.DOCUMENT) throw lost();
    this.#document = first;
    const node = this.#node();
    this.#next();
    if (this.#at < this.#events.length) {
      const after = this.#events[this.#at + 1];
      throw new Misread(
        "expected one document, got another behind it",
        after === undefined ? this.#last : offsetOf(after) ?? this.#last,
      );
    }
    return node;
  }

  #node(): Node {
    const event = this.#next();
    if (event === undefined) throw lost();
    const offset = offsetOf(event) ?? this.#last;
    this.#last = offset;
    if (event.type === EVENT_ID.ALIAS) {
      throw new Misread("aliases are not taken; write the value out", offset);
    }
    if ("tagStart" in event && event.tagStart >= 0) {
      throw new Misread(
        "tags are not taken; write a plain value",
        event.tagStart,
      );
    }
    if (event.type === EVENT_ID.SCALAR) {
      return { kind: "scalar", offset, value: this.#scalar(event) };
    }
    if (event.type === EVENT_ID.SEQUENCE) {
      const items: Node[] = [];
      while (!this.#closed()) items.push(this.#node());
      return { kind: "list", offset, items };
    }
    if (event.type !== EVENT_ID.MAPPING) throw lost();
    const entries: Entry[] = [];
    while (!this.#closed()) {
      const key = this.#node();
      const value = this.#node();
      const name = key.kind === "scalar" ? String(key.value) : null;
      entries.push({ key: name, offset: key.offset, value });
    }
    return { kind: "map", offset, entries };
  }

  /** Lets the library itself say what a scalar means, as a document of its own. */
  #scalar(event: ScalarEvent): string | number | boolean | null {
    if (this.#document === null) throw lost();
    const events: Event[] = [this.#document, event, { type: EVENT_ID.POP }];
    const [value] = constructFromEvents(events, {
      source: this.#text,
      maxAliases: 0,
    });
    if (
      value === null || typeof value === "string" ||
      typeof value === "number" || typeof value === "boolean"
    ) return value;
    throw lost();
  }

  #closed(): boolean {
    const event = this.#events[this.#at];
    if (event === undefined) throw lost();
    if (event.type !== EVENT_ID.POP) return false;
    this.#at += 1;
    return true;
  }

  #next(): Event | undefined {
    return this.#events[this.#at++];
  }
}

function offsetOf(event: Event): number | null {
  if (event.type === EVENT_ID.SCALAR) {
    const quoted = event.style === 2 || event.style === 3 ? 1 : 0;
    return event.valueStart < 0 ? null : event.valueStart - quoted;
  }
  if (event.type === EVENT_ID.ALIAS) return event.anchorStart - 1;
  if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) {
    return event.start;
  }
  return null;
}

function lost(): TypeError {
  return new TypeError("the events of a YAML text do not make a tree");
}
