/**
 * masscan's command line: the closed list of flags that it may ever be started with, and the order
 * in which a pass uses them.
 *
 * masscan reads `/etc/masscan/masscan.conf` before its command line, and no flag prevents that (tried
 * with strace; `-c` only reads one more file). Lists add up there: a `range` or `ports` of such a
 * file would be scanned besides ours. So every command line carries a fence: it excludes every
 * address and every port that is not asked for, and excludes are applied after everything else was
 * read. Settings that do not add up are set again here: rate, output, banners. The `bwrap` sandbox
 * leaves the file out of sight besides.
 *
 * @module
 */
import {
  addressText,
  type Block,
  parseAddress,
  prefixOf,
} from "@/scope/block.ts";
import type { Target } from "@/scope/scope.ts";
import { Argv, type Grammar, type Part, SafeText } from "@/spawn/argv.ts";
import type { PortList } from "../ports.ts";

/** What masscan may be started with. */
export const MASSCAN_GRAMMAR: Grammar = {
  program: "masscan",
  flags: new Map([
    ["--range", "equals"],
    ["--ports", "equals"],
    ["--exclude", "equals"],
    ["--exclude-ports", "equals"],
    ["--rate", "equals"],
    ["--wait", "equals"],
    ["--retries", "equals"],
    ["--ttl", "equals"],
    ["--seed", "equals"],
    ["--banners=false", "none"],
    ["--banners=true", "none"],
    ["--source-port", "equals"],
    // No file, whatever a configuration file says. The order matters: a file name sets a format.
    ["--output-filename=", "none"],
    ["--output-format=interactive", "none"],
    ["--interactive", "none"],
    ["--version", "none"],
  ]),
};

/** First of the {@linkcode BANNER_PORTS} source ports that banner passes use. */
export const BANNER_PORT_FIRST = 61_000;

/** How many they are. Above the ports that Linux hands out by itself, so a firewall rule is safe. */
export const BANNER_PORTS = 256;

/** Gaps of the fence that stand in one token. */
const GAPS_PER_TOKEN = 200;

/** Everything that a command line is made from. */
export interface MasscanSettings {
  readonly targets: readonly Target[];
  readonly ports: PortList;
  readonly rate: number;
  readonly waitSeconds: number;
  readonly retries: number;
  readonly ttl: number | undefined;
}

/** What tells one pass from another. */
export interface Pass {
  readonly seed: number;
  readonly banners: boolean;
}

/**
 * Builds the command line of one pass.
 *
 * @param settings What is scanned, and how.
 * @param pass Its seed, and whether it reads banners.
 * @returns The command line.
 */
export function passArgv(settings: MasscanSettings, pass: Pass): Argv {
  const blocks = blocksOf(settings.targets);
  const parts: Part[] = [
    ...blocks.map((block) => ({ flag: "--range", value: rangeSafe(block) })),
    { flag: "--ports", value: settings.ports.argv },
    ...fence(blocks),
    { flag: "--exclude-ports", value: portFence(settings.ports) },
    { flag: "--rate", value: settings.rate },
    { flag: "--wait", value: settings.waitSeconds },
    { flag: "--retries", value: settings.retries },
    ...(settings.ttl === undefined
      ? []
      : [{ flag: "--ttl", value: settings.ttl }]),
    { flag: "--seed", value: pass.seed },
    { flag: pass.banners ? "--banners=true" : "--banners=false" },
    ...(pass.banners
      ? [{
        flag: "--source-port",
        value: BANNER_PORT_FIRST + pass.seed % BANNER_PORTS,
      }]
      : []),
    { flag: "--output-filename=" },
    { flag: "--output-format=interactive" },
    { flag: "--interactive" },
  ];
  return Argv.build(MASSCAN_GRAMMAR, parts);
}

/**
 * Builds the command line that prints the version.
 *
 * @returns The command line.
 */
export function versionArgv(): Argv {
  return Argv.build(MASSCAN_GRAMMAR, [{ flag: "--version" }]);
}

/**
 * Makes the seeds of a scan. They follow from what is scanned, so a plan shows what a run will use,
 * and two scans beside each other do not take each other's answers for their own.
 *
 * @param settings What is scanned.
 * @param count How many passes.
 * @returns One seed a pass, all different, none 0 (masscan takes 0 for none).
 */
export function seedsOf(
  settings: MasscanSettings,
  count: number,
): readonly number[] {
  const text = `${settings.targets.join(" ")} ${settings.ports}`;
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return Array.from({ length: count }, (_, index) => hash + index + 1);
}

/** The targets as blocks: sorted, joined where they touch, so that nothing is scanned twice. */
function blocksOf(targets: readonly Target[]): readonly Block[] {
  const blocks = targets.map((target): Block => {
    const first = parseAddress(target.first.toString());
    const last = parseAddress(target.last.toString());
    if (first === null || last === null || first.family !== 4) {
      throw new RangeError(`Cannot scan "${target}" with masscan: not IPv4`);
    }
    return { family: 4, first: first.first, last: last.last };
  }).sort((a, b) => (a.first < b.first ? -1 : 1));
  const joined: Block[] = [];
  for (const block of blocks) {
    const before = joined.at(-1);
    if (before !== undefined && block.first <= before.last + 1n) {
      const last = block.last > before.last ? block.last : before.last;
      joined[joined.length - 1] = { ...before, last };
    } else joined.push(block);
  }
  return joined;
}

/** Every address that is in none of the blocks, and all of IPv6. */
function fence(blocks: readonly Block[]): Part[] {
  const gaps: Block[] = [];
  let next = 0n;
  for (const block of blocks) {
    if (block.first > next) {
      gaps.push({ family: 4, first: next, last: block.first - 1n });
    }
    next = block.last + 1n;
  }
  if (next <= 0xffffffffn) {
    gaps.push({ family: 4, first: next, last: 0xffffffffn });
  }
  gaps.push({ family: 6, first: 0n, last: (1n << 128n) - 1n });
  const parts: Part[] = [];
  for (let at = 0; at < gaps.length; at += GAPS_PER_TOKEN) {
    const text = gaps.slice(at, at + GAPS_PER_TOKEN).map(spanText).join(",");
    parts.push({
      flag: "--exclude",
      value: SafeText.match(text, /[0-9a-f.:,-]+/),
    });
  }
  return parts;
}

/** Every TCP port that is not asked for, and all UDP and SCTP ports. */
function portFence(ports: PortList): SafeText {
  const gaps: string[] = [];
  let next = 0;
  for (const { first, last } of ports.tcp) {
    if (first > next) gaps.push(portSpan(next, first - 1));
    next = last + 1;
  }
  if (next <= 65_535) gaps.push(portSpan(next, 65_535));
  return SafeText.match(
    [...gaps, "U:0-65535", "S:0-65535"].join(","),
    /[US:0-9,-]+/,
  );
}

function portSpan(first: number, last: number): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function rangeSafe(block: Block): SafeText {
  const prefix = prefixOf(block);
  const first = addressText(4, block.first);
  const text = block.first === block.last
    ? first
    : prefix === null
    ? spanText(block)
    : `${first}/${prefix}`;
  return SafeText.match(text, /[0-9.]+(?:[/-][0-9.]+)?/);
}

/** `first-last`, both written out: masscan has no shorter form. */
function spanText({ family, first, last }: Block): string {
  return `${addressText(family, first)}-${addressText(family, last)}`;
}
