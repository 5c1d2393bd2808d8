/**
 * `store`: whether the database of the history is sound, what is in it, and what has to go.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { type DatabaseUrl, parseDatabaseUrl } from "@/store/database_url.ts";
import { checkStoreAt } from "@/store/open.ts";
import {
  HistoryAccess,
  readHistoryConfig,
  storeOptions,
} from "./history_access.ts";
import { type CommandForm, CommandLine } from "./history_command_line.ts";
import { tellFault } from "./history_fault.ts";
import {
  cell,
  outStyle,
  printJson,
  printLines,
  sizeText,
} from "./history_view.ts";
import { table } from "./table.ts";
import { EXIT, type World } from "./world.ts";

const FORMS: Readonly<Record<"check" | "stats" | "prune", CommandForm>> = {
  check: {
    form: "deno task store check [--json]",
    options: { json: "flag" },
    operands: [0, 0],
  },
  stats: {
    form: "deno task store stats [--tenant NAME] [--json]",
    options: { tenant: "text", json: "flag" },
    operands: [0, 0],
  },
  prune: {
    form:
      "deno task store prune [--dry-run] [--max-age-days N] [--max-bytes N] [--keep-tag T] [--tenant NAME | --all-tenants] [--json]",
    options: {
      "dry-run": "flag",
      "max-age-days": "text",
      "max-bytes": "text",
      "keep-tag": "texts",
      tenant: "text",
      "all-tenants": "flag",
      json: "flag",
    },
    operands: [0, 0],
  },
};

/** Longest text of what a database complains of. */
const COMPLAINT_LENGTH_MAX = 1_000;

/**
 * Runs `store check`, `store stats` or `store prune`.
 *
 * @param world The process.
 * @returns 0, 1 if the store is not sound, 2 if the command line is refused, 3 if the store fails.
 */
export async function store(world: World): Promise<number> {
  const json = world.args.includes("--json");
  try {
    const [name = "", ...args] = world.args;
    const form = Object.hasOwn(FORMS, name)
      ? FORMS[name as keyof typeof FORMS]
      : undefined;
    if (form === undefined) {
      throw new AppError(
        "invalid_arguments",
        `Cannot run store: name one of its actions first: ${
          Object.keys(FORMS).join(", ")
        }`,
      );
    }
    const line = new CommandLine(args, form);
    switch (name) {
      case "check":
        return await check(world, line);
      case "stats":
        return await stats(world, line);
      default: {
        const { prune } = await import("./store_prune.ts");
        return await prune(world, line);
      }
    }
  } catch (thrown) {
    return tellFault(world, thrown, json);
  }
}

async function check(world: World, line: CommandLine): Promise<number> {
  const config = await readHistoryConfig(world);
  const url = parseDatabaseUrl(config.database.url, config.state.folder);
  const json = line.flag("json");
  const style = outStyle(world);
  if (!await isThere(url)) {
    if (json) printJson(world, { ok: true, exists: false, problems: [] });
    else printLines(world, [`there is no ${url.shown} yet: nothing is kept`]);
    return EXIT.ok;
  }
  const problems = await checkStoreAt(
    config.database.url,
    storeOptions(config, world),
  );
  const ok = problems.length === 0;
  if (json) printJson(world, { ok, exists: true, problems });
  else if (ok) printLines(world, [`${style.green("sound")}: ${url.shown}`]);
  else {
    printLines(world, [
      `${style.red("NOT SOUND")}: ${url.shown}`,
      ...problems.flatMap(({ check, problem, way }) => [
        `${check}: ${cell(problem, COMPLAINT_LENGTH_MAX)}`,
        `  way out: ${cell(way, COMPLAINT_LENGTH_MAX)}`,
      ]),
    ]);
  }
  return ok ? EXIT.ok : EXIT.fault;
}

/** Only a file can be looked for without opening it. */
async function isThere(url: DatabaseUrl): Promise<boolean> {
  if (url.kind !== "sqlite") return true;
  try {
    await Deno.stat(url.path);
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    // Whatever else it is, opening it says so.
    return true;
  }
}

async function stats(world: World, line: CommandLine): Promise<number> {
  // The figures are the database's, unless a tenant is named.
  const tenant = line.text("tenant") === undefined ? null : line.tenant();
  await using access = await HistoryAccess.look(world);
  const { database, state } = access.config;
  const there = await isThere(parseDatabaseUrl(database.url, state.folder));
  const { scans, hosts, services, ...held } = await access.store.stats(tenant);
  // What answers in place of a database that is not there yet takes no room.
  const room = there ? held : { bytesOnDisk: 0, bytesInUse: 0 };
  const total = Object.values(scans).reduce((sum, count) => sum + count, 0);
  if (line.flag("json")) {
    printJson(world, {
      database: access.store.shown,
      ...tenant === null ? {} : { tenant },
      scans,
      hosts,
      services,
      bytes_on_disk: room.bytesOnDisk,
      bytes_in_use: room.bytesInUse,
    });
    return EXIT.ok;
  }
  const states = Object.entries(scans).filter(([, count]) => count > 0)
    .map(([status, count]) => `${count} ${status.replaceAll("_", " ")}`);
  printLines(
    world,
    table([
      ["database", access.store.shown],
      ...tenant === null ? [] : [["tenant", tenant]],
      ["scans", [String(total), ...states].join(", ")],
      ["hosts", `${hosts}, each as often as a scan lists it`],
      ["open ports", `${services}, each as often as a scan lists it`],
      [
        "room",
        `${sizeText(room.bytesOnDisk)} on disk, ${
          sizeText(room.bytesInUse)
        } in use${tenant === null ? "" : ", of all tenants together"}`,
      ],
    ], Number.POSITIVE_INFINITY),
  );
  return EXIT.ok;
}
