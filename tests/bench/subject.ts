/**
 * The two sides that most benchmarks compare: the whole server with a stand-in as nmap, and the same
 * stand-in started directly from Deno with the same command line.
 *
 * @module
 */
import { type Server, startServer } from "../support/server.ts";
import { type StandIn, standIn } from "../support/stand_ins.ts";

/** Options of a benchmark. */
export interface BenchOptions {
  /** Rounds of each pair. */
  readonly rounds: number;
  /** Calls of the benchmark of memory. */
  readonly calls: number;
}

/** A server with a place for this many scans at once. */
export const PLACES = 16;

/**
 * Starts the server with a stand-in as nmap.
 *
 * @param path The folder of the stand-in.
 * @param env Variables besides.
 * @returns The server, introduced.
 */
export async function startSubject(
  path: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const server = startServer({
    path: [path],
    env: {
      MCP_SECURITY_MAX_CONCURRENT_SCANS: String(PLACES),
      MCP_NMAP_CONCURRENCY: String(PLACES),
      ...env,
    },
    patienceMs: 600_000,
  });
  await server.initialize();
  return server;
}

/**
 * A request that differs from every other of its number, so that no call joins another.
 *
 * @param n The number.
 * @returns Arguments for nmap.
 */
export function request(n: number): Readonly<Record<string, unknown>> {
  return { target: "127.0.0.1", ports: String(1 + n % 65_535) };
}

/**
 * Calls nmap and refuses a failure: a failure would be fast and flatter the figure.
 *
 * @param server The server.
 * @param n The number of the request.
 * @returns The result.
 * @throws {Error} If the call failed.
 */
export async function scan(
  server: Server,
  n: number,
): Promise<Readonly<Record<string, unknown>>> {
  const result = await server.call("nmap", request(n));
  if (result["isError"] === true) {
    throw new Error(
      `Cannot measure: the call failed: ${JSON.stringify(result)}`,
    );
  }
  return result;
}

/**
 * Finds the command line that the server built, for the baseline to use.
 *
 * @param result The result of a call.
 * @returns The tokens without the program.
 * @throws {Error} If it holds none.
 */
export function argvOf(result: Readonly<Record<string, unknown>>): string[] {
  const structured = result["structuredContent"] as
    | { argv?: unknown }
    | undefined;
  const argv = structured?.argv;
  const first = Array.isArray(argv) && Array.isArray(argv[0]) ? argv[0] : argv;
  if (!Array.isArray(first) || first.some((one) => typeof one !== "string")) {
    throw new Error(
      `Cannot measure: the result holds no argv: ${
        JSON.stringify(result).slice(0, 2_000)
      }`,
    );
  }
  return (first as string[]).slice(1);
}

/**
 * Starts a stand-in directly and reads what it prints, as simply as Deno can.
 *
 * @param name The stand-in.
 * @param args Its command line.
 * @returns How many bytes it printed.
 */
export async function direct(
  name: StandIn,
  args: readonly string[],
): Promise<number> {
  const { success, stdout } = await new Deno.Command(`${standIn(name)}/nmap`, {
    args: [...args],
    clearEnv: true,
    cwd: "/proc",
    stdin: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error("Cannot measure: the stand-in failed");
  return stdout.byteLength;
}

/**
 * Does numbered work with so many at once.
 *
 * @param count How many pieces of work.
 * @param inFlight How many at once.
 * @param work One piece.
 */
export async function atOnce(
  count: number,
  inFlight: number,
  work: (n: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}
