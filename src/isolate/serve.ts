/**
 * The far side of the boundary: what runs inside a tool isolate.
 *
 * It is sealed at birth. The first message brings the guardrails, the programs' paths and a port;
 * after it the isolate listens to that port alone. What comes through the port is a request as text:
 * it is parsed here, held against the guardrails here, and its command line is built here. Nothing
 * that main found out about a request is believed.
 *
 * The isolate may run one program. It has no network, no file, no environment.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import type { Argv } from "@/spawn/argv.ts";
import type { Exit } from "@/spawn/exit.ts";
import { type Ended, spawn, type SpawnOptions } from "@/spawn/spawn.ts";
import { Tail } from "@/spawn/tail.ts";
import {
  type Guardrails,
  guardrailsUnder,
  outputBytesMax,
} from "@/tools/guardrails.ts";
import type { Plan, Reader, Tool } from "@/tools/tool.ts";
import { queryPermission, readGrants } from "./grant.ts";
import { Found } from "./found.ts";
import { outcomeOf } from "./outcome.ts";
import { Output, STDERR_TAIL_BYTES } from "./output.ts";
import type { OutputLines } from "./output_lines.ts";
import { parseAsk, parseBirth } from "./parse.ts";
import {
  type Answer,
  type Ask,
  type Birth,
  type Outcome,
  type PlanBody,
  type RequestAsk,
  SCANS_PER_ISOLATE_MAX,
  TELL_INTERVAL_MS,
} from "./protocol.ts";

/** Longest run of a probe or of a name look-up. */
const LOOKUP_TIMEOUT_MS = 20_000;

/** Most bytes of a probe's or a look-up's output. */
const LOOKUP_BYTES_MAX = 1_048_576;

/** What a tool can be asked besides to scan. */
export interface Lookups {
  /** The command line that prints the version, and what finds the version in its output. */
  readonly version: { readonly argv: Argv; readonly pattern: RegExp };
  /** A trial that exits 0 only if raw packets can be sent; it stays on loopback. */
  readonly rawTrial?: Argv;
  /** The look-up of names: its command line, judged by the guardrails, and its reading. */
  readonly resolve?: {
    argv(names: readonly string[], guardrails: Guardrails, family: 4 | 6): Argv;
    parse(output: string): ReadonlyMap<string, readonly string[]>;
  };
}

/** The one thing of an isolate's global scope that is needed: where its birth arrives. */
export interface BirthChannel {
  onmessage: ((event: MessageEvent) => void) | null;
}

/**
 * Serves a tool from inside its isolate until the isolate is ended.
 *
 * @param scope The isolate's global scope.
 * @param tool The tool.
 * @param lookups What else its program is asked.
 */
export function serveTool<R>(
  scope: BirthChannel,
  tool: Tool<R>,
  lookups: Lookups,
): void {
  scope.onmessage = (event: MessageEvent) => {
    // Sealed: whoever holds the worker object can say nothing more from here on.
    scope.onmessage = null;
    const birth = parseBirth(event.data, tool.name);
    const port = event.ports[0];
    const program = birth.programs[tool.name];
    if (port === undefined || program === undefined) {
      throw new TypeError("Cannot be born: the port or the program is missing");
    }
    const server = new ToolServer(tool, lookups, birth, program, port);
    port.onmessage = (message: MessageEvent) => server.take(message.data);
    const grants = readGrants(Object.values(birth.programs), queryPermission);
    server.answer({ kind: "ready", tool: tool.name, grants });
  };
}

/** What takes its time to be answered. */
type Question = Exclude<Ask, { kind: "ping" | "cancel" | "watch" }>;

/** A question under way. */
interface Running {
  readonly controller: AbortController;
  /** The newest lines of a scan that was begun. */
  lines: OutputLines | null;
}

class ToolServer<R> {
  readonly #tool: Tool<R>;
  readonly #lookups: Lookups;
  readonly #guardrails: Guardrails;
  readonly #cage: Pick<SpawnOptions, "limits" | "egressGuard">;
  readonly #program: string;
  readonly #ownSession: boolean;
  readonly #port: MessagePort;
  readonly #running = new Map<number, Running>();

