/**
 * @module
 */
import assert from "node:assert/strict";
import type { KeyFiles } from "@/audit/key.ts";
import { findOrMakeIdentityKey } from "@/identity/identity_key.ts";
import { verifies } from "../../requirements.ts";

const HEX = "0f".repeat(32);
const SETTINGS = { state: { folder: "state" }, identity: { key_file: null } };
const FILE = "state/identity.key";

const none = () => Promise.resolve(false);
const some = () => Promise.resolve(true);

function disk(files: Record<string, { text: string; mode: number | null }>) {
  return {
    files,
    read: (path: string) => Promise.resolve(files[path] ?? null),
    make(path: string, text: string) {
      if (files[path] !== undefined) {
        return Promise.reject(new Deno.errors.AlreadyExists(path));
      }
      files[path] = { text, mode: 0o600 };
      return Promise.resolve();
    },
  } satisfies KeyFiles & { files: unknown };
}

Deno.test("findOrMakeIdentityKey() makes 32 random bytes once", async () => {
  verifies("identity.identity_key");
  const files = disk({});
  const made = await findOrMakeIdentityKey(SETTINGS, none, files);
  assert.deepEqual([made.made, made.bytes.length], [true, 32]);
  assert.match(files.files[FILE]?.text ?? "", /^[0-9a-f]{64}\n$/);
  const found = await findOrMakeIdentityKey(SETTINGS, some, files);
  assert.deepEqual([found.made, found.bytes], [false, made.bytes]);
  const other = await findOrMakeIdentityKey(SETTINGS, none, disk({}));
  assert.notDeepEqual(other.bytes, made.bytes);
});

Deno.test("findOrMakeIdentityKey() takes the file that another process made in this moment", async () => {
  verifies("identity.identity_key");
  const files = disk({});
  const racing = {
    ...files,
    make(path: string, text: string) {
      files.files[path] = { text: HEX, mode: 0o600 };
      return files.make(path, text);
    },
  };
  const key = await findOrMakeIdentityKey(SETTINGS, none, racing);
  assert.deepEqual([key.made, key.bytes], [false, Uint8Array.fromHex(HEX)]);
});

Deno.test("findOrMakeIdentityKey() makes no other key while API keys are stored under one", async () => {
  verifies("identity.identity_key");
  const files = disk({});
  await assert.rejects(findOrMakeIdentityKey(SETTINGS, some, files), {
    code: "invalid_arguments",
    message:
      "Cannot check API keys: the file of identity.key_file is missing, and API keys are stored under it; put the file back (with a shared database, copy it from the other host), or revoke them with deno task keys revoke and make new ones",
  });
  assert.deepEqual(files.files, {});
});

Deno.test("findOrMakeIdentityKey() takes the configured file and warns if others can read it", async () => {
  const settings = { ...SETTINGS, identity: { key_file: "config/id.key" } };
  for (
    const [mode, warnings] of [[0o600, 0], [0o640, 1], [0o604, 1], [
      null,
      0,
    ]] as const
  ) {
    const files = disk({ "config/id.key": { text: `${HEX}\n`, mode } });
    const key = await findOrMakeIdentityKey(settings, some, files);
    assert.equal(key.warnings.length, warnings, String(mode));
  }
});

Deno.test("findOrMakeIdentityKey() refuses a key that is none, and does not say what it is", async () => {
  for (
    const text of [
      "",
      "CANARY",
      "0f".repeat(31),
      "zz".repeat(32),
      "0f".repeat(129),
    ]
  ) {
    const files = disk({ [FILE]: { text, mode: 0o600 } });
    await assert.rejects(
      findOrMakeIdentityKey(SETTINGS, none, files),
      (error: Error) => {
        assert.match(
          error.message,
          /^Cannot use the identity key: the file of identity\.key_file has to hold 64 to 256 hex digits; /,
        );
        assert.ok(text === "" || !error.message.includes(text));
        return true;
      },
    );
  }
});

Deno.test("findOrMakeIdentityKey() tells what the disk says", async () => {
  const failing = (error: Error) => ({
    read: () => Promise.reject(error),
    make: () => Promise.resolve(),
  });
  for (
    const [error, remedy] of [
      [new Deno.errors.NotCapable("x"), /put it below config or state$/],
      [
        new Deno.errors.PermissionDenied("x"),
        /give the server's user the right/,
      ],
    ] as const
  ) {
    await assert.rejects(
      findOrMakeIdentityKey(SETTINGS, none, failing(error)),
      { code: "invalid_arguments", message: remedy },
    );
  }
  const full = { ...disk({}), make: () => Promise.reject(new Error("full")) };
  await assert.rejects(findOrMakeIdentityKey(SETTINGS, none, full), {
    code: "invalid_arguments",
    message: /^Cannot make the identity key: its file cannot be written; /,
    detail: "Error: full",
  });
});
