/**
 * `store prune`: removes what is too old or too much, by the rules of the configuration or by those of
 * the command line. What is removed is in the audit log before it goes.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import { toAppError } from "@/error/app_error.ts";
import { many } from "@/scans/summary.ts";
import { isoTime } from "@/scans/times.ts";
import {
  namesOf,
  type Retention,
  type RetentionPlan,
  type RetentionRules,
} from "@/store/retention.ts";
import { retentionRules } from "./history_keeper.ts";
import { HistoryAccess } from "./history_access.ts";
import type { CommandLine } from "./history_command_line.ts";
import {
  cell,
  minute,
  printJson,
  printLines,
  printTable,
  sizeText,
} from "./history_view.ts";
import { EXIT, type World } from "./world.ts";

/** Scans that a person is shown one by one. */
const SHOWN_MAX = 50;

/** Bounds of the options, as the configuration has them. */
const DAYS_MAX = 36_500;
const BYTES_MAX = 1_024 ** 4;

/**
 * Removes old scans, or says which would go.
 *
 * @param world The process.
 * @param line The command line.
 * @returns 0, or 130 if it was stopped.
 * @throws {AppError} If what goes cannot be recorded: then nothing goes.
 */
export async function prune(world: World, line: CommandLine): Promise<number> {
  const dryRun = line.flag("dry-run");
  const tenant = tenantOf(line);
  await using access = dryRun
    ? await HistoryAccess.look(world)
    : await HistoryAccess.open(world);
  const rules = rulesOf(line, access.config, tenant);
  if (rules === null) {
    throw line.refuse(
      "there is no bound, neither retention.max_age_days nor retention.max_bytes is set; give --max-age-days or --max-bytes",
    );
  }
  if (!dryRun) await access.store.finishRemovals();
  const planned = await access.store.planRetention(rules);
  const nothing = planned.scans.length + planned.inventoryHosts +
      planned.inventoryServices === 0;
  if (nothing || dryRun) {
    show(world, line, planned, { done: false });
    return EXIT.ok;
  }
  await recordRemoval(access, planned);
  const removed = await orStopped(world, access.store.runRetention(planned));
  if (removed === null) {
    world.printError(
      "stopped: what was marked goes with the next store prune, or with the server's own retention\n",
    );
    return EXIT.interrupted;
  }
  show(world, line, removed, { done: true });
  return EXIT.ok;
}

/** Whose scans may go: who wants those of others to go as well says so. */
function tenantOf(line: CommandLine): string | null {
  if (!line.flag("all-tenants")) return line.tenant();
  if (line.text("tenant") === undefined) return null;
  throw line.refuse("--tenant is one of --all-tenants");
}

/** The bounds of the configuration, each replaced where one is given; kept tags are added. */
function rulesOf(
  line: CommandLine,
  config: Config,
  tenant: string | null,
): RetentionRules | null {
  const { retention } = config;
  const max_age_days = line.integer("max-age-days", { min: 0, max: DAYS_MAX });
  const max_bytes = line.integer("max-bytes", { min: 0, max: BYTES_MAX });
  const rules = retentionRules({
    ...config,
    retention: {
      max_age_days: max_age_days ?? retention.max_age_days,
      max_bytes: max_bytes ?? retention.max_bytes,
      keep_tags: [...retention.keep_tags, ...line.texts("keep-tag") ?? []],
    },
  }, Date.now());
  return rules === null ? null : { ...rules, tenant };
}

/** Every scan by its id, in as many entries as that takes. */
async function recordRemoval(
  access: HistoryAccess,
  plan: RetentionPlan,
): Promise<void> {
  const { scans, rules } = plan;
  for (const ids of namesOf(plan)) {
    const record = await access.begin("delete", "store prune", {
      tenant: rules.tenant ?? "all",
      scans: scans.length,
      ids,
      ended_before: isoTime(rules.endedBefore),
      bytes_max: rules.bytesMax,
      keep_tags: rules.keepTags,
    });
    await record.allowed({ rule: "retention", target: null, scanId: null });
  }
}

/** Gives null if a person stopped it: what is marked by then is out of sight and goes next time. */
async function orStopped<T>(
  { stop }: World,
  work: Promise<T>,
): Promise<T | null> {
  const stopped = Promise.withResolvers<null>();
  const end = () => stopped.resolve(null);
  stop.addEventListener("abort", end);
  try {
    return await Promise.race([
      work.catch((thrown) => {
        // The store is closed under it then.
        if (stop.aborted) return null;
        throw toAppError(thrown);
      }),
      stopped.promise,
    ]);
  } finally {
    stop.removeEventListener("abort", end);
  }
}

function show(
  world: World,
  line: CommandLine,
  found: Retention,
  { done }: { readonly done: boolean },
): void {
  const { scans, inventoryHosts, inventoryServices } = found;
  if (line.flag("json")) {
    printJson(world, {
      removed: done,
      scans: scans.map(({ id, target, finishedAt, bytes, why }) => ({
        scan_id: id,
        target,
        finished_at: isoTime(finishedAt),
        bytes,
        why,
      })),
      inventory_hosts: inventoryHosts,
      inventory_services: inventoryServices,
      bytes_before: found.bytesBefore,
      bytes_after: found.bytesAfter,
    });
    return;
  }
  if (scans.length + inventoryHosts + inventoryServices === 0) {
    printLines(world, ["nothing is too old or too much: nothing goes"]);
    return;
  }
  if (scans.length > 0) {
    printTable(world, [
      ["SCAN", "ENDED", "TOO", "ROOM", "TARGET"],
      ...scans.slice(0, SHOWN_MAX).map((one) => [
        one.id,
        minute(one.finishedAt),
        one.why === "age" ? "old" : "much",
        sizeText(one.bytes),
        cell(one.target),
      ]),
    ]);
  }
  const left = scans.length - SHOWN_MAX;
  const entries = inventoryHosts + inventoryServices;
  const inventory = `${entries} ${
    entries === 1 ? "entry" : "entries"
  } of the inventory`;
  printLines(world, [
    ...left > 0 ? [`… ${many(left, "more scan")}`] : [],
    done
      ? `removed ${many(scans.length, "scan")} and ${inventory}`
      : `would remove ${
        many(scans.length, "scan")
      } and ${inventory}; nothing is removed yet`,
    `room: ${sizeText(found.bytesBefore)} ${done ? "before" : "now"}, ${
      done ? "" : "about "
    }${sizeText(found.bytesAfter)} ${done ? "now" : "then"}`,
  ]);
}
