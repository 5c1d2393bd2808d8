/**
 * What may be scanned, as plain data from the configuration.
 *
 * @module
 */

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
  const { engagement } = labels;
  const within = rules.bounds.filter((bound) => binds(bound, labels)).map((
    { kind, name, subnets },
  ) => ({
    subnets,
    why: `the ${kind} "${name}" is bound to ${
      listed(subnets)
    }; name a target there`,
  }));
  return {
    ...rules,
    within: [...rules.within, ...within, ...missing(rules, engagement)],
  };
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

function missing(
  { bounds, engagementRequired }: ScopeRules,
  engagement: string | null,
): ScopeWithin[] {
  const names = bounds.flatMap(({ kind, name }) =>
    kind === "engagement" ? [name] : []
  );
  if (
    !engagementRequired || (engagement !== null && names.includes(engagement))
  ) {
    return [];
  }
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
