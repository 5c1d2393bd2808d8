/**
 * The HTTP server as a client sees it: a child process with the flags of `deno task serve-http`, a
 * state folder and a port of its own, and API keys for whoever a test wants to be.
 *
 * Where a test wants no network but loopback the server runs in a namespace without one, together with
 * a relay that listens outside. So the test is outside, and a server that fails to refuse still sends no
 * packet anywhere.
 *
 * @module
 */
import { openApiKeys } from "@/identity/open.ts";
import type { Role, Scope } from "@/identity/principal.ts";
import { openStore } from "@/store/open.ts";
import { freePort, OFFLINE } from "./network.ts";
import { descendantsOf, type Process, processes } from "./processes.ts";
import { type Prepared, prepareServer, withFolders } from "./server.ts";
import { ROOT } from "./task.ts";
import { type TempDir, withTempDir } from "./temp_dir.ts";

/** How to start a server. */
export interface HttpServerOptions {
  /** Folders that come first in its `PATH`: stand-ins. They run in no sandbox. */
  readonly path?: readonly string[];
  /** Variables besides those of this process: `{ MCP_SECURITY_TENANT_SUBNETS: "red=127.0.1.0/24" }`. */
  readonly env?: Readonly<Record<string, string>>;
  /** The tenants besides the house. */
  readonly tenants?: readonly string[];
  /** The text of a configuration file. */
  readonly config?: string;
  /** Texts of Cedar files by name, instead of the shipped policies; the shipped schema is beside them. */
  readonly policies?: Readonly<Record<string, string>>;
  /** Whether it runs where loopback is the only network. @default false */
  readonly offline?: boolean;
  /** Hosts that it may talk to besides itself, where `path` is given: `["127.0.0.1:5432"]`. */
  readonly net?: readonly string[];
  /** Changes its arguments, flags included. */
  readonly edit?: (args: readonly string[]) => readonly string[];
  /** The folder of an earlier server, to start another one on its history. @default a new one */
  readonly folder?: HttpFolder;
  /** @default {60_000} Milliseconds after which a wait is given up. */
  readonly patienceMs?: number;
}

/** Whose key to make. */
export interface KeyOptions {
  /** @default ["operator"] */
  readonly roles?: readonly Role[];
  /** @default "default" */
  readonly tenant?: string;
  /** @default null */
  readonly scopes?: readonly Scope[] | null;
  /** @default "test" */
  readonly name?: string;
  readonly expiresInSeconds?: number;
}

/** A key. */
export interface TestKey {
  readonly id: string;
  readonly secret: string;
}

/** What is sent besides the path. */
export interface SendOptions {
  /** @default GET, POST with a body */
  readonly method?: string;
  /** The secret of a key; without one no credentials are sent. */
  readonly key?: string | null;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text as JSON; undefined if it is none. */
  // deno-lint-ignore no-explicit-any -- a test reads what it expects
  readonly json: any;
}

/** How a server ended. */
export interface HttpEnd {
  readonly status: Deno.CommandStatus;
  /** What it had started and left behind: there should be none. */
  readonly left: readonly Process[];
}

/** Most characters of standard error that are kept. */
const KEPT_MAX = 4 * 1024 * 1024;

/** How long a process that was told to end may take to be gone from the table, in looks of 50 ms. */
const LOOKS_MAX = 100;

/** A state folder, and a folder for files that a server may read beside it. */
export class HttpFolder implements AsyncDisposable {
  readonly #folder: TempDir;

  private constructor(folder: TempDir) {
    this.#folder = folder;
  }

  /** Makes one: `await using folder = await HttpFolder.make();` */
  static async make(): Promise<HttpFolder> {
    const folder = await withTempDir();
    await Deno.mkdir(`${folder.path}/state`);
    await Deno.mkdir(`${folder.path}/files`);
    return new HttpFolder(folder);
  }

  /** The state folder. */
  get state(): string {
    return `${this.#folder.path}/state`;
  }

  /** Gives the path of a file that the server may read. */
  file(name: string): string {
    return `${this.#folder.path}/files/${name}`;
  }

  /** Removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** A server that listens. */
export class HttpServer implements AsyncDisposable {
  /** Where it is reached, without a slash at the end. */
  readonly url: string;
  readonly folder: HttpFolder;
  readonly #process: Running;
  readonly #options: HttpServerOptions;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    url: string,
    parts: {
      readonly process: Running;
      readonly folder: HttpFolder;
      readonly options: HttpServerOptions;
      readonly owned: AsyncDisposableStack;
    },
  ) {
    this.url = url;
    this.folder = parts.folder;
    this.#process = parts.process;
    this.#options = parts.options;
    this.#owned = parts.owned;
  }

