/**
 * A server that does nothing: Hono and the runtime's listener. What the real server takes longer for a
 * request than this one is its own. It says its port on standard output and ends with its input.
 *
 * @module
 */
import { Hono } from "hono";

const app = new Hono();
app.get("/", (c) => c.body(null));
app.post("/", (c) => c.body(null));

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => {
    Deno.stdout.writeSync(new TextEncoder().encode(`${port}\n`));
  },
}, app.fetch);

for await (const _ of Deno.stdin.readable) {
  // Nothing is said to it.
}
await server.shutdown();
