/**
 * A server that does nothing: the SDK alone, with no tool. What the real server takes longer to start
 * than this one is its own.
 *
 * @module
 */
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

serveStdio(() =>
  new McpServer({ name: "bare", version: "1.0.0" }, {
    capabilities: { tools: {} },
  })
);
