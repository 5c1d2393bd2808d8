/**
 * Completions for the arguments of prompts and of resource templates.
 *
 * @module
 */
import type { Engine } from "@/dispatch/engine.ts";
import { PROMPT_ENTRIES } from "./prompts.ts";
import { REPORT_EXTENSIONS } from "./report_resource.ts";
import { TEMPLATES } from "./resources.ts";
import { DETAILS } from "./rows.ts";

/** Most values of one answer, as the protocol has it. */
export const VALUES_MAX = 100;

/** Scans that are looked at for ids. */
const SCANS_MAX = 200;

/** What a completion is asked for. */
export interface CompletionRequest {
  readonly ref:
    | { readonly kind: "prompt"; readonly name: string }
    | { readonly kind: "template"; readonly uri: string };
  readonly argument: string;
  readonly value: string;
}

/** The answer. */
export interface Completion {
  readonly values: string[];
  readonly total: number;
  readonly hasMore: boolean;
}

/**
 * Completes a value.
 *
 * @param engine The engine.
 * @param request What is completed.
 * @returns The values that begin with it, or null when there is no such prompt or template.
 */
export async function complete(
  engine: Engine,
  { ref, argument, value }: CompletionRequest,
): Promise<Completion | null> {
  const known = ref.kind === "prompt"
    ? PROMPT_ENTRIES.some(({ name }) => name === ref.name)
    : TEMPLATES.some(({ uriTemplate }) => uriTemplate === ref.uri);
  if (!known) return null;
  const source = ref.kind === "prompt"
    ? PROMPT_VALUES.get(`${ref.name} ${argument}`)
    : TEMPLATE_VALUES.get(argument);
  if (source === undefined) return cut([]);
  // A list is completed at its last item.
  const comma = argument === "scripts" ? value.lastIndexOf(",") + 1 : 0;
  const done = value.slice(0, comma);
  const begun = value.slice(comma).trimStart().toLowerCase();
  const matches = (await source(engine)).filter((one) =>
    one.toLowerCase().startsWith(begun)
  );
  return cut(matches.map((one) => done + one));
}

type Source = (
  engine: Engine,
) => readonly string[] | Promise<readonly string[]>;

async function scanIds(engine: Engine): Promise<readonly string[]> {
  return (await engine.scans({ limit: SCANS_MAX })).map(({ id }) => id);
}

async function subnets(engine: Engine): Promise<readonly string[]> {
  const { guardrails } = await engine.capabilities();
  return [...guardrails.scope.allowedSubnets, "127.0.0.1"];
}

const PROMPT_VALUES: ReadonlyMap<string, Source> = new Map<string, Source>([
  ["inventory_subnet subnet", subnets],
  ["inventory_subnet scripts", ({ vocabulary }) => vocabulary.scripts],
  ["what_changed scan_a", scanIds],
  ["what_changed scan_b", scanIds],
  ["triage_web_host wordlist", ({ vocabulary }) => vocabulary.wordlists],
]);

const TEMPLATE_VALUES: ReadonlyMap<string, Source> = new Map<string, Source>([
  ["id", scanIds],
  ["ext", () => REPORT_EXTENSIONS],
  ["fields", () => DETAILS],
  ["open_only", () => ["true", "false"]],
  ["host_status", () => ["up", "down", "unknown"]],
]);

function cut(values: readonly string[]): Completion {
  return {
    values: values.slice(0, VALUES_MAX),
    total: values.length,
    hasMore: values.length > VALUES_MAX,
  };
}
