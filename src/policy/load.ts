/**
 * Loads the policies of a folder: its own `*.cedar` files, in the order of their names, and the schema
 * beside them. Either all of it can be used or none; what is wrong is told at once and in whole.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { shown } from "@/tools/field.ts";
import { ACTIONS } from "./action.ts";
import {
  excessOf,
  FILE_BYTES_MAX,
  FILES_MAX,
  POLICIES_MAX,
  POLICY_NETWORKS_MAX,
} from "./bounds.ts";
import { type Cedar, cedar, errorLine } from "./cedar.ts";
import { cedarRequest } from "./cedar_request.ts";
import { duplicates, PolicySet } from "./engine.ts";
import { distinctNetworks } from "./networks.ts";
import {
  type ParsedPolicy,
  parsePolicies,
  type PolicyFile,
  validatePolicies,
} from "./parse.ts";
import {
  lineOf,
  lineOfByte,
  type PolicyProblem,
  problemsError,
} from "./problem.ts";
import type { PolicyRequest } from "./request.ts";

/** The file of a folder that says what policies may look at. */
export const SCHEMA_NAME = "schema.cedarschema";

/** Names of policy files. A name that begins with a dot is an editor's or a volume's own. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.cedar$/;

/** Hex digits that name the text of a policy: 128 bits, which nobody finds twice. */
const VERSION_LENGTH = 32;

/** How a folder is read. */
export interface FolderReader {
  /** @returns The names of everything in the folder but folders. */
  readonly readDir: (folder: string) => Promise<readonly string[]>;
  /** @throws {AppError} `invalid_arguments`, saying what is wrong and what to do. */
  readonly readText: (folder: string, name: string) => Promise<string>;
}

/** What policies are made of. */
export interface PolicySources {
  readonly schema: string;
  readonly files: readonly PolicyFile[];
}

/**
 * Loads policies.
 *
 * @param folder The folder.
 * @param reader Reads it.
 * @returns The policies, ready to decide.
 * @throws {AppError} `invalid_arguments` with everything that is wrong; `internal` if Cedar is not there.
 */
export async function loadPolicies(
  folder: string,
  reader: FolderReader,
): Promise<PolicySet> {
  return await compilePolicies(await readPolicies(folder, reader));
}

/**
 * Reads the files of a folder, without a look at what they say.
 *
 * @param folder The folder.
 * @param reader Reads it.
 * @returns The schema and the files, in the order of their names.
 * @throws {AppError} `invalid_arguments`.
 */
export async function readPolicies(
  folder: string,
  reader: FolderReader,
): Promise<PolicySources> {
  const all = await reader.readDir(folder);
  const names = all.filter((name) =>
    name.endsWith(".cedar") && !name.startsWith(".")
  ).sort();
  if (names.length > FILES_MAX) {
    throw problemsError([{
      file: null,
      line: null,
      message:
        `there are ${names.length} files, at most ${FILES_MAX} are read; join some of them`,
    }]);
  }
  const problems: PolicyProblem[] = names.filter((name) =>
    !FILE_NAME.test(name)
  ).map((name) => ({
    file: null,
    line: null,
    message: `${
      shown(name)
    } is no name of a policy file; write it with A-Z, a-z, 0-9, . _ and -`,
  }));
  const texts = await Promise.all(
    [SCHEMA_NAME, ...names.filter((name) => FILE_NAME.test(name))].map(
      async (name) => {
        try {
          const text = await reader.readText(folder, name);
          return { name, text: text.replace(/^\ufeff/, "") };
        } catch (thrown) {
          if (!(thrown instanceof AppError)) throw thrown;
          problems.push({ file: name, line: null, message: thrown.message });
          return null;
        }
      },
    ),
  );
  if (problems.length > 0) throw problemsError(problems);
  const [schema, ...files] = texts.filter((file) => file !== null);
  return { schema: schema?.text ?? "", files };
}

/**
 * Makes policies ready to decide.
 *
 * @param sources The schema and the files.
 * @returns The policies.
 * @throws {AppError} As {@linkcode loadPolicies}.
 */
