/**
 * What `config print`, `config check` and `config default` say. Functions that return text: the
 * composition root reads, prints and exits.
 *
 * @module
 */
import { toAppError } from "@/error/app_error.ts";
import { loadConfig, type LoadedConfig, type Origin } from "@/config/load.ts";
import { redact } from "@/config/redact.ts";
import { KEYS, type NamedKey, SECTIONS } from "@/config/schema.ts";

/** How a command answers. */
export interface ConfigOptions {
  /** JSON for a program instead of text for a person. */
  readonly json: boolean;
}

/** What a check found. */
export interface ConfigCheck {
  /** Whether a server would start with the file. */
  readonly ok: boolean;
  readonly text: string;
}

/**
 * Shows the configuration in force and where each value came from, without secrets.
 *
 * @param loaded The configuration.
 * @param options Text or JSON.
 * @returns YAML that can be used as a file, its origins as comments; or JSON.
 */
export function configPrint(
  loaded: LoadedConfig,
  options: ConfigOptions,
): string {
  if (options.json) return `${JSON.stringify(configBody(loaded), null, 2)}\n`;
  const { origins, places, warnings } = loaded;
  const config = redact(loaded.config);
  const lines = warnings.map((warning) => `# warning: ${redact(warning)}\n`);
  return lines.join("") + yamlText(config, (named, text) => {
    const origin = originText(named, origins, places);
    return `  ${named.key}: ${text} # ${origin}\n`;
  });
}

/**
 * Gives the configuration in force and where each value came from, without secrets.
 *
 * @param loaded The configuration.
 * @returns Plain JSON.
 */
export function configBody(
  { config, origins, places, warnings }: LoadedConfig,
): Readonly<Record<string, unknown>> {
  const from = KEYS.map(({ name }) => [name, {
    origin: origins.get(name) ?? "default",
    place: places.get(name) ?? null,
  }]);
  return {
    config: redact(config),
    origins: Object.fromEntries(from),
    warnings: warnings.map(redact),
  };
}

/**
 * Checks a configuration file by itself, without the environment.
 *
 * @param file Its name and its text.
 * @param options Text or JSON.
 * @returns Whether it can be used, and what there is to say.
 */
export function configCheck(
  file: { readonly name: string; readonly text: string },
  options: ConfigOptions,
): ConfigCheck {
  let warnings: readonly string[] = [];
  let problem: string | null = null;
  try {
    warnings = loadConfig({ file, env: {} }).warnings;
  } catch (thrown) {
    problem = toAppError(thrown).message;
  }
  const ok = problem === null;
  if (options.json) {
    const body = { ok, problem, warnings };
    return { ok, text: `${JSON.stringify(body, null, 2)}\n` };
  }
  const notes = warnings.map((warning) => `warning: ${warning}\n`).join("");
  return {
    ok,
    text: notes + (problem ?? "The configuration can be used") + "\n",
  };
}

/**
 * Writes the documented default configuration: what `config/default.yaml` holds.
 *
 * @returns YAML with each key's meaning, range and environment name.
 */
export function configDefault(): string {
  const head = [
    "The defaults, key by key. The server does not read this file: they are built in.",
    "Copy what you want to change into a file of your own and name it in MCP_CONFIG_FILE.",
    "",
    "Each key can also be set by the environment variable above it, which wins over the file.",
    "A list is written with commas there; an empty variable is ignored, [] is an empty list.",
    "A number outside its range is moved to the nearer end, with a warning.",
  ].map((line) => line === "" ? "#\n" : `# ${line}\n`).join("");
  const defaults = Object.fromEntries(
    Object.entries(SECTIONS).map(([section, keys]) => [
      section,
      Object.fromEntries(
        Object.entries(keys).map(([key, spec]) => [key, spec.default]),
      ),
    ]),
  );
  return head + yamlText(defaults, ({ key, variable, spec }, text) =>
    [
      ...wrapped(spec.description).map((line) => `  # ${line}\n`),
      `  # ${variable}: ${spec.values}\n`,
      `  ${key}: ${text}\n`,
    ].join(""), "\n");
}

/** Writes the sections, each key by a line or more of its own. */
function yamlText(
  config: unknown,
  write: (named: NamedKey, text: string) => string,
  before = "",
): string {
  const sections = mapOf(config);
  return [...sections].map(([section, keys]) => {
    const values = mapOf(keys);
    const lines = KEYS.filter((named) => named.section === section)
      .map((named) => write(named, valueText(values.get(named.key))));
    return `${before}${section}:\n${lines.join("")}`;
  }).join("");
}

function originText(
  { name }: NamedKey,
  origins: ReadonlyMap<string, Origin>,
  places: ReadonlyMap<string, string>,
): string {
  const origin = origins.get(name) ?? "default";
  const place = places.get(name);
  return place === undefined ? origin : `${origin}: ${place}`;
}

/** Writes a value as YAML: words as they are, everything else in JSON's form, which YAML takes. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  if (typeof value !== "string") return JSON.stringify(value);
  const reserved = /^(?:true|false|null|yes|no|on|off|y|n)$/i.test(value);
  return /^\.?[a-z][a-z0-9_./-]*$/i.test(value) && !reserved &&
      !/^\.(?:inf|nan)$/i.test(value)
    ? value
    : JSON.stringify(value);
}

function wrapped(text: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > 96) {
      lines.push(word);
    } else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function mapOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(
    typeof value === "object" && value !== null ? Object.entries(value) : [],
  );
}
