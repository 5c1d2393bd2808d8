/**
 * `keys`: makes, lists, rotates and revokes API keys, as an admin of the house. Whoever runs it owns the
 * database and the identity key, so nothing more is asked of them; what they ask for is in the audit log
 * before it is done, and what came of it before they hear of it.
 *
 * The secret is all that standard output gets, so that `key=$(deno task -q keys create …)` holds it and
 * nothing else; what a person wants to read goes to standard error.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ApiKey, ApiKeys, IssuedKey } from "@/identity/keys.ts";
import {
  type IdentityWorld,
  openApiKeys,
  openKeyList,
} from "@/identity/open.ts";
import { tenantsOf } from "@/identity/tenants.ts";
import { HOUSE, LOCAL } from "@/identity/principal.ts";
import { isoTime } from "@/scans/times.ts";
import { shown } from "@/tools/field.ts";
import { HistoryAccess } from "./history_access.ts";
import { type CommandForm, CommandLine } from "./history_command_line.ts";
import { tellFault } from "./history_fault.ts";
import {
  cell,
  minute,
  printJson,
  printLines,
  printTable,
} from "./history_view.ts";
import { EXIT, type World } from "./world.ts";

const FORMS: Readonly<
  Record<"create" | "list" | "rotate" | "revoke", CommandForm>
> = {
  create: {
    form:
      "deno task keys create --name N --role R [--role R] [--tenant T] [--scope S] [--expires 30d] [--json]",
    options: {
      name: "text",
      role: "texts",
      tenant: "text",
      scope: "texts",
      expires: "text",
      json: "flag",
    },
    operands: [0, 0],
  },
  list: {
    form: "deno task keys list [--tenant T] [--json]",
    options: { tenant: "text", json: "flag" },
    operands: [0, 0],
  },
  rotate: {
    form: "deno task keys rotate ID [--overlap 1h] [--json]",
    options: { overlap: "text", json: "flag" },
    operands: [1, 1],
  },
  revoke: {
    form: "deno task keys revoke ID [--json]",
    options: { json: "flag" },
    operands: [1, 1],
  },
};

/** Seconds of each unit. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3_600],
  ["d", 86_400],
  ["w", 604_800],
]);

/** How long a server that runs remembers what another process changed. */
const SERVER_NOTE =
  "a server that runs knows of it within 3 seconds, and at once when told over HTTP";

/**
 * Runs `keys create`, `keys list`, `keys rotate` or `keys revoke`.
 *
 * @param world The process.
 * @returns 0, 2 if the command line or the request is refused, 3 if the store fails.
 */
export async function keys(world: World): Promise<number> {
  const json = world.args.includes("--json");
  try {
    const [name = "", ...args] = world.args;
    if (!Object.hasOwn(FORMS, name)) {
      throw new AppError(
        "invalid_arguments",
        `Cannot run keys: name one of its actions first: ${
          Object.keys(FORMS).join(", ")
        }`,
      );
    }
    const line = new CommandLine(args, FORMS[name as keyof typeof FORMS]);
    switch (name) {
      case "create":
        return await create(world, line);
      case "list":
        return await list(world, line);
      case "rotate":
        return await rotate(world, line);
      default:
        return await revoke(world, line);
    }
  } catch (thrown) {
    return tellFault(world, thrown, json);
  }
}

async function create(world: World, line: CommandLine): Promise<number> {
  const name = line.text("name");
  if (name === undefined) throw line.refuse("--name is missing");
  const roles = line.texts("role");
  if (roles === undefined) throw line.refuse("--role is missing");
  await using access = await HistoryAccess.open(world);
  const apiKeys = await open(world, access);
  const asked = {
    id: apiKeys.newId(),
    name,
    tenant: line.text("tenant") ?? HOUSE,
    roles,
    scopes: line.texts("scope") ?? null,
    expiresInSeconds: seconds(line, "expires") ?? null,
  };
  const issued = await recorded(
    access,
    "keys create",
    { ...asked, expires_in_seconds: asked.expiresInSeconds },
    () => apiKeys.create(asked, LOCAL.subject),
  );
  return show(world, line, issued, [
    `made the key ${issued.key.id} of the tenant ${issued.key.tenant}; this is the only time its secret is shown`,
  ]);
}

