/**
 * A process that writes an audit log on the real disk, for tests that kill it or take its disk away.
 * It is told what to do on standard input, a JSON text a line, and answers in kind.
 *
 * @module
 */
import { TextLineStream } from "./text_line_stream.ts";
import type { AuditLog } from "@/audit/audit_log.ts";
import { openAudit } from "@/audit/open.ts";
import { request } from "./samples.ts";

/** What it is told. */
type Order =
  /** Entries one after the other, without end, so many at once. */
  | { kind: "flood"; from: number; together: number }
  /** So many entries at once. */
  | { kind: "append"; from: number; count: number }
  | { kind: "probe" }
  /** Takes space on the disk, or gives it back. */
  | { kind: "ballast"; path: string; bytes: number }
  | { kind: "close" };

function answer(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}

function words(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

async function append(log: AuditLog, number: number): Promise<void> {
  const entry = { ...request(0), tool: `n${number}` };
  try {
    await log.append(entry as ReturnType<typeof request>);
    answer({ acknowledged: number });
  } catch (thrown) {
    answer({ refused: number, message: words(thrown) });
  }
}

async function obey(log: AuditLog, order: Order): Promise<void> {
  switch (order.kind) {
    case "flood":
      for (let number = order.from;; number += order.together) {
        await Promise.all(
          Array.from(
            { length: order.together },
            (_, i) => append(log, number + i),
          ),
        );
      }
    case "append":
      await Promise.all(
        Array.from(
          { length: order.count },
          (_, i) => append(log, order.from + i),
        ),
      );
      return answer({ done: order.count, ...log.status });
    case "probe":
      return answer(await log.probe());
    case "ballast":
      if (order.bytes === 0) await Deno.remove(order.path);
      else await fill(order.path, order.bytes);
      return answer({ ballast: order.bytes });
    case "close":
      await log[Symbol.asyncDispose]();
      return answer({ closed: true });
  }
}

async function fill(path: string, bytes: number): Promise<void> {
  try {
    await Deno.writeFile(path, new Uint8Array(bytes));
  } catch {
    // The disk is full now, which was the purpose.
  }
}

const [folder = "", rotateBytes = "20000"] = Deno.args;
try {
  const log = await openAudit({
    state: { folder },
    audit: {
      key_file: null,
      key: null,
      checkpoint_every: 10,
      rotate_bytes: Number(rotateBytes),
      keep_files: 0,
    },
  }, {
    wallNow: Date.now,
    now: () => performance.now(),
    onCheckpoint: () => {},
    onWarning: () => {},
  });
  answer({ open: true, ...log.status });
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) await obey(log, JSON.parse(line));
} catch (thrown) {
  answer({ open: false, message: words(thrown) });
}
