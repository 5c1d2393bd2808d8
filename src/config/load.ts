/**
 * Makes a configuration of a file's text and the environment. Pure: it reads nothing itself.
 *
 * This file loads the YAML parser. A server without a configuration file does not need it, so the
 * start goes through `boot.ts`, which loads this file only when there is a file to read.
 *
 * @module
 */
import { jsonTree } from "./json_tree.ts";
import { type LoadedConfig, type ReadFile, resolveConfig } from "./resolve.ts";
import { FILE_BYTES_MAX, Misread } from "./tree.ts";
import { yamlTree } from "./yaml_tree.ts";

export type { LoadedConfig, Origin } from "./resolve.ts";

/** What a configuration is made of. */
export interface ConfigSources {
  /** The file, or null for none. A name that ends with `.json` is read as JSON, any other as YAML. */
  readonly file: { readonly name: string; readonly text: string } | null;
  /** Environment variables; those that name no key are ignored. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Makes a configuration: environment over file over defaults.
 *
 * @param sources A file's text and the environment.
 * @returns The configuration, where each value came from, and what to warn of.
 * @throws {AppError} `invalid_arguments`, naming everything that is wrong and where.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const { file, env } = sources;
  return resolveConfig({ file: file === null ? null : readFile(file), env });
}

function readFile(file: { name: string; text: string }): ReadFile {
  const { name } = file;
  // A byte order mark is no part of the text, and would shift the first line's columns.
  const text = file.text.replace(/^\ufeff/, "");
  const bytes = text.length > FILE_BYTES_MAX
    ? text.length
    : new TextEncoder().encode(text).byteLength;
  if (bytes > FILE_BYTES_MAX) {
    const message = `the file has more than ${FILE_BYTES_MAX} bytes`;
    const misread = { message, offset: 0, cause: undefined };
    return { name, text: "", tree: null, misread };
  }
  try {
    const tree = name.endsWith(".json") ? jsonTree(text) : yamlTree(text);
    return { name, text, tree, misread: null };
  } catch (error) {
    const misread = error instanceof Misread
      ? { message: error.message, offset: error.offset, cause: undefined }
      // A fault of the parser on a text that somebody wrote: refused like any other bad text.
      : { message: "the file cannot be read", offset: 0, cause: error };
    return { name, text, tree: null, misread };
  }
}
