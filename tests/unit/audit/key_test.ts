/**
 * @module
 */
import assert from "node:assert/strict";
import { fingerprint } from "@/audit/fingerprint.ts";
import { findKey, findOrMakeKey, type KeyFiles } from "@/audit/key.ts";
import { auditSettings } from "@/audit/settings.ts";

const HEX = "0f".repeat(32);

function keyFiles(
  files: Record<string, { text: string; mode: number | null }>,
): KeyFiles & { readonly files: typeof files } {
  return {
    files,
    read: (path) => Promise.resolve(files[path] ?? null),
    make(path, text) {
      files[path] = { text, mode: 0o600 };
      return Promise.resolve();
    },
  };
}

const OPTIONS = {
  secret: null,
  file: "/run/keys/audit",
  folder: "state/audit",
};

Deno.test("findKey() takes the secret before the file", async () => {
  const files = keyFiles({
    [OPTIONS.file]: { text: "ff".repeat(32), mode: 0o600 },
  });
  const key = await findKey({ ...OPTIONS, secret: HEX }, files);
  assert.deepEqual(key, {
    bytes: Uint8Array.fromHex(HEX),
    origin: "secret",
    warnings: [],
  });
  assert.equal((await findKey(OPTIONS, files))?.bytes[0], 255);
});

Deno.test("findKey() refuses a key that is none, and does not say what it is", async () => {
  const bad = [
    "",
    "CANARY",
    "0f".repeat(31),
    "0f".repeat(32) + "0",
    "zz".repeat(32),
    "0f".repeat(129),
  ];
  for (const text of bad) {
    for (const secret of [text, null]) {
      const files = keyFiles({ [OPTIONS.file]: { text, mode: 0o600 } });
      await assert.rejects(
        findKey({ ...OPTIONS, secret }, files),
        (error: Error) => {
          assert.match(
            error.message,
            /^Cannot use the key of the audit log: the .* has to hold 64 to 256 hex digits; openssl rand -hex 32 makes them$/,
          );
          assert.ok(text === "" || !error.message.includes(text));
          return true;
        },
      );
    }
  }
});

Deno.test("findKey() warns of a key beside the log and of one that others can read", async () => {
  const cases = [
    ["/run/keys/audit", "state/audit", 0o600, []],
    ["/run/keys/audit", "state/audit", 0o640, [/can be read by others/]],
    ["state/audit.key", "state/audit", 0o600, [/lies beside the log/]],
    ["state/audit/x.key", "state/audit", 0o644, [
      /lies beside the log/,
      /can be read by others/,
    ]],
    ["config/audit.key", "state/audit", 0o600, []],
    ["audit.key", "audit", 0o600, [/lies beside the log/]],
    ["/run/audit.key", "audit", 0o600, []],
  ] as const;
  for (const [file, folder, mode, expected] of cases) {
    const files = keyFiles({ [file]: { text: `${HEX}\n`, mode } });
    const warnings =
      (await findKey({ secret: null, file, folder }, files))?.warnings ?? [];
    assert.equal(
      warnings.length,
      expected.length,
      `${file}: ${warnings.join("; ")}`,
    );
    for (const [index, pattern] of expected.entries()) {
      assert.match(warnings[index] ?? "", pattern);
    }
  }
});

Deno.test("findOrMakeKey() makes 32 random bytes once", async () => {
  const files = keyFiles({});
  const made = await findOrMakeKey(OPTIONS, false, files);
  assert.equal(made.origin, "made");
  assert.equal(made.bytes.length, 32);
  assert.match(files.files[OPTIONS.file]?.text ?? "", /^[0-9a-f]{64}\n$/);
  const found = await findOrMakeKey(OPTIONS, true, files);
  assert.deepEqual([found.origin, found.bytes], ["file", made.bytes]);
  const other = await findOrMakeKey(OPTIONS, false, keyFiles({}));
  assert.notDeepEqual(other.bytes, made.bytes);
});

Deno.test("findOrMakeKey() makes no new key for a log that is there", async () => {
  await assert.rejects(findOrMakeKey(OPTIONS, true, keyFiles({})), {
    code: "invalid_arguments",
    message:
      /its key is missing; put the file of audit.key_file back, or move the folder/,
  });
});

Deno.test("findKey() says what to do when the file cannot be read", async () => {
  const failing = (error: Error): KeyFiles => ({
    read: () => Promise.reject(error),
    make: () => Promise.resolve(),
  });
  await assert.rejects(
    findKey(OPTIONS, failing(new Deno.errors.NotCapable("x"))),
    /put it below config or state, or set audit.key$/,
  );
  await assert.rejects(
    findKey(OPTIONS, failing(new Deno.errors.PermissionDenied("x"))),
    /give the server's user the right to read it$/,
  );
});

Deno.test("auditSettings() puts log and key into the state folder unless told otherwise", () => {
  assert.deepEqual(auditSettings({ state: { folder: "state" } }), {
    folder: "state/audit",
    key: { secret: null, file: "state/audit.key", folder: "state/audit" },
    limits: { checkpointEvery: 100, rotateBytes: 67_108_864, keepFiles: 0 },
  });
  const audit = {
    key_file: "/run/key",
    key: HEX,
    checkpoint_every: 7,
    rotate_bytes: 9,
    keep_files: 3,
  };
  assert.deepEqual(auditSettings({ state: { folder: "/var/s" }, audit }), {
    folder: "/var/s/audit",
    key: { secret: HEX, file: "/run/key", folder: "/var/s/audit" },
    limits: { checkpointEvery: 7, rotateBytes: 9, keepFiles: 3 },
  });
});

Deno.test("fingerprint() is the same for the same configuration and knows no secrets", async () => {
  const one = await fingerprint({
    nmap: { enabled: true },
    database: { password: "a" },
  });
  const two = await fingerprint({
    database: { password: "b" },
    nmap: { enabled: true },
  });
  const other = await fingerprint({
    nmap: { enabled: false },
    database: { password: "a" },
  });
  assert.match(one, /^[0-9a-f]{64}$/);
  assert.equal(one, two);
  assert.notEqual(one, other);
});
