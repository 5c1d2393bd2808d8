/**
 * What this host can do, as the tools themselves say: versions, and whether raw packets can be sent.
 * Asked once, when first needed, and kept: a privilege does not come or go while a process lives.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";

/** What one tool said. */
export type Probe =
  | {
    readonly kind: "present";
    readonly version: string;
    readonly rawSockets: boolean | null;
  }
  | { readonly kind: "absent"; readonly reason: string };

const PROBE_TIMEOUT_MS = 20_000;

/** The host as the tools see it. */
export class Host {
  readonly #isolates: Pick<Isolates, "of">;
  readonly #probes = new Map<ToolName, Promise<Probe>>();
  readonly #known = new Map<ToolName, Probe>();

  /** @param isolates Where the tools live. */
  constructor(isolates: Pick<Isolates, "of">) {
    this.#isolates = isolates;
  }

  /**
   * Asks a tool; an answer is kept, an absence is asked again next time.
   *
   * @param tool The tool.
   * @returns What it said.
   */
  probe(tool: ToolName): Promise<Probe> {
    const asked = this.#probes.get(tool);
    if (asked !== undefined) return asked;
    const asking = this.#ask(tool);
    this.#probes.set(tool, asking);
    return asking;
  }

  /** What a tool has said so far, without asking. */
  known(tool: ToolName): Probe | undefined {
    return this.#known.get(tool);
  }

  /**
   * Whether raw packets can be sent; nmap's trial decides for all tools.
   *
   * @param signal Whoever waits may go; the trial goes on for the others.
   * @param beforeTrial Waited for before anything is started to find it out.
   * @throws {AppError} `cancelled`, or what `beforeTrial` rejects with.
   */
  async rawSockets(
    signal: AbortSignal,
    beforeTrial: () => Promise<void>,
  ): Promise<boolean> {
    if (this.#known.get("nmap")?.kind !== "present") await beforeTrial();
    const gone = Promise.withResolvers<never>();
    const leave = () =>
      gone.reject(new AppError("cancelled", "The request was cancelled"));
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    try {
      const probe = await Promise.race([this.probe("nmap"), gone.promise]);
      return probe.kind === "present" && probe.rawSockets === true;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Asks every tool. */
  async probeAll(): Promise<ReadonlyMap<ToolName, Probe>> {
    await Promise.all(TOOL_NAMES.map((tool) => this.probe(tool)));
    return this.#known;
  }

  async #ask(tool: ToolName): Promise<Probe> {
    let probe: Probe;
    try {
      const isolate = await this.#isolates.of(tool);
      const said = await isolate.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS));
      probe = { kind: "present", ...said };
    } catch (thrown) {
      this.#probes.delete(tool);
      probe = {
        kind: "absent",
        reason: thrown instanceof Error ? thrown.message : "no answer",
      };
    }
    this.#known.set(tool, probe);
    return probe;
  }
}
