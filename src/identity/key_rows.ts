/**
 * How API keys are kept: the port that the store fills, and a short memory in front of it.
 *
 * @module
 */
import type { StoredKey } from "@/store/key_rows.ts";

/** A key as it is kept: everything but its secret. Roles that this version does not know give nothing. */
export type KeyRow = StoredKey;

/** What of a key may change. */
export type KeyChange = {
  -readonly [
    K in
      | "digest"
      | "previousDigest"
      | "previousUntil"
      | "createdBy"
      | "lastUsedAt"
      | "revokedAt"
  ]?: KeyRow[K];
};

/** Keeps API keys. */
export interface KeyRows {
  /** @throws {AppError} `conflict` if there is one of that id; `quota_exceeded` if there are too many. */
  createKey(row: KeyRow): Promise<unknown>;
  findKey(id: string): Promise<KeyRow | null>;
  /** Newest first; null lists those of every tenant. */
  listKeys(tenant: string | null): Promise<readonly KeyRow[]>;
  /**
   * Changes what is given and nothing else; a key that is revoked stays so.
   *
   * @throws {AppError} `not_found`.
   */
  updateKey(id: string, change: KeyChange): Promise<KeyRow>;
  /** How many are neither revoked nor expired. */
  countKeys(): Promise<number>;
}

/** What {@linkcode RecentKeys} needs. */
export interface RecentKeysOptions {
  readonly find: (id: string) => Promise<KeyRow | null>;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
  /** How long a row is remembered. @default 3000 */
  readonly keptMs?: number;
  /** Most rows that are remembered. @default 1024 */
  readonly rowsMax?: number;
}

/** How often a look-up begins anew because a key changed meanwhile. */
const TURNS_MAX = 8;

/**
 * Remembers rows for a few seconds, so that a thousand calls a second need no thousand look-ups. What
 * this process changes it knows at once; what another process changes (`keys revoke`), after these
 * seconds. Unknown ids are not remembered: a flood of them displaces no key.
 */
export class RecentKeys {
  readonly #options: Required<RecentKeysOptions>;
  readonly #rows = new Map<string, { row: KeyRow; until: number }>();
  readonly #pending = new Map<string, Promise<KeyRow | null>>();
  /** Counts changes: what was read across one may be from before it. */
  #changes = 0;

  /** @param options How rows are found, the clock and the bounds. */
  constructor(options: RecentKeysOptions) {
    this.#options = { keptMs: 3_000, rowsMax: 1_024, ...options };
  }

  /**
   * Finds a row.
   *
   * @param id The key's id.
   * @returns The row, or null if there is none. It is never from before a change of this process.
   */
  async find(id: string): Promise<KeyRow | null> {
    return this.remembered(id) ?? await this.findAnew(id);
  }

  /**
   * Finds a row, whatever is remembered.
   *
   * @param id The key's id.
   * @returns As {@linkcode RecentKeys.find}.
   */
  async findAnew(id: string): Promise<KeyRow | null> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const changes = this.#changes;
      const row = await this.#look(id);
      if (changes === this.#changes) return row;
    }
    // Unclear means refused.
    return null;
  }

  /**
   * Gives a row without looking it up.
   *
   * @param id The key's id.
   * @returns The row, or null if it is not remembered.
   */
  remembered(id: string): KeyRow | null {
    const known = this.#rows.get(id);
    if (known === undefined) return null;
    if (known.until > this.#options.now()) return known.row;
    this.#rows.delete(id);
    return null;
  }

  /**
   * Forgets a row that was changed.
   *
   * @param id The key's id.
   */
  forget(id: string): void {
    this.#changes++;
    this.#rows.delete(id);
    this.#pending.delete(id);
  }

  #look(id: string): Promise<KeyRow | null> {
    const pending = this.#pending.get(id);
    if (pending !== undefined) return pending;
    const found = this.#read(id, this.#changes).finally(() => {
      if (this.#pending.get(id) === found) this.#pending.delete(id);
    });
    this.#pending.set(id, found);
    return found;
  }

  async #read(id: string, changes: number): Promise<KeyRow | null> {
    const { find, now, keptMs, rowsMax } = this.#options;
    const until = now() + keptMs;
    const row = await find(id);
    if (row === null || changes !== this.#changes) return row;
    if (this.#rows.size >= rowsMax) {
      const [oldest] = this.#rows.keys();
      if (oldest !== undefined) this.#rows.delete(oldest);
    }
    this.#rows.set(id, { row, until });
    return row;
  }
}
