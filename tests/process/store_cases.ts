/**
 * What the cases of the store's suite are made of: stores, scans, reports.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AppError } from "@/error/app_error.ts";
import type { Migration } from "@/store/migrations.ts";
import { openStore } from "@/store/open.ts";
import type { Page } from "@/store/scan_record.ts";
import type { NewScan } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import type { HostReport, HostsReport, PortReport } from "@/tools/report.ts";
import type { Place } from "./store_child.ts";

/** A moment; the clock of the stores stands there unless a test moves it. */
export const NOON = 1_800_000_000_000;

/** Whose everything is unless a case says otherwise. */
export const HOUSE = "default";

/** A database of one case. */
export interface Bench extends Place {
  /** Opens it. */
  open(options?: OpenOptions): Promise<Store>;
  /** Runs SQL behind the store's back. */
  tamper(sql: string): Promise<void>;
  /** Opens it in a way that can lose its locks. */
  openApart(): Promise<Apart>;
}

/** A store that others can be made to take for dead although it lives. */
export interface Apart extends AsyncDisposable {
  readonly store: Store;
  /** Takes its locks away; when this resolves they are free. */
  lose(): Promise<void>;
  /** Lets it reach the database again. */
  mend(): void;
}

/** Most milliseconds of one case: the slowest takes about twenty seconds. */
const CASE_MS = 120_000;

/**
 * Runs a case and fails it when the time is up: a case that hangs would keep all others waiting.
 *
 * @param name Its name.
 * @param run The case.
 */
export async function inTime(
  name: string,
  run: () => Promise<void>,
): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`Cannot wait for "${name}": time is up`)),
    CASE_MS,
  );
  try {
    await Promise.race([run(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** How a case opens a store. */
export interface OpenOptions {
  readonly now?: () => number;
  readonly program?: string;
  readonly migrations?: readonly Migration[];
}

/** One case, run on each database. */
export interface Case {
  readonly name: string;
  readonly run: (place: Bench) => Promise<void>;
}

/**
 * Makes the way to open a store.
 *
 * @param place Where it is.
 * @returns A function that opens it.
 */
export function opener(
  { url, folder }: Place,
): (options?: OpenOptions) => Promise<Store> {
  return ({ now = () => NOON, program = "1.0.0", migrations } = {}) =>
    openStore(url, {
      folder,
      program,
      now,
      ...migrations === undefined ? {} : { migrations },
    });
}

/**
 * Makes a scan.
 *
 * @param id Its id.
 * @param change What is not as usual.
 * @returns The scan.
 */
export function newScan(id: string, change: Partial<NewScan> = {}): NewScan {
  return {
    id,
    tenant: HOUSE,
    tool: "nmap",
    request: { target: "10.0.0.1" },
    target: "10.0.0.1",
    queuedAt: NOON,
    traceId: "0123456789abcdef0123456789abcdef",
    ...change,
  };
}

/** Makes an open port. */
export function port(
  number: number,
  change: Partial<PortReport> = {},
): PortReport {
  return { port: number, protocol: "tcp", state: "open", ...change };
}

/** Makes a host that is up. */
export function host(
  address: string,
  ports: PortReport[],
  change: Partial<HostReport> = {},
): HostReport {
  return { address, status: "up", ports, ...change };
}

/** Makes a report of hosts. */
export function report(
  hosts: HostReport[],
  change: Partial<HostsReport> = {},
): HostsReport {
  return {
    kind: "hosts",
    partial: false,
    hosts,
    totals: { up: hosts.length, down: 0, total: hosts.length },
    tool_version: "7.93",
    ...change,
  };
}

/**
 * Makes a scan that is over.
 *
 * @param store Where.
 * @param id Its id.
 * @param hosts What it found.
 * @param change What is not as usual; `at` is when it ended.
 */
export async function scanned(
  store: Store,
  id: string,
  hosts: HostReport[],
  { at = NOON, ...change }: Partial<NewScan> & { at?: number } = {},
): Promise<void> {
  await store.createScan(newScan(id, { queuedAt: at, ...change }));
  await store.updateScan(id, { status: "running", startedAt: at });
  await store.finishScan(id, {
    status: "succeeded",
    finishedAt: at,
    report: report(hosts),
  });
}

/** Asserts a refusal: code and message together. */
export async function refused(
  work: Promise<unknown>,
  code: string,
  message: RegExp,
): Promise<void> {
  await assert.rejects(work, (thrown: AppError) => {
    assert.match(`${thrown.code}: ${thrown.message}`, message);
    assert.equal(thrown.code, code, thrown.detail ?? thrown.message);
    assert.match(thrown.message, /^Cannot /);
    return true;
  });
}

/** Reads a list page by page. */
export async function all<T>(
  next: (page: { cursor: string | null; limit: number }) => Promise<Page<T>>,
  limit: number,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < 10_000; pages++) {
    const page: Page<T> = await next({ cursor, limit });
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    cursor = page.next;
    if (cursor === null) return items;
    assert.ok(page.items.length > 0, "a page that goes on is not empty");
  }
  throw new Error("Cannot read the list: it has no end");
}
