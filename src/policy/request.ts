/**
 * What a policy is asked and what it answers, in plain data: nothing here knows of Cedar.
 *
 * @module
 */
import type { ToolName } from "@/tools/tool.ts";

/** Who asks. */
export interface PolicyPrincipal {
  readonly subject: string;
  readonly client: string;
  readonly tenant: string;
  readonly roles: readonly string[];
}

/** Everything about a scan that a policy may look at. Every network of it is judged for itself. */
export interface PolicyRequest {
  readonly principal: PolicyPrincipal;
  readonly tool: ToolName;
  /** nmap's scan type, gobuster's mode; `syn` for masscan. */
  readonly mode: string;
  /**
   * CIDRs or single addresses in canonical text, as they would be scanned; names are resolved. Empty
   * where no address is contacted (gobuster's dns): then the names are judged, once.
   */
  readonly networks: readonly string[];
  /** Host names of the request. */
  readonly names: readonly string[];
  readonly engagement: string | null;
  readonly tags: readonly string[];
  /** How many addresses over all networks. */
  readonly addresses: number;
  /** How many ports a host; 0 for none. */
  readonly ports: number;
  /** Packets a second, where the request or the tool says; else 0. */
  readonly rate: number;
  readonly intrusive: boolean;
  /** Whether the guardrails allow it: `security.allow_intrusive`. */
  readonly intrusiveAllowed: boolean;
  /**
   * Whether the guardrails have the network in scope. Of a request without networks each of the names
   * is asked for.
   */
  readonly inScope: (network: string) => boolean;
  readonly transport: "stdio" | "http" | "cli";
  /** Where the call came from, or null. */
  readonly source: string | null;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Whether a second person approved exactly this request. */
  readonly approved: boolean;
}

/** What the policies say. */
export type PolicyDecision =
  | { readonly kind: "allow"; readonly policies: readonly string[] }
  /** Forbidden by these, or permitted by none: then the list is empty. */
  | { readonly kind: "deny"; readonly policies: readonly string[] }
  /** It would be allowed if a second person approved. */
  | {
    readonly kind: "approval";
    /** The policies that demand it. */
    readonly policies: readonly string[];
    /** The same, each as it is worded now: `ID@VERSION`. Who agreed under other words has not agreed. */
    readonly demands: readonly string[];
    /** Whether the user of the MCP client may be that person (`@approver("client_user")` on each). */
    readonly byClientUser: boolean;
  };

/** Decides. */
export interface PolicyEngine {
  /** 64 hex digits: names the policies in force, for the audit log. */
  readonly hash: string;
  /**
   * Judges a request.
   *
   * @throws {AppError} `internal` if the policies cannot be evaluated: then nothing is allowed;
   * `network_too_large` if there are more than 256 networks.
   */
  decide(request: PolicyRequest): Promise<PolicyDecision>;
}
