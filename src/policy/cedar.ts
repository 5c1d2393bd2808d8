/**
 * Cedar as a WebAssembly module: loaded when it is first needed, once a process. It costs 0.1 to 0.3 s,
 * so nothing that is loaded at start may import it; a server warms it up after its start.
 *
 * What Cedar keeps under a name it keeps for ever. Policies are therefore kept under one of a few names
 * that are used in turn, and are put there again when they are asked for and another set has their
 * name: a server that reloads a thousand times keeps no more than these.
 *
 * @module
 */
import type {
  AuthorizationError,
  Decision,
  DetailedError,
  EntityUid,
  StatefulAuthorizationCall,
} from "@cedar-policy/cedar-wasm";
import { AppError } from "@/error/app_error.ts";

/** Cedar's functions. */
export type Wasm = typeof import("@cedar-policy/cedar-wasm");

/** What Cedar says of a text. */
export type {
  DetailedError,
  EntityUid,
  ValidationError,
} from "@cedar-policy/cedar-wasm";

/** A request in Cedar's form, without the policies that judge it. */
export type CedarRequest = Pick<
  StatefulAuthorizationCall,
  "principal" | "action" | "resource" | "context" | "entities"
>;

/** What Cedar says of a request. */
export interface CedarAnswer {
  readonly decision: Decision;
  /** The policies that made the decision. */
  readonly reason: readonly string[];
}

/** How many sets of policies Cedar keeps at once. */
const SLOTS = 16;

let loading: Promise<Cedar> | null = null;

/**
 * Loads Cedar, once.
 *
 * @returns Cedar.
 * @throws {AppError} `internal` if it cannot be loaded.
 */
export function cedar(): Promise<Cedar> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Cedar> {
  try {
    return new Cedar(await import("@cedar-policy/cedar-wasm"));
  } catch (cause) {
    // The next call tries again.
    loading = null;
    throw new AppError(
      "internal",
      "Cannot load the policy engine: nothing is allowed without it; see the server log",
      { detail: String(cause), cause },
    );
  }
}

/** Cedar, guarded: whatever it throws is an {@linkcode AppError}. */
export class Cedar {
  readonly #wasm: Wasm;
  readonly #slots: (CedarPolicies | null)[] = Array(SLOTS).fill(null);
  #next = 0;
  #broken: unknown = null;

  /** @param wasm The module. */
  constructor(wasm: Wasm) {
    this.#wasm = wasm;
  }

  /**
   * Calls Cedar.
   *
   * @param use The call. Every text in it has passed `excessOf`.
   * @returns What it returns.
   * @throws {AppError} `internal`.
   */
  call<T>(use: (wasm: Wasm) => T): T {
    if (this.#broken !== null) throw broken(this.#broken);
    try {
      return use(this.#wasm);
    } catch (thrown) {
      // After a trap its memory is in no defined state: whatever it said then could be wrong.
      if (
        thrown instanceof WebAssembly.RuntimeError ||
        thrown instanceof RangeError
      ) this.#broken = thrown;
      throw broken(thrown);
    }
  }

  /**
   * Makes a set of policies ready for decisions.
   *
   * @param schema The schema's text.
   * @param policies Policies by their ids. All are known to be sound.
   * @returns The set.
   */
  prepare(
    schema: string,
    policies: Readonly<Record<string, string>>,
  ): CedarPolicies {
    const slot = this.#next;
    this.#next = (slot + 1) % SLOTS;
    return new CedarPolicies(this, { slot, schema, policies });
  }

  /** Puts policies under their name, unless they stand there. */
  settle(owner: CedarPolicies, { slot, schema, policies }: Kept): string {
    const name = `slot-${slot}`;
    if (this.#slots[slot] === owner) return name;
    this.#slots[slot] = null;
    const answers = this.call((wasm) => [
      wasm.preparseSchema(name, schema),
      wasm.preparsePolicySet(name, { staticPolicies: { ...policies } }),
    ]);
    for (const answer of answers) {
      if (answer.type === "failure") {
        throw broken(answer.errors[0]?.message ?? "not prepared");
      }
    }
    this.#slots[slot] = owner;
    return name;
  }
}

interface Kept {
  readonly slot: number;
  readonly schema: string;
  readonly policies: Readonly<Record<string, string>>;
}

/** Policies that decide. */
export class CedarPolicies {
  readonly #cedar: Cedar;
  readonly #kept: Kept;

  /**
   * @param cedar Cedar.
   * @param kept What is decided by.
   */
  constructor(cedar: Cedar, kept: Kept) {
    this.#cedar = cedar;
    this.#kept = kept;
  }

  /**
   * Judges a request.
   *
   * Cedar passes over a policy that fails while it is evaluated, a `forbid` too: that would allow what
   * it forbids. So one failing policy fails the whole.
   *
   * @param request The request.
   * @param validate Whether it is held against the schema: for trials, since it doubles the time.
   * @returns The decision.
   * @throws {AppError} `internal` if a policy fails or the request does not fit the schema.
   */
  judge(request: CedarRequest, validate = false): CedarAnswer {
    const name = this.#cedar.settle(this, this.#kept);
    const answer = this.#cedar.call((wasm) =>
      wasm.statefulIsAuthorized({
        ...request,
        preparsedSchemaName: name,
        preparsedPolicySetId: name,
        validateRequest: validate,
      })
    );
    if (answer.type === "failure") {
      throw broken(answer.errors[0]?.message ?? "no answer");
    }
    const { decision, diagnostics } = answer.response;
    const failed = diagnostics.errors[0];
    if (failed !== undefined) throw policyFailed(failed);
    return { decision, reason: diagnostics.reason };
  }
}

/** What is wrong with a text, in one line. */
export function errorLine(
  { message, help, sourceLocations }: DetailedError,
): string {
  const label = sourceLocations?.[0]?.label ?? null;
  return [
    message.replace(/^for policy `[^`]*`, /, "")
      .replace(/^failed to parse [^:]*: (?:error parsing schema: )?/, ""),
    ...(label === null ? [] : [label]),
    ...(help === null || help === undefined ? [] : [help]),
  ].join("; ");
}

/** Names an entity. */
export function uid(type: string, id: string): EntityUid {
  return { type, id };
}

function policyFailed({ policyId, error }: AuthorizationError): AppError {
  return new AppError(
    "internal",
    `Cannot decide: the policy "${policyId}" fails for this request, so nothing is allowed; the operator has to correct it`,
    { detail: error.message },
  );
}

function broken(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  return new AppError(
    "internal",
    "Cannot decide: the policy engine failed, so nothing is allowed; see the server log",
    {
      detail: thrown instanceof Error
        ? `${thrown.name}: ${thrown.message}`
        : String(thrown),
      cause: thrown,
    },
  );
}
