/**
 * What a caller may ask of masscan, and how it is read.
 *
 * @module
 */
import { Scope } from "@/scope/scope.ts";
import {
  namesOf,
  parseTarget,
  TARGET_LENGTH_MAX,
  TARGETS_MAX,
  type TargetText,
} from "@/scope/target.ts";
import { foldExtraArgs } from "../extra_args.ts";
import {
  type Fields,
  flag,
  integer,
  parseFields,
  required,
  text,
  textOrTexts,
} from "../field.ts";
import type { Guardrails } from "../guardrails.ts";
import {
  parsePorts,
  PORT_COUNT_MAX,
  type PortList,
  PORTS_LENGTH_MAX,
} from "../ports.ts";
import { TIMEOUT_FIELD } from "../timeout.ts";
import {
  EXTRA_ARGS_LENGTH_MAX,
  type FlagTable,
  wholeNumber,
  yes,
} from "../tokenizer.ts";

/** Packets a second that the field takes; the guardrail is lower. */
const RATE_FIELD_MAX = 1_000_000;

/** Longest wait for late answers, in seconds. */
const WAIT_SECONDS_MAX = 60;

/** Most repetitions of a probe within one pass. */
const RETRIES_MAX = 3;

/** The arguments of a call. */
export const MASSCAN_FIELDS = {
  target: required(textOrTexts(
    "IPv4 address, CIDR, a.b.c.d-e range, or host name, not loopback; or an array of these.",
    { lengthMax: TARGET_LENGTH_MAX, itemsMax: TARGETS_MAX },
  )),
  ports: required(text("TCP ports like 22,80,8000-8100.", PORTS_LENGTH_MAX)),
  rate: integer(
    "Packets a second; the server has a default and a cap.",
    1,
    RATE_FIELD_MAX,
  ),
  banners: flag(
    "Try to read banners in one more pass; nmap service_detection is surer.",
  ),
  extra_args: text(
    "Further masscan flags: --rate --banners --wait --retries --ttl.",
    EXTRA_ARGS_LENGTH_MAX,
  ),
  timeout_seconds: TIMEOUT_FIELD,
} satisfies Fields;

/** Fields that only `extra_args` can set. */
const FLAG_FIELDS = {
  wait: integer("Seconds to wait for late answers.", 1, WAIT_SECONDS_MAX),
  retries: integer("Repetitions of each probe.", 0, RETRIES_MAX),
  ttl: integer("Time to live of the packets.", 1, 255),
} satisfies Fields;

const ALL_FIELDS = { ...MASSCAN_FIELDS, ...FLAG_FIELDS } satisfies Fields;

const FLAG_TABLE: FlagTable = {
  allowed: [
    {
      names: ["--rate", "--max-rate"],
      forms: ["next", "equals"],
      field: "rate",
      value: wholeNumber,
    },
    { names: ["--banners", "--banner"], field: "banners", value: yes },
    {
      names: ["--wait"],
      forms: ["next", "equals"],
      field: "wait",
      value: wholeNumber,
    },
    {
      names: ["--retries", "--max-retries"],
      forms: ["next", "equals"],
      field: "retries",
      value: wholeNumber,
    },
    {
      names: ["--ttl"],
      forms: ["next", "equals"],
      field: "ttl",
      value: wholeNumber,
    },
  ],
  refused: [
    refused(["-p", "--ports", "--port"], "use the argument ports"),
    refused(["--range", "--ranges"], "use the argument target"),
    refused(["--seed"], "the server gives each pass a seed of its own"),
    refused(["--shard", "--shards"], "ask for smaller networks instead"),
    refused(
      ["-oX", "-oJ", "-oL", "-oB", "-oG", "-oD", "--output-filename"],
      "the result is always structured; no file is written",
    ),
    refused(["-sU", "--udp-ports"], "use nmap with scan_type udp"),
  ],
};

/** A request that is well formed. Whether it is allowed is the plan's matter. */
export interface MasscanRequest {
  readonly targets: readonly TargetText[];
  /** Host names that lie below an allowed suffix; the others must not be looked up. */
  readonly lookups: readonly string[];
  readonly ports: PortList;
  readonly rate: number | undefined;
  readonly banners: boolean;
  readonly waitSeconds: number | undefined;
  readonly retries: number;
  readonly ttl: number | undefined;
  readonly timeoutSeconds: number | undefined;
}

/**
 * Reads a request.
 *
 * @param input Untrusted JSON.
 * @param guardrails Limits and the scope.
 * @returns The request.
 * @throws {AppError} `invalid_arguments` or `invalid_target`.
 */
export function parseRequest(
  input: unknown,
  guardrails: Guardrails,
): MasscanRequest {
  const fields = foldExtraArgs(parseFields(MASSCAN_FIELDS, input), {
    tool: "masscan",
    fields: ALL_FIELDS,
    flags: FLAG_TABLE,
    lengthMax: guardrails.extraArgsLengthMax,
  });
  const targets = fields.target.map(parseTarget);
  const scope = Scope.of(guardrails.scope);
  return {
    targets,
    lookups: namesOf(targets).filter((name) => scope.allowsName(name)),
    ports: parsePorts(fields.ports, { countMax: PORT_COUNT_MAX }),
    rate: fields.rate,
    banners: fields.banners ?? false,
    waitSeconds: fields.wait,
    retries: fields.retries ?? 0,
    ttl: fields.ttl,
    timeoutSeconds: fields.timeout_seconds,
  };
}

function refused(names: readonly string[], why: string) {
  return { names, code: "invalid_arguments", why } as const;
}
