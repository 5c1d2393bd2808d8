/**
 * Looks host names up with `nmap -sL`, which sends nothing to the targets. So the server needs no
 * network permission of its own for it.
 *
 * nmap answers for one family a run: IPv4 is asked for first, IPv6 for the names that have none.
 *
 * @module
 */
import { SaxesParser } from "saxes";
import { AppError } from "@/error/app_error.ts";
import { parseAddress } from "@/scope/block.ts";
import { RESOLVED_MAX, Scope } from "@/scope/scope.ts";
import { parseTarget, TARGETS_MAX } from "@/scope/target.ts";
import { Argv, SafeText } from "@/spawn/argv.ts";
import type { Guardrails } from "../guardrails.ts";
import { NMAP_GRAMMAR } from "./argv.ts";

/** Most characters of a look-up's output that are read. */
const OUTPUT_LENGTH_MAX = 4 * 1_048_576;

/**
 * Builds the command line of a look-up. The names are judged here again: a look-up carries a name
 * out of the network, so only names below an allowed suffix may be looked up.
 *
 * @param names Host names.
 * @param guardrails The scope.
 * @param family 4 or 6.
 * @returns The command line.
 * @throws {AppError} `invalid_target` or `target_not_allowed`.
 */
export function resolveArgv(
  names: readonly string[],
  guardrails: Guardrails,
  family: 4 | 6,
): Argv {
  if (names.length === 0 || names.length > TARGETS_MAX) {
    throw new AppError(
      "invalid_target",
      `Cannot look up ${names.length} names: 1 to ${TARGETS_MAX} are taken; name fewer targets`,
    );
  }
  const scope = Scope.of(guardrails.scope);
  const operands = names.map((name) => {
    const target = parseTarget(name);
    if (target.kind !== "name" || !scope.allowsName(target.text)) {
      throw new AppError(
        "target_not_allowed",
        `Cannot look up "${target.text}": it is not below an allowed suffix; use an address instead`,
      );
    }
    return { operand: SafeText.match(target.text, /[a-z0-9.-]+/) };
  });
  return Argv.build(NMAP_GRAMMAR, [
    ...(family === 6 ? [{ flag: "-6" }] : []),
    { flag: "-sL" },
    { flag: "-n" },
    { flag: "--noninteractive" },
    { flag: "--unprivileged" },
    { flag: "--resolve-all" },
    { flag: "-oX" },
    { flag: "-" },
    ...operands,
  ]);
}

/**
 * Reads what a look-up printed.
 *
 * @param text The XML. Whatever it is, nothing is thrown: what can be read up to the first fault is
 * taken.
 * @returns The addresses of each name, at most one more than a target may have, so that a surplus
 * is seen and refused.
 */
export function parseResolveXml(text: string): Map<string, readonly string[]> {
  const addresses = new Map<string, string[]>();
  const parser = new SaxesParser();
  let address: string | null = null;
  let broken = false;
  parser.on("error", () => {
    broken = true;
  });
  // Saxes goes on after a fault; what follows one is not believed.
  parser.on("opentag", ({ name, attributes }) => {
    if (broken) return;
    if (name === "host") address = null;
    if (name === "address") address = attributes["addr"] ?? null;
    if (name !== "hostname" || attributes["type"] !== "user") return;
    const host = (attributes["name"] ?? "").toLowerCase();
    if (address === null || parseAddress(address) === null) return;
    const known = addresses.get(host) ?? [];
    if (known.length > RESOLVED_MAX || known.includes(address)) return;
    if (addresses.size < TARGETS_MAX || addresses.has(host)) {
      addresses.set(host, [...known, address]);
    }
  });
  // A half of a surrogate pair makes saxes throw.
  const sound = text.slice(0, OUTPUT_LENGTH_MAX).toWellFormed();
  for (let at = 0; at < sound.length && !broken; at += 4_096) {
    parser.write(sound.slice(at, at + 4_096));
  }
  return addresses;
}
