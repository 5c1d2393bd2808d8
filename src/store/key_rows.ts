/**
 * API keys as rows. Of a secret there is a digest only, made with a key that is not in this database:
 * whoever reads the table can neither use a key nor try secrets against it.
 *
 * @module
 */
import { type Selectable, sql, type Updateable } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { Link } from "./link.ts";
import { parseLabel, storable } from "./plain_text.ts";
import type { ApiKeyTable } from "./tables.ts";
import { HOUSE_TENANT, type OfTenant, parseTenant } from "./tenant.ts";

/** Most keys that are kept, those that are good for nothing any more included. */
export const KEYS_MAX = 10_000;

/** Most of them of one tenant but the house's own: none takes every place. */
export const TENANT_KEYS_MAX = 1_000;

/** Longest text of who made a key: an issuer and a name of its own. */
const SUBJECT_LENGTH_MAX = 1_024;

const ID = /^[0-9A-Za-z_-]{1,64}$/;
const DIGEST = /^[0-9a-f]{64}$/;

/** A key as it is kept. What roles and scopes there are is known above. */
export interface StoredKey extends OfTenant {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** What it is narrowed to; null for everything that the roles allow. */
  readonly scopes: readonly string[] | null;
  /** The sum of the key: 64 hex digits, and no two keys have the same. */
  readonly digest: string;
  /** Of the secret before this one, which is good until {@linkcode StoredKey.previousUntil}. */
  readonly previousDigest: string | null;
  /** Times in milliseconds since the epoch. */
  readonly previousUntil: number | null;
  readonly createdAt: number;
  /** The subject of whoever made its secret: of the key, or of its last rotation. */
  readonly createdBy: string;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

/** What may change of a key. What is left out stays. */
export interface KeyChange {
  readonly name?: string;
  readonly digest?: string;
  readonly previousDigest?: string | null;
  readonly previousUntil?: number | null;
  readonly createdBy?: string;
  readonly expiresAt?: number | null;
  readonly lastUsedAt?: number | null;
  /** A key that is revoked stays so, since the first time, whatever is given here. */
  readonly revokedAt?: number | null;
}

/**
 * Keeps a new key.
 *
 * @param link The database.
 * @param key The key.
 * @throws {AppError} `conflict` if its id or its digest is taken; `quota_exceeded` if there are too many.
 */
export async function createKey(link: Link, key: StoredKey): Promise<void> {
  const row = rowOfKey(key);
  await link.write(async (write) => {
    const { count } = await write.selectFrom("api_keys")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    if (count >= KEYS_MAX) {
      throw new AppError(
        "quota_exceeded",
        `Cannot make another key: ${KEYS_MAX} are kept already, revoked ones included`,
      );
    }
    if (row.tenant !== HOUSE_TENANT) {
      const { own } = await write.selectFrom("api_keys")
        .select(({ fn }) => fn.countAll<number>().as("own"))
        .where("tenant", "=", row.tenant).executeTakeFirstOrThrow();
      if (own >= TENANT_KEYS_MAX) {
        throw new AppError(
          "quota_exceeded",
          `Cannot make another key: ${TENANT_KEYS_MAX} of this tenant are kept already, revoked ones included`,
        );
      }
    }
    const made = await write.insertInto("api_keys").values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returning("id").executeTakeFirst();
    if (made === undefined) throw taken(key.id);
  });
}

/** Gives a key, or null if there is none of that id. */
export async function findKey(
  link: Link,
  id: string,
): Promise<StoredKey | null> {
  const row = await link.read((db) =>
    db.selectFrom("api_keys").selectAll().where("id", "=", storable(id, 65))
      .executeTakeFirst()
  );
  return row === undefined ? null : keyOfRow(row);
}

/**
 * Lists keys, newest first.
 *
 * @param link The database.
 * @param tenant Whose; null for those of every tenant.
 * @returns All of them: there are at most {@linkcode KEYS_MAX}.
 */
export async function listKeys(
  link: Link,
  tenant: string | null,
): Promise<readonly StoredKey[]> {
  const whose = tenant === null ? null : parseTenant(tenant);
  const rows = await link.read((db) => {
    const query = db.selectFrom("api_keys").selectAll()
      .orderBy("created_at", "desc").orderBy("id", "desc")
      .limit(KEYS_MAX);
    return (whose === null ? query : query.where("tenant", "=", whose))
      .execute();
  });
  return rows.map(keyOfRow);
}

/**
 * Changes a key.
 *
 * @param link The database.
 * @param id Which.
 * @param change What changes.
 * @returns The key as it is now.
 * @throws {AppError} `not_found`; `conflict` if another key has the digest.
 */
export async function updateKey(
  link: Link,
  id: string,
  change: KeyChange,
): Promise<StoredKey> {
  const values = columnsOf(change);
  const row = await link.write(async (write) => {
    const { digest } = values;
    const other = digest === undefined
      ? undefined
      : await write.selectFrom("api_keys").select("id")
        .where("digest", "=", digest).where("id", "<>", id).executeTakeFirst();
    if (other !== undefined) throw taken(id);
    if (Object.keys(values).length === 0) {
      return await write.selectFrom("api_keys").selectAll()
        .where("id", "=", storable(id, 65)).executeTakeFirst();
    }
    const { revoked_at, ...rest } = values;
    return await write.updateTable("api_keys").set({
      ...rest,
      ...revoked_at === undefined ? {} : {
        revoked_at: sql<number | null>`coalesce(revoked_at, ${revoked_at})`,
      },
    }).where("id", "=", storable(id, 65)).returningAll().executeTakeFirst();
  });
  if (row !== undefined) return keyOfRow(row);
  throw new AppError(
    "not_found",
    "Cannot find the key: no key of that id is kept",
  );
}

/**
 * Counts the keys that are neither revoked nor expired, of every tenant.
 *
 * @param link The database.
 * @param now Milliseconds since the epoch.
 * @returns How many.
 */
export async function countKeys(link: Link, now: number): Promise<number> {
  const { count } = await link.read((db) =>
    db.selectFrom("api_keys")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .where("revoked_at", "is", null)
      .where(({ or, eb }) =>
        or([eb("expires_at", "is", null), eb("expires_at", ">", now)])
      ).executeTakeFirstOrThrow()
  );
  return count;
}

function taken(id: string): AppError {
  return new AppError(
    "conflict",
    `Cannot keep the key "${id}": there is one of this id or of this secret`,
  );
}

function rowOfKey(key: StoredKey): ApiKeyTable {
  if (!ID.test(key.id)) {
    throw new TypeError(`Cannot keep the key "${key.id}": that is no id`);
  }
  return {
    id: key.id,
    name: parseLabel(key.name, "name"),
    tenant: parseTenant(key.tenant),
    roles: JSON.stringify(key.roles),
    scopes: key.scopes === null ? null : JSON.stringify(key.scopes),
    digest: digestOf(key.digest),
    previous_digest: key.previousDigest === null
      ? null
      : digestOf(key.previousDigest),
    previous_until: whole(key.previousUntil),
    created_at: Math.round(key.createdAt),
    created_by: parseLabel(key.createdBy, "maker", SUBJECT_LENGTH_MAX),
    expires_at: whole(key.expiresAt),
    last_used_at: whole(key.lastUsedAt),
    revoked_at: whole(key.revokedAt),
  };
}

function columnsOf(change: KeyChange): Updateable<ApiKeyTable> {
  const { name, digest, previousDigest, previousUntil } = change;
  const { createdBy, expiresAt, lastUsedAt, revokedAt } = change;
  const columns: Updateable<ApiKeyTable> = {};
  if (name !== undefined) columns.name = parseLabel(name, "name");
  if (digest !== undefined) columns.digest = digestOf(digest);
  if (previousDigest !== undefined) {
    columns.previous_digest = previousDigest === null
      ? null
      : digestOf(previousDigest);
  }
  if (previousUntil !== undefined) {
    columns.previous_until = whole(previousUntil);
  }
  if (createdBy !== undefined) {
    columns.created_by = parseLabel(createdBy, "maker", SUBJECT_LENGTH_MAX);
  }
  if (expiresAt !== undefined) columns.expires_at = whole(expiresAt);
  if (lastUsedAt !== undefined) columns.last_used_at = whole(lastUsedAt);
  if (revokedAt !== undefined) columns.revoked_at = whole(revokedAt);
  return columns;
}

/** A secret that was meant to be digested first must not get here by mistake. */
function digestOf(text: string): string {
  if (DIGEST.test(text)) return text;
  throw new TypeError("Cannot keep a key: its digest is not 64 hex digits");
}

function whole(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

function keyOfRow(row: Selectable<ApiKeyTable>): StoredKey {
  return {
    id: row.id,
    name: row.name,
    tenant: row.tenant,
    roles: JSON.parse(row.roles),
    scopes: row.scopes === null ? null : JSON.parse(row.scopes),
    digest: row.digest,
    previousDigest: row.previous_digest,
    previousUntil: row.previous_until,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  };
}
