/**
 * A request of each route as a line for a shell. The credentials come out of a file: a key on a command
 * line is in the shell's history and in every list of processes.
 *
 * @module
 */

/** What of an operation a request is made of. */
interface Asked {
  readonly path: string;
  readonly method: string;
  readonly operation: {
    readonly security?: readonly object[];
    readonly parameters?: readonly {
      readonly name: string;
      readonly in: string;
      readonly required?: boolean;
      readonly schema?: object;
    }[];
    readonly requestBody?: {
      readonly content?: Readonly<
        Record<string, { readonly example?: unknown }>
      >;
    };
    readonly responses?: Readonly<
      Record<string, { readonly content?: object }>
    >;
  };
}

/**
 * Writes a request.
 *
 * @param asked The operation and where it is.
 * @returns Lines for a POSIX shell.
 */
export function curlOf({ path, method, operation }: Asked): string {
  if (Object.hasOwn(operation.responses ?? {}, "101")) {
    return `# A WebSocket: any client of those, with the same Authorization header, at\n# "$SERVER${path}" with ws:// or wss:// in front`;
  }
  const open = operation.security?.length === 0;
  const parts = [
    open ? "curl --silent" : "curl --silent --config ~/.scan.curlrc",
  ];
  if (method !== "get") parts.push(`--request ${method.toUpperCase()}`);
  if (streams(operation.responses)) parts.push("--no-buffer");
  const [type, media] =
    Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type !== undefined) {
    parts.push(`--header ${quoted(`Content-Type: ${type}`)}`);
    parts.push(`--data ${quoted(JSON.stringify(media?.example ?? {}))}`);
  }
  parts.push(`"$SERVER${filled(path, operation.parameters ?? [])}"`);
  return parts.join(" \\\n  ");
}

function streams(responses: Asked["operation"]["responses"]): boolean {
  return Object.values(responses ?? {}).some(({ content }) =>
    Object.hasOwn(content ?? {}, "text/event-stream")
  );
}

/** The path with its parameters, and with those of the query that have to be there. */
function filled(
  path: string,
  parameters: NonNullable<Asked["operation"]["parameters"]>,
): string {
  let text = path;
  const query: string[] = [];
  for (const { name, in: place, required, schema } of parameters) {
    const example = exampleOf(schema) ?? name.toUpperCase();
    if (place === "path") text = text.replace(`{${name}}`, example);
    if (place === "query" && required === true) {
      query.push(`${name}=${example}`);
    }
  }
  return query.length === 0 ? text : `${text}?${query.join("&")}`;
}

function exampleOf(schema: object | undefined): string | undefined {
  const { example, enum: words } = (schema ?? {}) as {
    example?: unknown;
    enum?: readonly unknown[];
  };
  const value = example ?? words?.[0];
  return typeof value === "string" && /^[\w.:@-]+$/.test(value)
    ? value
    : undefined;
}

/** In single quotes nothing is special but the quote itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
