/**
 * The list of tools as a client gets it.
 *
 * @module
 */
import { CALL_FIELDS } from "@/dispatch/call.ts";
import type { Capabilities } from "@/dispatch/engine.ts";
import { type Fields, fieldsSchema, flag } from "@/tools/field.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import {
  describeScanner,
  SCAN_TOOL_DESCRIPTIONS,
  TITLES,
} from "./descriptions.ts";
import {
  DIFF_FIELDS,
  ID_FIELDS,
  INVENTORY_FIELDS,
  LIST_FIELDS,
  RESULTS_FIELDS,
  SCAN_TOOL_NAMES,
  type ScanToolName,
} from "./scan_tools.ts";
import {
  CANCEL_OUTPUT,
  DIFF_OUTPUT,
  INVENTORY_OUTPUT,
  LIST_OUTPUT,
  RESULTS_OUTPUT,
  scannerOutput,
  type Schema,
  STATUS_OUTPUT,
} from "./schemas.ts";

/** The fields of each scanner's request. */
export type ToolFields = Readonly<Record<ToolName, Fields>>;

/** A JSON Schema of an object, as the protocol wants it. */
export interface ObjectSchema {
  readonly type: "object";
  [keyword: string]: unknown;
}

/** A tool as a client gets it. */
export interface ToolEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema: ObjectSchema;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: boolean;
  };
}

const FIELDS: Readonly<Record<ScanToolName, Fields>> = {
  scan_status: ID_FIELDS,
  scan_results: RESULTS_FIELDS,
  scan_list: LIST_FIELDS,
  scan_diff: DIFF_FIELDS,
  inventory: INVENTORY_FIELDS,
  scan_cancel: ID_FIELDS,
};

/** The options of a call, with the way in which MCP hears of a scan in the background. */
const SAID_CALL_FIELDS: Fields = {
  ...CALL_FIELDS,
  background: flag(
    "Return a scan_id at once and scan on; poll scan_status, then scan_results.",
  ),
};

/**
 * The options of a call without their descriptions. nmap's tool describes them and the other scanners
 * say so: every client sends all of this to its model in every conversation.
 */
const BARE_CALL_FIELDS: Fields = Object.fromEntries(
  Object.entries(CALL_FIELDS).map(([name, field]) => {
    const { description: _, ...schema } = field.schema;
    return [name, { ...field, schema }];
  }),
);

const OUTPUT: Readonly<Record<ScanToolName, Schema>> = {
  scan_status: STATUS_OUTPUT,
  scan_results: RESULTS_OUTPUT,
  scan_list: LIST_OUTPUT,
  scan_diff: DIFF_OUTPUT,
  inventory: INVENTORY_OUTPUT,
  scan_cancel: CANCEL_OUTPUT,
};

/**
 * Lists every tool.
 *
 * @param fields The fields of the scanners' requests.
 * @param capabilities What is allowed here now; null lists no scanner.
 * @returns The tools, scanners first.
 */
export function toolEntries(
  fields: ToolFields,
  capabilities: Capabilities | null,
): readonly ToolEntry[] {
  return [
    ...capabilities === null ? [] : TOOL_NAMES.map((name) => ({
      name,
      title: TITLES[name],
      description: describeScanner(name, capabilities),
      inputSchema: inputSchema({
        ...fields[name],
        ...(name === "nmap" ? SAID_CALL_FIELDS : BARE_CALL_FIELDS),
      }),
      outputSchema: objectSchema(scannerOutput(name)),
      // A scan changes nothing on purpose, but it sends packets to other machines each time.
      annotations: {
        readOnlyHint: false,
        destructiveHint: false,
        idempotentHint: false,
        openWorldHint: true,
      },
    })),
    ...SCAN_TOOL_NAMES.map((name) => ({
      name,
      title: TITLES[name],
      description: SCAN_TOOL_DESCRIPTIONS[name],
      inputSchema: inputSchema(FIELDS[name]),
      outputSchema: objectSchema(OUTPUT[name]),
      annotations: {
        readOnlyHint: name !== "scan_cancel",
        destructiveHint: false,
        idempotentHint: true,
        openWorldHint: false,
      },
    })),
  ];
}

/**
 * Describes a request. Bounds that no sensible call meets are left out (a text is not empty, and not
 * longer than so many thousand characters); they are checked all the same, and a refusal names them.
 */
function inputSchema(fields: Fields): ObjectSchema {
  const { required, ...schema } = fieldsSchema(fields);
  const slim = withoutTextBounds(schema) as Schema;
  return objectSchema(
    Array.isArray(required) && required.length > 0
      ? { ...slim, required }
      : slim,
  );
}

const TEXT_BOUNDS: ReadonlySet<string> = new Set([
  "minLength",
  "maxLength",
  "minItems",
]);

function withoutTextBounds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutTextBounds);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) =>
      TEXT_BOUNDS.has(key) ? [] : [[key, withoutTextBounds(value)]]
    ),
  );
}

function objectSchema(schema: Schema): ObjectSchema {
  return { ...schema, type: "object" };
}
