/**
 * Reads the messages of the boundary. What does not fit is dropped (`null`) or, at birth, a mistake
 * of the program that ends the isolate.
 *
 * @module
 */
import type { Guardrails } from "@/tools/guardrails.ts";
import { isToolName, type ToolName } from "@/tools/tool.ts";
import {
  type Answer,
  type Ask,
  type Birth,
  REQUEST_LENGTH_MAX,
} from "./protocol.ts";
import type { WardenAsk, WardenBirth } from "./warden_protocol.ts";

/** Most names of one look-up, and most addresses of one name. */
const NAMES_MAX = 256;
const NAME_LENGTH_MAX = 253;
const ADDRESSES_MAX = 64;
const TAGS_MAX = 16;
const LABEL_LENGTH_MAX = 64;

/**
 * Reads a birth message. It comes from the program's own start or from the warden, never from a
 * client, so a fault in it is a mistake of the programmer.
 *
 * @param data What arrived.
 * @param tool The tool that this isolate is for.
 * @returns The birth.
 * @throws {TypeError} If it is no birth of that tool.
 */
export function parseBirth(data: unknown, tool: ToolName): Birth {
  const { kind, tool: named, programs, guardrails, terminal } =
    recordOf(data) ?? {};
  if (kind !== "birth" || named !== tool) {
    throw new TypeError(`Cannot be born as "${tool}"`);
  }
  const paths = Object.entries(recordOf(programs) ?? {});
  if (
    !paths.every(([name, path]) => isToolName(name) && typeof path === "string")
  ) {
    throw new TypeError("Cannot be born: the programs are malformed");
  }
  if (recordOf(guardrails) === null) {
    throw new TypeError("Cannot be born without guardrails");
  }
  return {
    kind,
    tool,
    programs: Object.fromEntries(paths),
    guardrails: deepFreeze(guardrails as Guardrails),
    terminal: terminal !== false,
  };
}

/**
 * Reads what main tells the warden.
 *
 * @param data What arrived: untrusted, but for the very first message.
 * @returns The message, or null if it is none.
 */
export function parseWardenMessage(
  data: unknown,
): WardenBirth | WardenAsk | null {
  const message = recordOf(data);
  if (message === null) return null;
  const { kind, key, tool, env, programs, guardrails } = message;
  if (kind === "birth") {
    const sound = recordOf(env) !== null && recordOf(programs) !== null &&
      recordOf(guardrails) !== null;
    return sound ? deepFreeze(message as unknown as WardenBirth) : null;
  }
  if (!isId(key)) return null;
  if (kind === "end") return { kind, key };
  return kind === "start" && isToolName(tool) ? { kind, key, tool } : null;
}

/**
 * Reads what main asks.
 *
 * @param data What arrived: untrusted.
 * @returns The ask, or null if it is none.
 */
export function parseAsk(data: unknown): Ask | null {
  const { kind, id, request, rawSockets, resolved, labels, names, on } =
    recordOf(data) ?? {};
  if (!isId(id)) return null;
  if (kind === "ping" || kind === "cancel" || kind === "probe") {
    return { kind, id };
  }
  if (kind === "watch") {
    return typeof on === "boolean" ? { kind, id, on } : null;
  }
  if (kind === "resolve") {
    return isTextList(names, NAMES_MAX, NAME_LENGTH_MAX)
      ? { kind, id, names }
      : null;
  }
  if (kind !== "scan" && kind !== "plan") return null;
  if (typeof request !== "string" || request.length > REQUEST_LENGTH_MAX) {
    return null;
  }
  if (typeof rawSockets !== "boolean") return null;
  const looked = Object.entries(recordOf(resolved) ?? {});
  if (looked.length > NAMES_MAX) return null;
  const pairs: [string, readonly string[]][] = [];
  for (const [name, addresses] of looked) {
    if (
      name.length > NAME_LENGTH_MAX || !isTextList(addresses, ADDRESSES_MAX, 64)
    ) return null;
    pairs.push([name, addresses]);
  }
  const { engagement, tags, tenant } = recordOf(labels) ?? {};
  if (engagement !== null && !isText(engagement, LABEL_LENGTH_MAX)) return null;
  if (!isTextList(tags, TAGS_MAX, LABEL_LENGTH_MAX)) return null;
  if (!isText(tenant, LABEL_LENGTH_MAX)) return null;
  return {
    kind,
    id,
    request,
    rawSockets,
    resolved: Object.fromEntries(pairs),
    labels: { engagement, tags, tenant },
  };
}

const ANSWER_KINDS: ReadonlySet<unknown> = new Set(
  [
    "started",
    "progress",
    "found",
    "output",
    "done",
    "planned",
    "resolved",
    "probed",
    "refused",
    "pong",
  ] satisfies (
    Answer["kind"]
  )[],
);

/**
 * Reads what a tool isolate answers. Its kind and id are checked, and the parts that main acts on;
 * a report is data for the client and is passed on as such.
 *
 * @param data What arrived.
 * @returns The answer, or null if it is none.
 */
export function parseAnswer(data: unknown): Answer | null {
  const answer = recordOf(data);
  if (answer === null) return null;
  if (answer["kind"] === "ready") {
    const grants = recordOf(answer["grants"]);
    const sound = isToolName(answer["tool"]) && grants !== null &&
      isTextList(grants["run"], 8, 4096) &&
      isTextList(grants["others"], 64, 4096);
    return sound ? answer as unknown as Answer : null;
  }
  if (!ANSWER_KINDS.has(answer["kind"]) || !isId(answer["id"])) return null;
  if (answer["kind"] === "done") {
    const outcome = recordOf(answer["outcome"]);
    if (
      !(outcome?.["raw"] instanceof Uint8Array) ||
      recordOf(outcome["report"]) === null
    ) {
      return null;
    }
  }
  if (answer["kind"] === "found" && recordOf(answer["report"]) === null) {
    return null;
  }
  if (answer["kind"] === "output" && recordOf(answer["printed"]) === null) {
    return null;
  }
  if (answer["kind"] === "planned" && recordOf(answer["plan"]) === null) {
    return null;
  }
  if (answer["kind"] === "resolved" && recordOf(answer["addresses"]) === null) {
    return null;
  }
  if (answer["kind"] === "progress" && recordOf(answer["progress"]) === null) {
    return null;
  }
  if (answer["kind"] === "probed" && typeof answer["version"] !== "string") {
    return null;
  }
  return answer as unknown as Answer;
}

function recordOf(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : null;
}

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isTextList(
  value: unknown,
  itemsMax: number,
  lengthMax: number,
): value is string[] {
  return Array.isArray(value) && value.length <= itemsMax &&
    value.every((item) => isText(item, lengthMax));
}

function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === "string" && value.length <= lengthMax;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
