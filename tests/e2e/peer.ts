/**
 * The real server and a client of the protocol's own SDKs, as a user has them: the server is started by
 * the client, over stdio, with the flags of its task.
 *
 * @module
 */
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
// @ts-types="npm:@modelcontextprotocol/sdk@1.32.2/client"
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
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
  const peer = name.startsWith("v1")
    ? await connectV1(start, name)
    : await connectV2(start, name);
  stack.defer(() => peer.client.close());
  return { ...peer, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Start {
  readonly command: string;
  readonly args: string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
}

type Connected = Pick<Peer, "client" | "speaks" | "pid" | "call">;

async function connectV2(start: Start, name: PeerName): Promise<Connected> {
  const transport = new StdioClientTransport(start);
  const client = name === "v2 at 2026-07-28"
    ? new Client(CLIENT, {
      versionNegotiation: { mode: { pin: "2026-07-28" } },
    })
    : new Client(CLIENT);
  await client.connect(transport);
  return {
    client,
    speaks: client.getProtocolEra() ?? "nothing",
    pid: transport.pid ?? 0,
    call: (tool, args, options = {}) =>
      client.callTool({ name: tool, arguments: { ...args } }, {
        timeout: TIMEOUT_MS,
        ...options,
      }),
  };
}

async function connectV1(start: Start, name: PeerName): Promise<Connected> {
  const transport = new StdioV1(start);
  if (name === "v1 at 2025-06-18") {
    // The client asks for the newest revision that it knows; this one is made to ask for an older one.
    const send = transport.send.bind(transport);
    transport.send = (message: Record<string, unknown>) =>
      message["method"] === "initialize"
        ? send({
          ...message,
          params: {
            ...message["params"] as object,
            protocolVersion: "2025-06-18",
          },
        })
        : send(message);
  }
  let speaks = "nothing";
  transport.setProtocolVersion = (version: string) => {
    speaks = version;
  };
  const client = new ClientV1(CLIENT);
  await client.connect(transport);
  return {
    // The generations differ in their types, not in what the suite asks of them.
    client: client as unknown as Client,
    speaks,
    pid: transport.pid ?? 0,
    call: (tool, args, options = {}) =>
      client.callTool({ name: tool, arguments: { ...args } }, undefined, {
        timeout: TIMEOUT_MS,
        ...options,
      }) as Promise<Result>,
  };
}
