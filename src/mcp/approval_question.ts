/**
 * The question to the user of the client whether a scan may run, where the policies leave the decision
 * to that user. One handler serves every revision: clients of 2026-07-28 get `input_required` and call
 * again; for older ones the SDK asks by `elicitation/create` and comes back with the answer.
 *
 * What is asked about travels through the client in between. It is signed, so that an answer can only
 * be to a question of this server, to this caller.
 *
 * @module
 */
import {
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
  type InputRequiredResult,
  inputResponse,
  type RequestStateCodec,
  type Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { From } from "@/audit/entry.ts";
import { auditText } from "@/audit/text.ts";
import type { Engine } from "@/dispatch/engine.ts";
import { AppError, type ApprovalRef, toAppError } from "@/error/app_error.ts";
import { cleanText } from "@/tools/untrusted.ts";

/** How long an answer may take. */
export const ANSWER_SECONDS_MAX = 600;

/** Most characters of the words about the target, and about the policies, in the question. */
const WORDS_LENGTH_MAX = 400;

/** What was asked, signed. */
interface Asked {
  readonly approval: string;
  readonly subject: string;
  readonly tenant: string;
}

/** Signs what was asked, and checks it. One for all servers of a process that serve the same clients. */
export type Questions = RequestStateCodec<Asked>;

const KEY = "approval";

/**
 * Makes the codec of the questions, with a key that nobody else has.
 *
 * @returns The codec.
 */
export function createQuestions(): Questions {
  return createRequestStateCodec<Asked>({
    key: crypto.getRandomValues(new Uint8Array(32)),
    ttlSeconds: ANSWER_SECONDS_MAX,
  });
}

/** A call that may have to be asked about. */
export interface AskedCall<T> {
  readonly engine: Engine;
  readonly server: Server;
  readonly context: ServerContext;
  readonly questions: Questions;
  readonly who: From;
  readonly tool: string;
  /** Untrusted JSON. */
  readonly arguments: unknown;
  /** Makes the call. Rejects with the engine's error. */
  readonly run: () => Promise<T>;
}

/**
 * Makes a call; asks the client's user first if the policies want that.
 *
 * @param call The call.
 * @returns The call's answer, or the question.
 * @throws {AppError} The refusal, if nobody can be asked or the user declined.
 */
export async function withApproval<T>(
  call: AskedCall<T>,
): Promise<T | InputRequiredResult> {
  await hearAnswer(call);
  try {
    return await call.run();
  } catch (thrown) {
    const error = toAppError(thrown);
    const { approval } = error;
    if (error.code !== "approval_required" || approval === undefined) {
      throw error;
    }
    if (!approval.byClientUser || !canAsk(call)) throw error;
    return await question(call, approval, error.message);
  }
}

/** Takes the user's answer, if this is the call that brings one. */
async function hearAnswer<T>(call: AskedCall<T>): Promise<void> {
  const { engine, context: { mcpReq }, who } = call;
  const response = inputResponse(mcpReq.inputResponses, KEY);
  if (response.kind === "missing") return;
  const asked = mcpReq.requestState<Asked>();
  const { subject, tenant } = engine.principal;
  if (
    typeof asked !== "object" || asked === null ||
    asked.subject !== subject || asked.tenant !== tenant
  ) {
    throw new AppError(
      "invalid_arguments",
      "Cannot take the answer: it is to no question that this caller was asked; call again without it",
    );
  }
  if (
    response.kind !== "elicit" || response.action !== "accept" ||
    response.content?.["approve"] !== true
  ) {
    throw new AppError(
      "approval_required",
      "Cannot scan: your user was asked and did not approve; do not ask again unless the user wants it",
      { approval: { id: asked.approval, byClientUser: true } },
    );
  }
  try {
    await engine.approveByUser(asked.approval, who);
  } catch (thrown) {
    const error = toAppError(thrown);
    // Decided in the meantime, or by this very answer when the client sends it again: the call itself
    // is judged by what was decided.
    if (error.code !== "conflict") throw error;
  }
}

/** Whether the client can show a form to its user. */
function canAsk<T>({ server, context }: AskedCall<T>): boolean {
  const { envelope } = context.mcpReq;
  const capabilities = envelope === undefined
    ? server.getClientCapabilities()
    : fieldOf(envelope, CLIENT_CAPABILITIES_META_KEY);
  const elicitation = fieldOf(capabilities, "elicitation");
  if (elicitation === undefined) return false;
  // Without a mode it is a form: the revisions before 2025-11-25 know no other.
  return fieldOf(elicitation, "form") !== undefined ||
    fieldOf(elicitation, "url") === undefined;
}

/** A field of what a client said, if it is an object. */
function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null &&
      Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

async function question<T>(
  call: AskedCall<T>,
  { id }: ApprovalRef,
  why: string,
): Promise<InputRequiredResult> {
  const { subject, tenant } = call.engine.principal;
  return inputRequired({
    inputRequests: {
      [KEY]: inputRequired.elicit({
        message: questionText(call.tool, call.arguments, why),
        requestedSchema: {
          type: "object",
          properties: {
            approve: {
              type: "boolean",
              title: "Run this scan",
              description: "Whether this scan may run, this once.",
            },
          },
          required: ["approve"],
        },
      }),
    },
    requestState: await call.questions.mint({ approval: id, subject, tenant }),
  });
}

/**
 * Says what is asked, in plain words.
 *
 * @param tool The tool.
 * @param given The call's arguments: chosen by the model, so they are shown as they are, cleaned.
 * @param why The refusal, which names the policies.
 * @returns The question.
 */
export function questionText(
  tool: string,
  given: unknown,
  why: string,
): string {
  const target = fieldOf(given, "target");
  const all = words(JSON.stringify(given ?? {}));
  return [
    `May ${words(tool)} scan ${words(targetText(target))}?`,
    `The whole request: ${all}`,
    `Why you are asked: ${words(why)}`,
  ].join("\n");
}

function targetText(target: unknown): string {
  if (typeof target === "string") return target;
  return Array.isArray(target) ? target.map(String).join(", ") : "its target";
}

function words(text: string): string {
  return cleanText(auditText(text, 2 * WORDS_LENGTH_MAX), {
    lengthMax: WORDS_LENGTH_MAX,
  });
}
