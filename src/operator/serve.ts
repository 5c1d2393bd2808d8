/**
 * The listener: where the app meets the network. It bounds how many requests are answered at once, and
 * ends in good order: no new connection, a word to every stream, time for answers to end, and then an
 * end for what is left.
 *
 * What the runtime's server bounds by itself (measured on Deno 2.9.6): at most 100 header fields, 64 KiB
 * of headers and 64 KiB of address, one Host, one meaning of a body's length. What it does not bound is
 * the time in which headers arrive, and nothing here can: a connection is no request before they are
 * there. Each such connection costs a file descriptor and 15 KiB until its client lets go, whoever that
 * is. What can be done here is done: running out of descriptors does not end the server (see
 * `Listener`). A server that strangers can reach belongs behind a proxy that bounds connections.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Log } from "@/log/log.ts";
import { problemAnswer } from "./problem.ts";

/** Most requests that wait for their answer at once: scans that are waited for are such. */
export const REQUESTS_MAX = 8_192;

/** Milliseconds until a listener that failed is opened again. */
const REOPEN_MS = 250;

/** What answers requests: the app, or a stand-in. */
export interface Answering {
  fetch(
    request: Request,
    info: Deno.ServeHandlerInfo,
  ): Response | Promise<Response>;
}

/** A certificate and its key, in PEM. */
export interface Tls {
  readonly certificate: string;
  readonly key: string;
}

/** Where to listen and how. */
export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: Tls | null;
  readonly log: Log;
  /** Ends event streams and WebSockets; called once, when the end begins. */
  readonly closeStreams: () => void;
  /** @default {REQUESTS_MAX} */
  readonly requestsMax?: number;
}

/** A server that listens. */
export interface HttpServer {
  /** Where it listens. */
  readonly address: { readonly hostname: string; readonly port: number };
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  /** Requests that are being answered. */
  readonly active: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly finished: Promise<void>;
  /**
   * Takes no new connection, ends streams, and waits for answers that are on their way.
   *
   * @param graceMs Most milliseconds to wait.
   */
  shutdown(graceMs: number): Promise<void>;
}

/**
 * Reads certificate and key.
 *
 * @param certificateFile The certificate chain's file.
 * @param keyFile The private key's file.
 * @returns Both.
 * @throws {AppError} `tool_unavailable` if one of them cannot be read.
 */
export async function readTls(
  certificateFile: string,
  keyFile: string,
): Promise<Tls> {
  const [certificate, key] = await Promise.all([
    readPem(certificateFile, "server.tls_certificate_file"),
    readPem(keyFile, "server.tls_key_file"),
  ]);
  return { certificate, key };
}

async function readPem(file: string, key: string): Promise<string> {
  const text = await Deno.readTextFile(file).catch((cause) => {
    throw new AppError(
      "tool_unavailable",
      `Cannot read the file that ${key} names: it is not there or may not be read; check its path and its owner`,
      { cause, detail: String(cause) },
    );
  });
  if (text.includes("-----BEGIN ")) return text;
  throw new AppError(
    "tool_unavailable",
    `Cannot use the file that ${key} names: it is not PEM`,
  );
}

/**
 * Listens.
 *
 * @param app What answers.
 * @param options Where and how.
 * @returns The server, which listens already.
 * @throws {AppError} `conflict` if the address is taken or not this machine's.
 */
export function serveHttp(app: Answering, options: ServeOptions): HttpServer {
  const gate = new Gate(app, options.requestsMax ?? REQUESTS_MAX);
  const listener = new Listener(gate, options);
  const { hostname, port } = listener.address;
  const name = hostname.includes(":") ? `[${hostname}]` : hostname;
  let ending: Promise<void> | null = null;
  return {
    address: { hostname, port },
    url: `${options.tls === null ? "http" : "https"}://${name}:${port}`,
    get active() {
      return gate.active;
    },
    finished: listener.finished,
    shutdown: (graceMs) => ending ??= end(listener, options, graceMs),
  };
}

