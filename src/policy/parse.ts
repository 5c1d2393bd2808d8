/**
 * Reads the text of policies: each is parsed, named by its `@id` and held against the schema. A warning
 * of Cedar's counts as a fault: a policy that can never apply forbids nothing, and letters that look
 * like others hide what it says.
 *
 * @module
 */
import { nearest } from "@/config/suggest.ts";
import { type Block, parseAddress, parseNetwork } from "@/scope/block.ts";
import { shown } from "@/tools/field.ts";
import { excessOf, FILE_BYTES_MAX } from "./bounds.ts";
import {
  type Cedar,
  type DetailedError,
  errorLine,
  type ValidationError,
} from "./cedar.ts";
import { lineOf, lineOfByte, type PolicyProblem } from "./problem.ts";
import type { PolicyView } from "./view.ts";

/** Who may say yes besides an approver, by `@approver`. */
const APPROVERS = ["client_user"];

/** A file as it was read. */
export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

/** A policy that was read. */
export interface ParsedPolicy {
  readonly view: PolicyView;
  /** Where it begins in its file. */
  readonly line: number;
  /** The networks that it names. */
  readonly networks: readonly Block[];
}

/** What was read, and what is wrong with it. */
export interface ParsedPolicies {
  readonly policies: readonly ParsedPolicy[];
  readonly problems: readonly PolicyProblem[];
}

/**
 * Reads the policies of a file. They are not yet held against the schema.
 *
 * @param cedar Cedar.
 * @param file The file.
 * @returns Its policies; none of them counts if there is a problem.
 */
export function parsePolicies(cedar: Cedar, file: PolicyFile): ParsedPolicies {
  const { name, text } = file;
  const whole = (message: string, line: number | null = null) => ({
    policies: [],
    problems: [{ file: name, line, message }],
  });
  if (new TextEncoder().encode(text).length > FILE_BYTES_MAX) {
    return whole(`it has more than ${FILE_BYTES_MAX} bytes; split it`);
  }
  const excess = excessOf(text);
  if (excess !== null) {
    return whole(excess.message, lineOf(text, excess.offset));
  }
  const parts = cedar.call((wasm) => wasm.policySetTextToParts(text));
  if (parts.type === "failure") {
    return { policies: [], problems: faults(file, 1, parts.errors) };
  }
  const templates = new Offsets(text);
  const problems: PolicyProblem[] = parts.policy_templates.map((template) => ({
    file: name,
    line: templates.lineOf(template),
    message: "templates are not taken; write the entity in place of the ?slot",
  }));
  const offsets = new Offsets(text);
  const policies: ParsedPolicy[] = [];
  for (const part of parts.policies) {
    const place = { name, line: offsets.lineOf(part) };
    const read = parseOne(cedar, part, place);
    problems.push(...read.problems);
    policies.push(...read.policies);
  }
  policies.sort((a, b) => a.line - b.line);
  return { policies, problems };
}

/**
 * Holds policies against the schema, all at once.
 *
 * @param cedar Cedar.
 * @param schema The schema's text.
 * @param policies Policies with different ids.
 * @returns What is wrong.
 */
