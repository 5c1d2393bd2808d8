/**
 * What the benchmark asks a full store, as agents and people do: common questions, and those that are
 * hard on an index because next to nothing, or almost everything, is meant.
 *
 * @module
 */
import { compare } from "@/cli/history_diff.ts";
import { readScan } from "@/cli/history_access.ts";
import type { Engine } from "@/dispatch/engine.ts";
import { diffAnswer } from "@/mcp/diff_answer.ts";
import { inventoryAnswer } from "@/mcp/inventory_answer.ts";
import { diffScans } from "@/scans/diff.ts";
import { StoredScans } from "@/scans/stored.ts";
import type { InventoryFilter, ServiceFilter } from "@/store/inventory.ts";
import type { ReportFilter } from "@/store/report_rows.ts";
import type { StoredScanFilter } from "@/store/scan_record.ts";
import type { SearchFilter } from "@/store/search.ts";
import type { Store } from "@/store/store.ts";
import {
  addressOf,
  BRANCH,
  COMPARED,
  DAY,
  HOUSE,
  idOf,
  mix,
  PORTS,
  PRODUCTS,
  SCANS,
  START,
} from "./store_data.ts";

/** A question, asked with another number every time. */
export interface Question {
  readonly name: string;
  /** Gives how much was found. */
  readonly ask: (store: Store, n: number) => Promise<number>;
  /** Every so many of the rounds, where an answer is long. @default {1} */
  readonly every?: number;
  /** Why the goal is not meant for it. */
  readonly beyond?: string;
}

/** Items of a page. */
const PAGE = { limit: 50 };

/** Pages to a late one. */
const LATE = 20;

/** Most tokens of an answer to a model. */
const TOKENS_MAX = 25_000;

interface Some {
  readonly items: readonly unknown[];
  readonly next: string | null;
}

async function count(page: Promise<Some>): Promise<number> {
  return (await page).items.length;
}

/** Remembers where a late page begins, so that the way to it is not measured. */
function late(
  list: (store: Store, cursor: string | null) => Promise<Some>,
): Question["ask"] {
  const cursors = new WeakMap<Store, Promise<string | null>>();
  const walk = async (store: Store): Promise<string | null> => {
    let cursor: string | null = null;
    for (let page = 0; page < LATE; page++) {
      cursor = (await list(store, cursor)).next;
    }
    return cursor;
  };
  return async (store) => {
    const cursor = cursors.get(store) ?? walk(store);
    cursors.set(store, cursor);
    return await count(list(store, await cursor));
  };
}

/** A filter of the house's; one that names another tenant is that one's. */
type Ours<T> = Omit<T, "tenant"> & { readonly tenant?: string };

function scans(
  name: string,
  filter: (n: number) => Ours<StoredScanFilter>,
): Question {
  return {
    name: `scans, ${name}`,
    ask: (store, n) =>
      count(store.listScans({ tenant: HOUSE, ...filter(n) }, PAGE)),
  };
}

function hosts(
  name: string,
  filter: (n: number) => Ours<InventoryFilter>,
): Question {
  return {
    name: `hosts, ${name}`,
    ask: (store, n) =>
      count(store.inventoryHosts({ tenant: HOUSE, ...filter(n) }, PAGE)),
  };
}

function services(
  name: string,
  filter: (n: number) => Ours<ServiceFilter>,
): Question {
  return {
    name: `services, ${name}`,
    ask: (store, n) =>
      count(store.inventoryServices({ tenant: HOUSE, ...filter(n) }, PAGE)),
  };
}

function search(
  name: string,
  text: (n: number) => string,
  filter: (n: number) => Ours<SearchFilter> = () => ({}),
): Question {
  return {
    name: `search, ${name}`,
    ask: (store, n) =>
      count(store.search(text(n), { tenant: HOUSE, ...filter(n) }, PAGE)),
  };
}

function report(name: string, filter: (n: number) => ReportFilter): Question {
  return {
    name: `report, ${name}`,
    ask: (store, n) =>
      count(store.reportHosts(idOf(n % SCANS), filter(n), PAGE)),
  };
}

const port = (n: number) => PORTS[n % PORTS.length] ?? 80;
const otherPort = (n: number) => PORTS[mix(n) % PORTS.length] ?? 80;
const product = (n: number) => PRODUCTS[n % PRODUCTS.length] ?? "";
const word = (n: number) => product(n).split(" ")[0] ?? "";
const subnet = (n: number) => `10.${mix(n) % 2}.${mix(n) % 160}.0/24`;
const day = (n: number) => START + n % SCANS * DAY;

/** After the last scan of all, and before the first. */
const NEVER = START + 1_000 * DAY;

