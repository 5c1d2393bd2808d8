/**
 * API keys: made once, shown once, kept as a sum, checked at every call.
 *
 * One message answers an unknown, a wrong, an expired and a revoked key, and the same work is done for
 * each: one look-up, one HMAC, two comparisons. So an answer tells nobody which ids exist.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { shown } from "@/tools/field.ts";
import { cleanText } from "@/tools/untrusted.ts";
import type { KeyMac } from "./key_mac.ts";
import {
  type KeyChange,
  type KeyRow,
  type KeyRows,
  RecentKeys,
} from "./key_rows.ts";
import {
  isKeyId,
  newKeyId,
  newKeyText,
  parseKeyText,
  type Random,
} from "./key_text.ts";
import {
  keySubject,
  type Principal,
  type Role,
  ROLES,
  type Scope,
  SCOPES,
} from "./principal.ts";

/** Longest name of a key, in UTF-16 code units. */
export const KEY_NAME_LENGTH_MAX = 64;

/** Shortest and longest life of a key, and longest overlap of a rotation, in seconds. */
export const LIFE_SECONDS_MIN = 60;
export const LIFE_SECONDS_MAX = 315_360_000;
export const OVERLAP_SECONDS_MAX = 2_592_000;

/** How often the last use of a key is written at most, and how many such writes may be under way. */
const USE_EVERY_MS = 60_000;
const USES_MAX = 32;
const USES_KNOWN_MAX = 4_096;

/** The one answer to a key that does not hold. */
const REFUSED =
  "Cannot accept the API key: it is unknown, wrong, expired or revoked; ask whoever runs the server " +
  "for a new one (deno task keys create)";

/** The answer to a text that anybody could tell from a key. */
const MALFORMED =
  "Cannot accept the API key: it is not whole, since its checksum does not fit; copy it again, from " +
  "smk_ to its last character";

/** A key without its secret. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly Role[];
  readonly scopes: readonly Scope[] | null;
  /** Times in milliseconds since the epoch. */
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

/** What a new key is made of: untrusted, and checked here. */
export interface NewApiKey {
  /** From `newId()`, for whoever records the id before the key is made. */
  readonly id?: string;
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** @default null */
  readonly scopes?: readonly string[] | null;
  /** Seconds it is good for; null for ever. @default null */
  readonly expiresInSeconds?: number | null;
}

/** A key that was made or got another secret, which is shown this once. */
export interface IssuedKey {
  readonly key: ApiKey;
  readonly secret: string;
}

/** What {@linkcode ApiKeys} needs. */
export interface ApiKeysOptions {
  readonly rows: KeyRows;
  readonly mac: KeyMac;
  /** The tenants of the moment, {@linkcode HOUSE} among them. */
  readonly tenants: () => ReadonlySet<string>;
  readonly random: Random;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
  /** Hears what went wrong beside a call. */
  readonly onWarning: (message: string, cause: unknown) => void;
}

/** Makes, checks, rotates, revokes and lists API keys. */
export class ApiKeys {
  readonly #options: ApiKeysOptions;
  readonly #recent: RecentKeys;
  /** When a key's use was last written, by the wall clock. */
  readonly #used = new Map<string, number>();
  readonly #writes = new Set<Promise<void>>();

  /** @param options Where keys are kept, clocks and randomness. */
  constructor(options: ApiKeysOptions) {
    this.#options = options;
    const { rows, now } = options;
    this.#recent = new RecentKeys({ find: (id) => rows.findKey(id), now });
  }

  /**
   * Checks a key.
   *
   * @param text What a caller sent.
   * @returns Who it is.
   * @throws {AppError} `unauthenticated`; what the store throws if it cannot be asked.
   */
  async verify(text: string): Promise<Principal> {
    const id = parseKeyText(text);
    if (id === null) throw new AppError("unauthenticated", MALFORMED);
    const remembered = this.#recent.remembered(id);
    let row = remembered ?? await this.#recent.find(id);
    const sum = this.#options.mac.sum(text);
    if (remembered !== null && !this.#matches(remembered, sum)) {
      // Another process may have given the key another secret in these seconds.
      row = await this.#recent.findAnew(id);
    }
    const nowMs = this.#options.wallNow();
    const matches = this.#matches(row, sum);
    if (
      !matches || row === null || row.revokedAt !== null ||
      (row.expiresAt ?? Infinity) <= nowMs ||
      !this.#options.tenants().has(row.tenant)
    ) throw refusal(row);
    this.#noteUse(row, nowMs);
    return principalOf(row);
  }

