/**
 * Stands between the conformance suite, which can send no credentials, and a server that asks for them:
 * adds a bearer token to each request and changes nothing else that the server judges by, the names of
 * hosts among it.
 *
 * @module
 */

/** A proxy. */
export interface BearerProxy extends AsyncDisposable {
  /** The server's endpoint behind it. */
  readonly url: string;
}

/** Longest head of a request. */
const HEAD_BYTES_MAX = 65_536;

const HOSTNAME = "127.0.0.1";

/**
 * Starts one. Needs `--allow-net=127.0.0.1`.
 *
 * @param url The server's endpoint on 127.0.0.1.
 * @param secret The token.
 * @returns The proxy.
 */
export function startBearerProxy(url: string, secret: string): BearerProxy {
  const { port, pathname } = new URL(url);
  const listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
  const own = String(listener.addr.port);
  const open = new Set<Deno.TcpConn>();
  const joined: Promise<void>[] = [];
  const join = async (near: Deno.TcpConn): Promise<void> => {
    open.add(near);
    const read = await readHead(near);
    if (read === null) return close(near, open);
    const [request = "", ...fields] = read.head.split("\r\n");
    const head = [
      request,
      // One request a connection: what follows the head is its body, and nothing has to be counted.
      ...fields.filter((field) => !/^connection:/i.test(field)),
      "connection: close",
      `authorization: Bearer ${secret}`,
    ].join("\r\n").replaceAll(`:${own}`, `:${port}`);
    const far = await Deno.connect({
      hostname: HOSTNAME,
      port: Number(port),
    });
    open.add(far);
    const writer = far.writable.getWriter();
    await writer.write(new TextEncoder().encode(`${head}\r\n\r\n`));
    if (read.rest.length > 0) await writer.write(read.rest);
    writer.releaseLock();
    const sending = near.readable.pipeTo(far.writable).catch(() => {});
    await far.readable.pipeTo(near.writable).catch(() => {});
    close(near, open);
    close(far, open);
    await sending;
  };
  const accepting = (async () => {
    for await (const near of listener) {
      joined.push(join(near).catch(() => close(near, open)));
    }
  })();
  return {
    url: `http://${HOSTNAME}:${own}${pathname}`,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const one of [...open]) close(one, open);
      await accepting;
      await Promise.all(joined);
    },
  };
}

/** Reads up to the empty line; what came behind it is the beginning of the body. */
async function readHead(
  connection: Deno.TcpConn,
): Promise<{ readonly head: string; readonly rest: Uint8Array } | null> {
  // A head is ASCII, and so a character is a byte.
  const decoder = new TextDecoder("latin1");
  const buffer = new Uint8Array(HEAD_BYTES_MAX);
  for (let length = 0; length < HEAD_BYTES_MAX;) {
    const count = await connection.read(buffer.subarray(length));
    if (count === null) return null;
    length += count;
    const text = decoder.decode(buffer.subarray(0, length));
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) continue;
    return { head: text.slice(0, end), rest: buffer.slice(end + 4, length) };
  }
  return null;
}

function close(one: Deno.TcpConn, open: Set<Deno.TcpConn>): void {
  if (!open.delete(one)) return;
  try {
    one.close();
  } catch (thrown) {
    // Both of its streams have come to their end, which closes it too.
    if (!(thrown instanceof Deno.errors.BadResource)) throw thrown;
  }
}
