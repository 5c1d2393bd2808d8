/**
 * Reads the command line of a task out of `deno.json`, so that a test starts a program with the very
 * flags that a person starts it with.
 *
 * @module
 */

/** The repository's folder, as a path that ends with a slash. */
export const ROOT = decodeURIComponent(
  new URL("../../", import.meta.url).pathname,
);

/** A command line, taken apart. */
export interface Command {
  /** Variables set in front of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * Reads the command line of a task.
 *
 * @param name The task.
 * @returns Its command line.
 * @throws {RangeError} If there is no such task, or it is more than one plain command.
 */
export function taskCommand(name: string): Command {
  const config = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`)) as {
    tasks?: Record<string, string | { command?: string }>;
  };
  const task = config.tasks?.[name];
  const text = typeof task === "string" ? task : task?.command;
  if (text === undefined) {
    throw new RangeError(
      `Cannot read the task "${name}": deno.json has none of that name`,
    );
  }
  return parseCommand(text);
}

/**
 * Takes a command line apart. Quotes are understood, variables and operators are not.
 *
 * @param text The command line.
 * @returns Its parts.
 * @throws {RangeError} If it is more than one plain command.
 */
export function parseCommand(text: string): Command {
  const words: string[] = [];
  const token = /\s*((?:[^\s'"$&|;<>`\\()]|'[^']*'|"[^"$`\\]*")+)\s*/y;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (match?.[1] === undefined) {
      throw new RangeError(
        `Cannot read the command "${text}": it is more than one plain command; start it another way`,
      );
    }
    words.push(match[1].replace(/'([^']*)'|"([^"]*)"/g, "$1$2"));
  }
  const env: Record<string, string> = {};
  for (;;) {
    const assignment = /^([A-Za-z_]\w*)=(.*)$/s.exec(words[0] ?? "");
    if (assignment === null) break;
    env[assignment[1] ?? ""] = assignment[2] ?? "";
    words.shift();
  }
  const [program, ...args] = words;
  if (program === undefined) {
    throw new RangeError(`Cannot read the command "${text}": it is empty`);
  }
  return { env, program, args };
}
