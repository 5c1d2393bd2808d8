/**
 * The body of a response, watched: whoever sent it hears when it was read to its end and when its
 * reader went away. The signal of a request does not tell the two apart.
 *
 * @module
 */

/**
 * Watches a response's body. A response without one has ended.
 *
 * @param response The response.
 * @param onEnd Called once: with `true` if the reader went before the end.
 * @returns The same response, to be sent instead.
 */
export function watched(
  response: Response,
  onEnd: (broke: boolean) => void,
): Response {
  const { body, status, headers } = response;
  if (body === null) {
    onEnd(false);
    return response;
  }
  const reader = body.getReader();
  let ended = false;
  const end = (broke: boolean) => {
    if (ended) return;
    ended = true;
    onEnd(broke);
  };
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          controller.enqueue(value);
          return;
        }
        end(false);
        controller.close();
      } catch (error) {
        end(true);
        controller.error(error);
      }
    },
    async cancel(reason) {
      end(true);
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  return new Response(stream, { status, headers });
}
