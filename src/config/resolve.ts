/**
 * Makes a configuration of what its sources say: environment over file over defaults, key by key.
 *
 * It is pure, and it knows no file format, so that a server without a configuration file starts
 * without loading a parser. Whatever is wrong is collected and thrown as one error; what is merely
 * out of range is moved to the nearer end and warned of.
 *
 * @module
 */
import type { z } from "zod";
import { shown } from "@/tools/field.ts";
import { readVariable, strayVariables } from "./environment.ts";
import { type Key, kindOf } from "./key.ts";
import { type Problem, problemsError } from "./problem.ts";
import { applyRules, type Draft, warnOfWeakness } from "./rules.ts";
import { type Config, type KeyName, KEYS, SECTIONS } from "./schema.ts";
import { nearest } from "./suggest.ts";
import { type Entry, Lines, type Node } from "./tree.ts";

/** Where a value came from. */
export type Origin = "default" | "file" | "environment";

/** A configuration and how it came about. */
export interface LoadedConfig {
  readonly config: Config;
  /** Where each value came from, by `section.key`. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** `name:line:column` or the variable, of each value that is no default. */
  readonly places: ReadonlyMap<string, string>;
  /** What was moved into range, ignored, or is worth a second look. */
  readonly warnings: readonly string[];
}

/** A configuration file that was read into a tree, or what kept it from being one. */
export interface ReadFile {
  /** The file as its reader names it. */
  readonly name: string;
  readonly text: string;
  /** Null for a file without content, and for one that is no tree. */
  readonly tree: Node | null;
  /** Set if the text is no tree. */
  readonly misread: {
    readonly message: string;
    readonly offset: number;
    readonly cause: unknown;
  } | null;
}

/** What a configuration is made of. */
export interface Sources {
  readonly file: ReadFile | null;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Makes a configuration.
 *
 * @param sources A file that was read, and the environment.
 * @returns The configuration, frozen.
 * @throws {AppError} `invalid_arguments`, naming everything that is wrong and where.
 */
export function resolveConfig(sources: Sources): LoadedConfig {
  const resolver = new Resolver(sources.file);
  if (sources.file !== null) resolver.takeFile(sources.file);
  resolver.takeEnvironment(sources.env);
  return resolver.finish();
}

/** A value out of a source. */
interface Given {
  readonly value: unknown;
  readonly origin: Origin;
  readonly place: string;
  /** Hears what is wrong with the value, or with one of its items. */
  readonly refuse: (path: readonly PropertyKey[], message: string) => void;
}

class Resolver implements Draft {
  readonly #file: ReadFile | null;
  readonly #lines: Lines;
  readonly #values = new Map<KeyName, unknown>();
  readonly #origins = new Map<string, Origin>();
  readonly #places = new Map<string, string>();
  readonly #broken = new Set<KeyName>();
  readonly #problems: Problem[] = [];
  /** Problems of the file with their offsets, so that they can be told in its order. */
  readonly #fileProblems: { readonly offset: number; message: string }[] = [];
  readonly #warnings: string[] = [];

  constructor(file: ReadFile | null) {
    this.#file = file;
    this.#lines = new Lines(file?.text ?? "");
    for (const { name, spec } of KEYS) {
      this.#values.set(name, spec.default);
      this.#origins.set(name, "default");
    }
  }

  takeFile(file: ReadFile): void {
    if (file.misread !== null) {
      const { message, offset } = file.misread;
      this.#refuseAt(offset, message);
      return;
    }
    if (file.tree === null || isNull(file.tree)) return;
    if (file.tree.kind !== "map") {
      this.#refuseAt(
        file.tree.offset,
        `expected a map of sections, got ${kindOf(plain(file.tree))}`,
      );
      return;
    }
    const sections = Object.keys(SECTIONS);
    for (const entry of this.#knownEntries(file.tree.entries, "", sections)) {
      this.#takeSection(entry.key, entry.value);
    }
  }

