/**
 * What the adapters (MCP, CLI, HTTP) see of the program: one port. They hold no policy of their own.
 *
 * @module
 */
import type { From, Who } from "@/audit/entry.ts";
import type { ErrorBody } from "@/error/app_error.ts";
import type { Principal } from "@/identity/principal.ts";
import type { PlanBody } from "@/isolate/protocol.ts";
import type { Scan, ScanFilter, ScanHead } from "@/scans/scan.ts";
import type { Page, PageOptions } from "@/store/scan_record.ts";
import type {
  InventoryFilter,
  InventoryHost,
  InventoryService,
  ServiceFilter,
} from "@/store/inventory.ts";
import type { Found, SearchFilter } from "@/store/search.ts";
import type { Sandbox } from "@/spawn/launcher.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import type { ToolName } from "@/tools/tool.ts";
import type { Call } from "./call.ts";

/** The answer to a call. */
export type CallAnswer =
  /** The scan is over; its `error` is set unless it succeeded. */
  | {
    readonly kind: "scan";
    readonly scan: Scan;
    readonly maxTokens: number | undefined;
    /** Set if nothing was scanned now: seconds since that scan ended. */
    readonly cachedSeconds: number | null;
  }
  /** `background`: the scan is queued or running. */
  | { readonly kind: "accepted"; readonly scan: Scan }
  /** `plan`: nothing was scanned. */
  | { readonly kind: "plan"; readonly tool: ToolName; readonly plan: PlanBody };

/** What this server allows and what this host can do, for clients to read before they ask. */
export interface Capabilities {
  readonly guardrails: Guardrails;
  /** What the scanners run in. */
  readonly sandbox: Sandbox;
  /** Null until the trial has ended. */
  readonly rawSockets: boolean | null;
  readonly tools: readonly {
    readonly name: ToolName;
    readonly enabled: boolean;
    /** Null when the tool is not installed or has not answered yet. */
    readonly version: string | null;
    /** Why it did not answer, or null. */
    readonly absence: string | null;
    readonly breaker: string;
  }[];
}

/** Somebody's look at what is kept. */
export interface Reading {
  readonly who: From;
  /** The tool or the kind of resource. */
  readonly tool: string;
  /** What was asked: untrusted JSON. */
  readonly arguments: unknown;
  readonly traceId?: string;
}

/** A look of somebody whose credentials were proved. */
export interface ProvedReading extends Reading {
  readonly who: Who;
  readonly principal: Principal;
}

/** A filter of what is the caller's tenant's own: that it is needs no saying. */
export type Own<Filter> = Omit<Filter, "tenant">;

/** What is known over all scans of the caller's tenant. */
export interface Inventory {
  /** Hosts over all scans. */
  inventoryHosts(
    filter: Own<InventoryFilter>,
    page: PageOptions,
  ): Promise<Page<InventoryHost>>;
  /** Services over all scans. */
  inventoryServices(
    filter: Own<ServiceFilter>,
    page: PageOptions,
  ): Promise<Page<InventoryService>>;
  /** Full-text search over what services said, newest sightings first. */
  search(
    text: string,
    filter: Own<SearchFilter>,
    page: PageOptions,
  ): Promise<Page<Found>>;
}

/**
 * The engine as one caller sees it. Holding it is the proof of who calls: what it gives is that
 * caller's tenant's, and it refuses what the caller's roles do not reach.
 */
export interface Engine {
  /** Who calls. */
  readonly principal: Principal;
  /**
   * Runs a call through every check and, if all allow it, through a scan.
   *
   * @throws {AppError} When the call is refused; nothing was spawned then.
   */
  call(call: Call): Promise<CallAnswer>;
  /**
   * The user of the caller's MCP client approved a request of this caller. The call is to be made again
   * afterwards; nothing is scanned by this.
   *
   * @param id The id of the approval, from the error `approval_required`.
   * @param who Whose user it is.
   * @throws {AppError} `not_found`; `conflict` if it is decided or expired; `forbidden` if the policies
   * want somebody else.
   */
  approveByUser(id: string, who: From): Promise<void>;
  /**
   * Records that somebody looks at what is kept. Never rejects: a look changes nothing, so what cannot
   * be recorded is shown all the same, and the log tells of it.
   */
  recordReading(reading: Reading): Promise<void>;
  /** @throws {AppError} `not_found`. */
  scan(id: string): Promise<Scan>;
  /** Newest first, of all that are kept. */
  scans(filter: Own<ScanFilter>): Promise<readonly ScanHead[]>;
  /** Hosts and services over all scans. */
  readonly inventory: Inventory;
  /**
   * Cancels a scan and waits until its child is gone.
   *
   * @param id The scan's id.
   * @param who Whose call it is.
   * @returns The scan as it ended; a scan that is over already is returned as it is.
   * @throws {AppError} `not_found`.
   */
  cancel(id: string, who: From): Promise<Scan>;
  /** What may be scanned and with what. @throws {AppError} `forbidden`. */
  capabilities(): Promise<Capabilities>;
  /** The health of everything, as JSON. */
  health(): Promise<Readonly<Record<string, unknown>>>;
  /** Metrics in the Prometheus text format, or OpenMetrics with exemplars. */
  metrics(form?: "prometheus" | "openmetrics"): Promise<string>;
  /** Script names and wordlist names for completion. */
  readonly vocabulary: {
    readonly scripts: readonly string[];
    readonly wordlists: readonly string[];
  };
  /** Most tokens of an answer where the call names none. */
  readonly resultTokensMax: number;
}

/** A refusal or a failure as an adapter shows it. */
export type Problem = ErrorBody;
