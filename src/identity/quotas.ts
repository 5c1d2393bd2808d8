/**
 * How much each tenant may have scanned an hour.
 *
 * What a scan will take is reserved before it is recorded, all of it or nothing, and counts at once: so
 * that many requests at the same time get no more than the quota holds. It becomes used with
 * `commit()`, and the hour begins to run then; a reservation that is disposed of without it gives
 * everything back. How much processor time a scanner takes is not known before it has ended. It is charged
 * then, so a tenant may go over that quota by what its last scans took, and gets no new scan until it is
 * below.
 *
 * All is counted, also where no limit is set: a limit that is set later finds what was used before.
 * Counts are of this process, and begin anew with it.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { SlidingHour } from "./sliding_hour.ts";

/** What one tenant may take. 0 sets no bound. */
export interface QuotaLimits {
  readonly scans_per_hour: number;
  /** Addresses. */
  readonly targets_per_hour: number;
  /** Seconds on a processor, of scanners and their sandboxes. */
  readonly cpu_seconds_per_hour: number;
  /** Of masscan, as planned. */
  readonly packets_per_hour: number;
  /** Kept by the permits; here for those who look. */
  readonly concurrent_scans: number;
}

/** What a scan will take. */
export interface Takes {
  readonly scans: number;
  /** Addresses. */
  readonly targets: number;
  /** Packets that masscan will send; 0 for the other tools. */
  readonly packets: number;
}

/** A quota and what is used of it. */
export interface QuotaUse {
  readonly name: keyof QuotaLimits;
  /** Null for no bound. */
  readonly limit: number | null;
  /** With what is reserved. */
  readonly used: number;
  /** Seconds until some of it comes back; 0 where nothing will by time alone. */
  readonly resetSeconds: number;
}

/** What {@linkcode Quotas} works with. */
export interface QuotasOptions {
  readonly limits: QuotaLimits;
  /** Every tenant. */
  readonly tenants: readonly string[];
  /** How many scans of a tenant run now. */
  readonly running: (tenant: string) => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

type Hourly = keyof Takes | "cpuSeconds";

/** The hourly quotas: what each counts, and in which words. */
const HOURLY = {
  scans: { name: "scans_per_hour", unit: "scans" },
  targets: { name: "targets_per_hour", unit: "addresses" },
  packets: { name: "packets_per_hour", unit: "packets" },
  cpuSeconds: { name: "cpu_seconds_per_hour", unit: "processor seconds" },
} as const satisfies Record<
  Hourly,
  { readonly name: keyof QuotaLimits; readonly unit: string }
>;

const TAKEN = ["scans", "targets", "packets"] as const satisfies Hourly[];

/** Seconds without which no scan begins; how many it will take nobody knows. */
const CPU_SECONDS_LEAST = 0.001;

/** Seconds told to a caller whose tenant holds all of a quota by scans that have still to start. */
const RESERVED_RETRY_SECONDS = 60;

/** One tenant's hour. */
class Account {
  readonly used: Readonly<Record<Hourly, SlidingHour>> = {
    scans: new SlidingHour(),
    targets: new SlidingHour(),
    packets: new SlidingHour(),
    cpuSeconds: new SlidingHour(),
  };
  readonly reserved: Record<Hourly, number> = {
    scans: 0,
    targets: 0,
    packets: 0,
    cpuSeconds: 0,
  };

  /** What a quota is short of: used and reserved. */
  taken(quota: Hourly, now: number): number {
    return this.used[quota].used(now) + this.reserved[quota];
  }
}

/** What a scan took of its tenant's quotas, until it is known whether it counts. */
export class Reservation implements Disposable {
  readonly #account: Account;
  readonly #takes: Takes;
  readonly #now: () => number;
  #open = true;

  /**
   * Not for callers: use {@linkcode Quotas.reserve}.
   *
   * @param account Where it is reserved already.
   * @param takes What is.
   * @param now Monotonic milliseconds.
   */
  constructor(account: Account, takes: Takes, now: () => number) {
    this.#account = account;
    this.#takes = { ...takes };
    this.#now = now;
  }

  /** Makes it used, from now on for an hour. Any call after the first, or after the end, does nothing. */
  commit(): void {
    const now = this.#now();
    if (!this.#settle()) return;
    for (const quota of TAKEN) {
      this.#account.used[quota].add(this.#takes[quota], now);
    }
  }

  /** Gives back what was not committed. */
  [Symbol.dispose](): void {
    this.#settle();
  }

  #settle(): boolean {
    if (!this.#open) return false;
    this.#open = false;
    for (const quota of TAKEN) {
      this.#account.reserved[quota] -= this.#takes[quota];
    }
    return true;
  }
}

/** The quotas of all tenants. */
export class Quotas {
  readonly #options: Pick<QuotasOptions, "running" | "now">;
  #limits: QuotaLimits;
  #accounts: ReadonlyMap<string, Account>;

