/**
 * Tests policies by cases: a request, of which only what matters has to be said, and what should come
 * of it.
 *
 * @module
 */
import { nearest } from "@/config/suggest.ts";
import { AppError } from "@/error/app_error.ts";
import { type Block, networksOf, parseAddress, sizeOf } from "@/scope/block.ts";
import { parseTarget, TARGETS_MAX } from "@/scope/target.ts";
import {
  choice,
  flag,
  integer,
  parseFields,
  shown,
  text,
  textOrTexts,
  texts,
} from "@/tools/field.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import { MODES } from "./action.ts";
import { NETWORKS_MAX } from "./bounds.ts";
import type { PolicyEngine, PolicyRequest } from "./request.ts";
import { TIME_MAX } from "./time.ts";
import type { PolicyCase, PolicyVerdict, Verdict } from "./view.ts";

/** Most cases of one test. */
export const CASES_MAX = 1_000;

/** Most characters of a case's name. */
const NAME_LENGTH_MAX = 200;

const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/** What can be expected. */
const VERDICTS: readonly Verdict[] = ["allow", "deny", "approval"];

/** What of a request can be said. */
export const CASE_FIELDS = {
  client: text("Who asks, by name.", 200),
  subject: text("Who asks, as a policy names it; the client if left out.", 400),
  tenant: text("The client's tenant; default if left out.", 200),
  roles: texts("The client's roles; operator if left out.", {
    lengthMax: 64,
    itemsMax: 16,
  }),
  tool: choice("The tool; nmap if left out.", TOOL_NAMES),
  mode: text("nmap's scan type or gobuster's mode; the tool's first.", 16),
  target: textOrTexts("Addresses, networks, ranges, host names.", {
    lengthMax: 253,
    itemsMax: TARGETS_MAX,
  }),
  networks: texts("Addresses and networks, in place of a target.", {
    lengthMax: 64,
    itemsMax: NETWORKS_MAX,
  }),
  names: texts("Host names and domains.", {
    lengthMax: 253,
    itemsMax: TARGETS_MAX,
  }),
  engagement: text("The engagement.", 64),
  tags: texts("Tags.", { lengthMax: 64, itemsMax: 16 }),
  addresses: integer("How many addresses; counted if left out.", 0, COUNT_MAX),
  ports: integer("How many ports a host.", 0, 65_536),
  rate: integer("Packets a second.", 0, COUNT_MAX),
  intrusive: flag("Whether the scan is intrusive."),
  intrusive_allowed: flag("Whether the configuration allows that."),
  in_scope: flag("Whether the configuration has the target in scope."),
  time: text("A time such as 2026-11-21T22:30:00Z; now if left out.", 40),
  transport: choice("How the call came.", ["stdio", "http", "cli"]),
  source: text("The address that it came from.", 45),
  approved: flag("Whether a second person approved."),
};

/** What a request is taken to be where a case does not say. */
export interface CaseDefaults {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** @default {false} */
  readonly intrusiveAllowed?: boolean;
  /** Whether a network, or a name where there is none, is in scope. @default everything is */
  readonly inScope?: (network: string) => boolean;
}

/**
 * Judges cases. Nothing is scanned or recorded.
 *
 * @param engine The policies.
 * @param cases The cases; their requests are untrusted JSON.
 * @param defaults What they do not say.
 * @returns What came of each.
 * @throws {AppError} `invalid_arguments` naming the first case that is none; what `decide` throws.
 */
export async function testCases(
  engine: PolicyEngine,
  cases: readonly PolicyCase[],
  defaults: CaseDefaults,
): Promise<readonly PolicyVerdict[]> {
  if (cases.length > CASES_MAX) {
    throw new AppError(
      "invalid_arguments",
      `Cannot test ${cases.length} cases at once: at most ${CASES_MAX} are taken`,
    );
  }
  // All of them are read first: half a test would look like a whole one.
  const requests = cases.map(({ name, request }) =>
    inCase(name, () => parseCaseRequest(request, defaults))
  );
  const verdicts: PolicyVerdict[] = [];
  for (const [index, { name, expect }] of cases.entries()) {
    const request = requests[index];
    if (request === undefined) continue;
    const { kind, policies } = await engine.decide(request);
    const ok = expect === undefined ? null : expect === kind;
    verdicts.push({ name, decision: kind, policies, ok });
  }
  return verdicts;
}

/**
 * Reads cases from JSON.
 *
 * @param value Untrusted JSON: a list of `{ name, request, expect }`.
 * @returns The cases; their requests are still to be parsed.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseCases(value: unknown): readonly PolicyCase[] {
  if (!Array.isArray(value)) {
    throw refuse(
      "expected a list of cases, each with name, request and expect",
    );
  }
  if (value.length > CASES_MAX) {
    throw refuse(`there are ${value.length}, at most ${CASES_MAX} are taken`);
  }
  return value.map((one: unknown, index) =>
    inCase(`number ${index + 1}`, () => parseCase(one))
  );
}

/**
 * Reads the request of a case.
 *
 * @param value Untrusted JSON.
 * @param defaults What it does not say.
 * @returns The request.
 * @throws {AppError} `invalid_arguments` or `invalid_target`.
 */
