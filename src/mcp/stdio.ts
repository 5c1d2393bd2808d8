/**
 * MCP over stdio. The opening exchange decides which revision of the protocol is spoken; the same
 * server answers in all of them.
 *
 * @module
 */
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { createQuestions } from "./approval_question.ts";
import { LineTransport } from "./line_transport.ts";
import {
  createMcpServer,
  type EngineSource,
  type McpServerInfo,
} from "./server.ts";

/** Options of {@linkcode serveMcpStdio}. */
export interface McpStdioOptions
  extends Omit<McpServerInfo, "transport" | "questions"> {
  /** Standard input. */
  readonly input: ReadableStream<Uint8Array>;
  /** Standard output; nothing else may write to it. */
  readonly output: WritableStream<Uint8Array>;
  /** Hears of what went wrong beside the protocol, for the log. */
  readonly onError: (error: Error) => void;
}

/** A connection that is being served. */
export interface McpStdioHandle {
  /** Resolves when the client has gone or the connection was closed. */
  readonly closed: Promise<void>;
  /** Ends the connection; calls in flight are cancelled. */
  close(): Promise<void>;
}

/**
 * Serves one client over two streams.
 *
 * @param engine The engine, or its start; whoever started it handles a rejection.
 * @param options Streams, version, fields and clock.
 * @returns The connection.
 */
export function serveMcpStdio(
  engine: EngineSource,
  options: McpStdioOptions,
): McpStdioHandle {
  const closed = Promise.withResolvers<void>();
  const transport = new LineTransport(options);
  const questions = createQuestions();
  const caller = { engine, address: null };
  const handle = serveStdio(
    () =>
      createMcpServer(
        { ...options, transport: "stdio", questions },
        () => caller,
      ),
    {
      transport,
      onerror: options.onError,
    },
  );
  const { onclose } = transport;
  transport.onclose = () => {
    onclose?.();
    closed.resolve();
  };
  return { closed: closed.promise, close: () => handle.close() };
}
