/**
 * Tools and breakers as operators see them.
 *
 * @module
 */
import type { Breakers } from "@/breaker/breakers.ts";
import type { Config } from "@/config/schema.ts";
import type { BreakerState, ToolState } from "@/dispatch/administration.ts";
import { WHOLE_CALL_FIELDS } from "@/dispatch/call.ts";
import type { Capabilities } from "@/dispatch/engine.ts";
import { AppError } from "@/error/app_error.ts";
import { fieldsSchema } from "@/tools/field.ts";
import { toolNamed, TOOLS } from "@/tools/registry.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import type { ToolSwitch } from "./tool_switch.ts";

/** Where a look at the tools comes from. */
export interface ToolsOptions {
  readonly config: () => Config;
  readonly capabilities: () => Promise<Capabilities>;
  readonly breakers: Breakers<ToolName>;
  readonly switches: ToolSwitch;
}

/** Tools and breakers. */
export class ToolBoard {
  readonly #options: ToolsOptions;

  /** @param options Where it looks. */
  constructor(options: ToolsOptions) {
    this.#options = options;
  }

  /** Every tool. */
  async tools(): Promise<readonly ToolState[]> {
    const { tools } = await this.#options.capabilities();
    return tools.map((tool) => this.#stateOf(tool));
  }

  /**
   * Switches a tool.
   *
   * @throws {AppError} `tool_not_found`; `conflict` if the configuration switched it off.
   */
  async set(name: string, on: boolean): Promise<ToolState> {
    const { config, switches } = this.#options;
    const { name: tool } = toolNamed(name);
    if (on && !config()[tool].enabled) {
      throw new AppError(
        "conflict",
        `Cannot switch on "${tool}": the configuration switched it off; set ${tool}.enabled there`,
      );
    }
    await switches.set(tool, on);
    const state = (await this.tools()).find((one) => one.name === tool);
    if (state === undefined) throw new TypeError("a tool without a state");
    return state;
  }

  /** Every breaker. */
  breakers(): readonly BreakerState[] {
    return TOOL_NAMES.map((tool) => this.#breaker(tool));
  }

  /** @throws {AppError} `tool_not_found`. */
  force(name: string, to: "open" | "closed" | "auto"): BreakerState {
    const { name: tool } = toolNamed(name);
    const breaker = this.#options.breakers.get(tool);
    if (to === "open") breaker.forceOpen();
    else if (to === "closed") breaker.forceClose();
    else if (breaker.state === "forced_open") breaker.forceClose();
    return this.#breaker(tool);
  }

  #stateOf(
    { name, version, absence }: Capabilities["tools"][number],
  ): ToolState {
    const { config, switches } = this.#options;
    const disabledBy = !config()[name].enabled
      ? "configuration"
      : switches.isOff(name)
      ? "operator"
      : null;
    return {
      name,
      enabled: disabledBy === null,
      disabledBy,
      version,
      absence,
      breaker: this.#breaker(name),
      schema: fieldsSchema({ ...TOOLS[name].fields, ...WHOLE_CALL_FIELDS }),
      limits: limitsOf(config(), name),
    };
  }

  #breaker(tool: ToolName): BreakerState {
    const breaker = this.#options.breakers.get(tool);
    const { state, consecutiveFailures, retryAfter } = breaker.statistics;
    return {
      tool,
      state,
      forced: state === "forced_open" ? "open" : null,
      failures: consecutiveFailures,
      retryAfterSeconds: retryAfter,
    };
  }
}

/** What its process may use: the numbers of its section, by their keys. */
function limitsOf(config: Config, tool: ToolName): Record<string, number> {
  return Object.fromEntries(
    Object.entries(config[tool]).filter((entry): entry is [string, number] =>
      typeof entry[1] === "number"
    ),
  );
}
