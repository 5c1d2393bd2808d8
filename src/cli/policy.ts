/**
 * `policy`: tests the policies by a table of cases, checks a folder of them, or says what they decide
 * of a request and why. Nothing is scanned.
 *
 * @module
 */
import { readConfig, readFileToCheck } from "@/config/boot.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { CASE_FIELDS, testCases } from "@/policy/cases.ts";
import { casesOf } from "@/policy/cases_file.ts";
import { explainRequest, explanationJson } from "@/policy/explain.ts";
import { FOLDER } from "@/policy/folder.ts";
import { loadPolicies } from "@/policy/load.ts";
import { CommandLine, type OptionKind } from "./history_command_line.ts";
import { printJson, printLines, printTable } from "./history_view.ts";
import {
  checkJson,
  checkRows,
  explanationLines,
  verdictJson,
  verdictLines,
  verdictRows,
} from "./policy_view.ts";
import { report } from "./scan.ts";
import { EXIT, type World } from "./world.ts";

/** The cases that are tested if no file is named. */
const CASES_NAME = "cases.yaml";

const TEST = {
  form: "deno task policy test [FILE]",
  options: { json: "flag", folder: "text" },
  operands: [0, 1],
} as const;

const CHECK = {
  form: "deno task policy check [FOLDER]",
  options: { json: "flag" },
  operands: [0, 1],
} as const;

/** A flag for each field of a case: `--in-scope` is true, `--in-scope=false` would be a word too many. */
const EXPLAIN = {
  form:
    "deno task policy explain --tool nmap --target 10.0.0.1 --role operator",
  options: {
    json: "flag",
    folder: "text",
    "out-of-scope": "flag",
    ...Object.fromEntries(
      Object.entries(CASE_FIELDS).filter(([name]) => name !== "in_scope")
        .map(([name, { schema }]) => [flagOf(name), kindOf(schema)]),
    ),
  } as Readonly<Record<string, OptionKind>>,
  operands: [0, 0],
} as const;

/**
 * Runs `policy test`, `policy check` or `policy explain`.
 *
 * @param world The process.
 * @returns 0; 2 if something is refused; 3 if a case failed or the request is not allowed.
 */
export async function policy(world: World): Promise<number> {
  const json = world.args.includes("--json");
  const [action = "test", ...args] = world.args;
  try {
    switch (action) {
      case "test":
        return await test(world, args);
      case "check":
        return await check(world, args);
      case "explain":
        return await explain(world, args);
      default:
        // Without an action the cases are tested, also where there are options: policy --json.
        if (action.startsWith("-")) return await test(world, world.args);
        throw new AppError(
          "invalid_arguments",
          "Cannot run policy: the actions are test [FILE], check [FOLDER] and explain",
        );
    }
  } catch (thrown) {
    return report(world, toAppError(thrown), json);
  }
}

async function test(world: World, args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, TEST);
  const folder = await folderOf(world, line.text("folder"));
  const name = line.operands[0] ?? `${folder}/${CASES_NAME}`;
  const cases = casesOf({ name, text: await readFileToCheck(name) });
  const policies = await loadPolicies(folder, FOLDER);
  const verdicts = await testCases(policies, cases, { now: Date.now() });
  const failed = verdicts.filter(({ ok }) => ok === false).length;
  if (line.flag("json")) {
    printJson(world, verdictJson(policies.hash, cases, verdicts));
  } else {
    if (verdicts.length > 0) printTable(world, verdictRows(cases, verdicts));
    printLines(world, verdictLines(verdicts));
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

async function check(world: World, args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, CHECK);
  const folder = await folderOf(world, line.operands[0]);
  const { hash, views } = await loadPolicies(folder, FOLDER);
  if (line.flag("json")) printJson(world, checkJson(hash, views));
  else {
    if (views.length > 0) printTable(world, checkRows(views));
    const many = views.length === 1 ? "1 policy" : `${views.length} policies`;
    printLines(world, [
      views.length === 0
        ? "No policies: everything is denied"
        : `The policies can be used: ${many}, ${hash.slice(0, 16)}`,
    ]);
  }
  return EXIT.ok;
}

async function explain(
  world: World,
  args: readonly string[],
): Promise<number> {
  const line = new CommandLine(withPlurals(args), EXPLAIN);
  const request = requestOf(line);
  const folder = await folderOf(world, line.text("folder"));
  const policies = await loadPolicies(folder, FOLDER);
  const explained = await explainRequest(policies, request, {
    now: Date.now(),
  });
  if (line.flag("json")) printJson(world, explanationJson(explained));
  else {
    const { views } = policies;
    printLines(world, explanationLines({ ...explained, views }, world));
  }
  return explained.decision.kind === "allow" ? EXIT.ok : EXIT.failed;
}

async function folderOf(
  { env }: World,
  given: string | undefined,
): Promise<string> {
  return given ?? (await readConfig(env)).config.policy.folder;
}

/** One of several is named in the singular. */
function withPlurals(args: readonly string[]): readonly string[] {
  return args.map((arg) =>
    arg.replace(/^--(role|network|name|tag)(?==|$)/, "--$1s")
  );
}

function requestOf(line: CommandLine): Readonly<Record<string, unknown>> {
  const request: Record<string, unknown> = {};
  for (const [name, { schema }] of Object.entries(CASE_FIELDS)) {
    if (name === "in_scope") {
      if (line.flag("out-of-scope")) request[name] = false;
      continue;
    }
    const flag = flagOf(name);
    const kind = kindOf(schema);
    const value = kind === "flag"
      ? line.flag(flag) || undefined
      : kind === "texts"
      ? line.texts(flag)
      : schema["type"] === "integer"
      ? line.integer(flag, {
        min: 0,
        max: Number(schema["maximum"] ?? Number.MAX_SAFE_INTEGER),
      })
      : line.text(flag);
    if (value !== undefined) request[name] = value;
  }
  return request;
}

function flagOf(field: string): string {
  return field.replaceAll("_", "-");
}

function kindOf(schema: Readonly<Record<string, unknown>>): OptionKind {
  if (schema["type"] === "boolean") return "flag";
  return schema["type"] === "array" || schema["anyOf"] !== undefined
    ? "texts"
    : "text";
}
