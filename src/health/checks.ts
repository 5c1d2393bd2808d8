/**
 * The server's health checks. Each takes what it looks at as a function, so none needs more rights
 * than whoever makes it. On Deno 2.9.6 memory and load need `--allow-sys=systemMemoryInfo,loadavg`,
 * and the disk needs `--allow-sys=statfs` and read permission for the folder.
 *
 * @module
 */
import { toAppError } from "@/error/app_error.ts";
import type { Check, Finding, HealthStatus, Json, Priority } from "./check.ts";

/** Time of a check that reads figures of this host. */
export const FIGURE_TIMEOUT_MS = 2_000;

/** Time of a check that asks a process or another server. */
export const PROBE_TIMEOUT_MS = 5_000;

/** A figure is bad below the first and very bad below the second. */
export interface FreeFloors {
  readonly degradedBelow: number;
  readonly unhealthyBelow: number;
}

/** A figure is bad above the first and very bad above the second. */
export interface Ceilings {
  readonly degradedAbove: number;
  readonly unhealthyAbove: number;
}

/**
 * Looks at the host's memory.
 *
 * @param read `Deno.systemMemoryInfo`.
 * @param floors Parts of the memory that must be available.
 * @returns The check.
 */
export function systemMemoryCheck(
  read: () => { readonly total: number; readonly available: number },
  floors: FreeFloors = { degradedBelow: 0.1, unhealthyBelow: 0.03 },
): Check {
  return figure("system_memory", "important", () => {
    const { total, available } = read();
    return {
      status: floor(available / total, floors),
      message: `${percent(available / total)} of the memory is available`,
      remedy: "end other programs or lower security.max_concurrent_scans",
      detail: { total_bytes: total, available_bytes: available },
    };
  });
}

/**
 * Looks at the host's load.
 *
 * @param read `Deno.loadavg`.
 * @param cores `navigator.hardwareConcurrency`.
 * @param ceilings Load of the last five minutes, for each core.
 * @returns The check.
 */
export function loadCheck(
  read: () => readonly number[],
  cores: number,
  ceilings: Ceilings = { degradedAbove: 2, unhealthyAbove: 6 },
): Check {
  return figure("system_load", "informational", () => {
    const [one = NaN, five = NaN, fifteen = NaN] = read();
    return {
      status: ceiling(five / cores, ceilings),
      message: `the load is ${five.toFixed(2)} on ${cores} cores`,
      remedy: "end other programs or lower security.max_concurrent_scans",
      detail: { one, five, fifteen, cores },
    };
  });
}

/**
 * Looks at the disk of the state folder.
 *
 * @param read `statfs` of the folder.
 * @param freeBytesMin Free bytes below which it is degraded; below a quarter of them, unhealthy.
 * @returns The check.
 */
export function diskCheck(
  read: () => Promise<
    { readonly bsize: number; readonly blocks: number; readonly bavail: number }
  >,
  freeBytesMin = 100 * 1_048_576,
): Check {
  return figure("state_disk", "important", async () => {
    const { bsize, blocks, bavail } = await read();
    const free = bavail * bsize;
    const floors = {
      degradedBelow: freeBytesMin,
      unhealthyBelow: freeBytesMin / 4,
    };
    return {
      status: floor(free, floors),
      message: `${
        Math.round(free / 1_048_576)
      } MiB of the state folder's disk are free`,
      remedy: "free some space or move the state folder",
      detail: { total_bytes: blocks * bsize, free_bytes: free },
    };
  });
}

/**
 * Looks at the event loop.
 *
 * @param readMs Worst lag of late, in milliseconds.
 * @param ceilings Milliseconds.
 * @returns The check.
 */
export function loopLagCheck(
  readMs: () => number,
  ceilings: Ceilings = { degradedAbove: 250, unhealthyAbove: 2_000 },
): Check {
  return figure("event_loop", "important", () => {
    const lagMs = readMs();
    return {
      status: ceiling(lagMs, ceilings),
      message: `the event loop was at most ${Math.round(lagMs)} ms late`,
      remedy: "lower security.max_concurrent_scans or use a faster host",
      detail: { lag_ms: lagMs },
    };
  });
}

/**
 * Asks whether a tool is there.
 *
 * @param tool The tool's name.
 * @param probe Starts it for its version; rejects if that fails.
 * @param priority How much it weighs.
 * @returns The check.
 */
export function toolCheck(
  tool: string,
  probe: (signal: AbortSignal) => Promise<{ readonly version: string }>,
  priority: Priority = "important",
): Check {
  return {
    name: `tool_${tool}`,
    priority,
    timeoutMs: PROBE_TIMEOUT_MS,
    async run(signal) {
      const { version } = await probe(signal);
      return finding({
        status: version === "" ? "unhealthy" : "healthy",
        message: version === ""
          ? `${tool} tells no version`
          : `${tool} is there`,
        remedy: `install ${tool}; "deno task doctor" says more`,
        detail: { tool, version },
      });
    },
  };
}

/**
 * Looks at the isolates: without any, nothing can be scanned.
 *
 * @param read Each isolate, by name.
 * @returns The check.
 */
export function isolatesCheck(
  read: () => Readonly<
    Record<string, { readonly up: boolean; readonly restarts: number }>
  >,
): Check {
  return figure("isolates", "critical", () => {
    const isolates = Object.entries(read());
    const down = isolates.filter(([, { up }]) => !up).map(([name]) => name);
    return {
      status: some(down.length, isolates.length),
      message: `${
        isolates.length - down.length
      } of ${isolates.length} isolates are up`,
      remedy: "wait for the warden to replace them; see the log",
      detail: {
        down,
        restarts: isolates.reduce((sum, [, { restarts }]) => sum + restarts, 0),
      },
    };
  });
}

