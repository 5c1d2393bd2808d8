/**
 * Starts `store_writer.ts` with as few rights as a server has that uses that database.
 *
 * @module
 */
import { ROOT } from "../support/task.ts";

/** Where a store is. */
export interface Place {
  readonly url: string;
  readonly folder: string;
}

/** Most milliseconds of a writer: then it is killed, and who waits for it hears that it has ended. */
const WRITER_MS = 90_000;

/** A process that writes. */
export interface Writer {
  /** Resolves with the line when one begins so. */
  said(start: string): Promise<string>;
  /** Kills it with SIGKILL. */
  kill(): Promise<void>;
  /** Every line when it has ended. */
  readonly lines: Promise<readonly string[]>;
}

/**
 * The rights of a process that uses a store.
 *
 * @param place Where it is.
 * @returns Flags of `deno run`.
 */
export function rights({ url, folder }: Place): string[] {
  const flags = [
    `--allow-read=${ROOT}src,${folder}`,
    `--allow-write=${folder}`,
  ];
  if (!url.startsWith("postgres")) return flags;
  const { hostname, port } = new URL(url);
  return [
    ...flags,
    `--allow-net=${hostname}:${port}`,
    "--allow-env=PATH,MCP_*",
    "--ignore-env",
  ];
}

/**
 * Starts a writer. Needs `--allow-run=deno`.
 *
 * @param place Where the store is.
 * @param name What the ids of its scans begin with.
 * @param count How many scans it makes.
 * @param flags Its rights.
 * @returns The process.
 */
export function startWriter(
  place: Place,
  name: string,
  count: number,
  flags: readonly string[] = rights(place),
): Writer {
  const child = new Deno.Command("deno", {
    args: [
      "run",
      "--no-prompt",
      "--no-remote",
      "--cached-only",
      ...flags,
      `${ROOT}tests/process/store_writer.ts`,
      place.url,
      place.folder,
      name,
      String(count),
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), WRITER_MS);
  const seen: string[] = [];
  const waiting = new Set<() => void>();
  const wake = () => waiting.forEach((one) => one());
  const lines = (async () => {
    let text = "";
    for await (
      const more of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      const parts = (text + more).split("\n");
      text = parts.pop() ?? "";
      seen.push(...parts);
      wake();
    }
    await child.status;
    clearTimeout(timer);
    seen.push("");
    wake();
    return seen.slice(0, -1);
  })();
  return {
    lines,
    said: (start) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const look = () => {
        const line = seen.find((one) => one.startsWith(start));
        if (line === undefined && seen.at(-1) !== "") return;
        waiting.delete(look);
        if (line !== undefined) return resolve(line);
        reject(new Error(`Cannot wait for "${start}": ${seen.join(", ")}`));
      };
      waiting.add(look);
      look();
      return promise;
    },
    kill: async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await lines;
    },
  };
}
