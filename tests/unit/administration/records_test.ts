/**
 * What operators do is recorded before it happens, and does not happen where it cannot be recorded.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Deed, Records } from "@/administration/records.ts";
import type { AuditEntry } from "@/audit/entry.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { AppError } from "@/error/app_error.ts";
import { verifies } from "../../requirements.ts";
import { RULES } from "../dispatch/fixtures/desk.ts";

const DEED: Deed = {
  who: {
    client: "the key admin",
    transport: "http",
    address: "192.0.2.7",
    tenant: "blue",
    subject: "key:admin",
  },
  operation: "keys",
  what: "keys/create",
  arguments: { name: "ci" },
  traceId: "e".repeat(32),
};

/** Records into a list that takes so many entries. */
function setUp(room = Number.POSITIVE_INFINITY) {
  const entries: AuditEntry[] = [];
  const steps: string[] = [];
  const records = new Records({
    audit: {
      append: (entry) => {
        if (entries.length >= room) return Promise.reject(FULL);
        entries.push(entry);
        steps.push(
          entry.kind === "decision"
            ? `${entry.outcome} ${entry.rule} ${entry.code}`
            : entry.kind,
        );
        return Promise.resolve();
      },
    },
    rules: () => rulesOf(RULES),
  });
  return { entries, steps, records };
}

const FULL = new AppError("tool_unavailable", "the disk is full");

function nothing(): void {}

Deno.test("run() records who asks for what, and that it is allowed, before it happens", async () => {
  verifies("admin.records");
  const { entries, steps, records } = setUp();
  const given = await records.run(DEED, () => void steps.push("check"), () => {
    steps.push("deed");
    return 7;
  });
  assert.equal(given, 7);
  assert.deepEqual(steps, ["request", "check", "allowed role null", "deed"]);
  const { who, traceId, operation } = DEED;
  const call = { who, operation, tool: "keys/create", traceId };
  assert.deepEqual(entries, [
    { kind: "request", ...call, arguments: { name: "ci" } },
    {
      kind: "decision",
      ...call,
      outcome: "allowed",
      rule: "role",
      target: null,
      scanId: null,
      code: null,
      message: null,
      labels: null,
      configHash: "c0ffee",
      policyHash: "0".repeat(64),
      policies: [],
    },
  ]);
});

Deno.test("run() does not do what is refused, and records it", async () => {
  const { steps, records } = setUp();
  const refusing = records.run(
    DEED,
    () => {
      throw new AppError("forbidden", "Cannot do this");
    },
    () => assert.fail("it was done"),
  );
  await assert.rejects(refusing, { code: "forbidden" });
  assert.deepEqual(steps, ["request", "refused role forbidden"]);
});

Deno.test("run() records what came of it when it fails, as an error of ours", async () => {
  const { steps, records } = setUp();
  const failing = records.run(DEED, nothing, () => {
    throw new Error("a secret of the database");
  });
  await assert.rejects(failing, (thrown) => {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, "internal");
    assert.doesNotMatch(thrown.message, /secret/);
    return true;
  });
  assert.deepEqual(steps, [
    "request",
    "allowed role null",
    "refused server internal",
  ]);
});

Deno.test("run() does nothing that cannot be recorded", async () => {
  verifies("admin.records");
  for (const room of [0, 1]) {
    const { records } = setUp(room);
    const run = () => assert.fail("it was done");
    await assert.rejects(records.run(DEED, nothing, run), FULL);
  }
});

Deno.test("run() tells of the error itself when that cannot be recorded", async () => {
  const { records } = setUp(1);
  const refusing = records.run(
    DEED,
    () => {
      throw new AppError("forbidden", "Cannot do this");
    },
    nothing,
  );
  await assert.rejects(refusing, { code: "forbidden" });
});
