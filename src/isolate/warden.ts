/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The warden: after start-up the only isolate that can start tool isolates.
 *
 * The main isolate gave up its right to spawn and so cannot hand it on. When a tool isolate has to
 * be replaced (a crash, a changed configuration), main asks here. The warden reads the configuration
 * file itself: main can ask for an isolate, and cannot say by which rules that isolate will live.
 * It has no network and cannot write, and it runs nothing itself.
 *
 * Configuration code is loaded at the first replacement, so that it costs a start nothing.
 *
 * @module
 */
import type { Guardrails } from "@/tools/guardrails.ts";
import { toolGrant } from "./grant.ts";
import { parseWardenMessage } from "./parse.ts";
import type { Birth } from "./protocol.ts";
import type {
  WardenAnswer,
  WardenAsk,
  WardenBirth,
} from "./warden_protocol.ts";
import { toolWorker } from "./tool_worker.ts";

declare const self: DedicatedWorkerGlobalScope;

/** Most isolates alive at once: three tools, each with one that is draining, and some reserve. */
const WORKERS_MAX = 16;

const workers = new Map<number, Worker>();
/** Isolates that were asked for and wait for their rules. */
const starting = new Set<number>();
let birth: WardenBirth | null = null;
let lastGuardrails: Guardrails | null = null;

self.onmessage = (event: MessageEvent) => {
  const message = parseWardenMessage(event.data);
  const port = event.ports[0];
  if (message === null) return;
  if (message.kind === "birth") {
    // Taken once: rules and programs are those of the start.
    birth ??= message;
    lastGuardrails ??= message.guardrails;
  } else if (message.kind === "end") {
    workers.get(message.key)?.terminate();
    workers.delete(message.key);
    starting.delete(message.key);
  } else if (birth !== null && port !== undefined) {
    start(birth, message, port).catch((thrown) =>
      tell(message.key, String(thrown))
    );
  }
};

async function start(
  born: WardenBirth,
  ask: WardenAsk & { kind: "start" },
  port: MessagePort,
): Promise<void> {
  const program = born.programs[ask.tool];
  if (program === undefined) throw new TypeError("no such tool");
  const taken = workers.has(ask.key) || starting.has(ask.key);
  if (taken || workers.size + starting.size >= WORKERS_MAX) {
    throw new RangeError("too many");
  }
  starting.add(ask.key);
  lastGuardrails = await readGuardrails(born.env) ?? lastGuardrails ??
    born.guardrails;
  // It was ended while its rules were read.
  if (!starting.delete(ask.key)) return;
  const worker = toolWorker(ask.tool, toolGrant(program));
  worker.onerror = (event) => {
    event.preventDefault();
    worker.terminate();
    workers.delete(ask.key);
    tell(ask.key, event.message);
  };
  workers.set(ask.key, worker);
  const message: Birth = {
    kind: "birth",
    tool: ask.tool,
    programs: born.programs,
    guardrails: lastGuardrails,
    terminal: born.terminal,
  };
  worker.postMessage(message, [port]);
}

/** Reads the rules as the file has them now; null where it cannot be read or is refused. */
async function readGuardrails(
  env: Readonly<Record<string, string>>,
): Promise<Guardrails | null> {
  try {
    const { readConfig } = await import("@/config/boot.ts");
    const { readCatalogue } = await import("@/config/catalogue.ts");
    const { guardrailsOf } = await import("@/config/guardrails.ts");
    const { config } = await readConfig(env);
    const wordlists = await readCatalogue(config.gobuster.wordlist_folders);
    return guardrailsOf(config, wordlists);
  } catch {
    // The old rules stay in force; main refuses the same file and logs why.
    return null;
  }
}

function tell(key: number, detail: string): void {
  self.postMessage({ kind: "died", key, detail } satisfies WardenAnswer);
}
