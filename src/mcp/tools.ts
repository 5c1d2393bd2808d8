/**
 * The list of tools as a client gets it.
 *
 * @module
 */
import { CALL_FIELDS } from "@/dispatch/call.ts";
import type { Capabilities } from "@/dispatch/engine.ts";
import { type Fields, fieldsSchema } from "@/tools/field.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import {
  describeScanner,
  SCAN_TOOL_DESCRIPTIONS,
  TITLES,
} from "./descriptions.ts";
import {
  ID_FIELDS,
  LIST_FIELDS,
  RESULTS_FIELDS,
  SCAN_TOOL_NAMES,
  type ScanToolName,
} from "./scan_tools.ts";
import {
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
  scan_cancel: ID_FIELDS,
};

const OUTPUT: Readonly<Record<ScanToolName, Schema>> = {
  scan_status: STATUS_OUTPUT,
  scan_results: RESULTS_OUTPUT,
  scan_list: LIST_OUTPUT,
  scan_cancel: STATUS_OUTPUT,
};

/**
 * Lists every tool.
 *
 * @param fields The fields of the scanners' requests.
 * @param capabilities What is allowed here now.
 * @returns The tools, scanners first.
 */
export function toolEntries(
  fields: ToolFields,
  capabilities: Capabilities,
): readonly ToolEntry[] {
  return [
    ...TOOL_NAMES.map((name) => ({
      name,
      title: TITLES[name],
      description: describeScanner(name, capabilities),
      inputSchema: objectSchema(
        fieldsSchema({ ...fields[name], ...CALL_FIELDS }),
      ),
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
      inputSchema: objectSchema(fieldsSchema(FIELDS[name])),
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

function objectSchema(schema: Schema): ObjectSchema {
  return { ...schema, type: "object" };
}
