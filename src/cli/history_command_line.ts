/**
 * Command lines of the commands that work with the history. Each says how it is written, so that every
 * refusal names the right form.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { tenantComplaint } from "@/config/http_complaint.ts";
import { AppError } from "@/error/app_error.ts";
import { HOUSE_TENANT } from "@/store/tenant.ts";
import { shown } from "@/tools/field.ts";

/** What an option is followed by: nothing, a text, or a text each time that it is given. */
export type OptionKind = "flag" | "text" | "texts";

/** How a command is written. */
export interface CommandForm {
  /** For refusals: `deno task history show SCAN_ID`. */
  readonly form: string;
  readonly options: Readonly<Record<string, OptionKind>>;
  /** Fewest and most words that are no option. */
  readonly operands: readonly [min: number, max: number];
}

/** Days and times as an option takes them; without a zone they are UTC. */
const TIME =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/;

/** A command line that was read. */
export class CommandLine {
  readonly operands: readonly string[];
  readonly #form: CommandForm;
  readonly #values: Readonly<Record<string, unknown>>;

  /**
   * Reads a command line.
   *
   * @param args The words.
   * @param form How it is written.
   * @throws {AppError} `invalid_arguments`.
   */
  constructor(args: readonly string[], form: CommandForm) {
    this.#form = form;
    const options = Object.fromEntries(
      Object.entries(form.options).map(([name, kind]) => [name, {
        type: kind === "flag" ? "boolean" as const : "string" as const,
        multiple: kind === "texts",
      }]),
    );
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        options,
        allowPositionals: true,
        strict: true,
      });
      this.#values = values;
      this.operands = positionals;
    } catch (thrown) {
      // Of the parser's words the first sentence says what is wrong.
      const why = thrown instanceof Error
        ? thrown.message.split(". ")[0] ?? ""
        : "malformed";
      throw this.refuse(why.replace(/[^\x20-\x7e]/g, "?").slice(0, 200));
    }
    const [min, max] = form.operands;
    if (this.operands.length < min) throw this.refuse("something is missing");
    if (this.operands.length > max) {
      throw this.refuse(`${shown(this.operands[max])} is one word too many`);
    }
  }

  /** Whether a flag is given. */
  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** The text of an option, where it is given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === "") throw this.refuse(`--${name} is empty`);
    return typeof value === "string" ? value : undefined;
  }

  /** The texts of an option that may be given several times, or with commas; undefined for none. */
  texts(name: string): readonly string[] | undefined {
    const value = this.#values[name];
    if (!Array.isArray(value)) return undefined;
    const texts = value.flatMap((text) => String(text).split(","))
      .map((text) => text.trim()).filter((text) => text !== "");
    if (texts.length === 0) throw this.refuse(`--${name} is empty`);
    return texts;
  }

  /** Whose history is meant: that of `--tenant`, and of the house where none is named. */
  tenant(): string {
    const name = this.text("tenant") ?? HOUSE_TENANT;
    const complaint = tenantComplaint(name);
    if (complaint === null) return name;
    throw this.refuse(`--tenant: ${complaint}`);
  }

  /** A whole number. */
  integer(
    name: string,
    { min, max }: { readonly min: number; readonly max: number },
  ): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw this.refuse(
      `--${name} is ${
        shown(text)
      } and has to be a whole number from ${min} to ${max}`,
    );
  }

  /** One of some words. */
  choice<const T extends string>(
    name: string,
    choices: readonly T[],
  ): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw this.refuse(
      `--${name} is ${shown(text)} and has to be one of ${choices.join(", ")}`,
    );
  }

  /** A day or a time, in milliseconds since the epoch. */
  time(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const [, day, time = "00:00", zone = "Z"] = TIME.exec(text) ?? [];
    const midnight = new Date(`${day}T00:00Z`);
    const ms = Date.parse(`${day}T${time}${zone}`);
    // A day that a month does not have would be read as one of the next month.
    const real = !Number.isNaN(midnight.getTime()) &&
      midnight.toISOString().startsWith(day ?? "?");
    if (real && !Number.isNaN(ms)) return ms;
    throw this.refuse(
      `--${name} is ${
        shown(text)
      } and has to be a time such as 2026-03-01 or 2026-03-01T12:00:00Z`,
    );
  }

  /**
   * Makes a refusal that names the right form.
   *
   * @param why What is wrong, as a clause.
   * @returns The error.
   */
  refuse(why: string): AppError {
    return new AppError(
      "invalid_arguments",
      `Cannot read the command line: ${why}; the form is: ${this.#form.form}`,
    );
  }
}

/**
 * Gives what is set of some options.
 *
 * @param options Values by name.
 * @returns Those that are not `undefined`.
 */
export function given<T extends object>(
  options: T,
): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
