/**
 * The full-text index: the one table that the two databases do not have in common.
 *
 * @module
 */
import { type RawBuilder, sql, type SqlBool } from "kysely";
import type { Link, Write } from "./link.ts";
import { fts5Query, type Term, tsQuery, tsVector } from "./words.ts";

/** A document of the index. */
export interface Document {
  /** The port's id. */
  readonly id: number;
  readonly words: readonly string[];
  readonly labels: readonly string[];
}

/** Documents that PostgreSQL looks through before it asks its index. */
const NEWEST = 5_000;

/** Documents of one statement. */
const BATCH = 100;

/**
 * Puts documents into the index.
 *
 * @param link Which database.
 * @param write The transaction.
 * @param documents The documents; none of them may be in it.
 */
export async function addTexts(
  link: Link,
  write: Write,
  documents: readonly Document[],
): Promise<void> {
  for (let at = 0; at < documents.length; at += BATCH) {
    const rows = documents.slice(at, at + BATCH).map(
      ({ id, words, labels }) =>
        link.kind === "sqlite"
          ? sql`(${id}, ${words.join(" ")}, ${labels.join(" ")})`
          : sql`(${id}, ${tsVector(words, labels)}::tsvector)`,
    );
    const columns = sql.raw(
      link.kind === "sqlite" ? "rowid, text, labels" : "id, doc",
    );
    await sql`insert into texts (${columns}) values ${sql.join(rows)}`
      .execute(write);
  }
}

/**
 * Takes documents out of the index.
 *
 * @param link Which database.
 * @param write The transaction.
 * @param ids Their ids.
 */
export async function removeTexts(
  link: Link,
  write: Write,
  ids: readonly number[],
): Promise<void> {
  const key = keyOf(link);
  for (let at = 0; at < ids.length; at += BATCH) {
    const some = ids.slice(at, at + BATCH);
    await sql`delete from texts where ${key} in (${sql.join(some)})`
      .execute(write);
  }
}

/** The name of the column with the id. */
export function keyOf(link: Link): RawBuilder<number> {
  return sql.raw(link.kind === "sqlite" ? "texts.rowid" : "texts.id");
}

/** What has to be there. */
export interface Query {
  /** At least one. */
  readonly terms: readonly Term[];
  readonly labels: readonly string[];
  /** Labels of which one is enough; none if it does not matter. */
  readonly anyLabel: readonly string[];
  /** A label that must not be there, or null. */
  readonly notLabel: string | null;
}

/** Documents by their ids. */
export interface IdRange {
  /** The smallest id. */
  readonly from: number;
  /** Behind the greatest. */
  readonly to: number;
  /** A query that gives the only ids that are meant, which are few. */
  readonly few: RawBuilder<unknown> | null;
}

/** A place to find documents in. */
export interface Source {
  /** Behind FROM: a table or a query that is named `texts`. */
  readonly from: RawBuilder<unknown>;
  /** What has to hold of its rows. */
  readonly where: RawBuilder<SqlBool>;
}

/**
 * Says where to look for documents, one place after the other, until there are enough of them.
 *
 * SQLite's index gives them by id, newest first, and stops where it is told to. PostgreSQL's gives all
 * of them, in no order, and its planner cannot tell which words stand close together: it would rather
 * read a million documents backwards than sort the few that are meant. So the newest are looked
 * through first, which is enough for a word that is anywhere near frequent, and the index is asked for
 * the others.
 *
 * @param link Which database.
 * @param query What has to be there.
 * @param range Which documents.
 * @returns The places. The last one has everything.
 */
export function sourcesOf(
  link: Link,
  query: Query,
  { from, to, few }: IdRange,
): readonly Source[] {
  const key = keyOf(link);
  const within = sql<SqlBool>`${key} >= ${from} and ${key} < ${to} and ${
    few === null ? sql`true` : sql`${key} in (${few})`
  }`;
  if (link.kind === "sqlite") {
    const where = sql<SqlBool>`texts match ${ftsText(query)} and ${within}`;
    return [{ from: sql`texts`, where }];
  }
  const matches = sql<SqlBool>`texts.doc @@ ${tsText(query)}::tsquery`;
  // Each offset keeps the planner from making one question of both.
  const newest: Source = {
    from: sql`(select id, doc from texts where ${within}
      order by id desc limit ${NEWEST} offset 0) as texts`,
    where: matches,
  };
  if (few !== null) return [newest];
  return [newest, {
    from: sql`(select id from (select id from texts
      where ${matches} and ${within} offset 0) as found
      order by id desc) as texts`,
    where: sql<SqlBool>`true`,
  }];
}

function ftsText({ terms, labels, anyLabel, notLabel }: Query): string {
  const any = anyLabel.map((label) => `"${label}"`).join(" OR ");
  const text = fts5Query(terms, labels) +
    (any === "" ? "" : ` AND {labels} : (${any})`);
  return notLabel === null ? text : `(${text}) NOT {labels} : "${notLabel}"`;
}

function tsText({ terms, labels, anyLabel, notLabel }: Query): string {
  const any = anyLabel.map((label) => `'${label}'`).join(" | ");
  const text = tsQuery(terms, labels) + (any === "" ? "" : ` & (${any})`);
  return notLabel === null ? text : `${text} & !'${notLabel}'`;
}