  takeEnvironment(env: Readonly<Record<string, string>>): void {
    for (const { name, variable, spec } of KEYS) {
      if (!Object.hasOwn(env, variable)) continue;
      const reading = readVariable(spec, String(env[variable]));
      if (reading.kind === "empty") {
        const advice = spec.kind === "list" ? "; write [] for no items" : "";
        this.#warnings.push(`${variable} is empty and is ignored${advice}`);
      } else if (reading.kind === "refused") {
        this.#broken.add(name);
        const message = `${name}: ${reading.message}`;
        this.#problems.push({ place: variable, message });
      } else {
        this.#take(name, spec, {
          value: reading.value,
          origin: "environment",
          place: variable,
          refuse: (_path, message) => {
            this.#problems.push({ place: variable, message });
          },
        });
      }
    }
    this.#warnings.push(...strayVariables(env));
  }

  finish(): LoadedConfig {
    // A file that is no tree says nothing about its keys, so no rule between keys can be judged.
    if (this.#file === null || this.#file.misread === null) applyRules(this);
    const problems = [...this.#filesProblems(), ...this.#problems];
    if (problems.length > 0) {
      throw problemsError(problems, {
        file: this.#file?.name ?? null,
        cause: this.#file?.misread?.cause,
      });
    }
    const config = this.#config();
    warnOfWeakness(config, (name, message) => this.warn(name, message));
    return Object.freeze({
      config,
      origins: this.#origins,
      places: this.#places,
      warnings: Object.freeze([...this.#warnings]),
    });
  }

  get(name: KeyName): unknown {
    return this.#values.get(name);
  }

  set(name: KeyName, value: unknown): void {
    this.#values.set(name, value);
  }

  placeOf(name: KeyName): string | null {
    return this.#places.get(name) ?? null;
  }

  isBroken(name: KeyName): boolean {
    return this.#broken.has(name);
  }

  refuse(name: KeyName, message: string): void {
    const place = this.placeOf(name) ?? name;
    this.#problems.push({ place, message: `${name}: ${message}` });
  }

  warn(name: KeyName, message: string): void {
    const place = this.placeOf(name);
    const where = place === null ? "" : `${place}: `;
    this.#warnings.push(`${where}${name}: ${message}`);
  }

  #takeSection(section: string, node: Node): void {
    // A section whose keys are all commented out.
    if (isNull(node)) return;
    if (node.kind !== "map") {
      this.#refuseAt(
        node.offset,
        `${section}: expected a map of keys, got ${kindOf(plain(node))}`,
      );
      return;
    }
    const keys = KEYS.filter((key) => key.section === section);
    const known = keys.map(({ key }) => key);
    for (const entry of this.#knownEntries(node.entries, section, known)) {
      const found = keys.find(({ key }) => key === entry.key);
      if (found === undefined) continue;
      const { value } = entry;
      this.#take(found.name, found.spec, {
        value: plain(value),
        origin: "file",
        place: this.#at(value.offset),
        refuse: (path, message) =>
          this.#refuseAt(itemOf(value, path).offset, message),
      });
    }
  }

  /** Passes on the entries that have a known key, and refuses the others and those that come twice. */
  #knownEntries(
    entries: readonly Entry[],
    section: string,
    known: readonly string[],
  ): readonly { key: string; value: Node }[] {
    const seen = new Map<string, number>();
    const passed: { key: string; value: Node }[] = [];
    for (const { key, offset, value } of entries) {
      const first = key === null ? undefined : seen.get(key);
      if (key === null || !known.includes(key)) {
        this.#refuseAt(offset, unknownKey(key, section, known));
      } else if (first !== undefined) {
        const name = section === "" ? key : `${section}.${key}`;
        this.#refuseAt(
          offset,
          `${name}: it is set twice, first at ${this.#at(first)}`,
        );
      } else {
        seen.set(key, offset);
        passed.push({ key, value });
      }
    }
    return passed;
  }

  #take(name: KeyName, spec: Key<unknown>, given: Given): void {
    const result = spec.check().safeParse(given.value);
    if (!result.success) {
      this.#broken.add(name);
      for (const issue of result.error.issues) {
        given.refuse(issue.path, `${name}: ${itemName(issue)}${issue.message}`);
      }
      return;
    }
    // The environment is taken last and stands above a file's value, even a broken one's.
    this.#origins.set(name, given.origin);
    this.#places.set(name, given.place);
    this.#values.set(name, this.#clamped(name, spec, result.data));
  }

  #clamped(name: KeyName, spec: Key<unknown>, value: unknown): unknown {
    if (spec.range === null || typeof value !== "number") return value;
    const { minimum, maximum } = spec.range;
    // Adding zero turns a negative zero into zero.
    const moved = Math.min(Math.max(value, minimum), maximum) + 0;
    if (moved !== value) {
      this.warn(name, `${value} is outside ${spec.values}; ${moved} is used`);
    }
    return moved;
  }

  #config(): Config {
    const config = Object.fromEntries(
      Object.keys(SECTIONS).map((section) => [
        section,
        Object.freeze(Object.fromEntries(
          KEYS.filter((key) => key.section === section).map((
            { key, name },
          ) => [key, frozen(this.#values.get(name))]),
        )),
      ]),
    );
    // Every value is its key's default or went through its key's check, whose type the key has.
    return Object.freeze(config) as unknown as Config;
  }

  #refuseAt(offset: number, message: string): void {
    this.#fileProblems.push({ offset, message });
  }

  #filesProblems(): readonly Problem[] {
    return this.#fileProblems
      .toSorted((a, b) => a.offset - b.offset)
      .map(({ offset, message }) => ({ place: this.#at(offset), message }));
  }

  #at(offset: number): string {
    return `${baseName(this.#file?.name ?? "")}:${this.#lines.at(offset)}`;
  }
}

/** The last part of a path: what an operator needs, and no more of the machine than that. */
function baseName(path: string): string {
  return path.split("/").filter((part) => part !== "").at(-1) ?? path;
}

function unknownKey(
  key: string | null,
  section: string,
  known: readonly string[],
): string {
  if (key === null) return "expected a plain key, got a list or a map";
  const what = section === "" ? "section" : `key of ${section}`;
  const near = nearest(key, known);
  // A key that is right but stands in the wrong section.
  const elsewhere = KEYS.find((one) => one.key === key)?.name ?? null;
  const guess = near ?? elsewhere;
  const advice = guess === null
    ? `; there are ${known.join(", ")}`
    : `; did you mean ${guess}?`;
  return `${shown(key)} is no ${what}${advice}`;
}

function itemName(issue: z.core.$ZodIssue): string {
  const [index] = issue.path;
  return typeof index === "number" ? `item ${index + 1}: ` : "";
}

function itemOf(node: Node, path: readonly PropertyKey[]): Node {
  const [index] = path;
  return node.kind === "list" && typeof index === "number"
    ? node.items[index] ?? node
    : node;
}

/** The value of a node as far as a check looks into it. */
function plain(node: Node): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "map") return {};
  return node.items.map((item) => item.kind === "list" ? [] : plain(item));
}

function isNull(node: Node): boolean {
  return node.kind === "scalar" && node.value === null;
}

function frozen(value: unknown): unknown {
  return Array.isArray(value) ? Object.freeze([...value]) : value;
}
