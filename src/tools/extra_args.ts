/**
 * The one way from `extra_args` into a request: split, matched against the tool's flags, and folded
 * into the typed fields, which then parse it like anything else a caller names.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { type Fields, type Parsed, parseFields } from "./field.ts";
import {
  type FlagTable,
  foldFlags,
  joinFolded,
  tokenize,
} from "./tokenizer.ts";
import type { ToolName } from "./tool.ts";

/** What a tool makes of `extra_args`. */
export interface ExtraArgsRules<F extends Fields> {
  readonly tool: ToolName;
  /** The fields of a request, with those that only a flag can set. */
  readonly fields: F;
  readonly flags: FlagTable;
  /** Most UTF-16 code units. */
  readonly lengthMax: number;
}

/**
 * Folds `extra_args` into the fields of a request.
 *
 * @param typed The arguments as parsed, `extra_args` among them if it was given.
 * @param rules The tool's fields, flags and cap.
 * @returns All fields, parsed.
 * @throws {AppError} `invalid_arguments`, or the code of a flag that is refused.
 */
export function foldExtraArgs<F extends Fields>(
  typed: Readonly<Record<string, unknown>> & {
    readonly extra_args?: string | undefined;
  },
  rules: ExtraArgsRules<F>,
): Parsed<F> {
  const { extra_args, ...rest } = typed;
  if (extra_args === undefined) return parseFields(rules.fields, rest);
  if (extra_args.length > rules.lengthMax) {
    throw new AppError(
      "invalid_arguments",
      `Cannot use these arguments of ${rules.tool}: extra_args has ${extra_args.length} ` +
        `characters, at most ${rules.lengthMax} are taken here`,
    );
  }
  const folded = foldFlags(tokenize(extra_args), rules.flags);
  return parseFields(rules.fields, joinFolded(rest, folded));
}
