/**
 * Stands between a client and a server on loopback and can be cut, as a network can.
 *
 * @module
 */

/** A relay. */
export interface Relay extends AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  /** Ends every connection and lets no new one through. */
  cut(): void;
  /** Lets new ones through. */
  mend(): void;
}

/**
 * Starts a relay: `await using relay = startRelay(port);` Needs `--allow-net=127.0.0.1`.
 *
 * @param port The server's port on 127.0.0.1.
 * @returns The relay.
 */
export function startRelay(port: number): Relay {
  const hostname = "127.0.0.1";
  const listener = Deno.listen({ hostname, port: 0 });
  const open = new Set<Deno.TcpConn>();
  let isCut = false;
  const close = (one: Deno.TcpConn) => {
    if (!open.delete(one)) return;
    try {
      one.close();
    } catch (thrown) {
      // Both of its streams have come to their end, which closes it too.
      if (!(thrown instanceof Deno.errors.BadResource)) throw thrown;
    }
  };
  const joined: Promise<void>[] = [];
  const join = async (near: Deno.TcpConn): Promise<void> => {
    open.add(near);
    if (isCut) return close(near);
    const far = await Deno.connect({ hostname, port });
    open.add(far);
    // A side that is closed ends the copying of both.
    await Promise.allSettled([
      near.readable.pipeTo(far.writable),
      far.readable.pipeTo(near.writable),
    ]);
    close(near);
    close(far);
  };
  const accepting = (async () => {
    for await (const near of listener) joined.push(join(near).catch(() => {}));
  })();
  const cut = () => {
    isCut = true;
    for (const one of [...open]) close(one);
  };
  return {
    port: listener.addr.port,
    cut,
    mend: () => {
      isCut = false;
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      cut();
      await accepting;
      await Promise.all(joined);
    },
  };
}
