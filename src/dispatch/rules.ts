/**
 * The rules of the moment. A call takes them once and lives by them to its end, whatever a reload
 * changes meanwhile.
 *
 * @module
 */
import type { PolicyEngine } from "@/policy/request.ts";
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
  /** Milliseconds in which an earlier scan may answer an identical request; 0 for never. */
  readonly cacheTtlMs: number;
  /** Names the configuration that they come from, for the audit log. */
  readonly configHash: string;
  readonly policy: PolicyEngine;
}

/**
 * Makes the rules.
 *
 * @param parts All of them but the scope, which the guardrails name.
 * @returns The rules.
 */
export function rulesOf(
  parts: Omit<Rules, "scope" | "enabled"> & {
    readonly enabled: Iterable<ToolName>;
  },
): Rules {
  return Object.freeze({
    ...parts,
    scope: Scope.of(parts.guardrails.scope),
    enabled: new Set(parts.enabled),
  });
}
