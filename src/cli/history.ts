/**
 * `history`: what was scanned, what was found, what changed. Nothing is scanned here, and nothing that
 * is kept changes.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { HistoryAccess } from "./history_access.ts";
import type { CommandForm } from "./history_command_line.ts";
import { CommandLine } from "./history_command_line.ts";
import { tellFault } from "./history_fault.ts";
import { EXIT, type World } from "./world.ts";

/** A look at the history. */
interface Action {
  readonly form: CommandForm;
  /** Loads what does it: only the one that runs costs anything. */
  readonly load: () => Promise<
    (world: World, line: CommandLine, access: HistoryAccess) => Promise<void>
  >;
}

const TENANT = { tenant: "text" } as const;

const LABELS = { engagement: "text", tag: "texts", ...TENANT } as const;

const INVENTORY_OPTIONS = {
  subnet: "text",
  port: "text",
  service: "text",
  product: "text",
  state: "text",
  ...LABELS,
  since: "text",
  until: "text",
  limit: "text",
  json: "flag",
} as const;

const FILTERS =
  "[--subnet NET] [--port N] [--service S] [--product P] [--state open|any|…] [--engagement NAME] [--tag T] [--since TIME] [--until TIME] [--limit N] [--tenant NAME] [--json]";

const ACTIONS: Readonly<Record<string, Action>> = {
  list: {
    form: {
      form:
        "deno task history list [--status S] [--tool T] [--engagement NAME] [--tag T] [--limit N] [--before SCAN_ID] [--tenant NAME] [--json]",
      options: {
        status: "text",
        tool: "text",
        ...LABELS,
        limit: "text",
        before: "text",
        json: "flag",
      },
      operands: [0, 0],
    },
    load: async () => (await import("./history_scans.ts")).list,
  },
  show: {
    form: {
      form: "deno task history show SCAN_ID [--tenant NAME] [--json]",
      options: { ...TENANT, json: "flag" },
      operands: [1, 1],
    },
    load: async () => (await import("./history_scans.ts")).show,
  },
  diff: {
    form: {
      form:
        "deno task history diff [OLD_SCAN_ID] NEW_SCAN_ID [--tenant NAME] [--json]",
      options: { ...TENANT, json: "flag" },
      operands: [1, 2],
    },
    load: async () => (await import("./history_diff.ts")).diff,
  },
  inventory: {
    form: {
      form: `deno task history inventory [--hosts] ${FILTERS}`,
      options: { ...INVENTORY_OPTIONS, hosts: "flag" },
      operands: [0, 0],
    },
    load: async () => (await import("./history_inventory.ts")).inventory,
  },
  search: {
    form: {
      form: `deno task history search WORDS… ${FILTERS}`,
      options: INVENTORY_OPTIONS,
      operands: [1, 64],
    },
    load: async () => (await import("./history_inventory.ts")).search,
  },
};

/**
 * Runs one of the looks at the history.
 *
 * @param world The process.
 * @returns 0, 2 if the command line is refused or there is no such scan, 3 if the store fails.
 */
export async function history(world: World): Promise<number> {
  const json = world.args.includes("--json");
  try {
    const [name = "", ...args] = world.args;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action === undefined) {
      throw new AppError(
        "invalid_arguments",
        `Cannot run history: name one of its actions first: ${
          Object.keys(ACTIONS).join(", ")
        }; for example: deno task history list`,
      );
    }
    const line = new CommandLine(args, action.form);
    const run = await action.load();
    await using access = await HistoryAccess.look(world, line.tenant());
    await access.looked(`history ${name}`, { arguments: args });
    await run(world, line, access);
    return world.stop.aborted ? EXIT.interrupted : EXIT.ok;
  } catch (thrown) {
    return tellFault(world, thrown, json);
  }
}