  /**
   * Makes an id for a key that is to be made.
   *
   * @returns The id.
   */
  newId(): string {
    return newKeyId(this.#options.random);
  }

  /**
   * Makes a key.
   *
   * @param asked What it is made of.
   * @param by The subject of whoever asks.
   * @returns The key and its secret, which nobody can show again.
   * @throws {AppError} `invalid_arguments`; `conflict` or `quota_exceeded` of the store.
   */
  async create(asked: NewApiKey, by: string): Promise<IssuedKey> {
    const { rows, mac, random, wallNow } = this.#options;
    const checked = checkNewKey(asked, this.#options.tenants());
    const id = asked.id ?? this.newId();
    const secret = newKeyText(id, random);
    const createdAt = wallNow();
    const life = asked.expiresInSeconds ?? null;
    const row: KeyRow = {
      id,
      ...checked,
      digest: mac.sum(secret),
      previousDigest: null,
      previousUntil: null,
      createdAt,
      createdBy: by,
      expiresAt: life === null ? null : createdAt + life * 1_000,
      lastUsedAt: null,
      revokedAt: null,
    };
    await rows.createKey(row);
    this.#recent.forget(id);
    return { key: viewOf(row), secret };
  }

  /**
   * Gives a key another secret. Its end stays what it was.
   *
   * @param id The key's id.
   * @param options Whose keys may be touched (null: everybody's), how long the old secret holds, who
   * asks, and what throws if the caller may not hold such a key: it is handed the secret, and counts as
   * the key's maker from then on.
   * @returns The key and its new secret.
   * @throws {AppError} `not_found`; `conflict` if it is revoked or expired; `invalid_arguments`.
   */
  async rotate(
    id: string,
    options: {
      readonly tenant: string | null;
      readonly overlapSeconds: number;
      /** The subject of whoever asks, who knows the secret from then on. */
      readonly by: string;
      readonly check?: (key: ApiKey) => void;
    },
  ): Promise<IssuedKey> {
    const { mac, random, wallNow } = this.#options;
    const seconds = options.overlapSeconds;
    if (
      !Number.isInteger(seconds) || seconds < 0 || seconds > OVERLAP_SECONDS_MAX
    ) {
      throw new AppError(
        "invalid_arguments",
        `Cannot rotate the key: the overlap has to be 0 to ${OVERLAP_SECONDS_MAX} seconds`,
      );
    }
    const row = await this.#own(id, options.tenant);
    options.check?.(viewOf(row));
    const nowMs = wallNow();
    if (row.revokedAt !== null || (row.expiresAt ?? Infinity) <= nowMs) {
      throw new AppError(
        "conflict",
        "Cannot rotate the key: it is revoked or expired; create a new one",
      );
    }
    const secret = newKeyText(id, random);
    const after = await this.#change(row, {
      digest: mac.sum(secret),
      previousDigest: seconds === 0 ? null : row.digest,
      previousUntil: seconds === 0 ? null : nowMs + seconds * 1_000,
      // A key that rotates itself learns nothing that it did not know.
      ...options.by === `key:${id}` ? {} : { createdBy: options.by },
    });
    return { key: viewOf(after), secret };
  }

  /**
   * Revokes a key for good. In this process it holds for no call from then on.
   *
   * @param id The key's id.
   * @param options Whose keys may be touched; null for everybody's.
   * @returns The key.
   * @throws {AppError} `not_found`.
   */
  async revoke(
    id: string,
    options: { readonly tenant: string | null },
  ): Promise<ApiKey> {
    const row = await this.#own(id, options.tenant);
    if (row.revokedAt !== null) return viewOf(row);
    const change = { revokedAt: this.#options.wallNow() };
    return viewOf(await this.#change(row, change));
  }

  /**
   * Lists keys, newest first.
   *
   * @param tenant Whose; null for everybody's.
   * @returns The keys, the revoked ones among them.
   */
  async list(tenant: string | null): Promise<readonly ApiKey[]> {
    return (await this.#options.rows.listKeys(tenant)).map(viewOf);
  }

  /**
   * Tells whether a key that was good is so still.
   *
   * @param id The key's id.
   * @returns Whether it is there, neither revoked nor expired, and its tenant known.
   */
  async isGood(id: string): Promise<boolean> {
    const { rows, tenants, wallNow } = this.#options;
    const row = await rows.findKey(id);
    return row !== null && row.revokedAt === null &&
      (row.expiresAt ?? Infinity) > wallNow() && tenants().has(row.tenant);
  }

  /** Waits until the last uses are written. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes);
  }

  /** Both comparisons are made for every key, that of no row too. */
  #matches(row: KeyRow | null, sum: string): boolean {
    const { mac, wallNow } = this.#options;
    const present = mac.equal(sum, row?.digest ?? null);
    const previous = mac.equal(sum, row?.previousDigest ?? null);
    return present || (previous && (row?.previousUntil ?? 0) > wallNow());
  }

  async #own(id: string, tenant: string | null): Promise<KeyRow> {
    const row = isKeyId(id) ? await this.#options.rows.findKey(id) : null;
    if (row !== null && (tenant === null || row.tenant === tenant)) return row;
    throw new AppError(
      "not_found",
      `Cannot find the key ${shown(id)}: list the keys for those that are kept`,
    );
  }

  async #change(row: KeyRow, change: KeyChange): Promise<KeyRow> {
    try {
      return await this.#options.rows.updateKey(row.id, change);
    } finally {
      // Even a change that failed may have reached the database.
      this.#recent.forget(row.id);
    }
  }

