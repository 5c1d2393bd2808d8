/**
 * The server as a client sees it: a child process that is spoken to over stdio, with the flags of
 * `deno task serve`. Everything here waits for an event: an answer, a line, an end. The one clock is
 * the limit after which a test is told what it waited for in vain.
 *
 * It speaks the protocol by hand, a JSON text a line, so that a test sees the bytes that a client
 * would see and can send what no client sends.
 *
 * @module
 */
import { type Command, ROOT, taskCommand } from "./task.ts";

/** How to start a server. */
export interface ServerOptions {
  /** @default {"serve"} The task of `deno.json`. */
  readonly task?: string;
  /** Folders that come first in its `PATH`: stand-ins. They run in no sandbox. */
  readonly path?: readonly string[];
  /** Variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written in front of its command, `OFFLINE` say. */
  readonly wrap?: readonly string[];
  /** Written behind its command. */
  readonly args?: readonly string[];
  /** Changes its arguments, flags included: a state folder of its own, say. */
  readonly edit?: (args: readonly string[]) => readonly string[];
  /** @default {60_000} Milliseconds after which a wait is given up. */
  readonly patienceMs?: number;
}

/** A message of JSON-RPC. */
export interface Message {
  readonly jsonrpc?: string;
  readonly id?: number | string | null;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** An answer that is a protocol error. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** The protocol's number. */
  readonly code: number;

  /**
   * @param code The protocol's number.
   * @param message What the server said.
   */
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A request that was sent. */
export interface Sent {
  readonly id: number;
  /** Its result; rejects with {@linkcode RpcError}. */
  readonly result: Promise<Readonly<Record<string, unknown>>>;
}

/** Most characters of standard error and of stray output that are kept. */
const KEPT_MAX = 4 * 1024 * 1024;

interface Waiter {
  readonly what: string;
  /** Takes part of an event, and tells whether the wait is over. */
  readonly test: () => boolean;
  readonly reject: (error: Error) => void;
}

/** A server that runs. */
export class Server implements AsyncDisposable {
  /** The process of the server itself. */
  readonly pid: number;
  /** How it ended, once it has. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** Every notification so far. */
  readonly notifications: Message[] = [];
  /** Lines of standard output that are no message: there should be none. */
  readonly stray: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #pending = new Map<number, (message: Message) => void>();
  readonly #rejects = new Map<number, (error: Error) => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #reading: Promise<unknown>;
  readonly #patienceMs: number;
  #stderr = "";
  #nextId = 1;
  #over = false;

  /** @param child The process, all three streams piped. */
  constructor(child: Deno.ChildProcess, patienceMs: number) {
    this.#child = child;
    this.#patienceMs = patienceMs;
    this.pid = child.pid;
    this.#writer = child.stdin.getWriter();
    this.#reading = Promise.all([
      readLines(child.stdout, (line) => this.#takeLine(line)),
      readText(child.stderr, (text) => {
        this.#stderr = (this.#stderr + text).slice(-KEPT_MAX);
        this.#wake();
      }),
    ]);
    this.ended = child.status.then((status) => this.#end(status));
  }

  /** What it wrote to standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /**
   * Sends a request.
   *
   * @param method The method.
   * @param params Its parameters.
   * @returns The result.
   * @throws {RpcError} If the answer is a protocol error.
   */
  request(
    method: string,
    params?: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.send(method, params).result;
  }

