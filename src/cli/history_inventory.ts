/**
 * `history inventory` and `history search`: what is known over all scans. As JSON a row is what the
 * server's tool of that name gives, so that a program reads one form.
 *
 * @module
 */
import {
  foundRow,
  hostRow,
  type InventoryRow,
  serviceRow,
} from "@/mcp/inventory_rows.ts";
import type { Page, PageOptions } from "@/store/scan_record.ts";
import type { InventoryHost, InventoryService } from "@/store/inventory.ts";
import type { Found } from "@/store/search.ts";
import type { PortReport } from "@/tools/report.ts";
import type { HistoryAccess } from "./history_access.ts";
import { type CommandLine, given } from "./history_command_line.ts";
import {
  cell,
  minute,
  outStyle,
  printJson,
  printLines,
  printTable,
} from "./history_view.ts";
import type { World } from "./world.ts";

/** Rows that are shown unless told otherwise, at most, and read in one go. */
const ROWS_DEFAULT = 100;
const ROWS_MAX = 10_000;
const PAGE_ROWS = 1_000;

/** Longest text that a host chose, in a table. */
const SAID_LENGTH_MAX = 160;

const STATES = ["open", "closed", "filtered", "open|filtered", "any"] as const;

/** What only services have. */
const SERVICE_ONLY = ["port", "service", "product", "state"] as const;

/** Rows of one kind, as a table and as JSON. */
interface View<T> {
  readonly noun: string;
  readonly heading: readonly string[];
  readonly cells: (item: T) => readonly string[];
  readonly json: (item: T) => InventoryRow["json"];
}

const HOSTS: View<InventoryHost> = {
  noun: "host",
  heading: ["HOST", "STATUS", "FIRST SEEN", "LAST SEEN", "SCAN", "KNOWN AS"],
  cells: (host) => [
    cell(host.address),
    cell(host.status),
    minute(host.firstSeen),
    minute(host.lastSeen),
    host.lastScan,
    cell(
      [
        ...host.detail.names ?? [],
        ...host.detail.untrusted?.reverse_names ?? [],
        host.detail.os?.[0]?.untrusted.name ?? "",
      ].filter((text) => text !== "").join(" "),
      SAID_LENGTH_MAX,
    ),
  ],
  json: (host) => hostRow(host).json,
};

const SERVICES: View<InventoryService> = {
  noun: "service",
  heading: [
    "HOST",
    "PORT",
    "STATE",
    "SERVICE",
    "FIRST SEEN",
    "LAST SEEN",
    "SCAN",
    "PRODUCT",
  ],
  cells: (one) => [
    cell(one.address),
    `${one.port}/${cell(one.protocol)}`,
    cell(one.state),
    cell(one.service),
    minute(one.firstSeen),
    minute(one.lastSeen),
    one.lastScan,
    cell(
      [one.untrusted.product, one.untrusted.version]
        .filter((text) => text !== null).join(" "),
      SAID_LENGTH_MAX,
    ),
  ],
  json: (one) => serviceRow(one).json,
};

/**
 * Lists services or, with `--hosts`, hosts.
 *
 * @param world The process.
 * @param line The command line.
 * @param access The history.
 */
export async function inventory(
  world: World,
  line: CommandLine,
  { store, tenant }: HistoryAccess,
): Promise<void> {
  if (line.flag("hosts")) {
    const wrong = SERVICE_ONLY.find((name) => line.text(name) !== undefined);
    if (wrong !== undefined) {
      throw line.refuse(`--${wrong} is of services, and --hosts lists hosts`);
    }
    const filter = { tenant, ...commonFilter(line) };
    await print(
      world,
      line,
      HOSTS,
      (page) => store.inventoryHosts(filter, page),
    );
    return;
  }
  const filter = { tenant, ...serviceFilter(line) };
  await print(
    world,
    line,
    SERVICES,
    (page) => store.inventoryServices(filter, page),
  );
}

/**
 * Searches what services said.
 *
 * @param world The process.
 * @param line The command line.
 * @param access The history.
 */
export async function search(
  world: World,
  line: CommandLine,
  { store, tenant }: HistoryAccess,
): Promise<void> {
  const text = line.operands.join(" ");
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const filter = { tenant, ...serviceFilter(line) };
  const sightings: View<Found> = {
    noun: "sighting",
    heading: ["HOST", "PORT", "STATE", "SERVICE", "SEEN", "SCAN", "SAID"],
    cells: (found) => [
      cell(found.address),
      `${found.port.port}/${found.port.protocol}`,
      cell(found.port.state),
      cell(found.port.service),
      minute(found.seenAt),
      found.scanId,
      cell(saidBy(found.port), SAID_LENGTH_MAX),
    ],
    json: (found) => foundRow(found, null, words).json,
  };
  await print(
    world,
    line,
    sightings,
    (page) => store.search(text, filter, page),
  );
}

function commonFilter(line: CommandLine) {
  return given({
    subnet: line.text("subnet"),
    engagement: line.text("engagement"),
    tags: line.texts("tag"),
    since: line.time("since"),
    until: line.time("until"),
  });
}

function serviceFilter(line: CommandLine) {
  const state = line.choice("state", STATES) ?? "open";
  return {
    ...commonFilter(line),
    ...given({
      port: line.integer("port", { min: 0, max: 65_535 }),
      service: line.text("service"),
      product: line.text("product"),
    }),
    ...state === "any" ? {} : { state },
  };
}

async function print<T>(
  world: World,
  line: CommandLine,
  view: View<T>,
  pageOf: (page: PageOptions) => Promise<Page<T>>,
): Promise<void> {
  const limit = line.integer("limit", { min: 1, max: ROWS_MAX }) ??
    ROWS_DEFAULT;
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const left = limit - items.length;
    const page: Page<T> = await pageOf({
      limit: Math.min(left, PAGE_ROWS),
      cursor,
    });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && items.length < limit && !world.stop.aborted);
  const more = cursor !== null;
  if (line.flag("json")) {
    printJson(world, { [`${view.noun}s`]: items.map(view.json), more });
    return;
  }
  if (items.length === 0) {
    printLines(world, [nothing(line, view.noun)]);
    return;
  }
  printTable(world, [view.heading, ...items.map(view.cells)]);
  if (more) {
    const way = limit < ROWS_MAX
      ? "raise --limit, or narrow the filters"
      : "narrow the filters";
    printLines(world, [outStyle(world).dim(`there are more: ${way}`)]);
  }
}

/** Only what is open is listed unless told otherwise, which explains many an empty list. */
function nothing(line: CommandLine, noun: string): string {
  const openOnly = !line.flag("hosts") && line.text("state") === undefined;
  const given = [...SERVICE_ONLY, "subnet", "engagement", "since", "until"]
    .some((name) => line.text(name) !== undefined) ||
    line.texts("tag") !== undefined || line.operands.length > 0;
  const what = `no ${openOnly ? "open " : ""}${
    noun === "sighting" ? "port" : noun
  } is known`;
  const all = noun === "sighting"
    ? " that said all of this"
    : " that is all of this";
  return `${what}${given ? all : " yet"}${
    openOnly ? "; --state any looks at the others too" : ""
  }`;
}

/** What a service said, in a line. */
function saidBy({ untrusted = {}, scripts = [] }: PortReport): string {
  const { product, version, extra_info, hostname, banners = [] } = untrusted;
  return [
    product,
    version,
    extra_info,
    hostname,
    ...banners.map(({ text }) => text),
    ...scripts.map((script) => `${script.id}: ${script.untrusted.output}`),
  ].filter((text) => text !== undefined && text !== "").join(" ");
}
