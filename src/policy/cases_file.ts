/**
 * Reads a file of cases, YAML or JSON, into plain data.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { jsonTree } from "@/config/json_tree.ts";
import { Lines, Misread, type Node } from "@/config/tree.ts";
import { yamlTree } from "@/config/yaml_tree.ts";
import { parseCases } from "./cases.ts";
import type { PolicyCase } from "./view.ts";

/**
 * Reads the cases of a file.
 *
 * @param file Its name, which says by `.json` that it is JSON, and its text.
 * @returns The cases.
 * @throws {AppError} `invalid_arguments`.
 */
export function casesOf(
  file: { readonly name: string; readonly text: string },
): readonly PolicyCase[] {
  try {
    const tree = file.name.endsWith(".json")
      ? jsonTree(file.text)
      : yamlTree(file.text);
    return parseCases(tree === null ? [] : dataOf(tree));
  } catch (thrown) {
    if (!(thrown instanceof Misread)) throw thrown;
    throw new AppError(
      "invalid_arguments",
      `Cannot read the cases: line ${
        new Lines(file.text).at(thrown.offset)
      }: ${thrown.message}`,
    );
  }
}

function dataOf(node: Node): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(dataOf);
  const data = new Map<string, unknown>();
  for (const { key, offset, value } of node.entries) {
    if (key === null) throw new Misread("expected a text as a key", offset);
    if (data.has(key)) throw new Misread("this key is there twice", offset);
    data.set(key, dataOf(value));
  }
  return Object.fromEntries(data);
}