  /**
   * Starts a server and waits until it listens: `await using server = await HttpServer.start();`
   *
   * @param options How to start it.
   * @returns The server.
   * @throws {Error} If it ends before it listens, with what it wrote to standard error.
   */
  static async start(options: HttpServerOptions = {}): Promise<HttpServer> {
    await using stack = new AsyncDisposableStack();
    const folder = options.folder ?? stack.use(await HttpFolder.make());
    const prepared = await prepareHttp(folder, freePort(), options);
    const process = stack.use(new Running(prepared, options.patienceMs));
    const [, url = ""] = await process.logged(/serving on (\S+)/);
    return new HttpServer(url, {
      ...{ process, folder, options },
      owned: stack.move(),
    });
  }

  /** The process of the server itself. */
  get pid(): number {
    return this.#process.pid;
  }

  /** What it wrote to standard error so far. */
  get stderr(): string {
    return this.#process.stderr;
  }

  /** How it ended, once it has. */
  get ended(): Promise<Deno.CommandStatus> {
    return this.#process.ended;
  }

  /** Waits until standard error holds something; what came already counts. */
  logged(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#process.logged(pattern);
  }

  /** Sends a signal to the server's process, unless that has ended. */
  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /**
   * Makes an API key as `deno task keys create` does, without the second that a process takes.
   *
   * @param options Whose.
   * @returns Its id and its secret.
   */
  async key(options: KeyOptions = {}): Promise<TestKey> {
    const [made] = await this.keys([options]);
    if (made === undefined) throw new Error("Cannot make a key: none came");
    return made;
  }

