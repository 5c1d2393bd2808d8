/**
 * What a call asks for, made ready to be judged: its arguments read by the tool, the addresses of its
 * host names, and main's own plan of it. Nothing is recorded or started here.
 *
 * @module
 */
import type { Breakers } from "@/breaker/breakers.ts";
import { AppError } from "@/error/app_error.ts";
import type { Request } from "@/isolate/isolate.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import { Semaphore } from "@/permits/semaphore.ts";
import type { Binding } from "@/scope/rules.ts";
import { type Guardrails, guardrailsUnder } from "@/tools/guardrails.ts";
import { toolNamed } from "@/tools/registry.ts";
import type { Plan, Tool, ToolName, Verdict } from "@/tools/tool.ts";
import type { Host } from "./host.ts";
import type { CallRecord } from "./record.ts";
import type { Rules } from "./rules.ts";
import type { Admitted } from "./runs.ts";

/**
 * Look-ups of host names at a time, and how many calls may wait for one. Each is a process, and no
 * permit of a scan bounds them: a call has none before its names are known.
 */
const LOOKUPS = { permits: 4, queueMax: 256 };

/** What {@linkcode Preparation} works with. */
export interface PreparationOptions {
  readonly isolates: Pick<Isolates, "of">;
  readonly host: Pick<Host, "rawSockets">;
  readonly breakers: Breakers<ToolName>;
  /** Whether an operator switched a tool off. */
  readonly switchedOff: (tool: ToolName) => boolean;
}

/** What belongs to a call from its beginning. */
export interface Context {
  readonly traceId: string;
  readonly rules: Rules;
  readonly record: CallRecord;
}

/** How a request is prepared. */
export interface PrepareOptions {
  readonly rules: Rules;
  /** What the scan is kept under, and whose it is. */
  readonly binding: Binding;
  /** What is started for a call to find out about it is not started before it is on record. */
  readonly record: Pick<CallRecord, "requested">;
  readonly signal: AbortSignal;
  /** Whether nothing is to be sent, so that a breaker that is open does not matter. @default false */
  readonly plan?: boolean;
}

/** A request that is read and whose names are looked up. */
export interface Ready {
  readonly request: Request;
  readonly binding: Binding;
  /** The server's rules, as far as the binding leaves them. */
  readonly guardrails: Guardrails;
  /** Main's own plan of it. The isolate makes another one, by its own rules. */
  readonly plan: () => Plan;
}

/** Prepares requests. */
export class Preparation {
  readonly #options: PreparationOptions;
  readonly #lookups = new Semaphore(LOOKUPS);

  /** @param options What it works with. */
  constructor(options: PreparationOptions) {
    this.#options = options;
  }

  /**
   * Refuses a tool that is switched off.
   *
   * @param name The tool's name as the client sent it.
   * @param rules The rules of the call.
   * @returns The tool.
   * @throws {AppError} `tool_not_found`, `tool_disabled`.
   */
  enabled(name: string, rules: Rules): Tool<unknown> {
    const tool = toolNamed(name);
    const switched = rules.enabled.has(tool.name)
      ? this.#options.switchedOff(tool.name) ? "by an operator" : null
      : `in the configuration (${tool.name}.enabled)`;
    if (switched === null) return tool;
    throw new AppError(
      "tool_disabled",
      `Cannot use "${tool.name}": it is switched off ${switched}`,
    );
  }

  /**
   * Parses a tool's arguments and looks up what they name; the plan then says whether all is allowed.
   *
   * @param name The tool.
   * @param given Its arguments: untrusted.
   * @param options Rules, binding and signal.
   * @returns The request.
   * @throws {AppError} If it cannot be read, or the tool cannot be used now.
   */
  async prepare(
    name: string,
    given: Readonly<Record<string, unknown>>,
    { rules, binding, record, signal, plan = false }: PrepareOptions,
  ): Promise<Ready> {
    const { engagement, tags, tenant } = binding;
    const tool = this.enabled(name, rules);
    if (!plan) this.#options.breakers.get(tool.name).check();
    const guardrails = guardrailsUnder(rules.guardrails, binding);
    const parsed = tool.parse(given, guardrails);
    const request: Request = {
      arguments: given,
      rawSockets: await this.#options.host.rawSockets(
        signal,
        () => record.requested(),
      ),
      resolved: await this.#lookUp(tool.names(parsed), {
        rules,
        tenant,
        record,
        signal,
      }),
      labels: { engagement, tags, tenant },
    };
    const { rawSockets, resolved } = request;
    return {
      request,
      binding: request.labels,
      guardrails,
      plan: () =>
        tool.plan(parsed, { guardrails, powers: { rawSockets }, resolved }),
    };
  }

  /** Looks up the host names that the rules allow to be looked up. */
  async #lookUp(
    names: readonly string[],
    { rules, tenant, record, signal }:
      & Pick<PrepareOptions, "rules" | "record" | "signal">
      & Pick<Binding, "tenant">,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const allowed = names.filter((name) => rules.scope.allowsName(name));
    // A name that is not allowed is left out here and refused by the guardrail `scope`.
    if (allowed.length === 0 || allowed.length < names.length) return new Map();
    await record.requested();
    using _place = await this.#lookups.acquire(signal, { tenant });
    const isolate = await this.#options.isolates.of("nmap");
    return await isolate.resolve(allowed, signal);
  }
}

/**
 * Main's own judgement of what was prepared. The isolate judges again, by its own rules.
 *
 * @param tool The tool.
 * @param ready What was prepared.
 * @param context The call, and the target as the request named it.
 * @returns What may become a scan, and the plan of it.
 * @throws {AppError} If a guardrail refuses it.
 */
export function admit(
  tool: ToolName,
  { request, plan: made, binding }: Ready,
  context: Context & { readonly target: string },
): readonly [Admitted, Plan] {
  const plan = made();
  const { seconds, timeoutMs, addressCount, probes } = plan;
  refuse(plan.verdicts, context.record);
  const admitted: Admitted = {
    tool,
    request,
    tenant: binding.tenant,
    ...context,
    overlong: seconds * 1000 > timeoutMs,
    takes: {
      scans: 1,
      targets: addressCount,
      packets: tool === "masscan" ? probes : 0,
    },
  };
  return [admitted, plan];
}

/** @throws {AppError} What the first guardrail that refuses says. */
function refuse(verdicts: readonly Verdict[], record: CallRecord): void {
  const refusal = verdicts.find((verdict) => !verdict.allowed);
  if (refusal === undefined) return;
  const { guardrail } = refusal;
  record.refusedBy(guardrail);
  const { code, message } = refusal.error ?? {
    code: "internal" as const,
    message: "Cannot scan: a guardrail refused without a reason",
  };
  throw new AppError(code, message, { guardrail });
}