/**
 * Looks at what the scanners run in: with no sandbox they have the rights of the server's user.
 *
 * @param sandbox The mode and why it was chosen.
 * @returns The check.
 */
export function sandboxCheck(
  { mode, reason }: { readonly mode: string; readonly reason: string },
): Check {
  const caged = mode !== "none" && mode !== "bare";
  return figure("sandbox", "important", () => ({
    status: caged ? "healthy" : "degraded",
    message: caged
      ? `the scanners run in ${mode}`
      : "the scanners run in no sandbox",
    remedy: "see what the doctor says of the sandbox",
    detail: { mode, reason },
  }));
}

/**
 * Looks at the audit log: what cannot be recorded is not done.
 *
 * @param probe Tries to write it.
 * @returns The check.
 */
export function auditCheck(
  probe: () => Promise<{
    readonly healthy: boolean;
    readonly reason: string | null;
    readonly seq: number | null;
    readonly rejected: number;
  }>,
): Check {
  return figure("audit_log", "critical", async () => {
    const { healthy, reason, seq, rejected } = await probe();
    return {
      status: healthy ? "healthy" : "unhealthy",
      message: healthy
        ? "the audit log can be written"
        : `the audit log cannot be written: ${reason}`,
      remedy:
        "no scan starts until it can; make space or mend the disk of the state folder",
      detail: { seq, rejected },
    };
  });
}

/**
 * Looks at the store of scans: what cannot be recorded is not done.
 *
 * @param probe Writes to the database.
 * @param untaken How many results wait for it.
 * @returns The check.
 */
export function storeCheck(
  probe: () => Promise<void>,
  untaken: () => number,
): Check {
  const check = figure("store", "critical", async () => {
    const waiting = untaken();
    const fault = await faultOf(probe);
    const healthy = fault === null && waiting === 0;
    return {
      status: healthy ? "healthy" : fault === null ? "degraded" : "unhealthy",
      message: healthy
        ? "the database of scans can be written"
        : fault ?? `${waiting} results wait for the database`,
      remedy:
        "no scan starts until it can be written; `deno task store check` says what is wrong",
      detail: { results_waiting: waiting },
    };
  });
  // Others may be writing: then it takes its turn.
  return { ...check, timeoutMs: PROBE_TIMEOUT_MS };
}

async function faultOf(probe: () => Promise<void>): Promise<string | null> {
  try {
    await probe();
    return null;
  } catch (thrown) {
    return toAppError(thrown).message;
  }
}

/**
 * Looks at the circuit breakers.
 *
 * @param read Each breaker, by its tool.
 * @returns The check.
 */
export function breakersCheck(
  read: () => Readonly<Record<string, { readonly state: string }>>,
): Check {
  return figure("circuit_breakers", "important", () => {
    const breakers = Object.entries(read());
    const open = breakers.filter(([, { state }]) =>
      state === "open" || state === "forced_open"
    );
    const wary = breakers.some(([, { state }]) => state !== "closed");
    const status = some(open.length, breakers.length);
    return {
      status: status === "healthy" && wary ? "degraded" : status,
      message: `${
        breakers.length - open.length
      } of ${breakers.length} tools may run`,
      remedy: "wait for the recovery time, or force the breaker closed",
      detail: {
        states: Object.fromEntries(
          breakers.map(([tool, { state }]) => [tool, state]),
        ),
      },
    };
  });
}

/**
 * Asks something that the configuration names, for example a database.
 *
 * @param name Its name.
 * @param probe Asks it; rejects if it does not answer. What it gives is the check's detail.
 * @param priority How much it weighs.
 * @returns The check.
 */
export function dependencyCheck(
  name: string,
  probe: (signal: AbortSignal) => Promise<{ readonly [key: string]: Json }>,
  priority: Priority = "important",
): Check {
  return {
    name: `dependency_${name}`,
    priority,
    timeoutMs: PROBE_TIMEOUT_MS,
    run: async (signal) => ({
      status: "healthy",
      message: `${name} answers`,
      detail: await probe(signal),
    }),
  };
}

/** A finding whose message gets the remedy unless all is well. */
interface Draft extends Finding {
  readonly remedy: string;
}

function figure(
  name: string,
  priority: Priority,
  look: () => Draft | Promise<Draft>,
): Check {
  return {
    name,
    priority,
    timeoutMs: FIGURE_TIMEOUT_MS,
    run: async () => finding(await look()),
  };
}

function finding({ status, message, remedy, detail }: Draft): Finding {
  if (status === "healthy") return { status, message, detail };
  return { status, message: `${message}; ${remedy}`, detail };
}

/** What is no number is unhealthy: unclear means bad. */
function floor(value: number, floors: FreeFloors): HealthStatus {
  if (!(value >= floors.unhealthyBelow)) return "unhealthy";
  return value < floors.degradedBelow ? "degraded" : "healthy";
}

function ceiling(value: number, ceilings: Ceilings): HealthStatus {
  if (!(value <= ceilings.unhealthyAbove)) return "unhealthy";
  return value > ceilings.degradedAbove ? "degraded" : "healthy";
}

/** None down is healthy, some are degraded, all (or none there) are unhealthy. */
function some(down: number, all: number): HealthStatus {
  if (down === all) return "unhealthy";
  return down === 0 ? "healthy" : "degraded";
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
