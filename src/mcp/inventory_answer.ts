/**
 * `inventory` in words: hosts and services over all scans, and a search over what services said.
 *
 * The store pages by keys, so a page that is too large for the answer is asked for again with fewer
 * rows: its cursor then stands behind the last row that is shown.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Engine, Inventory } from "@/dispatch/engine.ts";
import { many } from "@/scans/summary.ts";
import { parseTime } from "@/scans/times.ts";
import { parseAddress } from "@/scope/block.ts";
import type { InventoryService } from "@/store/inventory.ts";
import type { Page } from "@/store/scan_record.ts";
import type { Found } from "@/store/search.ts";
import { type Parsed, parseFields, shown } from "@/tools/field.ts";
import { jsonTokensOf, takeWhole, tokensOf } from "./budget.ts";
import {
  bareRow,
  foundRow,
  hostRow,
  type InventoryRow,
  serviceRow,
} from "./inventory_rows.ts";
import type { Answer } from "./result.ts";
import {
  INVENTORY_FIELDS,
  rowsLimitDefault,
  withoutUndefined,
} from "./scan_tools.ts";
import { provenanceOf, SUSPICIOUS_NOTE, UNTRUSTED_NOTE } from "./text.ts";

/** Tokens of an answer besides its rows and the call that goes on. */
const HEAD_TOKENS = 40 + tokensOf(`${UNTRUSTED_NOTE}\n${SUSPICIOUS_NOTE}`);

/** About how long a cursor is. */
const CURSOR_LENGTH = 100;

/** What only services have. */
const SERVICE_ONLY = [
  "query",
  "port",
  "service",
  "product",
  "state",
] as const;

type Asked = Parsed<typeof INVENTORY_FIELDS>;

/** Gives a page of rows. */
type List = (
  limit: number,
  cursor: string | null,
) => Promise<Page<InventoryRow>>;

/**
 * Answers what is known over all scans.
 *
 * @param engine Where it is known.
 * @param input The arguments: untrusted JSON.
 * @returns The answer, within the budget.
 * @throws {AppError} `invalid_arguments`.
 */
export async function inventoryAnswer(
  engine: Engine,
  input: unknown,
): Promise<Answer> {
  const asked = parseFields(INVENTORY_FIELDS, input);
  const { list, noun } = listOf(engine.inventory, asked);
  const { cursor = null, limit = rowsLimitDefault, ...filters } = asked;
  const callOf = (next: string) =>
    `inventory ${
      JSON.stringify({
        ...withoutUndefined({ ...filters, limit: asked.limit }),
        cursor: next,
      })
    }`;
  // The call that goes on stands in the JSON and in the text, as every row does.
  const room = engine.resultTokensMax - HEAD_TOKENS -
    2 * tokensOf(callOf("x1".repeat(CURSOR_LENGTH / 2)));
  const { items: rows, next } = await fitting(
    (most) => list(most, cursor),
    limit,
    room,
  );
  const more = next === null ? null : callOf(next);
  const shownRows = rows.map(({ json }) => json);
  const { untrusted, suspicious } = provenanceOf(shownRows);
  return {
    structuredContent: {
      rows: shownRows,
      ...(more === null ? {} : { truncated: { next: more } }),
    },
    text: [
      rows.length === 0
        ? `No ${noun}s are known with these filters.`
        : `${many(rows.length, noun)}:`,
      ...(untrusted ? [UNTRUSTED_NOTE] : []),
      ...(suspicious ? [SUSPICIOUS_NOTE] : []),
      ...rows.map(({ head, said }) => head + said),
      ...(more === null ? [] : [`More: ${more}`]),
    ].join("\n"),
    isError: false,
  };
}

/** A page that fits, of at least one row. The number of rows falls with each try, and two do. */
async function fitting(
  list: (limit: number) => Promise<Page<InventoryRow>>,
  limitMax: number,
  room: number,
): Promise<Page<InventoryRow>> {
  for (let limit = limitMax;;) {
    const page = await list(limit);
    const fit = takeWhole(page.items, 0, room, priceOf).items.length;
    if (fit === page.items.length) return page;
    if (limit === 1) return { ...page, items: page.items.map(bareRow) };
    limit = Math.max(1, fit);
  }
}

function priceOf({ json, head, said }: InventoryRow): number {
  return jsonTokensOf(json) + tokensOf(head + said) + 2;
}

function listOf(
  inventory: Inventory,
  asked: Asked,
): { readonly list: List; readonly noun: string } {
  const cut = {
    ...withoutUndefined({
      subnet: asked.subnet,
      engagement: asked.engagement,
      tags: asked.tags,
      since: timeOf(asked.since, "since"),
      until: timeOf(asked.until, "until"),
    }),
  };
  if (asked.kind === "hosts") {
    refuseForHosts(asked);
    const list: List = async (limit, cursor) =>
      mapped(await inventory.inventoryHosts(cut, { limit, cursor }), hostRow);
    return { list, noun: "host" };
  }
  const { query, port, service, product, state = "open" } = asked;
  const filter = {
    ...cut,
    ...withoutUndefined({ port, service, product }),
    ...(state === "any" ? {} : { state }),
  };
  if (query === undefined) {
    const list: List = async (limit, cursor) =>
      mapped(
        await inventory.inventoryServices(filter, { limit, cursor }),
        serviceRow,
      );
    return { list, noun: "service" };
  }
  const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const { engagement, tags } = asked;
  const known = new KnownServices(
    inventory,
    withoutUndefined({ engagement, tags }),
  );
  const list: List = async (limit, cursor) => {
    const page = await inventory.search(query, filter, { limit, cursor });
    const services = await Promise.all(page.items.map((one) => known.of(one)));
    return {
      items: page.items.map((found, at) =>
        foundRow(found, services[at] ?? null, words)
      ),
      next: page.next,
    };
  };
  return { list, noun: "sighting" };
}

/** Services over all scans, each looked up once. */
class KnownServices {
  readonly #inventory: Inventory;
  readonly #cut: Parameters<Inventory["inventoryServices"]>[0];
  readonly #known = new Map<string, Promise<InventoryService | null>>();

  constructor(
    inventory: Inventory,
    cut: Parameters<Inventory["inventoryServices"]>[0],
  ) {
    this.#inventory = inventory;
    this.#cut = cut;
  }

  of(found: Found): Promise<InventoryService | null> {
    const { address, port: { port, protocol } } = found;
    const key = `${address} ${port}/${protocol}`;
    const known = this.#known.get(key) ?? this.#lookUp(found);
    this.#known.set(key, known);
    return known;
  }

  async #lookUp(
    { address, port: { port, protocol } }: Found,
  ): Promise<InventoryService | null> {
    // An address with a zone is no network that could be asked for.
    if (parseAddress(address) === null) return null;
    const { items: [service] } = await this.#inventory.inventoryServices(
      { ...this.#cut, subnet: address, port, protocol },
      { limit: 1 },
    );
    return service?.address === address ? service : null;
  }
}

function mapped<T>(
  { items, next }: Page<T>,
  row: (item: T) => InventoryRow,
): Page<InventoryRow> {
  return { items: items.map(row), next };
}

function refuseForHosts(asked: Asked): void {
  const given = SERVICE_ONLY.find((name) => asked[name] !== undefined);
  if (given === undefined) return;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the argument "${given}": hosts have none; leave kind out to list services`,
  );
}

/** A time with its zone, or a day, which begins at midnight in UTC. */
function timeOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseTime(text);
  if (ms !== null) return ms;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the argument "${name}": ${
      shown(text)
    } is no time like 2026-01-31 or 2026-01-31T08:00:00Z`,
  );
}
