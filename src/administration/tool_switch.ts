/**
 * Tools that operators switched off. It outlives a restart: whoever switched a tool off meant it.
 *
 * What the configuration switches off stays off; nothing here can switch it on.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import { isToolName, type ToolName } from "@/tools/tool.ts";

/** Where the switches are kept. */
export interface SwitchFile {
  /** @returns The text, or null if there is none. */
  read(): Promise<string | null>;
  /** Puts the whole text in the place of the old one. */
  write(text: string): Promise<void>;
}

/** Most characters of the file. */
const LENGTH_MAX = 4_096;

/** The operators' switches. */
export class ToolSwitch {
  readonly #file: SwitchFile;
  #off: ReadonlySet<ToolName> = new Set();
  /** The switching that came last. */
  #last: Promise<void> = Promise.resolve();

  /** @param file Where they are kept. */
  constructor(file: SwitchFile) {
    this.#file = file;
  }

  /**
   * Takes up what was kept.
   *
   * @throws {AppError} `internal` if it cannot be read: a tool that was switched off must not come back
   * by a damaged file.
   */
  async load(): Promise<void> {
    const text = await this.#file.read();
    if (text === null) return;
    const off = parse(text);
    if (off === null) {
      throw new AppError(
        "internal",
        "Cannot read which tools operators switched off: tools.json in the state folder is damaged; remove it to switch all of them on",
      );
    }
    this.#off = off;
  }

  /** Whether an operator switched a tool off. */
  isOff(tool: ToolName): boolean {
    return this.#off.has(tool);
  }

  /**
   * Switches a tool. One switching waits for the other: each keeps the whole set, so that two at once
   * would lose one.
   *
   * @param tool The tool.
   * @param on Whether it may be called.
   * @throws {AppError} `internal` if it cannot be kept: then nothing changed.
   */
  set(tool: ToolName, on: boolean): Promise<void> {
    const turn = this.#last.then(() => this.#set(tool, on));
    // Whoever asked hears of a failure; the next one begins all the same.
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #set(tool: ToolName, on: boolean): Promise<void> {
    const off = new Set(this.#off);
    if (on) off.delete(tool);
    else off.add(tool);
    try {
      await this.#file.write(`${JSON.stringify({ off: [...off].sort() })}\n`);
    } catch (thrown) {
      throw new AppError(
        "internal",
        `Cannot switch "${tool}": it cannot be kept in the state folder; see the server log`,
        { cause: thrown, detail: toAppError(thrown).detail ?? "" },
      );
    }
    this.#off = off;
  }
}

/**
 * Keeps the switches in a file.
 *
 * @param path The file.
 * @returns Where they are kept.
 */
export function switchFile(path: string): SwitchFile {
  return {
    read: async () => {
      try {
        return await Deno.readTextFile(path);
      } catch (thrown) {
        if (thrown instanceof Deno.errors.NotFound) return null;
        throw thrown;
      }
    },
    write: async (text) => {
      await Deno.writeTextFile(`${path}.new`, text, { mode: 0o600 });
      await Deno.rename(`${path}.new`, path);
    },
  };
}

function parse(text: string): ReadonlySet<ToolName> | null {
  if (text.length > LENGTH_MAX) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const off = typeof value === "object" && value !== null &&
      Object.hasOwn(value, "off")
    ? (value as { off: unknown }).off
    : null;
  return Array.isArray(off) && off.every(isToolName) ? new Set(off) : null;
}
