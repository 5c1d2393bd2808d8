/**
 * What a scan was asked to look at, so that a tool isolate cannot answer with something else: a host that
 * nobody asked for would enter the inventory, and every later comparison, as if it had been scanned.
 *
 * It is read from the request as it crosses, which main has held against its own guardrails before: the
 * addresses that were named, and those to which names were resolved.
 *
 * @module
 */
import { type Block, type Family, parseAddress } from "@/scope/block.ts";
import { parseTarget } from "@/scope/target.ts";
import { parseUrl, urlText } from "@/tools/gobuster/url.ts";
import type { NamesReport, Report } from "@/tools/report.ts";
import type { ToolName } from "@/tools/tool.ts";
import type { Request } from "./isolate.ts";

/** Tells of a sound report whether it speaks of what was asked for and of nothing else. */
export type Asked = (report: Report) => boolean;

/** What a request says of its targets. */
type Given = Pick<Request, "arguments" | "resolved">;

/**
 * Reads what a request asks for.
 *
 * @param tool The tool that is asked.
 * @param request The request.
 * @returns The check. A request that names nothing readable gets one that refuses every finding.
 */
export function askedOf(tool: ToolName, request: Given): Asked {
  if (tool === "gobuster") return askedWords(request);
  const places = mergedOf(
    textsOf(request).flatMap((text) => blocksOf(text, request)),
  );
  return (report) =>
    report.kind === "hosts" &&
    report.hosts.every(({ address }) => isWithin(places, address));
}

/** gobuster says where it looked itself. */
function askedWords(request: Given): Asked {
  const [target = ""] = textsOf(request);
  const mode = request.arguments["mode"];
  if (mode === "dir") {
    const url = orNull(() => parseUrl(target));
    const asked = url === null ? null : urlText(url, url.host.text);
    return (report) => report.kind === "paths" && report.url === asked;
  }
  // The domain of `vhost` may stand in the extra arguments.
  const domain = mode === "dns"
    ? orNull(() => parseTarget(target))?.text
    : undefined;
  return (report) =>
    report.kind === "names" && report.mode === mode &&
    (mode === "vhost" || report.domain === domain) && isBelow(report);
}

function isBelow({ domain, names }: NamesReport): boolean {
  return names.every(({ name }) => name.endsWith(`.${domain}`));
}

function textsOf({ arguments: given }: Given): readonly string[] {
  const { target } = given;
  const list: readonly unknown[] = Array.isArray(target) ? target : [target];
  return list.filter((one) => typeof one === "string");
}

function blocksOf(text: string, { resolved }: Given): readonly Block[] {
  const target = orNull(() => parseTarget(text));
  if (target === null) return [];
  if (target.kind !== "name") return [target.block];
  return (resolved.get(target.text) ?? []).map(addressOf)
    .filter((block) => block !== null);
}

/** Sorted and without overlaps, so that each host of a large report is looked up in a few steps. */
function mergedOf(blocks: readonly Block[]): ReadonlyMap<Family, Block[]> {
  const merged = new Map<Family, Block[]>([[4, []], [6, []]]);
  const sorted = blocks.toSorted((a, b) =>
    a.first < b.first ? -1 : a.first > b.first ? 1 : 0
  );
  for (const block of sorted) {
    const places = merged.get(block.family) ?? [];
    const last = places.at(-1);
    if (last === undefined || block.first > last.last + 1n) places.push(block);
    else if (block.last > last.last) {
      places[places.length - 1] = { ...last, last: block.last };
    }
  }
  return merged;
}

function isWithin(
  merged: ReadonlyMap<Family, readonly Block[]>,
  text: string,
): boolean {
  const address = addressOf(text);
  if (address === null) return false;
  const places = merged.get(address.family) ?? [];
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const place = places[middle];
    if (place === undefined) return false;
    if (address.first < place.first) high = middle;
    else if (address.first > place.last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Scanners write some IPv6 addresses with a dotted end, which no target may have. */
function addressOf(text: string): Block | null {
  const [, head, end = ""] = /^(.*:)([0-9.]+)$/.exec(text) ?? [];
  const dotted = parseAddress(end);
  if (head === undefined || dotted?.family !== 4) return parseAddress(text);
  const [high, low] = [dotted.first >> 16n, dotted.first & 0xffffn];
  return parseAddress(`${head}${high.toString(16)}:${low.toString(16)}`);
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    // Main has refused it before; here nothing is asked for then.
    return null;
  }
}