export function validatePolicies(
  cedar: Cedar,
  schema: string,
  policies: readonly ParsedPolicy[],
): readonly PolicyProblem[] {
  const byId = new Map(policies.map((policy) => [policy.view.id, policy]));
  const texts = policies.map(({ view }) => [view.id, view.text] as const);
  const answer = cedar.call((wasm) =>
    wasm.validate({
      schema,
      policies: { staticPolicies: Object.fromEntries(texts) },
      validationSettings: { mode: "strict" },
    })
  );
  if (answer.type === "failure") {
    return answer.errors.map((error) => ({
      file: null,
      line: null,
      message: errorLine(error),
    }));
  }
  const { validationErrors, validationWarnings } = answer;
  const wrong = new Set(validationErrors.map(({ policyId }) => policyId));
  // What cannot apply because of an error says so a second time.
  const warnings = validationWarnings.filter(({ policyId }) =>
    !wrong.has(policyId)
  );
  return [...validationErrors, ...warnings].flatMap((fault) =>
    faultOf(fault, byId)
  ).sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function faultOf(
  { policyId, error }: ValidationError,
  byId: ReadonlyMap<string, ParsedPolicy>,
): readonly PolicyProblem[] {
  const policy = byId.get(policyId);
  if (policy === undefined) {
    return [{ file: null, line: null, message: errorLine(error) }];
  }
  const { file: name, text, id } = policy.view;
  return faults({ name, text }, policy.line, [error]).map((fault) => ({
    ...fault,
    message: `policy "${id}": ${fault.message}`,
  }));
}

/** Says Cedar's errors, `line` being where the text that they count in begins. */
function faults(
  { name, text }: PolicyFile,
  line: number,
  errors: readonly DetailedError[],
): readonly PolicyProblem[] {
  return errors.map((error) => {
    const start = error.sourceLocations?.[0]?.start ?? 0;
    return {
      file: name,
      line: line - 1 + lineOfByte(text, start),
      message: errorLine(error),
    };
  });
}

/** Finds where each part of a text begins, of equal parts one after the other. */
class Offsets {
  readonly #text: string;
  readonly #behind = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  lineOf(part: string): number {
    const at = this.#text.indexOf(part, this.#behind.get(part) ?? 0);
    this.#behind.set(part, at + 1);
    return lineOf(this.#text, Math.max(at, 0));
  }
}

function parseOne(
  cedar: Cedar,
  text: string,
  { name, line }: { readonly name: string; readonly line: number },
): ParsedPolicies {
  const answer = cedar.call((wasm) => wasm.policyToJson(text));
  if (answer.type === "failure") {
    return {
      policies: [],
      problems: faults({ name, text }, line, answer.errors),
    };
  }
  const { annotations = {}, effect, conditions } = answer.json;
  const own = Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => [key, value ?? ""]),
  );
  const found = findingsOf(conditions);
  const complaints = [
    idComplaint(own["id"]),
    approverComplaint(own["approver"], found.approval),
    ...found.unread.map((given) =>
      `${
        shown(given)
      } is no address or network in plain form; write one such as 10.0.0.0/24 or fd00::/64`
    ),
  ].filter((complaint) => complaint !== null);
  const view = {
    id: own["id"] ?? "",
    effect,
    file: name,
    annotations: own,
    text,
  };
  return {
    policies: complaints.length > 0
      ? []
      : [{ view, line, networks: found.networks }],
    problems: complaints.map((message) => ({ file: name, line, message })),
  };
}

function idComplaint(id: string | undefined): string | null {
  if (id === undefined) {
    return 'a policy has no name; write @id("what-it-says") above it';
  }
  if (/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/.test(id)) return null;
  return `${
    shown(id)
  } is no name of a policy; write @id with 1 to 64 of a-z, 0-9 and -, such as @id("night-window")`;
}

function approverComplaint(
  approver: string | undefined,
  looksAtApproval: boolean,
): string | null {
  if (approver === undefined) return null;
  if (!APPROVERS.includes(approver)) {
    const meant = nearest(approver, APPROVERS) ?? APPROVERS.join(", ");
    return `@approver(${
      shown(approver)
    }) is not known; write @approver("${meant}") or leave it out`;
  }
  return looksAtApproval
    ? null
    : "@approver does nothing in a policy that does not look at context.approved; leave it out";
}

interface Findings {
  readonly networks: Block[];
  /** Texts of `ip()` that we read otherwise than Cedar, or not at all. */
  readonly unread: string[];
  /** Whether `context.approved` is read. */
  approval: boolean;
}

/** Looks through a policy in Cedar's JSON. */
function findingsOf(conditions: unknown): Findings {
  const findings: Findings = { networks: [], unread: [], approval: false };
  const left: unknown[] = [conditions];
  while (left.length > 0) {
    const node = left.pop();
    if (typeof node !== "object" || node === null) continue;
    for (const [key, value] of Object.entries(node)) {
      if (key === "attr" && value === "approved") findings.approval = true;
      if (key === "ip" && Array.isArray(value)) note(value[0], findings);
      left.push(value);
    }
  }
  return findings;
}

function note(argument: unknown, findings: Findings): void {
  const text = (argument as { Value?: unknown } | null | undefined)?.Value;
  // What is no literal is refused by the schema's check.
  if (typeof text !== "string") return;
  const block = parseNetwork(text) ?? parseAddress(text);
  if (block === null) findings.unread.push(text);
  else findings.networks.push(block);
}
