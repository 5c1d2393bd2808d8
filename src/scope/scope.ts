/**
 * What may be scanned, and the only maker of {@linkcode Target}.
 *
 * A `Target` is the proof that an address was judged: its constructor asks for a token that never
 * leaves this module, and whatever builds a command line takes targets and no text. What stands in
 * a target is written from the judged number, not from the caller's text, so the scanner cannot
 * read it differently than the judge did.
 *
 * The rules, in the order in which they bind:
 *
 * 1. An address in a denied subnet is refused, and so is a network that shares one address with it.
 * 2. Some ranges are never what somebody means by "my network": link-local, multicast, unspecified,
 *    reserved, addresses that carry another address, cloud metadata. They are refused unless an
 *    allowed subnet names them, that is, lies within the special range itself. `0.0.0.0/0` as an
 *    allowed subnet therefore does not open multicast.
 * 3. The rest must lie, as a whole, in one allowed range: loopback, the private ranges, or an
 *    allowed subnet. A network that spans two adjoining ranges is refused; it can be asked for in
 *    two parts.
 * 4. Where the request is kept under an engagement or a tag that is bound to subnets, it must lie in
 *    one of those as well.
 * 5. A host name must lie below an allowed suffix, and every address that it resolves to must pass
 *    the rules above. What is scanned is the address, so that a name cannot move between the
 *    judgement and the scan.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import { SafeText } from "@/spawn/argv.ts";
import {
  addressText,
  bitsOf,
  type Block,
  blockText,
  contains,
  type Family,
  networkOf,
  networksOf,
  overlaps,
  parseAddress,
  parseNetwork,
  prefixOf,
  sizeOf,
} from "./block.ts";
import type { ScopeRules } from "./rules.ts";
import type { TargetText } from "./target.ts";

const MINT = Symbol("scope/scope");

/** Most addresses that one name may resolve to. */
export const RESOLVED_MAX = 16;

/** A count above it is told as this: a report's numbers are safe integers. */
const COUNT_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** What the scope said of some targets; the shape of a guardrail's verdict. */
export interface ScopeVerdict {
  /** `scope` or `network_size`. */
  readonly guardrail: "scope" | "network_size";
  readonly allowed: boolean;
  readonly reason: string;
  readonly error?: ErrorBody;
}

/** A judgement. */
export interface Judgement {
  /** What may be scanned, in the order given; empty if anything was refused. */
  readonly targets: readonly Target[];
  /** How many addresses were asked for, refused ones included. */
  readonly addressCount: number;
  /** `scope`, then `network_size`. */
  readonly verdicts: readonly ScopeVerdict[];
}

const PRIVATE = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "::1/128",
  "fc00::/7",
].map(network);

const LOOPBACK = [network("127.0.0.0/8"), network("::1/128")];

const SPECIAL: readonly (readonly [string, Block])[] = [
  ["unspecified or local", network("0.0.0.0/8")],
  ["link-local", network("169.254.0.0/16")],
  ["multicast", network("224.0.0.0/4")],
  ["reserved or broadcast", network("240.0.0.0/4")],
  ["unspecified", network("::/128")],
  ["IPv4-compatible", { family: 6, first: 2n, last: 0xffffffffn }],
  ["IPv4-mapped", network("::ffff:0:0/96")],
  ["IPv4-translated", network("::ffff:0:0:0/96")],
  ["NAT64", network("64:ff9b::/96")],
  ["NAT64", network("64:ff9b:1::/48")],
  ["Teredo", network("2001::/32")],
  ["6to4", network("2002::/16")],
  ["link-local", network("fe80::/10")],
  ["site-local", network("fec0::/10")],
  ["multicast", network("ff00::/8")],
  ["cloud metadata", network("fd00:ec2::254/128")],
  ["cloud metadata", network("fd20:ce::254/128")],
];

/** An address, a network or a range that may be scanned. */
export class Target {
  readonly #block: Block;
  readonly #name: SafeText | null;