  /** @param options Limits, tenants and a clock. */
  constructor(options: QuotasOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#accounts = accountsOf(options.tenants, new Map());
  }

  /** @returns Every tenant. */
  get tenants(): readonly string[] {
    return [...this.#accounts.keys()];
  }

  /**
   * Changes limits and tenants. What is used stays used; a tenant that is gone is forgotten.
   *
   * @param limits The new limits.
   * @param tenants Every tenant.
   */
  reconfigure(limits: QuotaLimits, tenants: readonly string[]): void {
    this.#limits = limits;
    this.#accounts = accountsOf(tenants, this.#accounts);
  }

  /**
   * Reserves what a scan will take: all of it or nothing.
   *
   * @param tenant Whose scan it is.
   * @param takes What it will take.
   * @returns The reservation: commit it, or dispose of it to give it back.
   * @throws {AppError} `quota_exceeded`.
   * @throws {RangeError} If an amount is no amount, or the tenant is not known: unclear means refused.
   */
  reserve(tenant: string, takes: Takes): Reservation {
    const account = this.#accounts.get(tenant);
    if (account === undefined) {
      throw new RangeError(`Cannot count for "${tenant}": it is no tenant`);
    }
    for (const quota of TAKEN) checkAmount(quota, takes[quota]);
    const now = this.#options.now();
    for (const quota of TAKEN) {
      this.#refuseIfOver(account, quota, takes[quota], now);
    }
    this.#refuseIfOver(account, "cpuSeconds", CPU_SECONDS_LEAST, now);
    for (const quota of TAKEN) account.reserved[quota] += takes[quota];
    return new Reservation(account, takes, this.#options.now);
  }

  /**
   * Counts the processor time of a scan that ended.
   *
   * @param tenant Whose scan it was. One that is not known any more is charged nothing.
   * @param seconds Seconds on a processor.
   * @throws {RangeError} If that is no time.
   */
  charge(tenant: string, seconds: number): void {
    checkAmount("cpuSeconds", seconds);
    const now = this.#options.now();
    this.#accounts.get(tenant)?.used.cpuSeconds.add(seconds, now);
  }

  /**
   * Shows what a tenant used.
   *
   * @param tenant The tenant.
   * @returns Every quota, in the order of the configuration; nothing for a tenant that is not known.
   */
  use(tenant: string): readonly QuotaUse[] {
    const account = this.#accounts.get(tenant);
    if (account === undefined) return [];
    const now = this.#options.now();
    const hourly = (quota: Hourly): QuotaUse => {
      const { name } = HOURLY[quota];
      const backIn = account.used[quota].backIn(Number.EPSILON, now) ?? 0;
      return {
        name,
        limit: this.#limits[name] || null,
        used: account.taken(quota, now),
        resetSeconds: seconds(backIn),
      };
    };
    return [
      hourly("scans"),
      hourly("targets"),
      hourly("cpuSeconds"),
      hourly("packets"),
      {
        name: "concurrent_scans",
        limit: this.#limits.concurrent_scans || null,
        used: this.#options.running(tenant),
        resetSeconds: 0,
      },
    ];
  }

  #refuseIfOver(
    account: Account,
    quota: Hourly,
    asked: number,
    now: number,
  ): void {
    const { name, unit } = HOURLY[quota];
    const limit = this.#limits[name];
    const taken = account.taken(quota, now);
    if (limit === 0 || asked === 0 || taken + asked <= limit) return;
    const asks = quota === "cpuSeconds" ? "" : ` and this scan takes ${asked}`;
    const said = `Cannot scan: ${shown(taken)} of ${limit} ${unit} of this ` +
      `tenant are used in this hour (limits.${name})${asks}`;
    if (asked > limit) {
      throw new AppError(
        "quota_exceeded",
        `${said}, more than all of them; ask for less in one scan`,
      );
    }
    const backIn = account.used[quota].backIn(taken + asked - limit, now);
    const retryAfter = backIn === null
      ? RESERVED_RETRY_SECONDS
      : seconds(backIn);
    throw new AppError(
      "quota_exceeded",
      backIn === null
        ? `${said}; part of it is reserved by scans that have still to start: retry after ` +
          `${retryAfter} s, or cancel one`
        : `${said}; enough comes back in ${retryAfter} s: retry then, or ask for less`,
      { retryAfter },
    );
  }
}

function accountsOf(
  tenants: readonly string[],
  known: ReadonlyMap<string, Account>,
): ReadonlyMap<string, Account> {
  return new Map(
    tenants.map((tenant) => [tenant, known.get(tenant) ?? new Account()]),
  );
}

function checkAmount(quota: Hourly, amount: number): void {
  if (Number.isFinite(amount) && amount >= 0) return;
  throw new RangeError(
    `Cannot count "${amount}" ${HOURLY[quota].unit}: expected a number from 0`,
  );
}

/** Whole seconds, so late that what was said is true then. */
function seconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}

/** Seconds have a tail that nobody wants to read. */
function shown(amount: number): number {
  return Math.round(amount * 10) / 10;
}
