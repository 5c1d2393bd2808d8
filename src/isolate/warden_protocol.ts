/**
 * The messages between the main isolate and the warden. Main can ask for an isolate of a tool and
 * for the end of one; it cannot say what the isolate may do.
 *
 * @module
 */
import type { Guardrails } from "@/tools/guardrails.ts";
import type { ToolName } from "@/tools/tool.ts";
import type { Programs } from "./protocol.ts";

/** The first message of the warden's life; it takes no second one. */
export interface WardenBirth {
  readonly kind: "birth";
  /** The variables that the program started with. */
  readonly env: Readonly<Record<string, string>>;
  readonly programs: Programs;
  /** The guardrails of the start, held to when the file has become unreadable. */
  readonly guardrails: Guardrails;
  /** Whether the server has a terminal from which its children must be kept away. */
  readonly terminal: boolean;
}

/** What main may ask of the warden. With `start` comes the isolate's port. */
export type WardenAsk =
  | { readonly kind: "start"; readonly key: number; readonly tool: ToolName }
  | { readonly kind: "end"; readonly key: number };

/** What the warden tells main. */
export type WardenAnswer = {
  readonly kind: "died";
  readonly key: number;
  /** For the log. */
  readonly detail: string;
};
