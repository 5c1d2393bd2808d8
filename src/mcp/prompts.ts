/**
 * Prompts for the common jobs. An argument of a prompt ends up in a model's instructions, so it is
 * short, free of controls and invisible characters, and quoted.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { cleanText } from "@/tools/untrusted.ts";
import { UNTRUSTED_NOTE } from "./text.ts";

/** Most characters of an argument. */
export const ARGUMENT_LENGTH_MAX = 200;

/** An argument of a prompt. */
export interface PromptArgument {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
}

/** A prompt as it is listed. */
export interface PromptEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly PromptArgument[];
}

interface Prompt extends PromptEntry {
  /** Says the job; each argument comes cleaned and quoted, or empty. */
  readonly say: (given: (name: string) => string) => string;
}

const RULES =
  `Rules: read policy://guardrails first and stay in scope. Use plan: true before the first scan. If a call is refused, do what the message says or tell the user; do not look for a way around it. ${UNTRUSTED_NOTE}`;

const PROMPTS: readonly Prompt[] = [
  {
    name: "inventory_subnet",
    title: "Inventory a subnet",
    description: "Finds the live hosts of a network, their ports and services.",
    arguments: [
      argument("subnet", "The network, for example 10.0.0.0/24.", true),
      argument("scripts", "nmap scripts to run, separated by commas.", false),
    ],
    say: (given) =>
      `Make an inventory of the network ${given("subnet")}.
1. nmap with scan_type ping on it, to see who is up.
2. nmap on the live hosts with service_detection${
        given("scripts") === "" ? "" : ` and the scripts ${given("scripts")}`
      }; background: true when there are many, then scan_status and scan_results.
3. Answer with a table of host, open ports, service and version, then what deserves a look and why. Say what was not scanned.`,
  },
  {
    name: "what_changed",
    title: "What changed between two scans",
    description: "Compares the findings of two scans of the same target.",
    arguments: [
      argument("scan_a", "The id of the earlier scan.", true),
      argument("scan_b", "The id of the later scan.", true),
    ],
    say: (given) =>
      `Compare the scans ${given("scan_a")} (earlier) and ${
        given("scan_b")
      } (later). Read both with scan_results, page by page. If their targets, ports or scan types differ, say so first: a port that was not looked at is no closed port. Then name hosts and ports that came and went, services whose version changed, and what of it deserves a look. Start no new scan unless asked.`,
  },
  {
    name: "triage_web_host",
    title: "Triage a web host",
    description: "Looks into a web server: ports, paths, virtual hosts.",
    arguments: [
      argument("url", "The server, for example http://10.0.0.5:8080/.", true),
      argument("wordlist", "A wordlist by name.", false),
    ],
    say: (given) =>
      `Triage the web server at ${given("url")}.
1. nmap with service_detection on its host and port, to see what serves it.
2. gobuster with mode dir on the URL${
        given("wordlist") === "" ? "" : ` and the wordlist ${given("wordlist")}`
      }; read the findings with scan_results, by status_code if there are many.
3. Name what was found, what it may mean and what a person should look at first. Do not log in, guess passwords or change anything.`,
  },
];

/** The prompts, as listed. */
export const PROMPT_ENTRIES: readonly PromptEntry[] = PROMPTS.map((
  { say: _, ...entry },
) => entry);

/** A prompt, filled in. */
export interface FilledPrompt {
  readonly description: string;
  readonly messages: {
    role: "user";
    content: { type: "text"; text: string };
  }[];
}

/**
 * Fills a prompt in.
 *
 * @param name The prompt's name.
 * @param given The arguments: untrusted texts.
 * @returns The messages.
 * @throws {AppError} `not_found` or `invalid_arguments`.
 */
export function fillPrompt(
  name: string,
  given: Readonly<Record<string, string>>,
): FilledPrompt {
  const prompt = PROMPTS.find((one) => one.name === name);
  if (prompt === undefined) {
    throw new AppError(
      "not_found",
      `Cannot get the prompt: no such prompt; the prompts are ${
        PROMPTS.map((one) => one.name).join(", ")
      }`,
    );
  }
  const values = parseArguments(prompt, given);
  const text = prompt.say((argument) => values.get(argument) ?? "");
  return {
    description: prompt.description,
    messages: [{
      role: "user",
      content: { type: "text", text: `${text}\n${RULES}` },
    }],
  };
}

function parseArguments(
  prompt: Prompt,
  given: Readonly<Record<string, string>>,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) {
    if (!prompt.arguments.some((one) => one.name === name)) {
      throw refuse(name, "no such argument");
    }
    if (value.trim() !== "") values.set(name, parseArgument(name, value));
  }
  for (const { name, required } of prompt.arguments) {
    if (required && !values.has(name)) {
      throw refuse(name, "it is required and missing");
    }
  }
  return values;
}

/** Refuses rather than mends: a value that needs cleaning was not meant for this place. */
function parseArgument(name: string, value: string): string {
  const trimmed = value.trim();
  if (trimmed.length > ARGUMENT_LENGTH_MAX) {
    throw refuse(name, `it has more than ${ARGUMENT_LENGTH_MAX} characters`);
  }
  if (
    /["`\\]/.test(trimmed) ||
    cleanText(trimmed, { lengthMax: ARGUMENT_LENGTH_MAX }) !== trimmed
  ) {
    throw refuse(name, "it holds quotes, controls or invisible characters");
  }
  return JSON.stringify(trimmed);
}

function argument(
  name: string,
  description: string,
  required: boolean,
): PromptArgument {
  return { name, description, required };
}

function refuse(name: string, why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use the argument ${
      JSON.stringify(cleanText(name, { lengthMax: 40 }))
    } of the prompt: ${why}`,
  );
}
