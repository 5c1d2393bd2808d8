/**
 * The policies of a server: those of a folder, taken anew when it changes.
 *
 * Reading them is quick and gives the hash that the audit log names. Cedar is loaded with the first
 * decision, or when somebody says that there is time: it takes a third of a second, which the first
 * answer of a server must not wait for.
 *
 * @module
 */
import type { PolicySet } from "./engine.ts";
import { FOLDER } from "./folder.ts";
import {
  compilePolicies,
  type FolderReader,
  hashOf,
  type PolicySources,
  readPolicies,
} from "./load.ts";
import type { PolicyDecision, PolicyEngine, PolicyRequest } from "./request.ts";

/** The policies of a folder. */
export class Policies {
  readonly #folder: string;
  readonly #reader: FolderReader;
  #engine: LazyEngine;

  private constructor(
    folder: string,
    reader: FolderReader,
    engine: LazyEngine,
  ) {
    this.#folder = folder;
    this.#reader = reader;
    this.#engine = engine;
  }

  /**
   * Reads the policies of a folder.
   *
   * @param folder The folder.
   * @param reader Reads it.
   * @returns The policies. Whether they are sound shows when they are used or {@linkcode Policies.ready}.
   * @throws {AppError} `invalid_arguments` if they cannot be read.
   */
  static async open(
    folder: string,
    reader: FolderReader = FOLDER,
  ): Promise<Policies> {
    const sources = await readPolicies(folder, reader);
    const engine = new LazyEngine(sources, await hashOf(sources));
    return new Policies(folder, reader, engine);
  }

  /** What decides now. A call takes it once and lives by it to its end. */
  get engine(): PolicyEngine {
    return this.#engine;
  }

  /**
   * Makes them ready to decide.
   *
   * @returns The policies in force.
   * @throws {AppError} `invalid_arguments` with everything that is wrong with them: until they are
   * mended nothing is allowed.
   */
  ready(): Promise<PolicySet> {
    return this.#engine.set();
  }

  /**
   * Reads them again. Where one is wrong the old ones stay.
   *
   * @returns Whether others are in force now.
   * @throws {AppError} `invalid_arguments` with everything that is wrong.
   */
  async reload(): Promise<boolean> {
    const sources = await readPolicies(this.#folder, this.#reader);
    const hash = await hashOf(sources);
    if (hash === this.#engine.hash) return false;
    const engine = new LazyEngine(sources, hash);
    await engine.set();
    this.#engine = engine;
    return true;
  }
}

/** Policies that are made ready once, when they are first needed. */
class LazyEngine implements PolicyEngine {
  readonly hash: string;
  readonly #sources: PolicySources;
  #set: Promise<PolicySet> | null = null;

  constructor(sources: PolicySources, hash: string) {
    this.#sources = sources;
    this.hash = hash;
  }

  async set(): Promise<PolicySet> {
    this.#set ??= compilePolicies(this.#sources);
    try {
      return await this.#set;
    } catch (thrown) {
      // It may have been Cedar that could not be loaded; the next one tries again.
      this.#set = null;
      throw thrown;
    }
  }

  async decide(request: PolicyRequest): Promise<PolicyDecision> {
    return await (await this.set()).decide(request);
  }
}
