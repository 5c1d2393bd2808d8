/**
 * How much the way of a request costs: requests a second and p99 of the whole HTTP server beside those
 * of a bare Hono route that does nothing, both loaded by wrk with the same bytes, in turns, while scans
 * run. Nothing of it is a stand-in: the server is a child with the flags of `deno task serve-http`, its
 * audit log is on the disk, its callers are proved by an API key, and its scans are nmap's of 127.0.0.1.
 *
 * Its log goes to a file, as under a service manager. Rate limits are off: they would refuse the load.
 *
 * @module
 */
import { HttpFolder, prepareHttp } from "../support/http.ts";
import { freePort } from "../support/network.ts";
import { prepareServer, withFolders } from "../support/server.ts";
import { ROOT } from "../support/task.ts";
import { type Result } from "./harness.ts";
import type { BenchOptions } from "./subject.ts";
import { type Found, load, middle, type Sent } from "./wrk.ts";

/** Seconds of one load. */
const SECONDS = 1;

/** Rounds unless more are asked for, and most of them: each is 8 loads. */
const ROUNDS = 5;
const ROUNDS_MAX = 50;

/** How often it is looked whether the server listens, every 50 ms. */
const LOOKS_MAX = 600;

/** Scans that run at once meanwhile, one after the other each. */
const SCANS = 1;

/** What is asked, and what has to be answered. */
interface Subject {
  readonly name: string;
  readonly sent: Sent;
  readonly status: readonly number[];
  readonly code: string | null;
}

function subjectsOf(key: string): readonly Subject[] {
  const path = "/tools/nmap/execute";
  const body = { target: "8.8.8.8" };
  const headers = { authorization: `Bearer ${key}` };
  const well = { status: [200, 207], code: null };
  return [
    { name: "/health/live", sent: { path: "/health/live" }, ...well },
    { name: "/health", sent: { path: "/health" }, ...well },
    {
      name: "no credentials",
      sent: { path, body },
      ...{ status: [401], code: "unauthenticated" },
    },
    {
      name: "refused execution",
      sent: { path, body, headers },
      ...{ status: [403, 422], code: "target_not_allowed" },
    },
  ];
}

/**
 * Measures the HTTP server.
 *
 * @param options How many rounds; the default of all benchmarks is more than this one takes.
 * @returns Requests a second, and p99.
 */
export async function http(options: BenchOptions): Promise<Result[]> {
  await using folder = await HttpFolder.make();
  await using whole = await startWhole(folder);
  await using bare = await startBare();
  const key = await makeKey(folder);
  const subjects = subjectsOf(key);
  for (const subject of subjects) await expectAnswer(whole.url, subject);
  await using _scans = new Scanning(whole.url, key);
  // The default of the other benchmarks would take an hour here.
  const rounds = options.rounds === 200
    ? ROUNDS
    : Math.min(options.rounds, ROUNDS_MAX);
  const results: Result[] = [];
  for (const subject of subjects) {
    const { name, sent } = subject;
    const [own, base] = await inTurns(rounds, [
      () => loadWhole(whole.url, subject, folder),
      () => load(bare.url, { ...sent, path: "/" }, bounds(folder)),
    ]);
    results.push(...compared(name, own, base));
  }
  return results;
}

function bounds(folder: HttpFolder): { seconds: number; folder: string } {
  return { seconds: SECONDS, folder: folder.file("").replace(/\/$/, "") };
}

/** A wrong answer may be a fast one. */
async function loadWhole(
  url: string,
  subject: Subject,
  folder: HttpFolder,
): Promise<Found> {
  const found = await load(url, subject.sent, bounds(folder));
  const refused = subject.code === null ? 0 : found.count;
  if (found.refused !== refused) {
    throw new Error(
      `Cannot measure ${subject.name}: ${found.refused} of ${found.count} were refused, and not ${refused}`,
    );
  }
  await expectAnswer(url, subject);
  return found;
}

async function expectAnswer(
  url: string,
  { name, sent, status, code }: Subject,
): Promise<void> {
  const { path, body, headers = {} } = sent;
  const answer = await fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { ...headers, "content-type": "application/json" },
    ...body !== undefined && { body: JSON.stringify(body) },
  });
  const told = await answer.json();
  if (status.includes(answer.status) && (code === null || told.code === code)) {
    return;
  }
  throw new Error(
    `Cannot measure ${name}: the answer is ${answer.status} ${
      JSON.stringify(told).slice(0, 1_000)
    }`,
  );
}

