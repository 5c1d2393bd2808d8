/**
 * Which methods a path has. A router that finds no route says "not found" for a wrong method as well,
 * and a client that mistook the method would look for the mistake in the path.
 *
 * @module
 */

/** A route as the router keeps it. */
interface Registered {
  readonly method: string;
  readonly path: string;
}

/** The methods of every path. */
export class Methods {
  /** A pattern that matches the path, and its methods. */
  readonly #paths: readonly (readonly [RegExp, ReadonlySet<string>])[];

  /** @param routes All routes and what stands before them, as the router keeps them. */
  constructor(routes: readonly Registered[]) {
    const byPath = new Map<string, Set<string>>();
    for (const { method, path } of routes) {
      // What is for all methods stands before the routes and is none itself.
      if (method === "ALL") continue;
      byPath.set(path, (byPath.get(path) ?? new Set()).add(method));
    }
    this.#paths = [...byPath].map((
      [path, methods],
    ) => [patternOf(path), methods]);
  }

  /**
   * Looks a path up.
   *
   * @param path The path of a request.
   * @returns Its methods in the order of the alphabet; none if there is no such path.
   */
  of(path: string): readonly string[] {
    const methods = new Set(
      this.#paths.flatMap(([pattern, methods]) =>
        pattern.test(path) ? [...methods] : []
      ),
    );
    if (methods.size === 0) return [];
    if (methods.has("GET")) methods.add("HEAD");
    return [...methods.add("OPTIONS")].sort();
  }
}

/** `/v1/scans/:id` stands for one segment. */
function patternOf(path: string): RegExp {
  const source = path.split("/").map((segment) =>
    segment.startsWith(":")
      ? "[^/]+"
      : segment.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  ).join("/");
  return new RegExp(`^${source}$`);
}
