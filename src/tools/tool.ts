/**
 * What every tool is made of. A folder below `tools/` holds one tool: its request, its argv, its
 * report reader. The same code runs twice: in the main isolate to refuse early, and in the tool's
 * own isolate, which trusts nothing of what main found.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type { Argv } from "@/spawn/argv.ts";
import type { Exit } from "@/spawn/exit.ts";
import type { Fields } from "./field.ts";
import type { Guardrails } from "./guardrails.ts";
import type { Report } from "./report.ts";

/** The tools of this server. */
export const TOOL_NAMES = ["nmap", "masscan", "gobuster"] as const;

/** One of {@linkcode TOOL_NAMES}. */
export type ToolName = typeof TOOL_NAMES[number];

/**
 * Tells whether a text names a tool.
 *
 * @param text The text to look up.
 * @returns Whether it is one of {@linkcode TOOL_NAMES}.
 */
export function isToolName(text: unknown): text is ToolName {
  return (TOOL_NAMES as readonly unknown[]).includes(text);
}

/** What this host lets the scanners do, as found by a trial. */
export interface Powers {
  /** Whether raw packets can be sent: SYN, UDP, ping and OS scans, and masscan, need it. */
  readonly rawSockets: boolean;
}

/** What a guardrail said of a request. */
export interface Verdict {
  /** The guardrail's name, for example `scope`, `network_size`, `intrusive`. */
  readonly guardrail: string;
  readonly allowed: boolean;
  /** What was looked at and, if refused, the way out. */
  readonly reason: string;
  /** The error a refusal turns into. */
  readonly error?: ErrorBody;
}

/** What a plan is made from besides the request. */
export interface PlanContext {
  readonly guardrails: Guardrails;
  readonly powers: Powers;
  /** Addresses of every host name of the request, as looked up. Checked again here. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
}

/** What a policy may look at. */
export interface PlanFacts {
  /** The targets as networks in CIDR form or single addresses. Empty where none is contacted. */
  readonly networks: readonly string[];
  /** Host names and domains of the request. */
  readonly names: readonly string[];
  /** Ports a host; 0 where there are none. */
  readonly ports: number;
  /** Packets a second where the scan has a rate of its own; else 0. */
  readonly rate: number;
  /** Whether it needs the right to be intrusive. */
  readonly intrusive: boolean;
}

/** What a scan will do, before anything is spawned. */
export interface Plan {
  readonly tool: ToolName;
  /** Every guardrail by name. A plan with a refusal has no passes. */
  readonly verdicts: readonly Verdict[];
  /** One command line a process, run one after the other. */
  readonly passes: readonly Argv[];
  /** The targets as they will be scanned (addresses pinned). */
  readonly targets: readonly string[];
  /** How many addresses those are. */
  readonly addressCount: number;
  /** Packets or requests, estimated. */
  readonly probes: number;
  /** Seconds, estimated. */
  readonly seconds: number;
  /** What will be used: `connect`, `syn`, `udp`, `ping`, `masscan`, `dir`, `dns`, `vhost`. */
  readonly scanType: string;
  /** Rights the scan uses: `run nmap`, `raw sockets`, `network: 10.0.0.0/24`. */
  readonly permissions: readonly string[];
  /** Deadline of the whole scan. */
  readonly timeoutMs: number;
  /** What the caller should know: a default that was chosen, a limit of the method. */
  readonly notes: readonly string[];
  readonly facts: PlanFacts;
}

/** How far a scan is. */
export interface Progress {
  /** 0 to 100 over all passes, or null where the tool does not say. */
  readonly percent: number | null;
  /** Seconds left as estimated, or null. */
  readonly remainingSeconds: number | null;
  /** Findings so far: open ports, paths or names. */
  readonly found: number;
  /** What the tool does now, in the server's own words: `SYN scan`, `pass 2 of 2`. */
  readonly phase: string;
}

/**
 * Reads what a tool prints, as it prints it. Its memory is bounded whatever arrives; it throws
 * nothing, whatever arrives.
 */
export interface Reader {
  /** Takes bytes of stdout. */
  stdout(bytes: Uint8Array): void;
  /** Takes bytes of stderr. */
  stderr(bytes: Uint8Array): void;
  /** Hears that a pass ended, and how. */
  passEnded(exit: Exit): void;
  /** @returns How far the scan is. */
  progress(): Progress;
  /**
   * Gives what was found since it was last asked, so that it outlives a server that is killed. A
   * finding may come again when more is known of it.
   *
   * @param max Most hosts, ports, paths or names.
   * @returns A report of these alone, or null if there are none. What is left comes next time.
   */
  found(max: number): Report | null;
  /**
   * Tells since when nothing more is to come although the process lives (masscan on an idle
   * interface).
   *
   * @returns The process may be ended now without loss.
   */
  settled(): boolean;
  /**
   * Judges and reports.
   *
   * @returns The report, and a failure if the tool did not do its work although it ended.
   */
  finish(): Finish;
}

/** What a reader says at the end of a scan. */
export interface Finish {
  readonly report: Report;
  /** Set if the tool did not do its work although it ended. */
  readonly failure: ErrorBody | null;
  readonly notes: readonly string[];
  /**
   * Whose fault a failure is. The target's (it refuses, it is silent, it answers everything alike)
   * says nothing of the tool, and the breaker must not hear of it.
   *
   * @default {"tool"}
   */
  readonly blames?: "tool" | "target";
}

/** A tool. `Request` is its parsed request. */
export interface Tool<Request> {
  readonly name: ToolName;
  /** The fields of its JSON request: they parse it and describe it. */
  readonly fields: Fields;
  /**
   * Parses a request.
   *
   * @param input Untrusted JSON.
   * @param guardrails Defaults and caps.
   * @returns The request.
   * @throws {AppError} `invalid_arguments` or `invalid_target`.
   */
  parse(input: unknown, guardrails: Guardrails): Request;
  /** @returns The host names that must be looked up before a plan can be made. */
  names(request: Request): readonly string[];
  /**
   * Holds a request against every guardrail and builds its command lines.
   *
   * @returns The plan, with a refusal among its verdicts rather than thrown.
   */
  plan(request: Request, context: PlanContext): Plan;
  /**
   * Makes a reader for one scan.
   *
   * @param now A monotonic clock in milliseconds.
   */
  reader(request: Request, plan: Plan, now: () => number): Reader;
}
