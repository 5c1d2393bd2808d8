/**
 * What the server's own retention writes down before it removes anything.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AuditEntry } from "@/audit/entry.ts";
import { HistoryKeeper } from "@/cli/history_keeper.ts";
import { readConfig } from "@/config/boot.ts";
import { log } from "@/log/log.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { inTime, NOON, opener, scanned } from "./store_cases.ts";
import { verifies } from "../requirements.ts";

verifies("audit.deletion_whole");

const DAY = 86_400_000;

Deno.test("retention names every scan that it removes, in entries that are whole", () =>
  inTime("retention", async () => {
    await using folder = await withTempDir();
    const ids = Array.from(
      { length: 130 },
      (_, n) => `s${String(n).padStart(3, "0")}`,
    );
    {
      await using store = await opener({
        url: "sqlite:scans.db",
        folder: folder.path,
      })();
      for (const id of ids) await scanned(store, id, [], { at: NOON });
      await scanned(store, "young", [], { at: NOON + 9 * DAY });
    }
    const { config } = await readConfig({
      MCP_STATE_FOLDER: folder.path,
      MCP_RETENTION_MAX_AGE_DAYS: "5",
    });
    const entries: AuditEntry[] = [];
    const removed = Promise.withResolvers<readonly string[]>();
    const timers: (() => void)[] = [];
    await using keeper = new HistoryKeeper({
      config: () => config,
      configHash: () => "0".repeat(64),
      audit: {
        append: (entry) => {
          entries.push(entry);
          return Promise.resolve();
        },
      },
      onRecovered: null,
      onRemoved: removed.resolve,
      after: (_, run) => {
        timers.push(run);
        return () => {};
      },
      wallNow: () => NOON + 10 * DAY,
      version: "1.0.0",
      log: log("store"),
    });
    keeper.keepInOrder();
    timers[0]?.();
    assert.deepEqual(await removed.promise, ids);
    const lists = entries.flatMap((entry) =>
      entry.kind === "request"
        ? [entry.arguments as { scans: number; ids: string[] }]
        : []
    );
    assert.deepEqual(lists.map((list) => list.ids.length), [64, 64, 2]);
    assert.deepEqual(lists.map(({ scans }) => scans), [130, 130, 130]);
    assert.deepEqual(lists.flatMap((list) => list.ids), ids);
    assert.deepEqual(
      entries.map(({ kind }) => kind),
      ["request", "decision", "request", "decision", "request", "decision"],
    );
    const store = await keeper.store();
    const { items } = await store.listScans({ tenant: "default" }, {
      limit: 9,
    });
    assert.deepEqual(items.map(({ id }) => id), ["young"]);
  }));