/** The first round of each warms up and does not count. */
async function inTurns(
  rounds: number,
  sides: readonly [() => Promise<Found>, () => Promise<Found>],
): Promise<readonly [readonly Found[], readonly Found[]]> {
  const found: [Found[], Found[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    for (const side of round % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
      const one = await sides[side]();
      if (round >= 0) found[side].push(one);
    }
  }
  return found;
}

function compared(
  name: string,
  own: readonly Found[],
  base: readonly Found[],
): Result[] {
  const rounds = own.length;
  return ([
    ["requests", "/s", "perSecond", { atLeast: 0.5 }],
    ["p99", "ms", "p99Ms", { atMost: 2 }],
  ] as const).map(([what, unit, figure, goal]) => {
    const [subject, baseline] = [middle(own, figure), middle(base, figure)];
    const ratio = subject / baseline;
    const met = "atLeast" in goal
      ? ratio >= goal.atLeast
      : ratio <= goal.atMost;
    return {
      ...{ name: `${name}, ${what}`, unit, subject, baseline, ratio },
      ...{ goal, met, rounds, note: "beside a bare Hono route" },
    };
  });
}

/** A process that listens. */
interface Listening extends AsyncDisposable {
  readonly url: string;
}

async function startWhole(folder: HttpFolder): Promise<Listening> {
  const { program, args, env } = await prepareHttp(folder, freePort(), {
    env: {
      MCP_LIMITS_REQUESTS_PER_MINUTE: "0",
      MCP_LIMITS_TENANT_REQUESTS_PER_MINUTE: "0",
    },
  });
  const logFile = folder.file("log");
  await Deno.writeTextFile(logFile, "");
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" 2>"$log"', "sh", logFile].concat(
      program,
      args,
    ),
    ...{ env: { ...env }, cwd: ROOT, stdin: "null", stdout: "null" },
  }).spawn();
  const stop = async () => {
    child.kill("SIGTERM");
    await child.status;
  };
  for (let look = 0; look < LOOKS_MAX; look++) {
    const [, url] = /^serving on (\S+)$/m
      .exec(await Deno.readTextFile(logFile)) ?? [];
    if (url !== undefined) return { url, [Symbol.asyncDispose]: stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error(
    `Cannot measure: the server does not listen: ${await Deno.readTextFile(
      logFile,
    )}`,
  );
}

async function startBare(): Promise<Listening> {
  const child = new Deno.Command("deno", {
    args: [
      ...["run", "--no-prompt", "--no-remote", "--cached-only"],
      ...["--allow-net=127.0.0.1:0", `${ROOT}tests/bench/bare_http.ts`],
    ],
    ...{ cwd: ROOT, stdin: "piped", stdout: "piped" },
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return {
    url: `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`,
    [Symbol.asyncDispose]: async () => {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}

/** The key of an operator, made as a person makes it. */
async function makeKey(folder: HttpFolder): Promise<string> {
  const { program, args, env } = prepareServer({
    task: "keys",
    args: ["create", "--name", "bench", "--role", "operator"],
    env: { MCP_STATE_FOLDER: folder.state },
    edit: (flags) => withFolders(flags, folder.state),
  });
  const { success, stdout, stderr } = await new Deno.Command(program, {
    ...{ args: [...args], env: { ...env }, cwd: ROOT, stdin: "null" },
  }).output();
  if (success) return new TextDecoder().decode(stdout).trim();
  throw new Error(
    `Cannot measure: no key was made: ${new TextDecoder().decode(stderr)}`,
  );
}

/** Scans that run as long as it is not disposed of. */
class Scanning implements AsyncDisposable {
  readonly #url: string;
  readonly #key: string;
  readonly #lanes: Promise<void>;
  #over = false;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
    this.#lanes = Promise.all(Array.from({ length: SCANS }, () => this.#scan()))
      .then(() => {});
    // Whoever disposes of it hears of what failed.
    this.#lanes.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#lanes;
  }

  async #scan(): Promise<void> {
    while (!this.#over) {
      const answer = await fetch(`${this.#url}/tools/nmap/execute`, {
        method: "POST",
        headers: {
          "authorization": `Bearer ${this.#key}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({
          ...{ target: "127.0.0.1", ports: "1-4096", no_cache: true },
        }),
      });
      const told = await answer.text();
      if (!answer.ok) {
        throw new Error(
          `Cannot measure: a scan failed: ${told.slice(0, 1_000)}`,
        );
      }
    }
  }
}