  /** Nobody waits for it, and a fault of it refuses nobody. */
  #noteUse({ id, lastUsedAt }: KeyRow, nowMs: number): void {
    const last = Math.max(lastUsedAt ?? 0, this.#used.get(id) ?? 0);
    if (nowMs - last < USE_EVERY_MS || this.#writes.size >= USES_MAX) return;
    this.#used.delete(id);
    if (this.#used.size >= USES_KNOWN_MAX) this.#used.clear();
    this.#used.set(id, nowMs);
    const write = this.#writeUse(id, nowMs)
      .finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }

  async #writeUse(id: string, nowMs: number): Promise<void> {
    const { rows, onWarning } = this.#options;
    try {
      await rows.updateKey(id, { lastUsedAt: nowMs });
    } catch (cause) {
      onWarning("the last use of an API key could not be written", cause);
    }
  }
}

/** The log may say which it was. */
function refusal(row: KeyRow | null): AppError {
  const detail = row === null ? "no such key" : `key ${row.id} does not hold`;
  return new AppError("unauthenticated", REFUSED, { detail });
}

function checkNewKey(
  { id, name, tenant, roles, scopes = null, expiresInSeconds }: NewApiKey,
  tenants: ReadonlySet<string>,
): Pick<KeyRow, "name" | "tenant" | "roles" | "scopes"> {
  const refuse = (why: string) =>
    new AppError("invalid_arguments", `Cannot make the key: ${why}`);
  if (id !== undefined && !isKeyId(id)) throw refuse("its id is none");
  const clean = cleanText(name, { lengthMax: KEY_NAME_LENGTH_MAX });
  if (name === "" || clean !== name) {
    throw refuse(
      `its name has to be 1 to ${KEY_NAME_LENGTH_MAX} printable characters`,
    );
  }
  if (!tenants.has(tenant)) {
    throw refuse(
      `${shown(tenant)} is no tenant; add it to identity.tenants first`,
    );
  }
  const known = (words: readonly string[], all: readonly string[]) =>
    words.length > 0 && words.every((word) => all.includes(word));
  if (!known(roles, ROLES)) {
    throw refuse(`it needs one or more of the roles ${ROLES.join(", ")}`);
  }
  if (scopes !== null && !known(scopes, SCOPES)) {
    throw refuse(
      `its scopes have to be of ${
        SCOPES.join(", ")
      }; without any, its roles alone decide`,
    );
  }
  const life = expiresInSeconds ?? LIFE_SECONDS_MIN;
  if (
    !Number.isInteger(life) || life < LIFE_SECONDS_MIN ||
    life > LIFE_SECONDS_MAX
  ) {
    throw refuse(
      `it has to be good for ${LIFE_SECONDS_MIN} to ${LIFE_SECONDS_MAX} seconds, or for ever`,
    );
  }
  return {
    name,
    tenant,
    roles: rolesAmong(roles),
    scopes: scopes === null ? null : scopesAmong(scopes),
  };
}

function principalOf(row: KeyRow): Principal {
  return Object.freeze({
    kind: "key",
    subject: keySubject(row.id),
    client: row.name,
    tenant: row.tenant,
    roles: new Set(rolesAmong(row.roles)),
    scopes: row.scopes === null ? null : new Set(scopesAmong(row.scopes)),
    ...(row.expiresAt === null ? {} : { expiresAt: row.expiresAt }),
  });
}

function viewOf(row: KeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    tenant: row.tenant,
    roles: rolesAmong(row.roles),
    scopes: row.scopes === null ? null : scopesAmong(row.scopes),
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    expiresAt: row.expiresAt,
    lastUsedAt: row.lastUsedAt,
    revokedAt: row.revokedAt,
  };
}

/**
 * Picks the roles among words, each once and in their order.
 *
 * @param words Any words.
 * @returns Those that are roles.
 */
export function rolesAmong(words: readonly string[]): readonly Role[] {
  return ROLES.filter((role) => words.includes(role));
}

/**
 * Picks the scopes among words, each once and in their order.
 *
 * @param words Any words.
 * @returns Those that are scopes.
 */
export function scopesAmong(words: readonly string[]): readonly Scope[] {
  return SCOPES.filter((scope) => words.includes(scope));
}
