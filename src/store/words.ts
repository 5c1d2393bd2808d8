/**
 * Words for the full-text index. Both databases have a tokenizer of their own, and the two disagree
 * on `nginx/1.18.0`, on dots, on accents. So texts are taken apart here and both indexes get the
 * same words: runs of letters and digits in lower case, without accents. Both find the same then,
 * and no text of a user reaches the query language of either.
 *
 * Beside the words stand labels: the scan's tool, engagement and tags, the port, the network around
 * the address. They begin with `_`, which no word has. The index itself can then cut a search by
 * them, where a frequent word alone would have to be read to its end.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** Most UTF-16 code units of a text that are indexed: what stands further back is kept, not found. */
export const INDEXED_LENGTH_MAX = 32_768;

/** Most words of a text that are indexed. PostgreSQL numbers no more than 16,383 of them. */
const WORDS_MAX = 4_096;

/** Longest word; a longer one is found by its beginning. */
const WORD_LENGTH_MAX = 64;

/** Longest search. */
const QUERY_LENGTH_MAX = 512;

const QUERY_TERMS_MAX = 16;

/** Shortest beginning of a word that may be searched by: `a*` is a list of everything. */
const PREFIX_LENGTH_MIN = 2;

/** Words that have to follow one another. */
export interface Term {
  readonly words: readonly string[];
  /** Whether the last word may go on. */
  readonly prefix: boolean;
}

/**
 * Takes a text apart.
 *
 * @param text Any text.
 * @returns Its words in order.
 */
export function wordsOf(text: string): string[] {
  const plain = text.slice(0, INDEXED_LENGTH_MAX).normalize("NFKD")
    .replace(/\p{M}+/gu, "").toLowerCase();
  const words: string[] = [];
  for (const [word] of plain.matchAll(/[\p{L}\p{N}]+/gu)) {
    if (words.length === WORDS_MAX) break;
    words.push(word.slice(0, WORD_LENGTH_MAX).toWellFormed());
  }
  return words;
}

/**
 * Reads a search: words that all have to be there, `"words in order"`, and `begin*`.
 *
 * @param text What the caller typed.
 * @returns At least one term.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseSearch(text: string): readonly Term[] {
  if (text.length > QUERY_LENGTH_MAX) {
    throw refuse(`it has more than ${QUERY_LENGTH_MAX} characters`);
  }
  const terms: Term[] = [];
  for (const [, quoted, bare] of text.matchAll(/"([^"]*)"|([^\s"]+)/g)) {
    const term = termOf(quoted ?? bare ?? "", bare?.endsWith("*") ?? false);
    if (term !== null) terms.push(term);
  }
  if (terms.length === 0) throw refuse("it holds no letter and no digit");
  if (terms.length > QUERY_TERMS_MAX) {
    throw refuse(`it has more than ${QUERY_TERMS_MAX} terms`);
  }
  return terms;
}

/**
 * Makes a term of a text as it stands.
 *
 * @param text The text.
 * @param prefix Whether its last word may go on.
 * @returns The term, or null if the text has no word.
 */
export function termOf(text: string, prefix = false): Term | null {
  const words = wordsOf(text);
  const last = words.at(-1);
  if (last === undefined) return null;
  if (prefix && last.length < PREFIX_LENGTH_MIN) {
    throw refuse(
      `a beginning with * needs ${PREFIX_LENGTH_MIN} letters or digits`,
    );
  }
  // A word that was cut when it was indexed can only be met by its beginning.
  return { words, prefix: prefix || last.length === WORD_LENGTH_MAX };
}

/**
 * Writes a query for SQLite's FTS5.
 *
 * @param terms At least one.
 * @param labels Labels that all have to be there.
 * @returns The text behind MATCH.
 */
export function fts5Query(
  terms: readonly Term[],
  labels: readonly string[],
): string {
  const all = terms.map(({ words, prefix }) =>
    `"${words.join(" ")}"${prefix ? " *" : ""}`
  );
  const text = `{text} : (${all.join(" AND ")})`;
  if (labels.length === 0) return text;
  const cut = labels.map((label) => `"${label}"`).join(" AND ");
  return `${text} AND {labels} : (${cut})`;
}

/**
 * Writes a query for PostgreSQL.
 *
 * @param terms At least one.
 * @param labels Labels that all have to be there.
 * @returns The text of a `tsquery`.
 */
export function tsQuery(
  terms: readonly Term[],
  labels: readonly string[],
): string {
  const all = terms.map(({ words, prefix }) =>
    `(${
      words.map((word, at) =>
        `'${word}'${prefix && at === words.length - 1 ? ":*" : ""}`
      ).join(" <-> ")
    })`
  );
  return [...all, ...labels.map((label) => `'${label}'`)].join(" & ");
}

/**
 * Writes a document for PostgreSQL.
 *
 * @param words The words in order.
 * @param labels The labels.
 * @returns The text of a `tsvector`.
 */
export function tsVector(
  words: readonly string[],
  labels: readonly string[],
): string {
  return [
    ...words.map((word, at) => `'${word}':${at + 1}`),
    ...labels.map((label) => `'${label}'`),
  ].join(" ");
}

function refuse(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot search for that: ${why}; use words, "words in order" and beginnings like apach*`,
  );
}
