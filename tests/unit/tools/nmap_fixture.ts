/**
 * Guardrails and short cuts for tests of nmap and of the hostile corpus.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import type { Plan, Tool } from "@/tools/tool.ts";
import { LIMITS } from "../../support/limits.ts";

/** Strict guardrails, written out: a changed default elsewhere changes no test. */
export const GUARDRAILS: Guardrails = {
  scope: {
    allowedSubnets: [],
    deniedSubnets: ["10.66.0.0/16"],
    allowedHostSuffixes: [".lab.internal"],
    bounds: [],
    engagementRequired: false,
    within: [],
    maxNetworkSize: 1024,
  },
  allowIntrusive: false,
  timeoutSecondsDefault: 300,
  timeoutSecondsMax: 1800,
  outputBytesMax: 10_485_760,
  extraArgsLengthMax: 2048,
  egressGuard: false,
  nmap: {
    limits: LIMITS,
    paceDefault: "restrained",
    paces: ["restrained", "balanced"],
    timingDefault: 4,
    maxParallelism: 10,
    topPortsDefault: 1000,
    portsMax: 65_535,
    scriptCategories: ["safe", "default", "discovery"],
    scriptNames: ["skypev2-version"],
  },
  masscan: {
    limits: LIMITS,
    rateDefault: 1000,
    rateMax: 10_000,
    passes: 2,
    waitSeconds: 5,
    portsMax: 65_535,
  },
  gobuster: {
    limits: LIMITS,
    threadsDefault: 10,
    threadsMax: 50,
    wordlists: [{
      name: "common",
      path: "/srv/wordlists/common.txt",
      words: 500,
    }],
    wordlistDefault: "common",
    resolver: null,
    requestTimeoutSeconds: 10,
  },
};

/** The same with the intrusive right and every pace. */
export const LOOSE: Guardrails = {
  ...GUARDRAILS,
  allowIntrusive: true,
  nmap: { ...GUARDRAILS.nmap, paces: ["restrained", "balanced", "fast"] },
};

/** What the names of the tests resolve to. */
export const RESOLVED: ReadonlyMap<string, readonly string[]> = new Map([
  ["web.lab.internal", ["10.77.2.20"]],
  ["dual.lab.internal", ["10.77.2.21", "fd00::21"]],
  ["six.lab.internal", ["fd00::22"]],
  ["many.lab.internal", ["10.77.2.23", "10.77.2.24"]],
  ["evil.lab.internal", ["10.77.2.20", "8.8.8.8"]],
  ["mapped.lab.internal", ["::ffff:808:808"]],
  ["odd.lab.internal", ["010.0.0.1"]],
  ["gone.lab.internal", []],
]);

/** Context of {@linkcode planOf}. */
export interface Context {
  readonly guardrails?: Guardrails;
  readonly rawSockets?: boolean;
}

/** Parses and plans a request. */
export function planOf<Request>(
  tool: Tool<Request>,
  input: unknown,
  { guardrails = GUARDRAILS, rawSockets = true }: Context = {},
): Plan {
  return tool.plan(tool.parse(input, guardrails), {
    guardrails,
    powers: { rawSockets },
    resolved: RESOLVED,
  });
}

/** How a request ends: its command lines, or the refusal that a caller would see. */
export type Ending =
  | { readonly kind: "runs"; readonly argv: readonly string[] }
  | {
    readonly kind: "refused";
    readonly code: string;
    readonly message: string;
    /** The guardrail, or `parse`. */
    readonly by: string;
  };

/** Tells how a request ends. Anything thrown that is no {@linkcode AppError} is thrown on. */
export function endingOf<Request>(
  tool: Tool<Request>,
  input: unknown,
  context: Context = {},
): Ending {
  let plan: Plan;
  try {
    plan = planOf(tool, input, context);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { kind: "refused", ...error.toBody(), by: "parse" };
  }
  const refusing = plan.verdicts.find((verdict) => !verdict.allowed);
  if (refusing === undefined) {
    const argv = plan.passes.map((pass) => pass.toJSON().join(" "));
    return { kind: "runs", argv };
  }
  if (plan.passes.length > 0) throw new Error("a refused plan has passes");
  const { code = "internal", message = "" } = refusing.error ?? {};
  return { kind: "refused", code, message, by: refusing.guardrail };
}
