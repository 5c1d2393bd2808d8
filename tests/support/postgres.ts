/**
 * A PostgreSQL server of one test: in a folder of its own, on a free port of loopback, gone with the
 * test. It comes from Debian's package `postgresql`; a host without it fails the test and says so, as
 * a test that is left out in silence proves nothing.
 *
 * The server refuses to run as root, so that it is started as `nobody` where the test is root. Needs
 * `--allow-run=chown,setpriv,openssl`, `--allow-sys=uid` and `--allow-net=127.0.0.1`.
 *
 * @module
 */
import { freePort } from "./network.ts";

/** Where Debian keeps the programs of each version. */
const VERSIONS = "/usr/lib/postgresql";

const USER = "scanner";

/** Letters that a URL, a shell and SQL each read in a way of their own. */
export const PASSWORD = "p@ss/w:rd'#%?é";

/** How a server is started. */
export interface PostgresOptions {
  /** Whether it speaks TLS, with a certificate for `localhost` that nobody trusts. */
  readonly tls?: boolean;
  /** Whether it cleans its tables up by itself: then how large they are depends on the moment. */
  readonly autovacuum?: boolean;
}

/** A running server. */
export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  /** Path of the certificate, where it speaks TLS. */
  readonly certificate: string;
  /** Path of a folder that is gone with the server. */
  readonly folder: string;
  /**
   * Makes an empty database.
   *
   * @returns Its address, as `database.url` has it.
   */
  fresh(): Promise<string>;
  /**
   * Gives the address of a database.
   *
   * @param database Its name.
   * @param password Another password than the right one.
   * @returns The address.
   */
  url(database: string, password?: string): string;
  /**
   * Runs SQL as the owner.
   *
   * @param database In which database.
   * @param text The SQL.
   * @returns What it printed, unaligned.
   */
  sql(database: string, text: string): Promise<string>;
}

/**
 * Starts a server: `await using server = await startPostgres();`
 *
 * @param options How.
 * @returns The server; it accepts connections.
 */
export async function startPostgres(
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  const programs = await findPrograms();
  const folder = await Deno.makeTempDir({ prefix: "scan-test-pg-" });
  try {
    return await start(programs, folder, options);
  } catch (thrown) {
    await Deno.remove(folder, { recursive: true });
    throw thrown;
  }
}

async function findPrograms(): Promise<string> {
  const versions: number[] = [];
  try {
    for await (const { name } of Deno.readDir(VERSIONS)) {
      if (/^\d+$/.test(name)) versions.push(Number(name));
    }
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  for (const version of versions.sort((a, b) => b - a)) {
    const programs = `${VERSIONS}/${version}/bin`;
    try {
      await Deno.stat(`${programs}/initdb`);
      return programs;
    } catch (thrown) {
      // A version of which only the client is installed.
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
  }
  throw new Error(
    "Cannot test with PostgreSQL: it is not installed; run: apt-get install --no-install-recommends postgresql",
  );
}

/** Puts what changes the user in front of a command. */
function asNobody(command: readonly string[]): [string, ...string[]] {
  // Through the same program in either case: one right to run it is enough.
  if (Deno.uid() !== 0) return ["setpriv", "--no-new-privs", ...command];
  return [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    ...command,
  ];
}

async function run(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [program = "", ...args] = command;
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { ...env },
    cwd: "/",
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (success) return text(stdout);
  throw new Error(`Cannot run "${program}": ${text(stderr)}`);
}

async function start(
  programs: string,
  folder: string,
  { tls = false, autovacuum = false }: PostgresOptions,
): Promise<PostgresServer> {
  const [data, secret] = [`${folder}/data`, `${folder}/password`];
  const certificate = `${folder}/server.crt`;
  await Deno.writeTextFile(secret, PASSWORD);
  if (tls) await makeCertificate(folder);
  if (Deno.uid() === 0) await run(["chown", "-R", "65534:65534", folder]);
  await run(asNobody([
    `${programs}/initdb`,
    `--pgdata=${data}`,
    `--username=${USER}`,
    "--auth=scram-sha-256",
    `--pwfile=${secret}`,
    "--encoding=UTF8",
    // Not "C": a store that leans on the locale's order has to be found out.
    "--locale=C.UTF-8",
    "--no-sync",
  ]));
  const port = freePort();
  const child = spawnServer(programs, data, port, {
    autovacuum,
    tlsFolder: tls ? folder : null,
  });
  const server = { port, certificate, folder };
  let databases = 0;
  const url = (database: string, password = PASSWORD) =>
    `postgres://${USER}:${
      encodeURIComponent(password)
    }@127.0.0.1:${port}/${database}`;
  const sql = (database: string, text: string) =>
    run(
      asNobody([
        `${programs}/psql`,
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
        "-U",
        USER,
        "-d",
        database,
        "-c",
        text,
      ]),
      { PGPASSWORD: PASSWORD },
    );
  await child.ready;
  return {
    ...server,
    url,
    sql,
    fresh: async () => {
      const name = `test_${++databases}`;
      await sql("postgres", `create database ${name}`);
      return url(name);
    },
    [Symbol.asyncDispose]: async () => {
      await child.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A certificate that signs itself. */
async function makeCertificate(folder: string): Promise<void> {
  await run([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout",
    `${folder}/server.key`,
    "-out",
    `${folder}/server.crt`,
  ]);
  await Deno.chmod(`${folder}/server.key`, 0o600);
}

interface ServerProcess {
  /** Resolves when it accepts connections. */
  readonly ready: Promise<void>;
  /** Ends it; what it has not written is lost. */
  stop(): Promise<void>;
}

function spawnServer(
  programs: string,
  data: string,
  port: number,
  { tlsFolder, autovacuum }: {
    readonly tlsFolder: string | null;
    readonly autovacuum: boolean;
  },
): ServerProcess {
  const settings = [
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=60",
    "log_min_messages=log",
    `autovacuum=${autovacuum ? "on" : "off"}`,
    ...tlsFolder === null ? [] : [
      "ssl=on",
      `ssl_cert_file=${tlsFolder}/server.crt`,
      `ssl_key_file=${tlsFolder}/server.key`,
    ],
  ];
  const [program, ...args] = asNobody([
    `${programs}/postgres`,
    "-D",
    data,
    "-p",
    String(port),
    ...settings.flatMap((setting) => ["-c", setting]),
  ]);
  const child = new Deno.Command(program, {
    args,
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const ready = Promise.withResolvers<void>();
  const reading = (async () => {
    let log = "";
    for await (
      const text of child.stderr.pipeThrough(new TextDecoderStream())
    ) {
      log = (log + text).slice(-16_384);
      if (/ready to accept connections/.test(log)) ready.resolve();
    }
    ready.reject(new Error(`Cannot start PostgreSQL: ${log}`));
  })();
  // Its end is heard of by whoever waits for it to be ready; later it is no news.
  ready.promise.catch(() => {});
  return {
    ready: ready.promise,
    stop: async () => {
      child.kill("SIGINT");
      await child.status;
      await reading;
    },
  };
}
