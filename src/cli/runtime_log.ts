/**
 * What the log hears of the engine.
 *
 * @module
 */
import type { DispatchEvent } from "@/dispatch/telling.ts";
import type { IsolateEvent } from "@/isolate/isolates.ts";
import { log } from "@/log/log.ts";
import type { Sandbox } from "@/spawn/launcher.ts";

const main = log("main");
const isolateLog = log("isolate");
const dispatchLog = log("dispatch");

/** Says what the scanners run in. */
export function logSandbox({ mode, reason }: Sandbox): void {
  const level = mode === "none" || mode === "bare" ? "warn" : "info";
  main[level]("sandbox", { mode, reason });
}

/** Says what became of an isolate. */
export function logIsolate(event: IsolateEvent): void {
  const { kind, tool, detail } = event;
  if (kind === "up") isolateLog.info("isolate replaced", { tool });
  else {isolateLog.error(kind === "died" ? "isolate died" : "warden died", {
      tool,
      detail,
    });}
}

/** Says what became of a call. Untrusted text stands in properties, never in the message. */
export function logDispatch(event: DispatchEvent): void {
  const { kind, tool, traceId, scan, error, detail, cpuSeconds } = event;
  const properties = defined({
    tool,
    trace_id: traceId,
    scan_id: scan?.id,
    status: scan?.status,
    cpu_seconds: cpuSeconds,
    code: error?.code ?? scan?.error?.code,
    detail: error?.detail ?? detail,
    why: kind === "refused" ? error?.message : undefined,
  });
  if (kind === "unrecorded") {
    dispatchLog.error("not recorded", { ...properties, why: error?.message });
  } else if (kind === "refused") {
    dispatchLog.info("call refused", properties);
  } else if (kind === "started") dispatchLog.debug("scan started", properties);
  else if (scan?.error) dispatchLog.warn("scan ended", properties);
  else dispatchLog.info("scan ended", properties);
}

/** Properties without those that say nothing. */
export function defined(
  properties: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).filter(([, value]) =>
      value !== undefined && value !== ""
    ),
  );
}