const LISTS: readonly Question[] = [
  scans("first page", () => ({})),
  {
    name: "scans, a late page",
    ask: late((store, cursor) =>
      store.listScans({ tenant: HOUSE }, { ...PAGE, cursor })
    ),
  },
  scans("of an engagement", (n) => ({ engagement: `engagement ${n % 10}` })),
  scans("of a tag and an engagement", (n) => ({
    tags: [`tag ${n % 4}`],
    engagement: `engagement ${n % 4}`,
  })),
  scans("of a tag nobody gave", (n) => ({ tags: [`none ${n}`] })),
  scans("of a client", (n) => ({ client: `client ${n % 20}` })),
  scans("by status, rare", () => ({ status: "failed" })),
  scans("by status, none", () => ({ status: "running" })),
  scans("by tool, rare", () => ({ tool: "masscan" })),
  scans("by tool, none", () => ({ tool: "gobuster" })),
  scans("by status and tool, none", () => ({
    status: "failed",
    tool: "gobuster",
  })),
  scans("by target", (n) => ({ target: `10.9.0.${n % 256}` })),
  scans("by time", (n) => ({ since: day(n), until: day(n) + DAY })),
  scans("by time, none", () => ({ since: NEVER })),
];

const HOSTS: readonly Question[] = [
  hosts("first page", () => ({})),
  {
    name: "hosts, a late page",
    ask: late((store, cursor) =>
      store.inventoryHosts({ tenant: HOUSE }, { ...PAGE, cursor })
    ),
  },
  hosts("seen last", () => ({ order: "recent" })),
  hosts("by subnet", (n) => ({ subnet: subnet(n) })),
  hosts("by subnet, none", () => ({ subnet: "192.168.0.0/16" })),
  hosts("of a tag and an engagement", (n) => ({
    tags: [`tag ${n % 4}`],
    engagement: `engagement ${n % 10}`,
  })),
  hosts("by time", (n) => ({ since: day(n), until: day(n) + DAY })),
  hosts("by time, none", () => ({ since: NEVER })),
  hosts("what is new", (n) => ({ newSince: day(n) })),
  hosts("what is new, none", () => ({ newSince: NEVER })),
];

const SERVICES: readonly Question[] = [
  services("first page", () => ({})),
  {
    name: "services, a late page",
    ask: late((store, cursor) =>
      store.inventoryServices({ tenant: HOUSE }, { ...PAGE, cursor })
    ),
  },
  services("seen last", () => ({ order: "recent" })),
  services("by subnet", (n) => ({ subnet: subnet(n) })),
  services("by port", (n) => ({ port: port(n) })),
  services("by port, none", () => ({ port: 65_000 })),
  services("by service, frequent", () => ({ service: "http" })),
  services("by service, rare", () => ({ service: "telnet" })),
  services("by service, none", (n) => ({ service: `none ${n}` })),
  services("by product", (n) => ({ product: product(n) })),
  services("by product, rare", () => ({ product: "seldom seen" })),
  services("by product, none", (n) => ({ product: `none ${n}` })),
  services("by product, none, seen last", (n) => ({
    product: `none ${n}`,
    order: "recent",
  })),
  services("by product and port", (n) => ({
    product: product(n),
    port: otherPort(n),
  })),
  services("by product and port, seen last", (n) => ({
    product: product(n),
    port: otherPort(n),
    order: "recent",
  })),
  services("by service and port, both frequent, never together", () => ({
    service: "http",
    port: 22,
  })),
  services("by service and port, never together, seen last", () => ({
    service: "ssh",
    port: 443,
    order: "recent",
  })),
  services("by service and product, rare", (n) => ({
    service: "telnet",
    product: product(n),
  })),
  services("by state, rare", () => ({ state: "closed" })),
  services("by state, none", () => ({ state: "filtered" })),
  services("by state, service and port, rare", () => ({
    state: "closed",
    service: "http",
    port: 21,
  })),
  services("by protocol, none", () => ({ protocol: "udp" })),
  services("by protocol and service, none", () => ({
    protocol: "udp",
    service: "http",
  })),
  services("by subnet, port and product", (n) => ({
    subnet: `10.0.${mix(n) % 256}.0/24`,
    port: port(n),
    product: product(mix(n)),
  })),
  services("by a large subnet and a product, none", (n) => ({
    subnet: "10.0.0.0/8",
    product: `none ${n}`,
  })),
  services("by subnet and service, another subnet's", () => ({
    subnet: "192.168.0.0/16",
    service: "http",
  })),
  services("of an engagement", (n) => ({ engagement: `engagement ${n % 10}` })),
  services("of an engagement by service", (n) => ({
    engagement: `engagement ${n % 10}`,
    service: ["http", "ssh", "https"][n % 3] ?? "",
  })),
  services("of a tag by product and port", (n) => ({
    tags: [`tag ${n % 4}`],
    product: product(n),
    port: otherPort(n),
  })),
  services("of a tag and an engagement", (n) => ({
    tags: [`tag ${n % 4}`],
    engagement: `engagement ${n % 10}`,
  })),
  services("by time", (n) => ({ since: day(n), until: day(n) + DAY })),
  services("by time, none", () => ({ since: NEVER })),
  services("by time and port, none", (n) => ({ since: NEVER, port: port(n) })),
  services("by time, seen last", (n) => ({
    until: day(n),
    order: "recent",
  })),
  services("what is new", (n) => ({ newSince: day(n) })),
  services("what is new, none", () => ({ newSince: NEVER })),
  services("what is new by port", (n) => ({ newSince: day(n), port: 443 })),
  services("what is new by service, none", () => ({
    newSince: NEVER,
    service: "http",
  })),
];

