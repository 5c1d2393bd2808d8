/**
 * Which process runs which scans, and whether it is alive.
 *
 * Several processes share a store: a server, a command beside it, several servers on one PostgreSQL.
 * At its start each of them has to end what a dead one left behind, and must leave alone what a living
 * one has at work. A process therefore holds a lock for as long as it lives, and the system lets go of
 * it in every kind of death: a lock on a file beside SQLite's, an advisory lock of a connection to
 * PostgreSQL. No clock and no heartbeat is involved.
 *
 * @module
 */
import type { BoundedClient, BoundedPool } from "./bounded_pool.ts";
import type { Link } from "./link.ts";

/** The first number of PostgreSQL's locks: `runs` in ASCII. */
const LOCKS = 0x72756e73;

/** How soon a lost connection is made again, and how seldom at last. */
const AGAIN_MIN_MS = 100;
const AGAIN_MAX_MS = 5_000;

/** Who can tell whether a runner is alive. */
export interface Watch extends AsyncDisposable {
  /**
   * Takes a runner's lock.
   *
   * @returns What lets go of it, or null if the runner is alive.
   */
  take(runner: number): Promise<(() => Promise<void>) | null>;
  /** Makes sure of the locks of this process: before a scan is recorded that leans on them. */
  hold(): Promise<void>;
}

/**
 * Watches by locks on files.
 *
 * @param path Path of the database's file.
 * @returns The watch.
 */
export function fileWatch(path: string): Watch {
  const held = new Map<number, Deno.FsFile>();
  const nameOf = (runner: number) => `${path}.runner-${runner}`;
  const letGo = async (runner: number): Promise<void> => {
    if (!held.has(runner)) return;
    // First the name: whoever comes now makes another file, and nobody waits for this one.
    await Deno.remove(nameOf(runner)).catch(() => {});
    held.get(runner)?.close();
    held.delete(runner);
  };
  return {
    async take(runner) {
      const file = await Deno.open(nameOf(runner), {
        read: true,
        write: true,
        create: true,
        mode: 0o600,
      });
      if (!await file.tryLock(true)) {
        file.close();
        return null;
      }
      held.set(runner, file);
      return () => letGo(runner);
    },
    // The system keeps a lock on a file for as long as the process lives.
    hold: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      for (const runner of [...held.keys()]) await letGo(runner);
    },
  };
}

/**
 * Watches by locks of a connection that is kept for them.
 *
 * @param pool The connections.
 * @returns The watch.
 */
export function connectionWatch(pool: BoundedPool): Watch {
  return new ConnectionWatch(pool);
}

class ConnectionWatch implements Watch {
  readonly #pool: BoundedPool;
  /** Runners of this process: their locks are taken again wherever they are lost. */
  readonly #own = new Set<number>();
  #connection: Promise<Connection> | null = null;
  /** The last one that there was. */
  #client: BoundedClient | null = null;
  /** When a lost connection is made again. */
  #again: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(pool: BoundedPool) {
    this.#pool = pool;
  }

  async take(runner: number): Promise<(() => Promise<void>) | null> {
    const { client, held } = await this.#connected();
    if (!await tryLock(client, runner)) return null;
    held.add(runner);
    this.#own.add(runner);
    return () => this.#letGo(runner);
  }

  async hold(): Promise<void> {
    const { held } = await this.#connected();
    if ([...this.#own].every((runner) => held.has(runner))) return;
    throw new Error("connection error: the runner's lock is not held");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#own.clear();
    clearTimeout(this.#again);
    // Thrown away and not given back: its locks end with it.
    this.#client?.release(true);
    await Promise.resolve();
  }

  async #letGo(runner: number): Promise<void> {
    this.#own.delete(runner);
    // A connection that is lost meanwhile has let go by that.
    const connection = await this.#connection?.catch(() => null);
    if (connection?.held.delete(runner) !== true) return;
    await connection.client.query("select pg_advisory_unlock($1, $2)", [
      LOCKS,
      runner,
    ]);
  }

  /** One connection for everybody, with every lock that is to be had. */
  async #connected(): Promise<Connection> {
    const mine = this.#connection ??= this.#connect();
    try {
      const connection = await mine;
      for (const runner of this.#own) {
        if (connection.held.has(runner)) continue;
        const locked = await tryLock(connection.client, runner);
        if (locked) connection.held.add(runner);
      }
      return connection;
    } catch (thrown) {
      if (this.#connection === mine) this.#connection = null;
      (await mine.catch(() => null))?.client.release(true);
      throw thrown;
    }
  }

  async #connect(): Promise<Connection> {
    const client = await this.#pool.connect();
    if (this.#closed) {
      client.release(true);
      throw new Error("connection ended: the store is closed");
    }
    this.#client = client;
    client.onLost(() => {
      client.release(true);
      this.#connection = null;
      this.#keep(AGAIN_MIN_MS);
    });
    return { client, held: new Set() };
  }

  /** A lost connection has lost its locks: until they are back, others take this process for dead. */
  #keep(wait: number): void {
    clearTimeout(this.#again);
    if (this.#closed || this.#own.size === 0) return;
    this.#again = setTimeout(() => {
      // The server may not be back yet.
      this.hold().catch(() => this.#keep(Math.min(2 * wait, AGAIN_MAX_MS)));
    }, wait);
  }
}

