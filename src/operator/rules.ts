/**
 * What of the configuration every request meets, made ready once for each configuration in force.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import type { BodyBounds } from "./body.ts";
import { HostRule } from "./host_rule.ts";
import { OriginRule } from "./origin_rule.ts";
import { Proxies } from "./proxies.ts";

/** The rules of one configuration. */
export interface Rules {
  readonly config: Config;
  readonly hosts: HostRule;
  readonly origins: OriginRule;
  readonly proxies: Proxies;
  readonly body: BodyBounds;
  /** What this server itself speaks. */
  readonly scheme: "http" | "https";
  /** Whether browsers are told to come back by HTTPS only: it is spoken, or the operator's proxy does. */
  readonly strictTransport: boolean;
}

/**
 * Gives the rules of the configuration in force, made anew when that is another one.
 *
 * @param config Gives the configuration in force.
 * @returns A function that gives its rules.
 */
export function rulesOf(config: () => Config): () => Rules {
  let rules: Rules | null = null;
  return () => {
    const now = config();
    if (rules?.config !== now) rules = makeRules(now);
    return rules;
  };
}

function makeRules(config: Config): Rules {
  const { server } = config;
  return {
    config,
    hosts: new HostRule(server),
    origins: new OriginRule(server),
    proxies: new Proxies(server),
    body: {
      bytesMax: server.max_body_bytes,
      timeoutMs: server.request_timeout_seconds * 1_000,
    },
    scheme: server.tls_certificate_file === null ? "http" : "https",
    strictTransport: server.public_url === null
      ? server.tls_certificate_file !== null
      : server.public_url.startsWith("https:"),
  };
}