const SEARCHES: readonly Question[] = [
  search("a word in every service", () => "welcome"),
  {
    name: "search, a word in every service, a late page",
    ask: late((store, cursor) =>
      store.search("welcome", { tenant: HOUSE }, { ...PAGE, cursor })
    ),
  },
  search("a word in one of ten", word),
  search("a word in one of 250", () => "preview"),
  search("a word in one of 5,000", (n) => String(mix(n) % 5_000)),
  search("a word that is there once", () => "unicorn"),
  search("a word that is nowhere", (n) => `nowhere${n}`),
  search("a beginning", (n) => ["apa*", "open*", "wel*"][n % 3] ?? ""),
  search("a beginning, rare", () => "unic*"),
  search("a beginning, nowhere", (n) => `nowhere${n}*`),
  search("words in order", (n) => `"server ${mix(n) % 5_000}"`),
  search("words in order, frequent", () => '"welcome to server"'),
  {
    ...search("words in order, never so", () => '"server to welcome"'),
    beyond: "each word is in every one of a million services",
  },
  search("two frequent words", (n) => `welcome ${word(n)}`),
  search("two frequent words, never together", () => "nginx jetty"),
  search("every service, by subnet", () => "welcome", (n) => ({
    subnet: `10.0.${mix(n) % 256}.0/24`,
  })),
  search("every service, by an odd subnet", () => "welcome", (n) => ({
    subnet: `10.0.${mix(n) % 128 * 2}.0/23`,
  })),
  search("every service, by a subnet nobody has", () => "welcome", () => ({
    subnet: "192.168.0.0/20",
  })),
  search("every service, by port", () => "welcome", (n) => ({ port: port(n) })),
  search("every service, by engagement and port", () => "welcome", (n) => ({
    engagement: `engagement ${n % 10}`,
    port: otherPort(n),
  })),
  search("every service, by engagement and tag", () => "welcome", (n) => ({
    engagement: `engagement ${n % 10}`,
    tags: [`tag ${n % 4}`],
  })),
  search("every service, by product", () => "welcome", (n) => ({
    product: product(n),
  })),
  search("every service, by service", () => "welcome", (n) => ({
    service: ["http", "ssh", "telnet"][n % 3] ?? "",
  })),
  search("every service, by protocol, none", () => "welcome", () => ({
    protocol: "udp",
  })),
  search("every service, by state, none", () => "welcome", () => ({
    state: "filtered",
  })),
  search("every service, by status, none", () => "welcome", () => ({
    status: "failed",
  })),
  search("every service, by client, none", () => "welcome", (n) => ({
    client: `client ${n % 20}`,
  })),
  search("every service, by time", () => "welcome", (n) => ({
    since: day(n),
    until: day(n) + DAY,
  })),
  search("every service, by time, none", () => "welcome", () => ({
    since: NEVER,
  })),
  search("every service, before all", () => "welcome", () => ({
    until: START,
  })),
  search("one of ten, by port and subnet", word, (n) => ({
    port: otherPort(n),
    subnet: `10.0.${mix(n) % 256}.0/24`,
  })),
];

/** Next to nothing, between a million services of somebody else. */
const SMALL_TENANT: readonly Question[] = [
  scans("of a small tenant", () => ({ tenant: BRANCH })),
  scans("of a small tenant, by status, none", () => ({
    tenant: BRANCH,
    status: "failed",
  })),
  scans("of a small tenant, by time, none", () => ({
    tenant: BRANCH,
    since: NEVER,
  })),
  services("of a small tenant", () => ({ tenant: BRANCH })),
  services("of a small tenant, by port", (n) => ({
    tenant: BRANCH,
    port: port(n),
  })),
  services("of a tenant that has none", () => ({ tenant: "nobody" })),
  search("of a small tenant, every service", () => "welcome", () => ({
    tenant: BRANCH,
  })),
  search("of a small tenant, one of ten", word, () => ({ tenant: BRANCH })),
  search("of a small tenant, nowhere in it", () => "unicorn", () => ({
    tenant: BRANCH,
  })),
  search("of a small tenant, by time, none", () => "welcome", () => ({
    tenant: BRANCH,
    since: NEVER,
  })),
  search("of a tenant that has none", () => "welcome", () => ({
    tenant: "nobody",
  })),
];

