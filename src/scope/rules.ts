/**
 * What may be scanned, as plain data from the configuration.
 *
 * @module
 */
import { type Block, contains, parseAddress, parseNetwork } from "./block.ts";

/** What may be scanned. */
export interface ScopeRules {
  /** CIDRs allowed besides loopback and the private ranges. */
  readonly allowedSubnets: readonly string[];
  /** CIDRs refused whatever else allows them. */
  readonly deniedSubnets: readonly string[];
  /** Suffixes with a leading dot: `.lab.internal`. */
  readonly allowedHostSuffixes: readonly string[];
  /** Most addresses of one scan. */
  readonly maxNetworkSize: number;
  /** Scans under a name of these are bound to its subnets. */
  readonly bounds: readonly ScopeBound[];
  /** Whether a scan must be under an engagement of `bounds`. */
  readonly engagementRequired: boolean;
  /** Every target must lie in one of the subnets of each: what is left for one request. */
  readonly within: readonly ScopeWithin[];
}

/** Binds an engagement, a tag, or a tenant to subnets. */
export interface ScopeBound {
  readonly kind: "engagement" | "tag" | "tenant";
  readonly name: string;
  /** CIDRs. */
  readonly subnets: readonly string[];
}

/** What a request is bound to. */
export interface ScopeWithin {
  /** CIDRs; none allows nothing. */
  readonly subnets: readonly string[];
  /** What a refusal says, and the way out. */
  readonly why: string;
}

/** What a scan is kept under. */
export interface Labels {
  readonly engagement: string | null;
  readonly tags: readonly string[];
}

/** What binds a scan: what it is kept under, and whose it is. */
export interface Binding extends Labels {
  readonly tenant: string;
}

/** Names of engagements, or subnets, that a refusal lists. */
const LISTED_MAX = 8;

/**
 * Gives the rules for what is kept under some labels. They only ever allow less than the rules that
 * they are made of.
 *
 * @param rules The rules of the server.
 * @param labels What the scan is to be kept under, and whose it is.
 * @returns The rules for this request.
 */
export function rulesUnder(rules: ScopeRules, labels: Binding): ScopeRules {
  // Cut to the tenant's subnets, to which it is bound anyway: a refusal names nobody else's.
  const bounds = boundsWithin(rules.bounds, labels.tenant);
  const within = bounds.filter((bound) => binds(bound, labels)).map((
    { kind, name, subnets },
  ) => ({
    subnets,
    why: subnets.length === 0
      ? `the ${kind} "${name}" is bound to nothing that your tenant may scan; leave it out`
      : `the ${kind} "${name}" is bound to ${
        listed(subnets)
      }; name a target there`,
  }));
  const { engagementRequired } = rules;
  const lacks = engagementRequired ? missing(bounds, labels.engagement) : [];
  return { ...rules, within: [...rules.within, ...within, ...lacks] };
}

/**
 * Gives what the bounds leave a tenant: its own, and those of engagements and tags as far as they lie
 * in its subnets. All of them lie in a tenant that is bound to nothing.
 *
 * @param bounds The bounds of the server.
 * @param tenant The tenant.
 * @returns The bounds; one without subnets leaves it nothing.
 */
export function boundsWithin(
  bounds: readonly ScopeBound[],
  tenant: string,
): readonly ScopeBound[] {
  const own = bounds.filter(({ kind, name }) =>
    kind === "tenant" && name === tenant
  );
  const others = bounds.filter(({ kind }) => kind !== "tenant");
  return [
    ...others.map((bound) => ({
      ...bound,
      subnets: own.reduce(
        (left, { subnets }) => common(left, subnets),
        bound.subnets,
      ),
    })),
    ...own,
  ];
}

/** What is in both: of two networks that share an address one lies in the other. */
function common(some: readonly string[], others: readonly string[]): string[] {
  const both = some.flatMap((one) =>
    others.flatMap((other) =>
      liesIn(one, other) ? [one] : liesIn(other, one) ? [other] : []
    )
  );
  return [...new Set(both)];
}

function liesIn(inner: string, outer: string): boolean {
  const [a, b] = [blockOf(inner), blockOf(outer)];
  return a !== null && b !== null && contains(b, a);
}

function blockOf(text: string): Block | null {
  return parseNetwork(text) ?? parseAddress(text);
}

function binds(
  { kind, name }: ScopeBound,
  { engagement, tags, tenant }: Binding,
): boolean {
  switch (kind) {
    case "engagement":
      return name === engagement;
    case "tag":
      return tags.includes(name);
    case "tenant":
      return name === tenant;
  }
}

/** An engagement has to be named. One that leaves nothing is bound to that already. */
function missing(
  bounds: readonly ScopeBound[],
  engagement: string | null,
): ScopeWithin[] {
  const engagements = bounds.filter(({ kind }) => kind === "engagement");
  if (engagements.some(({ name }) => name === engagement)) return [];
  const names = engagements.filter(({ subnets }) => subnets.length > 0)
    .map(({ name }) => name);
  return [{
    subnets: [],
    why: names.length === 0
      ? "scans need an engagement here and none has subnets; ask the operator to set security.engagement_subnets"
      : `scans need an engagement here; name one of ${
        listed(names)
      } as engagement`,
  }];
}

function listed(names: readonly string[]): string {
  const more = names.length - LISTED_MAX;
  return names.slice(0, LISTED_MAX).join(", ") +
    (more > 0 ? ` and ${more} more` : "");
}