/** The connection with the locks. */
interface Connection {
  readonly client: BoundedClient;
  /** Runners whose locks it holds. */
  readonly held: Set<number>;
}

async function tryLock(
  client: BoundedClient,
  runner: number,
): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    "select pg_try_advisory_lock($1, $2) as locked",
    [LOCKS, runner],
  );
  return rows[0]?.locked === true;
}

/** This process as one that runs scans. */
export interface Runner {
  /** Its number. */
  readonly no: number;
  /** Lets go of its lock. */
  release(): Promise<void>;
}

/**
 * Makes this process a runner.
 *
 * @param link The database.
 * @param watch Keeps its lock.
 * @param now Milliseconds since the epoch.
 * @returns Its number and its lock.
 */
export async function becomeRunner(
  link: Link,
  watch: Watch,
  now: number,
): Promise<Runner> {
  const { no } = await link.write((write) =>
    write.insertInto("runners").values({ started_at: now }).returning("no")
      .executeTakeFirstOrThrow()
  );
  // Nobody asks for a runner without scans, so that the row may be there before the lock.
  const release = await watch.take(no);
  if (release === null) {
    throw new TypeError(`Cannot be runner ${no}: somebody else is`);
  }
  return { no, release };
}

/**
 * Tells whether a runner is on the list. Whoever takes a runner for dead strikes it off before anything
 * else, so that a process whose lock was lost for a while finds out here.
 *
 * @param link The database.
 * @param runner Its number.
 * @returns Whether it is.
 */
export async function isListed(link: Link, runner: number): Promise<boolean> {
  const row = await link.read((db) =>
    db.selectFrom("runners").select("no").where("no", "=", runner)
      .executeTakeFirst()
  );
  return row !== undefined;
}

/**
 * Strikes a dead runner off the list: it makes no scan from here on, should it be alive after all.
 *
 * @param link The database.
 * @param dead Its number.
 */
export async function strikeOff(link: Link, dead: number): Promise<void> {
  await link.write((write) =>
    write.deleteFrom("runners").where("no", "=", dead).execute()
  );
}

/**
 * Writes a row and takes it away again. A database may answer and still take nothing: a full disk is
 * seen by no query, and SQLite writes no row anew that is what it was.
 *
 * @param link The database.
 * @param now Milliseconds since the epoch.
 */
export async function proveWritable(link: Link, now: number): Promise<void> {
  await link.write(async (write) => {
    const { no } = await write.insertInto("runners").values({ started_at: now })
      .returning("no").executeTakeFirstOrThrow();
    await write.deleteFrom("runners").where("no", "=", no).execute();
  });
}

/**
 * Strikes this process off the list, unless scans of it are left for another one to take over.
 *
 * @param link The database.
 * @param runner Its number.
 */
export async function leave(link: Link, runner: number): Promise<void> {
  await link.write((write) =>
    write.deleteFrom("runners").where("no", "=", runner)
      .where(({ not, exists, selectFrom }) =>
        not(exists(
          selectFrom("scans").select("seq").where("runner", "=", runner)
            .where("status", "in", ["queued", "running"]),
        ))
      ).execute()
  );
}