  private constructor(mint: symbol, block: Block, name: SafeText | null) {
    if (mint !== MINT) {
      throw new TypeError("Cannot construct Target: use Scope.judge");
    }
    this.#block = block;
    this.#name = name;
    Object.freeze(this);
  }

  /** @internal Made by {@linkcode Scope} only. */
  static mint(mint: symbol, block: Block, name: SafeText | null): Target {
    return new Target(mint, block, name);
  }

  /** What stands in a command line: an address, a network, or `a.b.c.d-e`. */
  get argv(): SafeText {
    return addressSafe(blockText(this.#block));
  }

  /** The first address. */
  get first(): SafeText {
    return addressSafe(addressText(this.#block.family, this.#block.first));
  }

  /** The last address; of a single address, the same one. */
  get last(): SafeText {
    return addressSafe(addressText(this.#block.family, this.#block.last));
  }

  /** The host name that this address was resolved from, or null. */
  get name(): SafeText | null {
    return this.#name;
  }

  /** How many addresses it has. */
  get addressCount(): number {
    return Number(sizeOf(this.#block));
  }

  /** 4 or 6. */
  get family(): Family {
    return this.#block.family;
  }

  /** Whether any of its addresses is loopback. */
  get isLoopback(): boolean {
    return LOOPBACK.some((block) => overlaps(block, this.#block));
  }

  /** The same as networks in CIDR form; a single address without a prefix. */
  get networks(): readonly string[] {
    return networksOf(this.#block);
  }

  /** @returns The text that stands in a command line. */
  toString(): string {
    return blockText(this.#block);
  }

  /**
   * Tells whether a value is a target made here.
   *
   * @param value Anything.
   * @returns Whether {@linkcode Scope} made it.
   */
  static is(value: unknown): value is Target {
    return typeof value === "object" && value !== null && #block in value;
  }
}

/** The rules for single addresses: whatever lies in an allowed block and in no refused one. */
export interface ScopeExtent {
  readonly allowed: readonly Block[];
  /** Ranges that are refused, but for the blocks that an allowed subnet names within them. */
  readonly refused: readonly {
    readonly range: Block;
    readonly except: readonly Block[];
  }[];
}

/** A piece of a request after names were replaced by addresses. */
interface Piece {
  readonly block: Block;
  readonly name: string | null;
}

/** The rules of one server. */
export class Scope {
  readonly #allowed: readonly Block[];
  readonly #named: readonly Block[];
  readonly #denied: readonly Block[];
  readonly #suffixes: readonly string[];
  readonly #sizeMax: number;
  readonly #within: readonly {
    readonly blocks: readonly Block[];
    readonly why: string;
  }[];

  private constructor(rules: ScopeRules) {
    this.#named = rules.allowedSubnets.map(network);
    this.#allowed = [...PRIVATE, ...this.#named];
    this.#denied = rules.deniedSubnets.map(network);
    this.#suffixes = rules.allowedHostSuffixes.map(suffix);
    this.#sizeMax = rules.maxNetworkSize;
    this.#within = rules.within.map(({ subnets, why }) => ({
      blocks: subnets.map(network),
      why,
    }));
    if (!Number.isSafeInteger(this.#sizeMax) || this.#sizeMax < 1) {
      throw new RangeError(
        `Cannot use a largest network of ${this.#sizeMax} addresses`,
      );
    }
  }

  /**
   * Makes a scope.
   *
   * @param rules The rules of the configuration.
   * @returns The scope.
   * @throws {RangeError} If a rule is malformed.
   */
  static of(rules: ScopeRules): Scope {
    return new Scope(rules);
  }

  /** The rules for single addresses, for a packet filter: it sees one address at a time. */
  get extent(): ScopeExtent {
    const denied = this.#denied.map((range) => ({ range, except: [] }));
    const special = SPECIAL.map(([, range]) => ({
      range,
      except: this.#named.filter((rule) => contains(range, rule)),
    }));
    return { allowed: this.#allowed, refused: [...denied, ...special] };
  }

  /**
   * Tells whether a host name lies below an allowed suffix. A name that does not must not even be
   * looked up: a look-up carries the name out of the network.
   *
   * @param name A host name in lower case.
   * @returns Whether it may be looked up.
   */
  allowsName(name: string): boolean {
    return this.#suffixes.some((end) =>
      name.length > end.length && name.endsWith(end)
    );
  }

  /**
   * Judges targets.
   *
   * @param texts The targets as named.
   * @param resolved The addresses of each host name, as looked up.
   * @returns The targets, and the verdicts `scope` and `network_size`. No target is made unless
   * both allow.
   */
  judge(
    texts: readonly TargetText[],
    resolved: ReadonlyMap<string, readonly string[]>,
  ): Judgement {
    const pieces: Piece[] = [];
    let refusal: ErrorBody | null = null;
    for (const text of texts) {
      const outcome = this.#judgeOne(text, resolved);
      if ("error" in outcome) refusal ??= outcome.error;
      else pieces.push(...outcome.pieces);
      if (text.kind !== "name" && "error" in outcome) {
        pieces.push({ block: text.block, name: null });
      }
    }
    const kept = withoutContained(pieces);
    const total = kept.reduce((sum, piece) => sum + sizeOf(piece.block), 0n);
    const verdicts = [
      scopeVerdict(refusal, kept),
      this.#sizeVerdict(total, kept),
    ];
    return {
      targets: verdicts.every((verdict) => verdict.allowed)
        ? kept.map(mintTarget)
        : [],
      addressCount: Number(total > COUNT_MAX ? COUNT_MAX : total),
      verdicts,
    };
  }

  #judgeOne(
    text: TargetText,
    resolved: ReadonlyMap<string, readonly string[]>,
  ): { pieces: readonly Piece[] } | { error: ErrorBody } {
    if (text.kind === "name") return this.#judgeName(text.text, resolved);
    const why = this.#refusalOf(text.block);
    return why === null
      ? { pieces: [{ block: text.block, name: null }] }
      : { error: notAllowed(text.text, why) };
  }

  #judgeName(
    name: string,
    resolved: ReadonlyMap<string, readonly string[]>,
  ): { pieces: readonly Piece[] } | { error: ErrorBody } {
    if (!this.allowsName(name)) {
      const suffixes = this.#suffixes.join(", ") || "none";
      return {
        error: notAllowed(
          name,
          `host names are allowed only below these suffixes: ${suffixes}; use an address instead`,
        ),
      };
    }
    const addresses = resolved.get(name) ?? [];
    if (addresses.length === 0) {
      return {
        error: invalid(
          name,
          "it resolves to no address; check the name, or use an address instead",
        ),
      };
    }
    if (addresses.length > RESOLVED_MAX) {
      return {
        error: invalid(
          name,
          `it resolves to ${addresses.length} addresses, at most ${RESOLVED_MAX} are taken; use one address instead`,
        ),
      };
    }
    const pieces: Piece[] = [];
    for (const address of addresses) {
      const block = parseAddress(address);
      if (block === null) {
        return { error: invalid(name, "its look-up gave no plain address") };
      }
      const why = this.#refusalOf(block);
      if (why !== null) {
        return {
          error: notAllowed(name, `it resolves to ${blockText(block)}: ${why}`),
        };
      }
      pieces.push({ block, name });
    }
    return { pieces };
  }

  /** Says why a block may not be scanned, or null if it may. */
  #refusalOf(block: Block): string | null {
    const denied = this.#denied.find((rule) => overlaps(rule, block));
    if (denied !== undefined) {
      return `the subnet ${
        blockText(denied)
      } is denied here; leave it out of the target`;
    }
    for (const [what, range] of SPECIAL) {
      if (!overlaps(range, block)) continue;
      const named = this.#named.some((rule) =>
        contains(range, rule) && contains(rule, block)
      );
      if (!named) {
        return `it holds ${what} addresses (${
          blockText(range)
        }); use a private or loopback address`;
      }
    }
    if (this.#allowed.some((rule) => contains(rule, block))) {
      const bound = this.#within.find(({ blocks }) =>
        !blocks.some((rule) => contains(rule, block))
      );
      return bound?.why ?? null;
    }
    const more = this.#named.map(blockText).join(", ");
    return `it does not lie within one allowed range; use a private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7) or loopback address${
      more === "" ? "" : ` or one in ${more.slice(0, 200)}`
    }, or ask the operator to allow the subnet`;
  }

  #sizeVerdict(total: bigint, kept: readonly Piece[]): ScopeVerdict {
    const guardrail = "network_size";
    if (total <= BigInt(this.#sizeMax)) {
      return {
        guardrail,
        allowed: true,
        reason: `${plural(total)}, at most ${this.#sizeMax}`,
      };
    }
    const largest = kept.reduce((a, b) =>
      sizeOf(b.block) > sizeOf(a.block) ? b : a
    );
    const message = `Cannot scan ${
      plural(total)
    } at once: the limit is ${this.#sizeMax}; ${
      this.#sizeRemedy(largest.block)
    }`;
    return {
      guardrail,
      allowed: false,
      reason: message,
      error: { code: "network_too_large", message },
    };
  }

  /** Says the largest network that may be asked for, with an example out of the caller's own. */
  #sizeRemedy(block: Block): string {
    const limit = `for at most ${this.#sizeMax} address${
      this.#sizeMax === 1 ? "" : "es"
    }`;
    const hostBits = BigInt(this.#sizeMax).toString(2).length - 1;
    const prefix = bitsOf(block.family) - hostBits;
    const example = networkOf(block, Math.max(prefix, 0));
    return `use /${Math.max(prefix, 0)} or smaller, e.g. ${
      blockText(example)
    }, ${limit}`;
  }
}

function mintTarget(piece: Piece): Target {
  const name = piece.name === null
    ? null
    : SafeText.match(piece.name, /[a-z0-9.-]+/);
  return Target.mint(MINT, piece.block, name);
}

/** Drops every block that lies in another one: its addresses would be counted and scanned twice. */
function withoutContained(pieces: readonly Piece[]): readonly Piece[] {
  return pieces.filter((piece, index) =>
    !pieces.some((other, otherIndex) =>
      otherIndex !== index && contains(other.block, piece.block) &&
      (!contains(piece.block, other.block) || otherIndex < index)
    )
  );
}

function scopeVerdict(
  refusal: ErrorBody | null,
  kept: readonly Piece[],
): ScopeVerdict {
  if (refusal !== null) {
    return {
      guardrail: "scope",
      allowed: false,
      reason: refusal.message,
      error: refusal,
    };
  }
  const texts = kept.slice(0, 8).map((piece) => blockText(piece.block));
  const more = kept.length > 8 ? ` and ${kept.length - 8} more` : "";
  return {
    guardrail: "scope",
    allowed: true,
    reason: `every address is allowed: ${texts.join(", ")}${more}`,
  };
}

function notAllowed(text: string, why: string): ErrorBody {
  return {
    code: "target_not_allowed",
    message: `Cannot scan "${text}": ${why}`,
  };
}

function invalid(name: string, why: string): ErrorBody {
  return { code: "invalid_target", message: `Cannot scan "${name}": ${why}` };
}

function plural(count: bigint): string {
  return count === 1n ? "1 address" : `${count} addresses`;
}

function addressSafe(text: string): SafeText {
  return SafeText.match(text, /[0-9a-f.:]+(?:\/[0-9]{1,3}|-[0-9a-f.:]+)?/);
}

/** Reads a subnet of the rules; an address alone is a network of one. */
function network(text: string): Block {
  const block = parseNetwork(text) ?? parseAddress(text);
  if (block === null || prefixOf(block) === null) {
    throw new RangeError(`Cannot use the subnet "${text}": not a CIDR network`);
  }
  return block;
}

/** Reads a suffix of the rules. Without its leading dot `lab.test` would allow `evil-lab.test`. */
function suffix(text: string): string {
  if (
    !/^(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/i.test(text) ||
    text.length > 253
  ) {
    throw new RangeError(
      `Cannot use the host suffix "${text}": write it like .lab.internal`,
    );
  }
  return text.toLowerCase();
}