async function list(world: World, line: CommandLine): Promise<number> {
  await using access = await HistoryAccess.look(world);
  const tenant = line.text("tenant") ?? null;
  await access.looked("keys list", { tenant });
  const found = await openKeyList(access.store, clocks(world)).list(tenant);
  if (line.flag("json")) {
    printJson(world, { keys: found.map(keyJson) });
  } else if (found.length === 0) {
    printLines(world, [
      "there is no key yet: deno task keys create --name N --role operator",
    ]);
  } else {
    const nowMs = Date.now();
    printTable(world, [
      ["KEY", "TENANT", "ROLES", "STATE", "LAST USED", "SCOPES", "NAME"],
      ...found.map((key) => [
        cell(key.id),
        cell(key.tenant),
        key.roles.join(","),
        stateOf(key, nowMs),
        minute(key.lastUsedAt) || "never",
        key.scopes === null ? "all" : key.scopes.join(",") || "none",
        cell(key.name),
      ]),
    ]);
  }
  return EXIT.ok;
}

async function rotate(world: World, line: CommandLine): Promise<number> {
  const [id = ""] = line.operands;
  const overlapSeconds = seconds(line, "overlap") ?? 0;
  await using access = await HistoryAccess.open(world);
  const apiKeys = await open(world, access);
  const issued = await recorded(
    access,
    "keys rotate",
    { id, overlap_seconds: overlapSeconds },
    () =>
      apiKeys.rotate(id, {
        tenant: null,
        overlapSeconds,
        by: LOCAL.subject,
      }),
  );
  return show(world, line, issued, [
    `gave the key ${id} another secret, which is shown this once; ${
      overlapSeconds === 0
        ? "the old one holds no more"
        : `the old one holds ${overlapSeconds} s longer`
    }`,
    SERVER_NOTE,
  ]);
}

async function revoke(world: World, line: CommandLine): Promise<number> {
  const [id = ""] = line.operands;
  await using access = await HistoryAccess.open(world);
  const apiKeys = openKeyList(access.store, clocks(world));
  const key = await recorded(
    access,
    "keys revoke",
    { id },
    () => apiKeys.revoke(id, { tenant: null }),
  );
  if (line.flag("json")) printJson(world, { key: keyJson(key) });
  else printLines(world, [`revoked the key ${key.id}; ${SERVER_NOTE}`]);
  return EXIT.ok;
}

/** The request is recorded first, and the decision before anybody hears of the outcome. */
async function recorded<T>(
  access: HistoryAccess,
  command: string,
  args: Readonly<Record<string, unknown>>,
  deed: () => Promise<T>,
): Promise<T> {
  const record = await access.begin("keys", command, args);
  let done: T;
  try {
    done = await deed();
  } catch (thrown) {
    if (thrown instanceof AppError) await record.refused(thrown);
    throw thrown;
  }
  await record.allowed({ rule: "terminal", target: null, scanId: null });
  return done;
}

function open(
  world: World,
  { config, store }: HistoryAccess,
): Promise<ApiKeys> {
  const tenants = tenantsOf(config.identity);
  return openApiKeys(config, store, {
    ...clocks(world),
    tenants: () => tenants,
  });
}

function clocks(world: World): IdentityWorld {
  return {
    wallNow: Date.now,
    now: () => performance.now(),
    onWarning: (message) => world.printError(`warning: ${message}\n`),
  };
}

/** Reads a time such as `90s`, `12h` or `30d`. Its bounds are those of the keys. */
function seconds(line: CommandLine, name: string): number | undefined {
  const text = line.text(name);
  if (text === undefined) return undefined;
  const [, count, unit = ""] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const factor = UNITS.get(unit);
  if (factor !== undefined) return Number(count) * factor;
  throw line.refuse(
    `--${name} is ${
      shown(text)
    } and has to be a number with s, m, h, d or w behind it, such as 30d`,
  );
}

function show(
  world: World,
  line: CommandLine,
  { key, secret }: IssuedKey,
  notes: readonly string[],
): number {
  if (line.flag("json")) {
    printJson(world, { key: keyJson(key), secret });
    return EXIT.ok;
  }
  for (const note of notes) world.printError(`${note}\n`);
  printLines(world, [secret]);
  return EXIT.ok;
}

function stateOf(key: ApiKey, nowMs: number): string {
  if (key.revokedAt !== null) return `revoked ${minute(key.revokedAt)}`;
  if (key.expiresAt === null) return "good";
  const when = minute(key.expiresAt);
  return key.expiresAt > nowMs ? `good until ${when}` : `expired ${when}`;
}

function keyJson(key: ApiKey): Readonly<Record<string, unknown>> {
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant,
    roles: key.roles,
    scopes: key.scopes,
    created_at: isoTime(key.createdAt),
    created_by: key.createdBy,
    expires_at: isoTime(key.expiresAt),
    last_used_at: isoTime(key.lastUsedAt),
    revoked_at: isoTime(key.revokedAt),
  };
}
