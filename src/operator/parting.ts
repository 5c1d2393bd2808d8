/**
 * The end of a WebSocket, in such a way that its client learns why. The runtime drops a connection on
 * which anything arrives behind its own close frame (measured on Deno 2.9.6), and then the client sees
 * neither code nor reason. So what is on its way already passes first, unread: the close frame is sent
 * when the client has been silent for a moment. One that is never silent gets it after a second or a
 * megabyte, and may see the end of the connection only.
 *
 * @module
 */

/** Milliseconds without a message after which a client is taken for silent. */
export const SILENCE_MS = 50;

/** Milliseconds in which a client can get silent. */
export const PARTING_MS = 1_000;

/** Bytes that are let pass. */
export const PARTING_BYTES_MAX = 1_048_576;

/** What of a socket is used. */
export type PartingSocket = Pick<
  WebSocket,
  "bufferedAmount" | "send" | "close"
>;

/** A socket that lets its client finish. */
export class PartingLine implements Disposable {
  readonly #socket: PartingSocket;
  readonly #now: () => number;
  #heardAt = -Infinity;
  #bytes = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param socket The socket.
   * @param now Milliseconds, never going back.
   */
  constructor(socket: PartingSocket, now: () => number) {
    this.#socket = socket;
    this.#now = now;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /**
   * Hears that a message came, also one that nobody reads any more.
   *
   * @param data The message.
   */
  heard(data: unknown): void {
    this.#heardAt = this.#now();
    if (this.#timer !== undefined) this.#bytes += sizeOf(data);
  }

  /**
   * Closes it as soon as its client is silent. Only the first close counts.
   *
   * @param code Why, as a number.
   * @param reason Why, in words.
   */
  close(code: number, reason: string): void {
    if (this.#timer !== undefined) return;
    const since = this.#now();
    const look = (): void => {
      const now = this.#now();
      const isDue = now - this.#heardAt >= SILENCE_MS ||
        now - since >= PARTING_MS || this.#bytes > PARTING_BYTES_MAX;
      if (!isDue) return;
      clearInterval(this.#timer);
      this.#socket.close(code, reason);
    };
    this.#timer = setInterval(look, SILENCE_MS);
    look();
  }

  /** The socket is gone, whoever ended it. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function sizeOf(data: unknown): number {
  if (typeof data === "string") return data.length;
  if (data instanceof Blob) return data.size;
  return data instanceof ArrayBuffer ? data.byteLength : 0;
}
