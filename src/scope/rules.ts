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
}
