/**
 * Short cuts for tests of gobuster's reader.
 *
 * @module
 */
import { gobuster } from "@/tools/gobuster/tool.ts";
import type { NamesReport, PathsReport } from "@/tools/report.ts";
import type { Exit } from "@/spawn/exit.ts";
import type { Reader } from "@/tools/tool.ts";
import { GUARDRAILS, RESOLVED } from "./nmap_fixture.ts";

/** The end of a run that went well. */
export const WELL: Exit = { kind: "exited", code: 0, signal: null };

/** The end of a run that gave up. */
export const BADLY: Exit = { kind: "exited", code: 1, signal: null };

/** Requests that the captured output answers. */
export const DIR = { mode: "dir", target: "http://127.0.0.1:8931/" } as const;
export const VHOST = {
  mode: "vhost",
  target: "http://127.0.0.1:8931/",
  extra_args: "--domain lab.internal",
} as const;
export const DNS = { mode: "dns", target: "lab.internal" } as const;

type Input = Readonly<Record<string, unknown>>;

/** Makes a reader for a request, on a clock that stands still. */
export function readerOf(input: Input, now: () => number = () => 0): Reader {
  const guardrails = {
    ...GUARDRAILS,
    gobuster: { ...GUARDRAILS.gobuster, resolver: "127.0.0.1:15353" },
  };
  const request = gobuster.parse(input, guardrails);
  const plan = gobuster.plan(request, {
    guardrails,
    powers: { rawSockets: false },
    resolved: RESOLVED,
  });
  return gobuster.reader(request, plan, now);
}

/** Reads a captured stream; a stream that was empty has no file. */
export function captured(file: string): Uint8Array {
  const url = new URL(`../../golden/gobuster/${file}`, import.meta.url);
  try {
    return Deno.readFileSync(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw error;
  }
}

/** What a reader made of output. */
export interface Read {
  readonly report: PathsReport | NamesReport;
  readonly failure: { code: string; message: string } | null;
  readonly notes: readonly string[];
  readonly blames: "tool" | "target";
}

/** Lets a reader read output to its end. */
export function read(
  input: Input,
  output: { stdout?: string | Uint8Array; stderr?: string | Uint8Array },
  exit: Exit = WELL,
): Read {
  const reader = readerOf(input);
  reader.stdout(bytesOf(output.stdout));
  reader.stderr(bytesOf(output.stderr));
  reader.passEnded(exit);
  const { report, failure, notes, blames = "tool" } = reader.finish();
  if (report.kind === "hosts") throw new Error("a report of hosts");
  return { report, failure, notes, blames };
}

/** Lets a reader read a captured run. */
export function readCaptured(
  input: Input,
  name: string,
  exit: Exit = WELL,
): Read {
  const stdout = captured(`${name}.stdout`);
  const stderr = captured(`${name}.stderr`);
  if (stdout.length + stderr.length === 0) throw new Error(`no run ${name}`);
  return read(input, { stdout, stderr }, exit);
}

function bytesOf(given: string | Uint8Array = ""): Uint8Array {
  return typeof given === "string" ? new TextEncoder().encode(given) : given;
}
