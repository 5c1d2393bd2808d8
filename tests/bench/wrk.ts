/**
 * Has wrk load a server: as many requests as it answers, all of the same bytes.
 *
 * @module
 */
import { median } from "./harness.ts";

/** Connections, each with one request under way. */
const CONNECTIONS = 16;

/** What is sent. */
export interface Sent {
  readonly path: string;
  /** @default GET, POST with a body */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What wrk found. */
export interface Found {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** How many were answered. */
  readonly count: number;
  /** How many of them had a status that is neither 2xx nor 3xx. */
  readonly refused: number;
}

/**
 * Loads a server.
 *
 * @param url Where it is, without a path.
 * @param sent What is sent.
 * @param options How long, and a folder for a file.
 * @returns What wrk found.
 * @throws {Error} If wrk is not installed, or connections failed.
 */
export async function load(
  url: string,
  sent: Sent,
  { seconds, folder }: { readonly seconds: number; readonly folder: string },
): Promise<Found> {
  const script = `${folder}/request.lua`;
  await Deno.writeTextFile(script, scriptOf(sent));
  const { success, stdout, stderr } = await wrk([
    ...["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--latency"],
    ...["-s", script, `${url}${sent.path}`],
  ]);
  const text = new TextDecoder().decode(stdout);
  if (!success || text.includes("Socket errors")) {
    const why = new TextDecoder().decode(stderr);
    throw new Error(`Cannot measure: wrk failed: ${text}${why}`);
  }
  return foundIn(text);
}

/**
 * Takes what wrk printed apart.
 *
 * @param text Its standard output.
 * @returns What it found.
 * @throws {Error} If it says nothing.
 */
export function foundIn(text: string): Found {
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(text)?.[1]);
  const [, p99 = "", unit = ""] = /^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$/m
    .exec(text) ?? [];
  const count = Number(/^\s+(\d+) requests in /m.exec(text)?.[1]);
  const refused = Number(
    /^\s+Non-2xx or 3xx responses: (\d+)/m
      .exec(text)?.[1] ?? 0,
  );
  const p99Ms = Number(p99 || NaN) * (MILLISECONDS[unit] ?? NaN);
  if (![perSecond, p99Ms, count].every(Number.isFinite)) {
    throw new Error(`Cannot measure: wrk said something else: ${text}`);
  }
  return { perSecond, p99Ms, count, refused };
}

/**
 * Gives the middle of what several rounds found.
 *
 * @param found At least one round.
 * @param figure Which figure of it.
 * @returns Its median.
 */
export function middle(
  found: readonly Found[],
  figure: "perSecond" | "p99Ms",
): number {
  return median(found.map((one) => one[figure]));
}

const MILLISECONDS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  m: 60_000,
};

/** Its request is put together once, so that wrk itself costs next to nothing. */
function scriptOf({ body, headers = {} }: Sent): string {
  const lines = Object.entries(headers).map(([name, value]) =>
    `wrk.headers[${quoted(name)}] = ${quoted(value)}`
  );
  if (body !== undefined) {
    lines.push(
      `wrk.method = "POST"`,
      `wrk.headers["Content-Type"] = "application/json"`,
      `wrk.body = ${quoted(JSON.stringify(body))}`,
    );
  }
  return lines.join("\n");
}

/** Lua's quotes: JSON's are the same for ASCII without control characters. */
function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) {
    throw new RangeError("Cannot measure: wrk is sent printable ASCII only");
  }
  return JSON.stringify(text);
}

async function wrk(args: readonly string[]): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command("wrk", { args: [...args] }).output();
  } catch (thrown) {
    // To the runtime a program that was not there when it started is one that may not be started.
    if (
      !(thrown instanceof Deno.errors.NotFound) &&
      !(thrown instanceof Deno.errors.NotCapable)
    ) throw thrown;
    throw new Error(
      "Cannot measure: wrk is not installed; apt-get install wrk",
      { cause: thrown },
    );
  }
}
