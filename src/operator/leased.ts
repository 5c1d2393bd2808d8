/**
 * An answer that lasts no longer than the credentials that asked for it: the stream of an MCP session
 * goes on for hours after its request was proved.
 *
 * @module
 */
import type { Hold } from "@/identity/leases.ts";

/**
 * Has an answer's body end when its caller's credentials do.
 *
 * @param answer The answer.
 * @param hold The hold on the credentials; it is let go of when the body ends, for whatever reason.
 * @returns The same answer, to be sent instead.
 */
export function leased(answer: Response, hold: Hold): Response {
  const { body, status, headers } = answer;
  if (body === null) {
    hold[Symbol.dispose]();
    return answer;
  }
  const reader = body.getReader();
  let over = false;
  const end = (): boolean => {
    if (over) return false;
    over = true;
    hold.signal.removeEventListener("abort", cut);
    hold[Symbol.dispose]();
    return true;
  };
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const cut = (): void => {
    if (!end()) return;
    controller?.close();
    // What wrote it hears that its reader is gone; that it is broken already is no news.
    reader.cancel().catch(() => {});
  };
  const stream = new ReadableStream<Uint8Array>({
    start(own) {
      controller = own;
      hold.signal.addEventListener("abort", cut, { once: true });
      if (hold.signal.aborted) cut();
    },
    async pull(own) {
      try {
        const { done, value } = await reader.read();
        if (over) return;
        if (!done) own.enqueue(value);
        else if (end()) own.close();
      } catch (error) {
        if (end()) own.error(error);
      }
    },
    async cancel(reason) {
      end();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  return new Response(stream, { status, headers });
}