export function parseCaseRequest(
  value: unknown,
  defaults: CaseDefaults,
): PolicyRequest {
  suggest(value, Object.keys(CASE_FIELDS));
  const given = parseFields(CASE_FIELDS, value);
  const tool = given.tool ?? "nmap";
  const mode = modeOf(tool, given.mode);
  const place = placeOf(given.target, given.networks);
  const names = [...new Set([...place.names, ...given.names ?? []])];
  if (place.blocks.length === 0) refuseWithout(`${tool}:${mode}`, names);
  const client = given.client ?? "test";
  const { in_scope } = given;
  return {
    principal: {
      subject: given.subject ?? client,
      client,
      tenant: given.tenant ?? "default",
      roles: given.roles ?? ["operator"],
    },
    tool,
    mode,
    networks: place.blocks.flatMap((block) => networksOf(block)),
    names,
    engagement: given.engagement ?? null,
    tags: given.tags ?? [],
    addresses: given.addresses ?? countOf(place.blocks),
    ports: given.ports ?? 0,
    rate: given.rate ?? 0,
    intrusive: given.intrusive ?? false,
    intrusiveAllowed: given.intrusive_allowed ??
      defaults.intrusiveAllowed ?? false,
    inScope: in_scope === undefined
      ? defaults.inScope ?? (() => true)
      : () => in_scope,
    transport: given.transport ?? "cli",
    source: sourceOf(given.source),
    at: timeOf(given.time) ?? defaults.now,
    approved: given.approved ?? false,
  };
}

function parseCase(value: unknown): PolicyCase {
  if (!isRecord(value)) throw refuse("expected name, request and expect");
  suggest(value, ["name", "request", "expect"]);
  const { name, request, expect } = value;
  if (
    typeof name !== "string" || name === "" || name.length > NAME_LENGTH_MAX
  ) {
    throw refuse(`it needs a name of 1 to ${NAME_LENGTH_MAX} characters`);
  }
  if (!isRecord(request)) throw refuse("it needs a request");
  if (expect === undefined) return { name, request };
  const verdict = VERDICTS.find((one) => one === expect);
  if (verdict === undefined) {
    throw refuse(
      `${shown(expect)} cannot be expected; write ${VERDICTS.join(", ")}`,
    );
  }
  return { name, request, expect: verdict };
}

function modeOf(tool: ToolName, given: string | undefined): string {
  const modes = MODES[tool];
  const mode = given ?? modes[0] ?? "";
  if (modes.includes(mode)) return mode;
  throw refuse(
    `${shown(mode)} is no mode of ${tool}; write ${modes.join(", ")}`,
  );
}

function placeOf(
  target: readonly string[] | undefined,
  networks: readonly string[] | undefined,
): { readonly blocks: readonly Block[]; readonly names: readonly string[] } {
  if (target !== undefined && networks !== undefined) {
    throw refuse("target and networks say the same; leave one of them out");
  }
  const parsed = [...target ?? [], ...networks ?? []].map(parseTarget);
  const names = parsed.flatMap((one) => one.kind === "name" ? [one.text] : []);
  if (networks !== undefined && names.length > 0) {
    throw refuse(`${shown(names[0])} is no network; put it into names`);
  }
  return {
    blocks: parsed.flatMap((one) => one.kind === "name" ? [] : [one.block]),
    names,
  };
}

/** Only a name server is asked without an address: names of other scans are looked up first. */
function refuseWithout(action: string, names: readonly string[]): void {
  if (names.length === 0) {
    throw refuse("it needs a target, such as 10.0.0.0/24");
  }
  if (action !== "gobuster:dns") {
    throw refuse(
      "names alone are not scanned; put what they resolve to into networks",
    );
  }
}

function countOf(blocks: readonly Block[]): number {
  const count = blocks.reduce((sum, block) => sum + sizeOf(block), 0n);
  return count > BigInt(COUNT_MAX) ? COUNT_MAX : Number(count);
}

function sourceOf(given: string | undefined): string | null {
  if (given === undefined || parseAddress(given) !== null) return given ?? null;
  throw refuse(`the source ${shown(given)} is no address`);
}

function timeOf(given: string | undefined): number | null {
  if (given === undefined) return null;
  const form =
    /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;
  const at = form.test(given) ? Date.parse(given) : Number.NaN;
  if (at >= 0 && at <= TIME_MAX) return at;
  throw refuse(
    `the time ${
      shown(given)
    } is none; write it such as 2026-11-21 or 2026-11-21T22:30:00Z`,
  );
}

/** Refuses a key that is none, with the one that was probably meant. */
function suggest(value: unknown, known: readonly string[]): void {
  if (!isRecord(value)) return;
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const meant = nearest(key, known);
    throw refuse(
      `${shown(key)} is not known; ${
        meant === null
          ? `write ${known.join(", ")}`
          : `did you mean "${meant}"?`
      }`,
    );
  }
}

function inCase<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    throw new AppError(
      "invalid_arguments",
      `Cannot read the case ${shown(name)}: ${
        thrown.message.replace(/^Cannot read the cases: /, "")
      }`,
      { cause: thrown },
    );
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(why: string): AppError {
  return new AppError("invalid_arguments", `Cannot read the cases: ${why}`);
}
