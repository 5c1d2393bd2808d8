/**
 * The rules of the moment. A call takes them once and lives by them to its end, whatever a reload
 * changes meanwhile.
 *
 * @module
 */
import { Scope } from "@/scope/scope.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import type { ToolName } from "@/tools/tool.ts";

/** What `dispatch` needs of the configuration. */
export interface Rules {
  readonly guardrails: Guardrails;
  readonly scope: Scope;
  readonly enabled: ReadonlySet<ToolName>;
  /** Most tokens of an answer where the call names none. */
  readonly resultTokensMax: number;
}

/**
 * Makes the rules.
 *
 * @param guardrails The guardrails.
 * @param enabled The tools that may be used.
 * @param resultTokensMax Most tokens of an answer.
 * @returns The rules.
 */
export function rulesOf(
  guardrails: Guardrails,
  enabled: Iterable<ToolName>,
  resultTokensMax: number,
): Rules {
  const scope = Scope.of(guardrails.scope);
  return Object.freeze({
    guardrails,
    scope,
    enabled: new Set(enabled),
    resultTokensMax,
  });
}