  constructor(
    tool: Tool<R>,
    lookups: Lookups,
    birth: Birth,
    program: string,
    port: MessagePort,
  ) {
    this.#tool = tool;
    this.#lookups = lookups;
    this.#guardrails = birth.guardrails;
    this.#cage = {
      limits: birth.guardrails[tool.name].limits,
      egressGuard: birth.guardrails.egressGuard,
    };
    this.#ownSession = birth.terminal;
    this.#program = program;
    this.#port = port;
  }

  answer(answer: Answer, transfer: Transferable[] = []): void {
    this.#port.postMessage(answer, transfer);
  }

  /** Takes one message. Malformed ones are dropped: they carry no id that could be answered. */
  take(data: unknown): void {
    const ask = parseAsk(data);
    if (ask === null) return;
    if (ask.kind === "ping") this.answer({ kind: "pong", id: ask.id });
    else if (ask.kind === "cancel") {
      this.#running.get(ask.id)?.controller.abort();
    } else if (ask.kind === "watch") {
      this.#running.get(ask.id)?.lines?.watch(ask.on);
    } else this.#start(ask);
  }

  async #start(ask: Question): Promise<void> {
    if (this.#running.has(ask.id)) return;
    const running = { controller: new AbortController(), lines: null };
    try {
      if (this.#running.size >= SCANS_PER_ISOLATE_MAX) {
        throw new AppError(
          "queue_full",
          "Cannot start the scan: too many run; try again later",
          {
            retryAfter: 5,
          },
        );
      }
      this.#running.set(ask.id, running);
      await this.#answer(ask, running);
    } catch (thrown) {
      this.answer({
        kind: "refused",
        id: ask.id,
        error: toAppError(thrown).toBody(),
      });
    } finally {
      if (this.#running.get(ask.id) === running) {
        this.#running.delete(ask.id);
      }
    }
  }

  async #answer(ask: Question, running: Running): Promise<void> {
    const id = ask.id;
    const { signal } = running.controller;
    if (ask.kind === "plan") {
      const { plan } = this.#plan(ask);
      this.answer({ kind: "planned", id, plan: planBody(plan) });
    } else if (ask.kind === "scan") {
      const outcome = await this.#scan(ask, running);
      this.answer({ kind: "done", id, outcome }, [
        outcome.raw.buffer as ArrayBuffer,
      ]);
    } else if (ask.kind === "resolve") {
      this.answer({
        kind: "resolved",
        id,
        addresses: await this.#resolve(ask.names, signal),
      });
    } else {
      this.answer({ kind: "probed", id, ...await this.#probe(signal) });
    }
  }

  #plan(ask: RequestAsk): { request: R; plan: Plan } {
    let input: unknown;
    try {
      input = JSON.parse(ask.request);
    } catch {
      throw new AppError(
        "invalid_arguments",
        "Cannot read the arguments: not JSON",
      );
    }
    const guardrails = guardrailsUnder(this.#guardrails, ask.labels);
    const request = this.#tool.parse(input, guardrails);
    const plan = this.#tool.plan(request, {
      guardrails,
      powers: { rawSockets: ask.rawSockets },
      resolved: new Map(Object.entries(ask.resolved)),
    });
    return { request, plan };
  }

  async #scan(ask: RequestAsk, running: Running): Promise<Outcome> {
    const { request, plan } = this.#plan(ask);
    const refusal = plan.verdicts.find((verdict) => !verdict.allowed);
    if (refusal !== undefined || plan.passes.length === 0) {
      const { code, message } = refusal?.error ??
        {
          code: "invalid_arguments" as const,
          message: "Cannot scan: the plan has no command",
        };
      throw new AppError(code, message);
    }
    const argv = plan.passes.map((pass) => pass.toJSON());
    const { targets, scanType } = plan;
    this.answer({ kind: "started", id: ask.id, argv, targets, scanType });
    const reader = this.#tool.reader(request, plan, () => performance.now());
    const output = new Output(
      reader,
      outputBytesMax(this.#tool.name, this.#guardrails),
    );
    running.lines = output.lines;
    const found = new Found(reader);
    const tellLines = () => {
      const printed = output.lines.next();
      if (printed !== null) {
        this.answer({ kind: "output", id: ask.id, printed });
      }
    };
    const ticker = setInterval(() => {
      const progress = reader.progress();
      this.answer({ kind: "progress", id: ask.id, progress });
      const report = found.next();
      if (report !== null) this.answer({ kind: "found", id: ask.id, report });
      tellLines();
    }, TELL_INTERVAL_MS);
    try {
      const { signal } = running.controller;
      const ended = await this.#runPasses(plan, reader, output, signal);
      tellLines();
      return outcomeOf(ended, reader, output, {
        tool: this.#tool.name,
        limits: this.#cage.limits,
        argv,
        targets,
        scanType,
        planNotes: plan.notes,
      });
    } finally {
      clearInterval(ticker);
    }
  }

  async #runPasses(
    plan: Plan,
    reader: Reader,
    output: Output,
    signal: AbortSignal,
  ): Promise<Ended> {
    const deadline = performance.now() + plan.timeoutMs;
    let exit: Exit = { kind: "cancelled" };
    let cpuSeconds = 0;
    for (const argv of plan.passes) {
      const timeoutMs = deadline - performance.now();
      if (timeoutMs <= 0) return { exit: { kind: "timed_out" }, cpuSeconds };
      if (output.bytesLeft <= 0) {
        return { exit: { kind: "output_limit" }, cpuSeconds };
      }
      const ended = await spawn({
        program: this.#program,
        ownSession: this.#ownSession,
        argv,
        ...this.#cage,
        timeoutMs,
        outputBytesMax: output.bytesLeft,
        signal,
        stdout: (bytes) => output.stdout(bytes),
        stderr: (bytes) => output.stderr(bytes),
        settled: () => reader.settled(),
      });
      exit = ended.exit;
      cpuSeconds += ended.cpuSeconds;
      reader.passEnded(exit);
      output.lines.end();
      if (
        exit.kind !== "settled" && !(exit.kind === "exited" && exit.code === 0)
      ) break;
    }
    return { exit, cpuSeconds };
  }

  async #resolve(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<Record<string, readonly string[]>> {
    const { resolve } = this.#lookups;
    if (resolve === undefined) {
      throw new AppError(
        "invalid_arguments",
        "Cannot look names up: this tool does not",
      );
    }
    const lookUp = async (asked: readonly string[], family: 4 | 6) => {
      const argv = resolve.argv(asked, this.#guardrails, family);
      return resolve.parse((await this.#lookUp(argv, signal)).stdout);
    };
    const found = await lookUp(names, 4);
    // A name that has both is scanned by IPv4, so only the others are asked for IPv6.
    const left = names.filter((name) => !found.has(name));
    const found6 = left.length === 0 ? new Map() : await lookUp(left, 6);
    return Object.fromEntries([...found, ...found6]);
  }

  async #probe(
    signal: AbortSignal,
  ): Promise<{ version: string; rawSockets: boolean | null }> {
    const { version, rawTrial } = this.#lookups;
    const [printed, rawSockets] = await Promise.all([
      this.#lookUp(version.argv, signal),
      rawTrial === undefined ? null : this.#succeeds(rawTrial, signal),
    ]);
    const found = version.pattern.exec(printed.stdout + printed.stderr)?.[1];
    if (found === undefined) {
      throw new AppError(
        "tool_unavailable",
        `Cannot use "${this.#tool.name}": it says no version`,
      );
    }
    return {
      version: found.slice(0, 64),
      rawSockets,
    };
  }

  /** A sandbox that does not even start such a command is a no. */
  async #succeeds(argv: Argv, signal: AbortSignal): Promise<boolean> {
    try {
      return isSuccess((await this.#lookUp(argv, signal)).exit);
    } catch (thrown) {
      if (toAppError(thrown).code === "tool_unavailable") return false;
      throw thrown;
    }
  }

  async #lookUp(
    argv: Argv,
    signal: AbortSignal,
  ): Promise<{ exit: Exit; stdout: string; stderr: string }> {
    const stdout = new Tail(LOOKUP_BYTES_MAX);
    const stderr = new Tail(STDERR_TAIL_BYTES);
    const { exit } = await spawn({
      program: this.#program,
      ownSession: this.#ownSession,
      argv,
      ...this.#cage,
      timeoutMs: LOOKUP_TIMEOUT_MS,
      outputBytesMax: LOOKUP_BYTES_MAX,
      signal,
      stdout: (bytes) => stdout.add(bytes),
      stderr: (bytes) => stderr.add(bytes),
    });
    return { exit, stdout: stdout.text(), stderr: stderr.text() };
  }
}

function isSuccess(exit: Exit): boolean {
  return exit.kind === "exited" && exit.code === 0;
}

function planBody(plan: Plan): PlanBody {
  const { passes, tool: _tool, ...body } = plan;
  return { ...body, argv: passes.map((pass) => pass.toJSON()) };
}
