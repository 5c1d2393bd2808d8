/**
 * What is known over all scans of the caller's tenant.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AppError } from "@/error/app_error.ts";
import { withoutUndefined } from "@/mcp/scan_tools.ts";
import type { Page } from "@/store/scan_record.ts";
import type { OperatorEnv } from "../env.ts";
import {
  InventoryQuery,
  KnownHostsQuery,
  KnownHostsSchema,
  KnownServicesQuery,
  KnownServicesSchema,
  SearchQuery,
  SightingsSchema,
} from "../schemas/inventory.ts";
import { jsonAnswer, LINK_HEADER, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { recordReading } from "./caller.ts";
import { ID_EXAMPLE } from "./examples.ts";
import { hostView, serviceView, sightingView } from "./inventory_view.ts";
import { linkNext, pageOf, timeOf } from "./pages.ts";
import { refusal } from "./refuse.ts";

const tags = ["Inventory"];

const SEEN = {
  first_seen: "2026-01-02T03:04:05.000Z",
  last_seen: "2026-02-02T03:04:05.000Z",
  checked_at: "2026-02-02T03:04:05.000Z",
  first_scan: ID_EXAMPLE,
  last_scan: ID_EXAMPLE,
};

const SERVICES = {
  rows: [{
    address: "10.0.0.5",
    port: 22,
    protocol: "tcp",
    state: "open",
    service: "ssh",
    untrusted: { product: "OpenSSH", version: "9.2p1" },
    ...SEEN,
  }],
  next_cursor: null,
};

const HOSTS = {
  rows: [{ address: "10.0.0.5", status: "up", ...SEEN }],
  next_cursor: null,
};

const SIGHTINGS = {
  rows: [{
    address: "10.0.0.5",
    port: 22,
    protocol: "tcp" as const,
    state: "open",
    service: "ssh",
    untrusted: { product: "OpenSSH", version: "9.2p1" },
    scan_id: ID_EXAMPLE,
    tool: "nmap",
    seen_at: "2026-02-02T03:04:05.000Z",
  }],
  next_cursor: null,
};

const hosts = createRoute({
  method: "get",
  path: "/v1/inventory/hosts",
  operationId: "listKnownHosts",
  summary: "Hosts over all scans",
  tags,
  security: SECURED,
  request: { query: KnownHostsQuery },
  responses: {
    200: {
      ...jsonAnswer(KnownHostsSchema, "A page of hosts.", HOSTS),
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

const services = createRoute({
  method: "get",
  path: "/v1/inventory/services",
  operationId: "listKnownServices",
  summary: "Services over all scans",
  tags,
  security: SECURED,
  request: { query: KnownServicesQuery },
  responses: {
    200: {
      ...jsonAnswer(KnownServicesSchema, "A page of services.", SERVICES),
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

const search = createRoute({
  method: "get",
  path: "/v1/inventory/search",
  operationId: "searchInventory",
  summary: "Search over what services said",
  tags,
  security: SECURED,
  request: { query: SearchQuery },
  responses: {
    200: {
      ...jsonAnswer(SightingsSchema, "A page of sightings.", SIGHTINGS),
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

const inventory = createRoute({
  method: "get",
  path: "/v1/inventory",
  operationId: "getInventory",
  summary: "Services, hosts or sightings, as the tool inventory gives them",
  description:
    "Services; hosts with kind=hosts; sightings with query. The filters are those of the MCP tool.",
  tags,
  security: SECURED,
  request: { query: InventoryQuery },
  responses: {
    200: {
      description: "A page of rows.",
      content: {
        "application/json": {
          schema: z.union([
            KnownServicesSchema,
            KnownHostsSchema,
            SightingsSchema,
          ]),
          examples: {
            services: { summary: "Services", value: SERVICES },
            hosts: { summary: "kind=hosts", value: HOSTS },
            sightings: { summary: "query=OpenSSH", value: SIGHTINGS },
          },
        },
      },
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function inventoryRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(hosts, async (c) => {
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/inventory/hosts", query);
    return c.json(await hostPage(c, query), 200);
  }, refusal(hosts));
  app.openapi(services, async (c) => {
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/inventory/services", query);
    return c.json(await servicePage(c, query), 200);
  }, refusal(services));
  app.openapi(search, async (c) => {
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/inventory/search", query);
    return c.json(await searchPage(c, query), 200);
  }, refusal(search));
  app.openapi(inventory, async (c) => {
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/inventory", query);
    if (query.kind === "hosts") {
      refuseForHosts(query);
      return c.json(await hostPage(c, query), 200);
    }
    return query.query === undefined
      ? c.json(await servicePage(c, query), 200)
      : c.json(await searchPage(c, { ...query, query: query.query }), 200);
  }, refusal(inventory));
}

type HostsAsked = z.infer<typeof KnownHostsQuery>;
type ServicesAsked = z.infer<typeof KnownServicesQuery>;

async function hostPage(
  c: Context<OperatorEnv>,
  query: HostsAsked,
): Promise<z.infer<typeof KnownHostsSchema>> {
  const { inventory } = c.get("session");
  const page = await inventory.inventoryHosts(cutOf(query), pageOf(query));
  return rows(c, page, hostView);
}

async function servicePage(
  c: Context<OperatorEnv>,
  query: ServicesAsked,
): Promise<z.infer<typeof KnownServicesSchema>> {
  const { inventory } = c.get("session");
  const filter = { ...cutOf(query), ...serviceCutOf(query) };
  const page = await inventory.inventoryServices(filter, pageOf(query));
  return rows(c, page, serviceView);
}

async function searchPage(
  c: Context<OperatorEnv>,
  query: z.infer<typeof SearchQuery>,
): Promise<z.infer<typeof SightingsSchema>> {
  const { inventory } = c.get("session");
  const filter = { ...cutOf(query), ...serviceCutOf(query) };
  const page = await inventory.search(query.query, filter, pageOf(query));
  return rows(c, page, sightingView);
}

function rows<T, R>(
  c: Context<OperatorEnv>,
  { items, next }: Page<T>,
  view: (item: T) => R,
): { rows: R[]; next_cursor: string | null } {
  linkNext(c, next);
  return { rows: items.map(view), next_cursor: next };
}

function cutOf(query: HostsAsked) {
  return withoutUndefined({
    subnet: query.subnet,
    engagement: query.engagement,
    tags: query.tag,
    since: timeOf(query.since, "since"),
    until: timeOf(query.until, "until"),
    newSince: timeOf(query.new_since, "new_since"),
    order: query.order,
  });
}

function serviceCutOf(
  { port, service, product, state = "open" }: ServicesAsked,
) {
  return withoutUndefined({
    port,
    service,
    product,
    state: state === "any" ? undefined : state,
  });
}

/** What only services have. */
const SERVICE_ONLY = [
  "query",
  "port",
  "service",
  "product",
  "state",
] as const;

function refuseForHosts(query: z.infer<typeof InventoryQuery>): void {
  const given = SERVICE_ONLY.find((name) => query[name] !== undefined);
  if (given === undefined) return;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the query parameter "${given}": hosts have none; leave kind out to list services`,
  );
}
