/**
 * Writes the `deno.json` of the image: Deno wants every package that the file names when it starts, so
 * the image's own names those of the server, and none of the tests. Run when the image is built:
 *
 *   deno info --json MODULE | deno run --allow-read=deno.json trim.ts >image.json
 *
 * @module
 */

/** What `deno info --json` says, as far as it matters here. */
export interface Graph {
  readonly modules: readonly { readonly npmPackage?: string }[];
}

/** A `deno.json`, as far as it matters here. */
export interface Config {
  readonly imports: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

/** What Deno reads of the file when it runs a program; tasks, lint and tests are not for the image. */
const KEPT = [
  "unstable",
  "nodeModulesDir",
  "lock",
  "imports",
  "compilerOptions",
];

/**
 * Leaves out what the server does not need.
 *
 * @param config The repository's `deno.json`.
 * @param graph What `deno info --json` says of the server.
 * @returns The image's `deno.json`.
 * @throws {RangeError} If the server is said to need no package at all.
 */
export function trimmed(config: Config, graph: Graph): Config {
  // A key may go on with the packages that it was resolved with: "name@1.0.0_other@2.0.0".
  const used = new Set(
    graph.modules.flatMap(({ npmPackage }) => npmPackage?.split("_")[0] ?? []),
  );
  if (used.size === 0) {
    throw new RangeError(
      "Cannot trim the configuration: the graph names no package",
    );
  }
  const imports = Object.entries(config.imports).filter(([, target]) =>
    !target.startsWith("npm:") || used.has(target.slice("npm:".length))
  );
  return {
    ...Object.fromEntries(
      Object.entries(config).filter(([key]) => KEPT.includes(key)),
    ),
    imports: Object.fromEntries(imports),
  };
}

if (import.meta.main) {
  const graph = await new Response(Deno.stdin.readable).json() as Graph;
  const config = JSON.parse(Deno.readTextFileSync("deno.json")) as Config;
  const text = `${JSON.stringify(trimmed(config, graph), null, 2)}\n`;
  await Deno.stdout.write(new TextEncoder().encode(text));
}
