/**
 * The real server and a client of the protocol's own SDKs, as a user has them: over stdio the server is
 * started by the client, with the flags of its task; over HTTP it runs already and the client has a key.
 *
 * @module
 */
import {
  Client,
  StreamableHTTPClientTransport,
  type Transport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
// @ts-types="npm:@modelcontextprotocol/sdk@1.32.2/client"
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { prepareServer, withFolders } from "../support/server.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";

const CLIENT = { name: "e2e", version: "1.0.0" };

/** Most milliseconds that an answer may take. */
const TIMEOUT_MS = 120_000;

/** The clients that the suite runs with, and the revision that each speaks. */
export const PEERS = [
  "v1 at 2025-11-25",
  "v1 at 2025-06-18",
  "v2 at 2025-11-25",
  "v2 at 2026-07-28",
] as const;

/** One of {@linkcode PEERS}. */
export type PeerName = typeof PEERS[number];

/** What a call may carry besides its arguments. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { progress: number }) => void;
}

/** The result of a call, as far as the suite looks at it. */
export interface Result {
  readonly isError?: boolean | undefined;
  readonly structuredContent?: unknown;
  readonly content?: unknown;
}

/** A connected client. */
export interface Peer extends AsyncDisposable {
  /** Everything but calls, in which the generations differ. */
  readonly client: Client;
  /** The revision that was agreed on: its date, or `modern` and `legacy`. */
  readonly speaks: string;
  /** The server's process. */
  readonly pid: number;
  call(
    name: string,
    args: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ): Promise<Result>;
  /** Goes away as a client does that its user closes, whatever still runs. */
  leave(): Promise<void>;
}

/** Gives a connected client. */
export type Connect = (name: PeerName) => Promise<Peer>;

/** A server that listens, and what a client needs to be let in. */
export interface Endpoint {
  /** `http://127.0.0.1:PORT/mcp`. */
  readonly url: string;
  /** `authorization`, say. */
  readonly headers: Readonly<Record<string, string>>;
  /** The server's process. */
  readonly pid: number;
}

/**
 * Starts the server through a client and connects.
 *
 * @param name Which client.
 * @returns The client.
 */
export async function connect(name: PeerName): Promise<Peer> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await withTempDir());
  const state = `${folder.path}/state`;
  const { program, args, env } = prepareServer({
    env: { MCP_STATE_FOLDER: state, MCP_LOG_LEVEL: "error" },
    edit: (args) => withFolders(args, state),
  });
  const start = {
    command: program,
    args: [...args],
    cwd: ROOT,
    env: { ...Deno.env.toObject(), ...env },
  };
  if (name.startsWith("v1")) {
    const transport = new StdioV1(start);
    const joined = await connectV1(transport, name);
    return peerOf({ ...joined, pid: transport.pid ?? 0 }, stack);
  }
  const transport = new StdioClientTransport(start);
  const joined = await connectV2(transport, name);
  return peerOf({ ...joined, pid: transport.pid ?? 0 }, stack);
}

/**
 * Makes a {@linkcode Connect} of a server over HTTP, which stays when the client goes.
 *
 * @param endpoint Says where it is, and gives the credentials of one client more.
 * @returns The function.
 */
export function connectOverHttp(endpoint: () => Promise<Endpoint>): Connect {
  return async (name) => {
    const { url, headers, pid } = await endpoint();
    const where = new URL(url);
    const init = { requestInit: { headers: { ...headers } } };
    const transport = name.startsWith("v1")
      ? new HttpV1(where, init)
      : new StreamableHTTPClientTransport(where, init);
    const joined = transport instanceof HttpV1
      ? await connectV1(transport, name)
      : await connectV2(transport, name);
    const leave = async () => {
      // Older revisions have sessions, and whoever goes says so. The newest one has only requests.
      if (transport.sessionId !== undefined) await transport.terminateSession();
      await joined.client.close();
    };
    return peerOf({ ...joined, pid, leave }, new AsyncDisposableStack());
  };
}

/** A message of a client. */
interface Message {
  readonly method?: string;
  readonly params?: object;
}

/** What is changed of a transport of the first generation, whose types do not reach here. */
interface TransportV1 {
  send(message: Message, options?: unknown): Promise<void>;
  setProtocolVersion?: (version: string) => void;
}

type Joined = Pick<Peer, "client" | "speaks" | "call">;

function peerOf(
  peer: Omit<Peer, typeof Symbol.asyncDispose | "leave"> & Partial<Peer>,
  stack: AsyncDisposableStack,
): Peer {
  let gone: Promise<void> | undefined;
  const { leave: go = () => peer.client.close() } = peer;
  const leave = () => gone ??= go();
  stack.defer(leave);
  return { ...peer, leave, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function connectV2(
  transport: Transport,
  name: PeerName,
): Promise<Joined> {
  const client = name === "v2 at 2026-07-28"
    ? new Client(CLIENT, {
      versionNegotiation: { mode: { pin: "2026-07-28" } },
    })
    : new Client(CLIENT);
  await client.connect(transport);
  return {
    client,
    speaks: client.getProtocolEra() ?? "nothing",
    call: (tool, args, options = {}) =>
      client.callTool({ name: tool, arguments: { ...args } }, {
        timeout: TIMEOUT_MS,
        ...options,
      }),
  };
}

async function connectV1(
  transport: TransportV1,
  name: PeerName,
): Promise<Joined> {
  if (name === "v1 at 2025-06-18") {
    // The client asks for the newest revision that it knows; this one is made to ask for an older one.
    const send = transport.send.bind(transport);
    transport.send = (message, options) =>
      send(
        message.method === "initialize"
          ? {
            ...message,
            params: { ...message.params, protocolVersion: "2025-06-18" },
          }
          : message,
        options,
      );
  }
  let speaks = "nothing";
  // Over HTTP the transport has to hear of it too: it names the revision in a header.
  const told = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version: string) => {
    speaks = version;
    told?.(version);
  };
  const client = new ClientV1(CLIENT);
  await client.connect(transport as never);
  return {
    // The generations differ in their types, not in what the suite asks of them.
    client: client as unknown as Client,
    speaks,
    call: (tool, args, options = {}) =>
      client.callTool({ name: tool, arguments: { ...args } }, undefined, {
        timeout: TIMEOUT_MS,
        ...options,
      }) as Promise<Result>,
  };
}
