/**
 * The HTTP server that the tests of one file share. Each client has a key of its own.
 *
 * @module
 */
import { HttpServer, type HttpServerOptions } from "../support/http.ts";
import { connectOverHttp } from "./peer.ts";
import type { Way } from "./suite.ts";

/** A server that runs while the tests of a file do, and how they come by it. */
export interface SharedHttp {
  readonly way: Way;
  /** The server, while tests run. */
  server(): HttpServer;
}

/**
 * Has a server started before the first test of the calling file and ended after the last.
 *
 * @param options How to start it.
 * @returns How its clients come by it.
 */
export function sharedHttp(options: HttpServerOptions = {}): SharedHttp {
  let started: HttpServer | null = null;
  Deno.test.beforeAll(async () => {
    started = await HttpServer.start({
      ...options,
      env: { MCP_LOG_LEVEL: "error", ...options.env },
    });
  });
  // It throws where a scanner is left.
  Deno.test.afterAll(async () => await started?.[Symbol.asyncDispose]());
  const server = () => {
    if (started === null) {
      throw new Error("Cannot use the server: no test runs");
    }
    return started;
  };
  const connect = connectOverHttp(async () => {
    const { url, pid } = server();
    const { secret } = await server().key();
    return {
      url: `${url}/mcp`,
      headers: { authorization: `Bearer ${secret}` },
      pid,
    };
  });
  return { way: { transport: "HTTP", connect }, server };
}