  /**
   * Sends a request and tells its id at once, for a cancellation.
   *
   * @param method The method.
   * @param params Its parameters.
   * @returns The id, and the result to come.
   */
  send(method: string, params?: Readonly<Record<string, unknown>>): Sent {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    if (this.#over) answer.reject(this.#gone(method));
    this.#rejects.set(id, answer.reject);
    this.#pending.set(id, ({ result, error }) => {
      if (error !== undefined) {
        answer.reject(new RpcError(error.code, error.message));
      } else answer.resolve(result ?? {});
    });
    const timer = setTimeout(
      () => answer.reject(this.#late(`the answer to ${method}`)),
      this.#patienceMs,
    );
    this.write({ jsonrpc: "2.0", id, method, ...params && { params } });
    const result = answer.promise.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(id);
      this.#rejects.delete(id);
    });
    // A test may cancel a request and not look at its answer.
    result.catch(() => {});
    return { id, result };
  }

  /**
   * Sends a notification.
   *
   * @param method The method.
   * @param params Its parameters.
   */
  notify(method: string, params?: Readonly<Record<string, unknown>>): void {
    this.write({ jsonrpc: "2.0", method, ...params && { params } });
  }

  /**
   * Writes a line as it is.
   *
   * @param message A text, or a value that is written as JSON.
   */
  write(message: unknown): void {
    const line = typeof message === "string"
      ? message
      : JSON.stringify(message);
    // A server that is gone is told to whoever waits for an answer, not here.
    this.#writer.write(new TextEncoder().encode(`${line}\n`)).catch(() => {});
  }

  /**
   * Introduces itself.
   *
   * @param protocolVersion What the client speaks.
   * @returns What the server said of itself.
   */
  async initialize(
    protocolVersion = "2025-11-25",
  ): Promise<Readonly<Record<string, unknown>>> {
    const result = await this.request("initialize", {
      protocolVersion,
      capabilities: {},
      clientInfo: { name: "test", version: "1.0.0" },
    });
    this.notify("notifications/initialized");
    return result;
  }

  /**
   * Calls a tool.
   *
   * @param name The tool.
   * @param args Its arguments.
   * @returns The result of `tools/call`.
   */
  call(
    name: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.request("tools/call", { name, arguments: args });
  }

  /**
   * Waits for a notification; one that came already counts.
   *
   * @param method Its method.
   * @param test What else it has to be.
   * @returns The first that fits.
   */
  async notification(
    method: string,
    test: (params: Readonly<Record<string, unknown>>) => boolean = () => true,
  ): Promise<Message> {
    const find = () =>
      this.notifications.find((one) =>
        one.method === method && test(one.params ?? {})
      );
    await this.#until(`the notification ${method}`, () => find() !== undefined);
    return find() ?? {};
  }

  /**
   * Waits until standard error holds something; what came already counts.
   *
   * @param pattern What to wait for.
   * @returns The match.
   */
  async logged(pattern: RegExp): Promise<RegExpExecArray> {
    await this.#until(
      `a log that matches ${pattern}`,
      () => pattern.test(this.#stderr),
    );
    return pattern.exec(this.#stderr) as RegExpExecArray;
  }

  /**
   * Sends a signal to the server's process, unless that has ended.
   *
   * @param signal The signal.
   */
  kill(signal: Deno.Signal): void {
    if (!this.#over) this.#child.kill(signal);
  }

  /**
   * Closes its standard input, as a client does that goes, and waits for its end.
   *
   * @returns How it ended.
   */
  async close(): Promise<Deno.CommandStatus> {
    await this.#writer.close().catch(() => {});
    await this.#until("the end of the server", () => this.#over);
    return await this.ended;
  }

  /** Ends it, whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.close();
    } catch (thrown) {
      if (!this.#over) this.kill("SIGKILL");
      await this.ended;
      throw thrown;
    }
  }

  #takeLine(line: string): void {
    let message: Message | null = null;
    try {
      message = JSON.parse(line) as Message;
    } catch {
      message = null;
    }
    if (message?.jsonrpc !== "2.0") {
      if (this.stray.length < 1_000) this.stray.push(line.slice(0, 1_000));
    } else if (message.method !== undefined && message.id === undefined) {
      this.notifications.push(message);
    } else if (typeof message.id === "number") {
      this.#pending.get(message.id)?.(message);
    }
    this.#wake();
  }

  async #end(status: Deno.CommandStatus): Promise<Deno.CommandStatus> {
    await this.#reading;
    this.#over = true;
    for (const reject of this.#rejects.values()) reject(this.#gone("it"));
    this.#wake();
    for (const waiter of this.#waiters) waiter.reject(this.#gone(waiter.what));
    await this.#writer.close().catch(() => {});
    return status;
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter.test();
  }

  #until(what: string, test: () => boolean): Promise<void> {
    if (test()) return Promise.resolve();
    if (this.#over) return Promise.reject(this.#gone(what));
    const done = Promise.withResolvers<void>();
    const waiter: Waiter = {
      what,
      reject: done.reject,
      test: () => {
        const over = test();
        if (over) done.resolve();
        return over;
      },
    };
    const timer = setTimeout(
      () => done.reject(this.#late(what)),
      this.#patienceMs,
    );
    this.#waiters.add(waiter);
    return done.promise.finally(() => {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    });
  }

  #late(what: string): Error {
    return new Error(
      `Cannot wait longer for ${what}: ${this.#patienceMs} ms are over; standard error ends with:\n${
        this.#stderr.slice(-4_000)
      }`,
    );
  }

  #gone(what: string): Error {
    return new Error(
      `Cannot wait for ${what}: the server has ended; standard error ends with:\n${
        this.#stderr.slice(-4_000)
      }`,
    );
  }
}

/** A command line that is ready to be started. */
export interface Prepared {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Chooses the sandbox, and stands in front of the commands that spawn. */
const SANDBOX_START = "sandbox/start";

/** Has it allow the hosts that the configuration names. */
const SANDBOX_NET = "--net";

/**
 * Takes the command of a task apart. Where stand-ins come first on `PATH` they are what is to run, so
 * no launcher may come before them.
 */
function serverCommand(
  options: ServerOptions,
): Command & { readonly start: readonly string[] } {
  const command = taskCommand(options.task ?? "serve");
  if (command.program !== SANDBOX_START) return { ...command, start: [] };
  const own = command.args[0] === SANDBOX_NET ? [SANDBOX_NET] : [];
  const [program = "", ...args] = command.args.slice(own.length);
  if (options.path === undefined) {
    return { ...command, program, args, start: [SANDBOX_START, ...own] };
  }
  const env = { ...command.env, MCP_SANDBOX_MODE: "none" };
  return { env, program, args, start: [] };
}

/**
 * Builds the command line of a server.
 *
 * @param options How to start it.
 * @returns The command line.
 */
export function prepareServer(options: ServerOptions = {}): Prepared {
  const command = serverCommand(options);
  const state = options.env?.["MCP_STATE_FOLDER"] ?? ownState();
  const own = withFolders(command.args, state);
  const args = options.edit?.(own) ?? own;
  // PATH is put together by a shell that then becomes the program: a test needs no right to read the
  // environment, and the process that was started is the server.
  const [program = "sh", ...rest] = [
    "sh",
    "-c",
    'PATH="$1$PATH"; export PATH; shift; exec "$@"',
    "sh",
    (options.path ?? []).map((folder) => `${folder}:`).join(""),
    ...options.wrap ?? [],
    ...command.start,
    command.program,
    ...args,
    ...options.args ?? [],
  ];
  const env = { ...command.env, MCP_STATE_FOLDER: state, ...options.env };
  return { program, args: rest, env };
}

/**
 * Changes the flags of a task so that it reads and writes another state folder.
 *
 * @param args The arguments of the task.
 * @param state The folder.
 * @param readable One more folder that it may read.
 * @returns The arguments.
 */
export function withFolders(
  args: readonly string[],
  state: string,
  readable: string = state,
): readonly string[] {
  return args.map((arg) => {
    if (arg.startsWith("--allow-read=")) {
      const known = arg.slice("--allow-read=".length).split(",");
      return `--allow-read=${[...new Set([...known, state, readable])].join()}`;
    }
    return arg.startsWith("--allow-write=")
      ? arg.replace("./state", state)
      : arg;
  });
}

let folder: string | null = null;

/** A state folder of this process: no test writes into the history of whoever runs it. */
function ownState(): string {
  if (folder === null) {
    const made = Deno.makeTempDirSync({ prefix: "state-" });
    globalThis.addEventListener("unload", () => {
      Deno.removeSync(made, { recursive: true });
    });
    folder = made;
  }
  return folder;
}

/**
 * Starts a server: `await using server = startServer();`. Needs `--allow-run=sh`.
 *
 * @param options How to start it.
 * @returns The server; it may still be starting.
 */
export function startServer(options: ServerOptions = {}): Server {
  const { program, args, env } = prepareServer(options);
  return startCommand(program, args, env, options.patienceMs);
}

/**
 * Starts any program that speaks the protocol over stdio.
 *
 * @param program The program.
 * @param args Its arguments.
 * @param env Variables besides those of this process.
 * @param patienceMs Milliseconds after which a wait is given up.
 * @returns The server.
 */
export function startCommand(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  patienceMs = 60_000,
): Server {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new Server(child, patienceMs);
}

async function readText(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    take(decoder.decode(bytes, { stream: true }));
  }
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  // Pieces of a long line are kept apart until its end: joining them as they come is quadratic.
  let pieces: string[] = [];
  await readText(stream, (text) => {
    const lines = text.split("\n");
    for (const [at, line] of lines.entries()) {
      pieces.push(line);
      if (at === lines.length - 1) break;
      take(pieces.join(""));
      pieces = [];
    }
  });
  if (pieces.join("") !== "") take(pieces.join(""));
}
