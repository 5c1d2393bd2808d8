/**
 * How far an nmap scan is.
 *
 * nmap tells how far its present task is, and nothing about the tasks to come or the hosts to
 * come. So the whole is estimated:
 *
 * - A scan is a lead-in (host discovery, once for all addresses, as nmap takes up to 4096 at a
 *   time) and then rounds of hosts. A round goes through the stages that the command line asks for,
 *   each with a fixed share after what it usually takes.
 * - The rounds' part is (hosts done + stage position × hosts in this round) ÷ hosts to do. Hosts to
 *   do are those that answered the discovery, or all addresses; a round has 64 hosts, which is what
 *   nmap takes for a TCP scan of some ports.
 * - The number never goes back, and is at most 99 until nmap has said that it is done.
 *
 * @module
 */
import type { Plan, Progress } from "../tool.ts";

/** The parts of a scan. */
type Stage =
  | "discovery"
  | "names"
  | "tcp"
  | "udp"
  | "service"
  | "os"
  | "traceroute"
  | "scripts";

/** In the order in which nmap goes through them, with their shares. */
const SHARES: readonly (readonly [Stage, number])[] = [
  ["names", 2],
  ["tcp", 50],
  ["udp", 80],
  ["service", 25],
  ["os", 8],
  ["traceroute", 3],
  ["scripts", 20],
];

/** The lead-in's share. */
const DISCOVERY_SHARE = 10;

/** Hosts of one round. */
const ROUND_HOSTS = 64;

/** Below this an extrapolation of the time says nothing. */
const PERCENT_MIN = 3;

/** nmap's tasks, with the words for them. A task that is not here is "scanning". */
const TASKS: ReadonlyMap<string, readonly [Stage, string]> = new Map([
  ["Ping Scan", ["discovery", "host discovery"]],
  ["ARP Ping Scan", ["discovery", "host discovery"]],
  ["ND Ping Scan", ["discovery", "host discovery"]],
  ["SYN Stealth Scan", ["tcp", "SYN scan"]],
  ["Connect Scan", ["tcp", "connect scan"]],
  ["ACK Scan", ["tcp", "ACK scan"]],
  ["Window Scan", ["tcp", "window scan"]],
  ["Maimon Scan", ["tcp", "Maimon scan"]],
  ["FIN Scan", ["tcp", "FIN scan"]],
  ["NULL Scan", ["tcp", "NULL scan"]],
  ["XMAS Scan", ["tcp", "Xmas scan"]],
  ["UDP Scan", ["udp", "UDP scan"]],
  ["SCTP INIT Scan", ["udp", "SCTP scan"]],
  ["SCTP COOKIE-ECHO Scan", ["udp", "SCTP scan"]],
  ["IPProto Scan", ["udp", "protocol scan"]],
  ["Service scan", ["service", "service detection"]],
  ["RPCGrind Scan", ["service", "service detection"]],
  ["OS Scan", ["os", "OS detection"]],
  ["Traceroute", ["traceroute", "traceroute"]],
  ["NSE", ["scripts", "scripts"]],
]);

/** What is known of one pass, from its command line. */
interface Course {
  readonly stages: ReadonlySet<Stage>;
}

/** What is known of the hosts so far. */
export interface HostCounts {
  /** Hosts that are in the report. */
  readonly done: number;
  /** Hosts that answered the discovery, or 0 where nmap did not say. */
  readonly answered: number;
  /** What to count as findings. */
  readonly found: number;
}

/** The progress of one scan. */
export class ScanProgress {
  readonly #courses: readonly Course[];
  readonly #addressCount: number;
  readonly #now: () => number;
  readonly #startMs: number;
  #pass = 0;
  #ended = false;
  #stage: Stage | null = null;
  #phase = "starting";
  #taskPercent = 0;
  #taskRemaining: { seconds: number; atMs: number } | null = null;
  #percent: number | null = null;

  /**
   * @param plan What will run.
   * @param now A monotonic clock in milliseconds.
   */
  constructor(plan: Plan, now: () => number) {
    this.#courses = plan.passes.map((argv) => courseOf(argv.toJSON()));
    this.#addressCount = Math.max(1, plan.addressCount);
    this.#now = now;
    this.#startMs = now();
  }

