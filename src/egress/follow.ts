/**
 * Prints the guard's rules, and prints them again when the configuration changes. Who reads it applies each
 * rule set as a whole when its last line has come. It is read line by line:
 *
 * - `# counters: FILE` names the file in the state folder that the counters go to;
 * - `# part: NAME` begins the text of a part, `# end` ends a rule set;
 * - `# tick` comes every few seconds, so that the reader needs no clock, and so that this program notices
 *   when nobody reads any more.
 *
 * @module
 */
import { type Changes, pollFile } from "@/config/changes.ts";
import { ConfigWatcher } from "@/config/reload.ts";
import type { LoadedConfig } from "@/config/resolve.ts";
import type { Config } from "@/config/schema.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import { Scope } from "@/scope/scope.ts";
import { counterFile } from "./counters.ts";
import {
  containerRules,
  hostRules,
  namespaceRules,
  type Opening,
  timeoutRules,
} from "./rules.ts";

/** Milliseconds between two ticks. */
export const TICK_MS = 5_000;

/** What following takes from the process. */
export interface FollowOptions {
  readonly initial: LoadedConfig;
  readonly load: () => Promise<LoadedConfig>;
  /** The configuration file, or null where none is named: then nothing changes. */
  readonly file: string | null;
  /** Throws when nobody reads any more. */
  readonly print: (text: string) => void;
  readonly onWarning: (message: string) => void;
  /** Ends it. */
  readonly stop: AbortSignal;
  /** Watches the file. @default looks once a second */
  readonly watch?: (file: string) => Changes;
  /** Waits. @default a timer */
  readonly wait?: (ms: number, stop: AbortSignal) => Promise<void>;
}

/**
 * Writes the rule set of a configuration.
 *
 * @param config The configuration.
 * @returns Every part, with the lines that tell them apart.
 */
export function ruleSet(config: Config): string {
  const opening = openingOf(config);
  return `# Rules of the egress guard, from security.allowed_subnets, security.denied_subnets and
# sandbox.egress_resolvers. Made by egress-rules; a change by hand lasts until the next one.
# counters: ${counterFile(config.state.folder)}
# part: namespace
${namespaceRules(opening)}# part: host
${hostRules(opening)}# part: timeouts
${timeoutRules()}# end
`;
}

/**
 * Writes the rules for a container.
 *
 * @param config The configuration.
 * @returns The text of one transaction.
 */
export function containerRuleSet(config: Config): string {
  return `# Rules of the egress guard for a container, from security.allowed_subnets,
# security.denied_subnets and sandbox.egress_resolvers. Made by egress-rules --container.
${containerRules(openingOf(config))}`;
}

/**
 * Prints the rule set now and after each change, until it is told to stop. A configuration that is refused
 * changes nothing.
 *
 * @param options What it needs.
 * @throws Whatever `print` throws.
 */
export async function follow(options: FollowOptions): Promise<void> {
  const { file, print, stop, watch = pollFile, wait = delay } = options;
  let printed = ruleSet(options.initial.config);
  print(printed);
  await using _watcher = new ConfigWatcher({
    initial: options.initial,
    load: options.load,
    onLoaded({ config }) {
      const text = ruleSet(config);
      if (text !== printed) print(text);
      printed = text;
    },
    onWarning: options.onWarning,
    watch: file === null ? null : () => watch(file),
  });
  while (!stop.aborted) {
    print("# tick\n");
    await wait(TICK_MS, stop);
  }
}

function openingOf(config: Config): Opening {
  return {
    scope: Scope.of(guardrailsOf(config, []).scope),
    resolvers: config.sandbox.egress_resolvers,
  };
}

async function delay(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  const over = Promise.withResolvers<void>();
  const end = () => over.resolve();
  const timer = setTimeout(end, ms);
  stop.addEventListener("abort", end, { once: true });
  await over.promise;
  stop.removeEventListener("abort", end);
  clearTimeout(timer);
}