/**
 * Listens, and listens again when the runtime gives up. It does so when a connection cannot be taken
 * because the process has no file descriptor left (measured: the error ends a process that does not
 * catch it), which is in the hand of anybody who can open connections.
 */
class Listener {
  readonly address: Deno.NetAddr;
  readonly finished: Promise<void>;
  readonly #gate: Gate;
  readonly #options: ServeOptions;
  readonly #done = Promise.withResolvers<void>();
  #server: Deno.HttpServer<Deno.NetAddr> | null;
  #ending = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(gate: Gate, options: ServeOptions) {
    this.#gate = gate;
    this.#options = options;
    this.finished = this.#done.promise;
    this.#server = this.#open(options.port);
    this.address = this.#server.addr;
  }

  /** Takes no new connection and waits for the answers. */
  async shutdown(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#timer);
    await this.#server?.shutdown();
    this.#done.resolve();
  }

  #open(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { host, tls, log } = this.#options;
    const server = listen(host, port, () =>
      Deno.serve(
        {
          ...{ hostname: host, port, onListen: () => {} },
          ...(tls === null ? {} : { cert: tls.certificate, key: tls.key }),
          onError: (thrown) => unanswered(thrown, log),
        },
        this.#gate.answer,
      ));
    server.finished.catch((thrown) => this.#reopen(thrown));
    return server;
  }

  #reopen(thrown: unknown): void {
    this.#server = null;
    if (this.#ending) return;
    this.#options.log.error(
      "the listener failed and is opened again; raise the limit of open files if it was reached",
      { thrown },
    );
    this.#timer = setTimeout(() => {
      try {
        this.#server = this.#open(this.address.port);
      } catch (again) {
        this.#reopen(again);
      }
    }, REOPEN_MS);
  }
}

/** Lets so many requests in at once. */
class Gate {
  readonly #app: Answering;
  readonly #max: number;
  #active = 0;

  constructor(app: Answering, max: number) {
    this.#app = app;
    this.#max = max;
  }

  get active(): number {
    return this.#active;
  }

  readonly answer = async (
    request: Request,
    info: Deno.ServeHandlerInfo,
  ): Promise<Response> => {
    if (this.#active >= this.#max) return busy();
    this.#active += 1;
    try {
      return await this.#app.fetch(request, info);
    } finally {
      this.#active -= 1;
    }
  };
}

function busy(): Response {
  const error = new AppError(
    "queue_full",
    "Cannot answer now: too many requests are being answered; come again in a moment",
    { retryAfter: 1 },
  );
  return problemAnswer(error, { requestId: "", traceId: "" });
}

/** What the app could not turn into an answer: nothing of it leaves the process. */
function unanswered(thrown: unknown, log: Log): Response {
  log.error("a request failed outside of the app", { thrown });
  const error = new AppError(
    "internal",
    "Cannot complete the request: an internal fault occurred; see the server log",
  );
  return problemAnswer(error, { requestId: "", traceId: "" });
}

function listen<T>(host: string, port: number, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new AppError(
        "conflict",
        `Cannot listen on port ${port} of ${host}: it is in use; set another server.port or stop what uses it`,
        { cause },
      );
    }
    if (cause instanceof Deno.errors.AddrNotAvailable) {
      throw new AppError(
        "conflict",
        `Cannot listen on ${host}: this machine has no such address; set another server.host`,
        { cause },
      );
    }
    throw cause;
  }
}

/**
 * Streams never end by themselves, so they are told. What has not ended in time is left to the end of
 * the process: the runtime cannot be told twice to end a server.
 */
async function end(
  listener: Listener,
  { closeStreams, log }: ServeOptions,
  graceMs: number,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), graceMs);
  closeStreams();
  if (await Promise.race([listener.shutdown(), promise]) === "late") {
    log.warn("answers were cut off: they did not end in time");
  }
  clearTimeout(timer);
}