  /**
   * Hears of a task.
   *
   * @param task nmap's name for it.
   * @param percent How far it is.
   * @param remainingSeconds What nmap says is left of it, or null.
   */
  task(
    task: string,
    percent: number,
    remainingSeconds: number | null,
  ): void {
    const [stage, phase] = TASKS.get(task) ??
      (/^(?:Parallel|System) DNS resolution/.test(task)
        ? ["names", "name lookup"] as const
        : [null, "scanning"] as const);
    this.#stage = stage;
    this.#phase = phase;
    this.#taskPercent = Math.min(100, Math.max(0, percent));
    this.#taskRemaining = remainingSeconds === null
      ? null
      : { seconds: remainingSeconds, atMs: this.#now() };
  }

  /** Hears that hosts were reported: a new round begins. */
  roundEnded(): void {
    if (this.#stage === "discovery") return;
    this.#stage = null;
    this.#taskPercent = 0;
    this.#taskRemaining = null;
  }

  /** Hears that a pass ended. */
  passEnded(): void {
    this.#pass++;
    this.#stage = null;
    this.#taskPercent = 0;
    this.#taskRemaining = null;
    if (this.#pass >= this.#courses.length) this.#ended = true;
  }

  /**
   * Tells how far the scan is.
   *
   * @param counts What is known of the hosts.
   * @returns The progress; percent is null until nmap has said anything.
   */
  read(counts: HostCounts): Progress {
    const percent = this.#overall(counts);
    if (percent !== null) {
      this.#percent = Math.max(this.#percent ?? 0, percent);
    }
    return {
      percent: this.#percent,
      remainingSeconds: this.#remaining(),
      found: counts.found,
      phase: this.#courses.length > 1 && !this.#ended
        ? `${this.#phase}, pass ${this.#pass + 1} of ${this.#courses.length}`
        : this.#phase,
    };
  }

  #overall(counts: HostCounts): number | null {
    if (this.#ended) return 100;
    if (this.#stage === null && counts.done === 0 && this.#pass === 0) {
      return null;
    }
    const passes = Math.max(1, this.#courses.length);
    const share = (this.#pass + this.#ofPass(counts)) / passes;
    return Math.min(99, Math.floor(share * 1000) / 10);
  }

  /** 0 to 1: how far the present pass is. */
  #ofPass(counts: HostCounts): number {
    const stages = this.#courses[this.#pass]?.stages ?? new Set<Stage>();
    const rounds = SHARES.filter(([stage]) =>
      stages.has(stage) || stage === this.#stage
    );
    const roundsShare = rounds.reduce((sum, [, share]) => sum + share, 0);
    const lead = stages.has("discovery") || this.#stage === "discovery"
      ? DISCOVERY_SHARE / (DISCOVERY_SHARE + roundsShare)
      : 0;
    if (this.#stage === "discovery" && counts.done === 0) {
      return lead * this.#taskPercent / 100;
    }
    // Hosts of earlier passes are in the report already; a pass of its own starts from nothing.
    const done = this.#pass === 0 ? counts.done : 0;
    const toDo = Math.max(counts.answered || this.#addressCount, done, 1);
    const round = Math.min(ROUND_HOSTS, toDo - done);
    const position = roundsShare === 0
      ? 0
      : this.#position(rounds) / roundsShare;
    return lead + (1 - lead) * (done + position * round) / toDo;
  }

  /** How much of the stages' shares lies behind in this round. */
  #position(rounds: readonly (readonly [Stage, number])[]): number {
    let behind = 0;
    for (const [stage, share] of rounds) {
      if (stage === this.#stage) {
        return behind + share * this.#taskPercent / 100;
      }
      behind += share;
    }
    return 0;
  }

  /**
   * What nmap says is left of the task where the task is all there is; else what the time so far
   * says about the rest, and never less than what the task needs.
   */
  #remaining(): number | null {
    if (this.#ended) return 0;
    const task = this.#taskRemaining === null ? null : Math.max(
      0,
      this.#taskRemaining.seconds -
        (this.#now() - this.#taskRemaining.atMs) / 1000,
    );
    const stages = this.#courses[this.#pass]?.stages.size ?? 0;
    if (
      stages <= 1 && this.#courses.length <= 1 &&
      this.#addressCount <= ROUND_HOSTS
    ) return task === null ? null : Math.round(task);
    const percent = this.#percent ?? 0;
    if (percent < PERCENT_MIN) return task === null ? null : Math.round(task);
    const elapsed = (this.#now() - this.#startMs) / 1000;
    return Math.round(
      Math.max(task ?? 0, elapsed * (100 - percent) / percent),
    );
  }
}

/** Reads off a command line what the scan will go through. */
function courseOf(tokens: readonly string[]): Course {
  const flags = new Set(tokens.map((token) => token.split("=", 1)[0] ?? ""));
  const some = (...names: string[]) => names.some((name) => flags.has(name));
  const stages = new Set<Stage>();
  const noPorts = some("-sn", "-sL");
  if (!some("-Pn", "-sL")) stages.add("discovery");
  if (!some("-n")) stages.add("names");
  if (!noPorts && (!some("-sU") || some("-sS", "-sT"))) stages.add("tcp");
  if (some("-sU")) stages.add("udp");
  if (some("-sV", "-A")) stages.add("service");
  if (some("-O", "-A")) stages.add("os");
  if (some("--traceroute", "-A")) stages.add("traceroute");
  if (some("--script", "-sC", "-A")) stages.add("scripts");
  return { stages };
}