export async function compilePolicies(
  { schema, files }: PolicySources,
): Promise<PolicySet> {
  const engine = await cedar();
  const parsed = files.map((file) => parsePolicies(engine, file));
  const policies = parsed.flatMap((file) => file.policies);
  const networks = distinctNetworks(policies.flatMap((one) => one.networks));
  const problems = [
    ...schemaProblems(engine, schema),
    ...parsed.flatMap((file) => file.problems),
    ...duplicates(policies),
    ...tooMany(policies.length, networks.length),
  ];
  if (problems.length > 0) throw problemsError(problems);
  const unfit = validatePolicies(engine, schema, policies);
  if (unfit.length > 0) throw problemsError(unfit);
  return new PolicySet(engine, {
    hash: await hashOf({ schema, files }),
    schema,
    policies: byFile(policies),
    versions: await versionsOf(policies),
    networks,
  });
}

/** Names the text of each policy, its annotations included: they say who may approve. */
async function versionsOf(
  policies: readonly ParsedPolicy[],
): Promise<ReadonlyMap<string, string>> {
  const named = policies.map(async ({ view: { id, text } }) =>
    [id, (await sha256Of(text)).slice(0, VERSION_LENGTH)] as const
  );
  return new Map(await Promise.all(named));
}

function byFile(policies: readonly ParsedPolicy[]): readonly ParsedPolicy[] {
  return policies.toSorted((a, b) =>
    a.view.file === b.view.file
      ? a.line - b.line
      : a.view.file < b.view.file
      ? -1
      : 1
  );
}

function tooMany(policies: number, networks: number): readonly PolicyProblem[] {
  const message = policies > POLICIES_MAX
    ? `there are ${policies} policies, at most ${POLICIES_MAX} are taken; write a set of things instead of a policy for each`
    : networks > POLICY_NETWORKS_MAX
    ? `they name ${networks} networks, at most ${POLICY_NETWORKS_MAX} are taken; name larger ones, or use tags`
    : null;
  return message === null ? [] : [{ file: null, line: null, message }];
}

/** A schema that does not know what the server says of a scan would let no policy be right. */
function schemaProblems(
  cedar: Cedar,
  text: string,
): readonly PolicyProblem[] {
  const problem = (message: string, line: number | null = null) => [{
    file: SCHEMA_NAME,
    line,
    message,
  }];
  if (new TextEncoder().encode(text).length > FILE_BYTES_MAX) {
    return problem(`it has more than ${FILE_BYTES_MAX} bytes`);
  }
  const excess = excessOf(text, { open: "([{<", close: ")]}>" });
  if (excess !== null) {
    return problem(excess.message, lineOf(text, excess.offset));
  }
  const answer = cedar.call((wasm) => wasm.checkParseSchema(text));
  if (answer.type === "failure") {
    return answer.errors.flatMap((error) =>
      problem(
        errorLine(error),
        lineOfByte(text, error.sourceLocations?.[0]?.start ?? 0),
      )
    );
  }
  return trialProblem(cedar, text).flatMap((message) => problem(message));
}

/** Judges one request for each action, with all that can be said of it and with as little. */
function trialProblem(cedar: Cedar, schema: string): readonly string[] {
  const trial = cedar.prepare(schema, {});
  for (const action of ACTIONS) {
    const [tool, mode = ""] = action.split(":");
    for (const full of [true, false]) {
      const request = { ...trialRequest(full), tool, mode } as PolicyRequest;
      const network = full ? "127.0.0.1" : null;
      try {
        trial.judge(
          cedarRequest(request, { network, inScope: full }, full),
          true,
        );
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        return [
          `it does not fit what the server says of ${action}: ${
            thrown.detail ?? thrown.message
          }; restore the file as it was shipped`,
        ];
      }
    }
  }
  return [];
}

function trialRequest(full: boolean): Omit<PolicyRequest, "tool" | "mode"> {
  const texts = full ? ["a"] : [];
  return {
    principal: { subject: "a", client: "a", tenant: "a", roles: texts },
    networks: [],
    names: texts,
    engagement: full ? "a" : null,
    tags: texts,
    addresses: 1,
    ports: 1,
    rate: 1,
    intrusive: full,
    intrusiveAllowed: full,
    inScope: () => full,
    transport: "stdio",
    source: full ? "127.0.0.1" : null,
    at: 0,
    approved: full,
  };
}

/**
 * Names policies by what they say.
 *
 * @param sources The schema and the files.
 * @returns SHA-256 in 64 hex digits. Names and texts are kept apart by JSON, so that no two folders
 * read alike.
 */
export async function hashOf(
  { schema, files }: PolicySources,
): Promise<string> {
  const sorted = files.map(({ name, text }) => [name, text] as const)
    .toSorted(([a], [b]) => a < b ? -1 : 1);
  return await sha256Of(JSON.stringify([[SCHEMA_NAME, schema], ...sorted]));
}

async function sha256Of(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
