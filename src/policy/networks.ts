/**
 * Which networks of a request are judged.
 *
 * `isInRange` tells whether a network lies in another as a whole. A policy that forbids
 * `10.0.5.0/24` would therefore say nothing of a request for `10.0.0.0/16`, which has every address of
 * it. So each network that a policy names and that lies within one of the request's is judged by
 * itself as well. That is exact and not a guess: all addresses of the request that lie in the same
 * networks of the policies are judged alike, and each such group is judged once.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import {
  type Block,
  blockText,
  contains,
  parseAddress,
  parseNetwork,
  prefixOf,
} from "@/scope/block.ts";
import { NETWORKS_MAX } from "./bounds.ts";
import type { Subject } from "./cedar_request.ts";
import type { PolicyRequest } from "./request.ts";

/** Ranges that policies can mean without naming them: `isLoopback`, `isMulticast`. */
export const NAMED_NETWORKS: readonly Block[] = [
  "127.0.0.0/8",
  "::1/128",
  "224.0.0.0/4",
  "ff00::/8",
].map((text) => parseNetwork(text)).filter((block) => block !== null);

/**
 * Drops what is there twice.
 *
 * @param blocks Networks.
 * @returns Each once.
 */
export function distinctNetworks(blocks: readonly Block[]): readonly Block[] {
  return [
    ...new Map(blocks.map((block) => [blockText(block), block])).values(),
  ];
}

/**
 * Takes a request apart into what is judged.
 *
 * @param request The request.
 * @param policyNetworks What the policies name, each once.
 * @returns At least one: a request that contacts no address is judged by its names alone.
 * @throws {AppError} `network_too_large` if there are too many networks, `internal` if one is none.
 */
export function subjectsOf(
  request: PolicyRequest,
  policyNetworks: readonly Block[],
): readonly Subject[] {
  const { networks, names, inScope } = request;
  if (networks.length > NETWORKS_MAX) {
    throw new AppError(
      "network_too_large",
      `Cannot scan ${networks.length} networks in one call: policies judge at most ${NETWORKS_MAX}; write neighbours as one network, such as 10.0.0.0/24 for its 256 addresses, or split the call`,
    );
  }
  if (networks.length === 0) {
    const all = names.length > 0 && names.every((name) => inScope(name));
    return [{ network: null, inScope: all }];
  }
  return networks.flatMap((text) => {
    const block = networkBlock(text);
    const within = policyNetworks.filter((inner) =>
      contains(block, inner) && !contains(inner, block)
    );
    return [block, ...within].map((one) => ({
      network: blockText(one),
      inScope: inScope(text),
    }));
  });
}

function networkBlock(text: string): Block {
  const block = parseNetwork(text) ?? parseAddress(text);
  if (block !== null && prefixOf(block) !== null) return block;
  throw new AppError(
    "internal",
    "Cannot decide: a network of the request is none, so nothing is allowed; see the server log",
    { detail: `network: ${text.slice(0, 100)}` },
  );
}
