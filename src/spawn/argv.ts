/**
 * The only maker of what a program is started with.
 *
 * An {@linkcode Argv} is built of flags out of a closed grammar and of values that went through a
 * parser. There is no way to hand it a raw string: a flag has to stand in the grammar, a value has
 * to be a number or a {@linkcode SafeText}, and a `SafeText` never begins with `-`. So a caller can
 * choose among what the grammar offers and can add nothing to it.
 *
 * Both classes check a module-secret token and hold their text in `#` fields. A look-alike, a
 * structured clone or an object made with `Object.create` is refused by {@linkcode Argv.tokensOf}.
 *
 * @module
 */

const MINT = Symbol("spawn/argv");

/** Longest single token, in UTF-16 code units. */
export const TOKEN_LENGTH_MAX = 16_384;

/** Most tokens of one command line. */
export const TOKEN_COUNT_MAX = 4_096;

/** A text that may stand as a value in a command line. */
export class SafeText {
  readonly #text: string;

  private constructor(mint: symbol, text: string) {
    if (mint !== MINT) {
      throw new TypeError("Cannot construct SafeText: use SafeText.match");
    }
    this.#text = text;
  }

  /**
   * Makes a value of a text that matches a pattern as a whole.
   *
   * @param text The text to take.
   * @param pattern What the whole of it must match; anchored here, whatever it says itself.
   * @returns The value.
   * @throws {RangeError} If it is empty, too long, begins with `-`, holds anything but printable
   * ASCII, or does not match.
   */
  static match(text: string, pattern: RegExp): SafeText {
    const whole = new RegExp(
      `^(?:${pattern.source})$`,
      pattern.flags.replace(/[gy]/g, ""),
    );
    if (text.length === 0 || text.length > TOKEN_LENGTH_MAX) {
      throw new RangeError(`Cannot use a value of ${text.length} characters`);
    }
    if (text.startsWith("-") || !/^[\x21-\x7e]+$/.test(text)) {
      throw new RangeError(
        "Cannot use a value that begins with - or is not printable ASCII",
      );
    }
    if (!whole.test(text)) {
      throw new RangeError("Cannot use a value that does not match");
    }
    return new SafeText(MINT, text);
  }

  /**
   * Reads the text of a value made here.
   *
   * @param value The value.
   * @returns Its text.
   * @throws {TypeError} If it was not made by {@linkcode SafeText.match}.
   */
  static textOf(value: SafeText): string {
    if (typeof value !== "object" || value === null || !(#text in value)) {
      throw new TypeError("Cannot use a value that SafeText did not make");
    }
    return value.#text;
  }

  /** @returns The text, for display. */
  toString(): string {
    return this.#text;
  }
}

/**
 * How a flag takes its value: not at all, as the next token, behind `=`, or glued on (`-PS22`, which
 * nmap takes in no other form).
 */
export type FlagArity = "none" | "next" | "equals" | "glued";

/** What one program may be started with. */
export interface Grammar {
  /** The program's name. */
  readonly program: string;
  /** Every flag that may ever occur, with its arity. */
  readonly flags: ReadonlyMap<string, FlagArity>;
}

/** A piece of a command line: a flag, a flag with its value, or an operand. */
export type Part =
  | { readonly flag: string; readonly value?: SafeText | number }
  | { readonly operand: SafeText };

/** A command line that was built and not typed. */
export class Argv {
  readonly #program: string;
  readonly #tokens: readonly string[];

  private constructor(
    mint: symbol,
    program: string,
    tokens: readonly string[],
  ) {
    if (mint !== MINT) {
      throw new TypeError("Cannot construct Argv: use Argv.build");
    }
    this.#program = program;
    this.#tokens = tokens;
  }

  /**
   * Builds a command line.
   *
   * @param grammar What the program may be started with.
   * @param parts The pieces, in order.
   * @returns The command line.
   * @throws {RangeError} If a flag is not in the grammar, a value is missing or surplus, a number
   * is not a safe non-negative integer, or the whole is too long.
   * @throws {TypeError} If a value was not made by {@linkcode SafeText.match}.
   */
  static build(grammar: Grammar, parts: readonly Part[]): Argv {
    const tokens: string[] = [];
    for (const part of parts) {
      if ("operand" in part) {
        tokens.push(SafeText.textOf(part.operand));
        continue;
      }
      const arity = grammar.flags.get(part.flag);
      if (arity === undefined) {
        throw new RangeError(
          `Cannot build "${grammar.program}": unknown flag "${part.flag}"`,
        );
      }
      if ((arity === "none") !== (part.value === undefined)) {
        throw new RangeError(
          `Cannot build "${grammar.program}": arity of "${part.flag}"`,
        );
      }
      if (part.value === undefined) tokens.push(part.flag);
      else if (arity === "equals") {
        tokens.push(`${part.flag}=${valueText(part.value)}`);
      } else if (arity === "glued") {
        tokens.push(`${part.flag}${valueText(part.value)}`);
      } else tokens.push(part.flag, valueText(part.value));
    }
    if (tokens.length > TOKEN_COUNT_MAX) {
      throw new RangeError(
        `Cannot build "${grammar.program}": ${tokens.length} tokens`,
      );
    }
    return new Argv(MINT, grammar.program, Object.freeze(tokens));
  }

  /**
   * Reads a command line made here. The one sink is `spawn`.
   *
   * @param argv The command line.
   * @returns Its tokens, without the program.
   * @throws {TypeError} If it was not made by {@linkcode Argv.build}.
   */
  static tokensOf(argv: Argv): readonly string[] {
    if (typeof argv !== "object" || argv === null || !(#tokens in argv)) {
      throw new TypeError("Cannot use a command line that Argv did not build");
    }
    return argv.#tokens;
  }

  /** @returns The program's name and its tokens, for display and records. */
  toJSON(): string[] {
    return [this.#program, ...this.#tokens];
  }
}

function valueText(value: SafeText | number): string {
  if (typeof value !== "number") return SafeText.textOf(value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot use the number ${value} in a command line`);
  }
  return String(value);
}
