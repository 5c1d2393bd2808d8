/**
 * What a tenant's reader of the audit log can tell of the others: nothing, not even how much they do.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AuditCursors } from "@/administration/audit_cursor.ts";
import type { Office } from "@/administration/office.ts";
import { OperatorSession } from "@/administration/operator_session.ts";
import type { AuditEntry } from "@/audit/entry.ts";
import type { AuditLine } from "@/dispatch/administration.ts";
import type { Core } from "@/dispatch/session.ts";
import { verifies } from "../../requirements.ts";
import { keyOf } from "../../support/principals.ts";
import { MemoryFiles } from "../audit/memory_files.ts";
import { openLog, request, WHO } from "../audit/samples.ts";

/** Entries of the tenant blue, with so many of the house's before each of them. */
async function logWith(others: number): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await using log = await openLog(files);
  const who = { ...WHO, tenant: "blue", subject: "key:blue" };
  for (let round = 0; round < 6; round++) {
    for (let no = 0; no < others; no++) await log.append(request(no));
    await log.append({ ...request(round), who } as AuditEntry);
  }
  return files;
}

function readerOf(
  auditFiles: MemoryFiles,
  tenant: string,
  auditCursors = new AuditCursors(),
): OperatorSession {
  const office = { auditFiles, auditCursors } as unknown as Office;
  return new OperatorSession(
    {} as Core,
    office,
    keyOf("admin", ["admin"], tenant),
    { client: "test", transport: "http", address: null },
    "0".repeat(32),
  );
}

/** All pages of two entries, and the cursors between them. */
async function pagesOf(
  reader: OperatorSession,
): Promise<readonly [lines: readonly AuditLine[], cursors: readonly string[]]> {
  const lines: AuditLine[] = [];
  const cursors: string[] = [];
  for (let cursor: string | null = null;;) {
    const { items, next } = await reader.auditEntries({}, {
      limit: 2,
      ...cursor === null ? {} : { cursor },
    });
    lines.push(...items);
    if (next === null) return [lines, cursors];
    cursors.push(next);
    cursor = next;
  }
}

Deno.test("auditEntries() shows a tenant the same however much the others do, but for the times", async () => {
  verifies("audit.no_counts");
  const seen = await Promise.all([0, 1, 17].map(async (others) => {
    const [lines, cursors] = await pagesOf(
      readerOf(await logWith(others), "blue"),
    );
    return [
      lines.map(({ time: _, ...line }) => line),
      cursors.map(({ length }) => length),
    ];
  }));
  assert.equal(seen[0]?.[0]?.length, 6);
  assert.deepEqual(seen[1], seen[0]);
  assert.deepEqual(seen[2], seen[0]);
  const text = JSON.stringify(seen);
  for (const word of ["seq", "prev", "seal"]) {
    assert.ok(!text.includes(`"${word}"`), word);
  }
});

Deno.test("auditEntries() tells whoever runs the server the numbers of the log", async () => {
  const [lines] = await pagesOf(readerOf(await logWith(1), "default"));
  const numbers = lines.map(({ seq }) => Number(seq));
  assert.deepEqual(numbers, numbers.toSorted((a, b) => b - a));
  assert.ok(numbers.length > 6 && new Set(numbers).size === numbers.length);
});

Deno.test("a cursor of the audit log says nothing, and is good for nobody else", async () => {
  verifies("audit.no_counts");
  const cursors = new AuditCursors();
  const one = await cursors.write(7, "blue");
  const again = await cursors.write(7, "blue");
  // The same number twice: whoever keeps cursors finds none again.
  assert.notEqual(one, again);
  for (const seq of [1, 7, 255, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const cursor = await cursors.write(seq, "blue");
    assert.match(cursor, /^[A-Za-z0-9_-]{48}$/);
    assert.equal(await cursors.read(cursor, "blue"), seq);
  }
  assert.equal(await cursors.read(undefined, "blue"), null);
  const altered = `${one[0] === "A" ? "B" : "A"}${one.slice(1)}`;
  const refused: readonly (readonly [string, AuditCursors, string])[] = [
    ["green", cursors, one],
    ["blue", new AuditCursors(), one],
    ["blue", cursors, altered],
    ...["", "7", "-1", one.slice(1), `${one}AAAA`, "%", "x".repeat(10_000)]
      .map((text) => ["blue", cursors, text] as const),
  ];
  for (const [tenant, reader, text] of refused) {
    await assert.rejects(reader.read(text, tenant), {
      code: "invalid_arguments",
      message: /^Cannot use "cursor": it did not come from a page of entries/,
    });
  }
});