  /**
   * Makes API keys.
   *
   * @param all Whose.
   * @returns Their ids and secrets, in order.
   */
  async keys(all: readonly KeyOptions[]): Promise<TestKey[]> {
    const { state } = this.folder;
    const store = await openStore(
      this.#options.env?.["MCP_DATABASE_URL"] ?? "",
      {
        folder: state,
        program: "test",
        now: Date.now,
      },
    );
    try {
      const settings = {
        state: { folder: state },
        identity: { key_file: null },
      };
      const keys = await openApiKeys(settings, store, {
        wallNow: Date.now,
        now: () => performance.now(),
        tenants: () => new Set(["default", ...this.#options.tenants ?? []]),
        onWarning: () => {},
      });
      const made: TestKey[] = [];
      for (const one of all) {
        const { key, secret } = await keys.create({
          name: one.name ?? "test",
          tenant: one.tenant ?? "default",
          roles: one.roles ?? ["operator"],
          scopes: one.scopes ?? null,
          expiresInSeconds: one.expiresInSeconds ?? null,
        }, "local");
        made.push({ id: key.id, secret });
      }
      return made;
    } finally {
      await store[Symbol.asyncDispose]();
    }
  }

  /**
   * Sends a request.
   *
   * @param path Path and query.
   * @param options What goes with it.
   * @returns The answer, its body still to come: whoever calls reads or cancels it.
   */
  async fetch(path: string, options: SendOptions = {}): Promise<Response> {
    const { key, body, headers, signal } = options;
    return await fetch(`${this.url}${path}`, {
      method: options.method ?? (body === undefined ? "GET" : "POST"),
      headers: {
        ...key && { authorization: `Bearer ${key}` },
        ...body !== undefined && { "content-type": "application/json" },
        ...headers,
      },
      ...body !== undefined && { body: JSON.stringify(body) },
      ...signal && { signal },
      redirect: "manual",
    });
  }

  /**
   * Sends a request and reads the answer.
   *
   * @param path Path and query.
   * @param options What goes with it.
   * @returns The answer.
   */
  async ask(path: string, options: SendOptions = {}): Promise<Answer> {
    const response = await this.fetch(path, options);
    const text = await response.text();
    return {
      ...{ status: response.status, headers: response.headers, text },
      json: jsonOf(text),
    };
  }

  /**
   * Tells it to end and waits for that, and looks for what it left behind.
   *
   * @param signal How it is told.
   * @returns How it ended.
   */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<HttpEnd> {
    const status = await this.#process.stop(signal);
    return { status, left: await this.#process.left() };
  }

  /** Ends it, whatever it does, and tells of what it left behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { left } = await this.stop();
    await this.#owned.disposeAsync();
    if (left.length === 0) return;
    throw new Error(
      `Cannot end the server cleanly: it left ${
        left.map(({ pid, commandLine }) => `${pid} ${commandLine}`).join("; ")
      }`,
    );
  }
}

/** The process, and what it started. */
class Running implements AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #patienceMs: number;
  readonly #waiters = new Set<() => void>();
  /** Everything it was seen to have started. */
  readonly #family = new Map<number, string>();
  #stderr = "";
  #over = false;

  constructor({ program, args, env }: Prepared, patienceMs = 60_000) {
    this.#child = new Deno.Command(program, {
      args: [...args],
      env: { ...env },
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    this.#patienceMs = patienceMs;
    const reading = Promise.all([
      this.#read(this.#child.stdout),
      this.#read(this.#child.stderr),
    ]);
    this.ended = this.#child.status.then(async (status) => {
      // What stands beside the server in its namespace goes when its input ends.
      await this.#stdin.close().catch(() => {});
      await reading;
      this.#over = true;
      this.#wake();
      return status;
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  async logged(pattern: RegExp): Promise<RegExpExecArray> {
    await this.#until(
      `a log that matches ${pattern}`,
      () => pattern.test(this.#stderr),
    );
    return pattern.exec(this.#stderr) as RegExpExecArray;
  }

  kill(signal: Deno.Signal): void {
    if (!this.#over) this.#child.kill(signal);
  }

  async stop(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    if (!this.#over) {
      for (const { pid, commandLine } of await descendantsOf(this.pid)) {
        this.#family.set(pid, commandLine);
      }
      this.kill(signal);
      try {
        await this.#until("the end of the server", () => this.#over);
      } catch (thrown) {
        this.kill("SIGKILL");
        await this.ended;
        throw thrown;
      }
    }
    return await this.ended;
  }

  /** What is left of what it started; a moment is given to what was told to end. */
  async left(): Promise<readonly Process[]> {
    for (let look = 1;; look++) {
      const left = (await processes()).filter(({ pid, state, commandLine }) =>
        state !== "Z" && this.#family.get(pid) === commandLine
      );
      if (left.length === 0 || look === LOOKS_MAX) return left;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGTERM");
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      this.#stderr = (this.#stderr + text).slice(-KEPT_MAX);
      this.#wake();
    }
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  async #until(what: string, test: () => boolean): Promise<void> {
    if (test()) return;
    const done = Promise.withResolvers<void>();
    const fail = (why: string) =>
      done.reject(
        new Error(
          `Cannot wait for ${what}: ${why}; standard error ends with:\n${
            this.#stderr.slice(-4_000)
          }`,
        ),
      );
    const look = () => {
      if (test()) done.resolve();
      else if (this.#over) fail("the server has ended");
    };
    const timer = setTimeout(
      () => fail(`${this.#patienceMs} ms are over`),
      this.#patienceMs,
    );
    this.#waiters.add(look);
    look();
    await done.promise.finally(() => {
      clearTimeout(timer);
      this.#waiters.delete(look);
    });
  }
}

/**
 * Builds the command line of `deno task serve-http`, for tests that want to see it fail.
 *
 * @param folder Its state and files.
 * @param port Where it listens.
 * @param options How to start it.
 * @returns The command line.
 */
export async function prepareHttp(
  folder: HttpFolder,
  port: number,
  options: HttpServerOptions = {},
): Promise<Prepared> {
  const files = folder.file("").replace(/\/$/, "");
  const env: Record<string, string> = {
    MCP_STATE_FOLDER: folder.state,
    MCP_SERVER_PORT: String(port),
    ...options.tenants && { MCP_IDENTITY_TENANTS: options.tenants.join() },
  };
  if (options.config !== undefined) {
    env["MCP_CONFIG_FILE"] = folder.file("config.yaml");
    await Deno.writeTextFile(folder.file("config.yaml"), options.config);
  }
  if (options.policies !== undefined) {
    env["MCP_POLICY_FOLDER"] = folder.file("policies");
    await writePolicies(folder.file("policies"), options.policies);
  }
  const hosts = [`127.0.0.1:${port}`, ...options.net ?? []];
  return prepareServer({
    task: "serve-http",
    ...options.path && { path: options.path },
    env: { ...env, ...options.env },
    wrap: options.offline === true ? offlineBehind(port) : [],
    edit: (flags) => {
      const own = withFolders(flags, folder.state, files);
      // Stand-ins take the place of sandbox/start, which would have found out the hosts.
      const open = options.path === undefined
        ? own
        : own.flatMap((flag) =>
          flag === "run" ? [flag, `--allow-net=${hosts.join()}`] : [flag]
        );
      return options.edit?.(open) ?? open;
    },
  });
}

async function writePolicies(
  folder: string,
  policies: Readonly<Record<string, string>>,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.copyFile(
    `${ROOT}config/policies/schema.cedarschema`,
    `${folder}/schema.cedarschema`,
  );
  for (const [name, text] of Object.entries(policies)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
}

/**
 * The namespace without a network, with a relay in it that ends with its input. The relay's own socket
 * was made outside, where the test is; the port may be the same, as it is another 127.0.0.1.
 */
function offlineBehind(port: number): readonly string[] {
  const relay = `${ROOT}tests/support/http_relay.pl`;
  return [
    ...["perl", relay, "listen", String(port)],
    ...OFFLINE,
    "sh",
    "-c",
    'exec 4<&0; perl "$1" join "$2" <&4 4<&- & shift 2; exec "$@" 3<&- 4<&- </dev/null',
    ...["sh", relay, String(port)],
  ];
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not every answer is JSON; whoever expects it finds undefined.
    return undefined;
  }
}
