/**
 * What a tool may be asked to do on this server: plain data, derived from the configuration, handed
 * to a tool isolate once at its birth and checked on both sides of the boundary.
 *
 * @module
 */
import { type Binding, rulesUnder, type ScopeRules } from "@/scope/rules.ts";
import type { Limits } from "@/spawn/limits.ts";

export type { ScopeRules };

/** nmap's three paces. `restrained` caps parallelism, `fast` adds minimum rates. */
export const PACES = ["restrained", "balanced", "fast"] as const;

/** One of {@linkcode PACES}. */
export type Pace = typeof PACES[number];

/** What one tool's process may use: what the kernel keeps, and what `spawn` and the plan keep. */
export interface ToolLimits extends Limits {
  /** Most seconds of one scan, if less than `timeoutSecondsMax`. */
  readonly wallSeconds: number;
  /** Most bytes of stdout, and of stderr, if less than `outputBytesMax`. */
  readonly outputBytes: number;
}

/** The rules of one server, for all three tools. Every number is already clamped. */
export interface Guardrails {
  readonly scope: ScopeRules;
  /** Whether intrusive options may be used at all. */
  readonly allowIntrusive: boolean;
  /** Default and most seconds of one scan. */
  readonly timeoutSecondsDefault: number;
  readonly timeoutSecondsMax: number;
  /** Most bytes of stdout, and of stderr, of one scan. */
  readonly outputBytesMax: number;
  /** Most characters of `extra_args`. */
  readonly extraArgsLengthMax: number;
  /** Whether scanners may run only where the egress guard filters their packets. */
  readonly egressGuard: boolean;
  readonly nmap: {
    readonly limits: ToolLimits;
    readonly paceDefault: Pace;
    readonly paces: readonly Pace[];
    /** 0 to 4. */
    readonly timingDefault: number;
    readonly maxParallelism: number;
    readonly topPortsDefault: number;
    /** Most ports of one request, counted over all ranges. */
    readonly portsMax: number;
    /** Of `safe`, `default`, `discovery`: the script categories that need no intrusive right. */
    readonly scriptCategories: readonly string[];
    /** Script names allowed besides the categories. */
    readonly scriptNames: readonly string[];
  };
  readonly masscan: {
    readonly limits: ToolLimits;
    /** Packets a second. */
    readonly rateDefault: number;
    readonly rateMax: number;
    /** Runs of one scan, each with a seed of its own, merged. */
    readonly passes: number;
    /** Seconds to wait for late answers after the last packet. */
    readonly waitSeconds: number;
    readonly portsMax: number;
  };
  readonly gobuster: {
    readonly limits: ToolLimits;
    readonly threadsDefault: number;
    readonly threadsMax: number;
    /** Catalogue: a wordlist's name and the absolute real path of its file, with its line count. */
    readonly wordlists: readonly {
      name: string;
      path: string;
      words: number;
    }[];
    readonly wordlistDefault: string;
    /** `address` or `address:port` for `dns` mode; null takes the system's resolver. */
    readonly resolver: string | null;
    /** Seconds one HTTP or DNS request may take. */
    readonly requestTimeoutSeconds: number;
  };
}

/** The tools that have limits of their own. */
type Limited = "nmap" | "masscan" | "gobuster";

/**
 * Gives the most seconds of one scan.
 *
 * @param tool The tool.
 * @param guardrails The rules.
 * @returns The limit of all tools or the tool's own, whichever is less.
 */
export function timeoutSecondsMax(
  tool: Limited,
  guardrails: Guardrails,
): number {
  return Math.min(
    guardrails.timeoutSecondsMax,
    guardrails[tool].limits.wallSeconds,
  );
}

/**
 * Gives the most bytes of stdout, and of stderr, of one scan.
 *
 * @param tool The tool.
 * @param guardrails The rules.
 * @returns The limit of all tools or the tool's own, whichever is less.
 */
export function outputBytesMax(tool: Limited, guardrails: Guardrails): number {
  return Math.min(
    guardrails.outputBytesMax,
    guardrails[tool].limits.outputBytes,
  );
}

/**
 * Gives the guardrails of a request that is kept under some labels. They allow less, never more.
 *
 * @param guardrails The server's.
 * @param labels What the scan is kept under.
 * @returns The request's.
 */
export function guardrailsUnder(
  guardrails: Guardrails,
  labels: Binding,
): Guardrails {
  return { ...guardrails, scope: rulesUnder(guardrails.scope, labels) };
}
