/**
 * Reads the Dockerfile of this repository: what the image starts and with what it is to be run.
 *
 * @module
 */
import { parseCommand, ROOT } from "../support/task.ts";

/** Instructions of the Dockerfile, lines that go on joined, comments left out. */
export function instructions(): readonly string[] {
  return Deno.readTextFileSync(`${ROOT}Dockerfile`)
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
}

/**
 * Reads an instruction whose value is a list in JSON.
 *
 * @param start How the instruction begins.
 * @returns The list.
 * @throws {RangeError} If there is not exactly one such instruction.
 */
export function listed(start: RegExp): readonly string[] {
  const found = instructions().flatMap((line) => {
    const match = start.exec(line);
    return match?.index === 0 ? [line.slice(match[0].length)] : [];
  });
  const [list] = found;
  if (list === undefined || found.length !== 1) {
    throw new RangeError(
      `Cannot read the Dockerfile: ${found.length} instructions match ${start}`,
    );
  }
  return JSON.parse(list) as readonly string[];
}

/**
 * Reads the label that says how the image is run.
 *
 * @returns The options between `docker run` and the name of the image.
 * @throws {RangeError} If there is no such label.
 */
export function documentedOptions(): readonly string[] {
  const text = /\brun="([^"]+)"/.exec(instructions().join("\n"))?.[1] ?? "";
  const { program, args } = parseCommand(text);
  if (program !== "docker" || args[0] !== "run") {
    throw new RangeError(`Cannot read the label "run": it is "${text}"`);
  }
  return args.slice(1, -1);
}
