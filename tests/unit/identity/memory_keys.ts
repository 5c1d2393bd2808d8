/**
 * Keys in memory, and a clock, a sum and randomness that a test can see through.
 *
 * @module
 */
import { type KeyMac, loadKeyMac } from "@/identity/key_mac.ts";
import type { KeyChange, KeyRow, KeyRows } from "@/identity/key_rows.ts";
import { ApiKeys } from "@/identity/keys.ts";

/** Rows in memory. */
export class MemoryKeys implements KeyRows {
  readonly rows = new Map<string, KeyRow>();
  readonly finds: string[] = [];
  readonly changes: (readonly [string, KeyChange])[] = [];
  /** Every look-up waits for it. */
  gate: Promise<void> = Promise.resolve();
  /** Every call fails with it. */
  fault: Error | null = null;

  async createKey(row: KeyRow): Promise<void> {
    await this.#pass();
    this.rows.set(row.id, row);
  }

  async findKey(id: string): Promise<KeyRow | null> {
    this.finds.push(id);
    const row = this.rows.get(id) ?? null;
    await this.#pass();
    return row;
  }

  async listKeys(tenant: string | null): Promise<readonly KeyRow[]> {
    await this.#pass();
    return [...this.rows.values()].filter((row) =>
      tenant === null || row.tenant === tenant
    ).reverse();
  }

  async updateKey(id: string, change: KeyChange): Promise<KeyRow> {
    this.changes.push([id, change]);
    if (this.fault !== null) throw this.fault;
    const row = this.rows.get(id);
    if (row === undefined) throw new Error("no such row");
    const after = { ...row, ...change };
    this.rows.set(id, after);
    return await Promise.resolve(after);
  }

  async countKeys(): Promise<number> {
    await this.#pass();
    return this.rows.size;
  }

  async #pass(): Promise<void> {
    await this.gate;
    if (this.fault !== null) throw this.fault;
  }
}

/** Everything around API keys. */
export class KeyBench {
  readonly rows = new MemoryKeys();
  readonly tenants = new Set(["default", "red", "blue"]);
  readonly warnings: string[] = [];
  readonly sums: string[] = [];
  comparisons = 0;
  wall = Date.UTC(2026, 10, 21);
  clock = 0;
  readonly keys: ApiKeys;

  private constructor(mac: KeyMac) {
    this.keys = new ApiKeys({
      rows: this.rows,
      mac: {
        sum: (text) => {
          this.sums.push(text);
          return mac.sum(text);
        },
        equal: (one, other) => {
          this.comparisons++;
          return mac.equal(one, other);
        },
      },
      tenants: () => this.tenants,
      random: (bytes) => crypto.getRandomValues(bytes),
      wallNow: () => this.wall,
      now: () => this.clock,
      onWarning: (message) => this.warnings.push(message),
    });
  }

  /** Makes one. */
  static async make(): Promise<KeyBench> {
    return new KeyBench(await loadKeyMac(new Uint8Array(32).fill(7)));
  }

  /** Passes time on both clocks. */
  pass(ms: number): void {
    this.wall += ms;
    this.clock += ms;
  }
}
