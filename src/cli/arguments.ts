/**
 * Reads a command line into a tool's request. The flags are the tool's own fields, so that a person
 * and a model ask for the same things by the same names: `--top-ports 100` is `top_ports`.
 *
 * Nothing is judged here but the form; the engine parses the request like any other.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { CALL_FIELDS } from "@/dispatch/call.ts";
import { AppError } from "@/error/app_error.ts";
import type { Fields } from "@/tools/field.ts";
import { toolNamed } from "@/tools/registry.ts";
import type { ToolName } from "@/tools/tool.ts";

/**
 * Options of a call that a person may give as well, by the flags that name them. `--no-cache` is the
 * negative form of `--cache`, so that the reader of flags knows it.
 */
const CALL_FLAGS = {
  engagement: { field: "engagement", type: "string", multiple: false },
  tag: { field: "tags", type: "string", multiple: true },
  "idempotency-key": {
    field: "idempotency_key",
    type: "string",
    multiple: false,
  },
  cache: { field: "no_cache", type: "boolean", multiple: false },
} as const satisfies Readonly<
  Record<
    string,
    {
      readonly field: keyof typeof CALL_FIELDS;
      readonly type: "boolean" | "string";
      readonly multiple: boolean;
    }
  >
>;

/** How a refusal names them. */
const CALL_FLAGS_SHOWN = [
  "--engagement",
  "--tag",
  "--idempotency-key",
  "--no-cache",
];

/** A command line of `scan` or `plan`. */
export interface ScanArguments {
  readonly tool: ToolName;
  readonly request: Readonly<Record<string, unknown>>;
  /** Whether JSON is wanted. */
  readonly json: boolean;
}

/**
 * Reads the arguments of `scan` and `plan`.
 *
 * @param args `nmap 127.0.0.1 --ports 1-1024 --json`; gobuster takes its mode before the target.
 * @returns The tool, its request and the form of the answer.
 * @throws {AppError} `tool_not_found` or `invalid_arguments`.
 */
export function parseScanArguments(args: readonly string[]): ScanArguments {
  const [name, ...rest] = args;
  if (name === undefined || name.startsWith("-")) {
    throw new AppError(
      "invalid_arguments",
      "Cannot scan: name a tool first, for example: scan nmap 127.0.0.1 --ports 1-1024",
    );
  }
  const tool = toolNamed(name);
  const kinds = new Map(
    Object.entries(tool.fields).map((
      [field, { schema }],
    ) => [field, kindOf(schema)]),
  );
  const { values, positionals } = read(rest, kinds);
  const request: Record<string, unknown> = {};
  for (const [flag, given] of Object.entries(values)) {
    if (flag === "json") continue;
    if (Object.hasOwn(CALL_FLAGS, flag)) {
      Object.assign(request, callField(flag as keyof typeof CALL_FLAGS, given));
      continue;
    }
    const field = flag.replaceAll("-", "_");
    request[field] = valueOf(given, kinds.get(field) ?? "text");
  }
  const operands = [...positionals];
  if (
    kinds.has("mode") && request["mode"] === undefined &&
    (operands.length > 1 || isChoice(tool.fields, "mode", operands[0]))
  ) {
    request["mode"] = operands.shift();
  }
  if (operands.length > 0) {
    request["target"] = operands.length === 1 ? operands[0] : operands;
  }
  return { tool: tool.name, request, json: values["json"] === true };
}

/** A mode alone is a mode: what is missing then is the target. */
function isChoice(
  fields: Fields,
  name: string,
  given: string | undefined,
): boolean {
  const choices = fields[name]?.schema["enum"];
  return Array.isArray(choices) && choices.includes(given);
}

type Kind = "boolean" | "integer" | "list" | "text";

function kindOf(schema: Readonly<Record<string, unknown>>): Kind {
  switch (schema["type"]) {
    case "boolean":
    case "integer":
      return schema["type"];
    case "array":
      return "list";
    default:
      return "text";
  }
}

function read(args: readonly string[], kinds: ReadonlyMap<string, Kind>) {
  const options: Record<
    string,
    { type: "boolean" | "string"; multiple?: boolean }
  > = {
    json: { type: "boolean" },
  };
  for (const [flag, { type, multiple }] of Object.entries(CALL_FLAGS)) {
    options[flag] = { type, multiple };
  }
  for (const [field, kind] of kinds) {
    options[field.replaceAll("_", "-")] = kind === "boolean"
      ? { type: "boolean" }
      : { type: "string", multiple: kind === "list" || field === "target" };
  }
  try {
    return parseArgs({
      args: joined(args, options),
      options,
      allowPositionals: true,
      allowNegative: true,
      strict: true,
    });
  } catch (thrown) {
    const known = [
      ...[...kinds.keys()].map((field) => `--${field.replaceAll("_", "-")}`),
      ...CALL_FLAGS_SHOWN,
    ].join(", ");
    const why = thrown instanceof Error
      ? thrown.message.split(". ")[0]
      : "malformed";
    throw new AppError(
      "invalid_arguments",
      `Cannot read the command line: ${why}; the options are ${known}, --json`,
    );
  }
}

/** Joins a flag with its value, which may begin with a dash: `--extra-args "--open"`. */
function joined(
  args: readonly string[],
  options: Readonly<Record<string, { readonly type: string }>>,
): string[] {
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    const value = args[i + 1];
    const name = arg.slice(2);
    const takesValue = arg.startsWith("--") && Object.hasOwn(options, name) &&
      options[name]?.type === "string";
    if (takesValue && value !== undefined) {
      result.push(`${arg}=${value}`);
      i++;
    } else result.push(arg);
  }
  return result;
}

/** An option of the call as the engine takes it. */
function callField(
  flag: keyof typeof CALL_FLAGS,
  given: Given,
): Readonly<Record<string, unknown>> {
  const { field, type } = CALL_FLAGS[flag];
  if (type === "boolean") return given === false ? { [field]: true } : {};
  return { [field]: valueOf(given, Array.isArray(given) ? "list" : "text") };
}

type Given = string | boolean | (string | boolean)[] | undefined;

function valueOf(given: Given, kind: Kind): unknown {
  if (
    kind === "integer" && typeof given === "string" &&
    /^-?\d{1,15}$/.test(given)
  ) {
    return Number(given);
  }
  if (kind === "list" && Array.isArray(given)) {
    return given.flatMap((item) => String(item).split(",")).filter((item) =>
      item !== ""
    );
  }
  return given;
}