const ANSWERS: readonly Question[] = [
  answered("MCP, services of a port", (n) => ({ port: port(n) })),
  answered("MCP, a search", (n) => ({ query: word(n) })),
];

/** The inventory as the engine gives it to a caller. */
function ofHouse(store: Store): Engine["inventory"] {
  const tenant = HOUSE;
  return {
    inventoryHosts: (filter, page) =>
      store.inventoryHosts({ ...filter, tenant }, page),
    inventoryServices: (filter, page) =>
      store.inventoryServices({ ...filter, tenant }, page),
    search: (text, filter, page) =>
      store.search(text, { ...filter, tenant }, page),
  };
}

/** With all that a model is told of each row. */
function answered(
  name: string,
  input: (n: number) => Readonly<Record<string, unknown>>,
): Question {
  return {
    name: `inventory, ${name}`,
    ask: async (store, n) => {
      const engine: Pick<Engine, "inventory" | "resultTokensMax"> = {
        inventory: ofHouse(store),
        resultTokensMax: TOKENS_MAX,
      };
      const { text } = await inventoryAnswer(engine as Engine, input(n));
      return text.split("\n").length;
    },
  };
}

const REPORTS: readonly Question[] = [
  report("first page", () => ({})),
  {
    name: "report, a late page",
    ask: (store, n) => lastPage(store, idOf(n % SCANS)),
    every: 4,
  },
  report("by port and service", (n) => ({ port: port(n), service: "http" })),
  report("by service, none", (n) => ({ service: `none ${n}` })),
  report("by subnet", (n) => ({
    subnet: `${addressOf(n % SCANS, 256)}/24`,
  })),
];

/** The page that begins in the middle of a report. */
async function lastPage(store: Store, id: string): Promise<number> {
  const { next } = await store.reportHosts(id, {}, { limit: 500 });
  return await count(store.reportHosts(id, {}, { ...PAGE, cursor: next }));
}

const DIFFS: readonly Question[] = [
  diffed("CLI, a /24 with 1,000 services", "office", overCli),
  diffed("MCP, a /24 with 1,000 services", "office", overMcp),
  diffed("CLI, a /22 with 10,000 services", "large", overCli),
  diffed("MCP, a /22 with 10,000 services", "large", overMcp),
  {
    name: "diff, CLI, a /24 since the last time",
    every: 4,
    ask: async (store) => {
      const { diff } = await compare(
        { store, tenant: HOUSE },
        null,
        COMPARED.office[1],
      );
      return diff.changes.length;
    },
  },
  {
    name: "diff, nothing changed, 10,000 services",
    every: 4,
    ask: async (store, n) => {
      const scan = await readScan(
        { store, tenant: HOUSE },
        idOf(1 + n % (SCANS - 1)),
      );
      return diffScans(scan, { ...scan, id: "again" }).changes.length;
    },
  },
];

type Compare = (store: Store, older: string, newer: string) => Promise<number>;

function diffed(
  name: string,
  which: keyof typeof COMPARED,
  compared: Compare,
): Question {
  const [older, newer] = COMPARED[which];
  return {
    name: `diff, ${name}`,
    every: 4,
    ask: (store) => compared(store, older, newer),
  };
}

async function overCli(store: Store, older: string, newer: string) {
  return (await compare({ store, tenant: HOUSE }, older, newer)).diff.changes
    .length;
}

/** With nothing at hand in memory, as the first call after a start. */
async function overMcp(store: Store, older: string, newer: string) {
  await using kept = new StoredScans({
    store: () => Promise.resolve(store),
    memory: { keep: 10, keepBytes: 64 * 1_048_576 },
    onLost: () => {},
    onError: () => {},
    after: () => () => {},
  });
  const engine: Pick<Engine, "scan" | "scans"> = {
    scan: (id) => kept.get(id),
    scans: (filter) => kept.list({ ...filter, tenant: HOUSE }),
  };
  const { structuredContent } = await diffAnswer(engine as Engine, {
    scanId: newer,
    since: older,
    cursor: undefined,
    tokensMax: TOKENS_MAX,
  });
  return (structuredContent as { changes: readonly unknown[] }).changes.length;
}

/** All of them. */
export const QUESTIONS: readonly Question[] = [
  ...LISTS,
  ...HOSTS,
  ...SERVICES,
  ...SEARCHES,
  ...SMALL_TENANT,
  ...ANSWERS,
  ...REPORTS,
  ...DIFFS,
];
