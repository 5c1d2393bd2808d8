/**
 * What the process refuses to start with.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { refuseTooWide, tooWide } from "@/isolate/own_grant.ts";
import { verifies } from "../../requirements.ts";

const RULES = { net: false, unwritable: ["/app/src", "/app/config"] } as const;

/** Answers like Deno where the listed descriptors are granted, written as `name` or `name=value`. */
function granting(...granted: string[]) {
  return (descriptor: Deno.PermissionDescriptor): Deno.PermissionState => {
    const { name, ...rest } = descriptor;
    const value = Object.values(rest).find((part) => part !== undefined);
    const asked = value === undefined ? name : `${name}=${String(value)}`;
    return granted.includes(asked) || granted.includes(name)
      ? "granted"
      : "prompt";
  };
}

const CASES: readonly (readonly [string, readonly string[]])[] = [
  ["run", ["--allow-run"]],
  ["run=sh", ["--allow-run=sh"]],
  ["run=/bin/sh", ["--allow-run=/bin/sh"]],
  ["run=bash", ["--allow-run=bash"]],
  ["run=/usr/bin/env", ["--allow-run=/usr/bin/env"]],
  ["run=deno", ["--allow-run=deno"]],
  ["run=/usr/bin/python3", ["--allow-run=/usr/bin/python3"]],
  ["net", ["--allow-net"]],
  ["net=127.0.0.1", ["--allow-net=127.0.0.1"]],
  ["read", ["--allow-read"]],
  ["read=/", ["--allow-read"]],
  ["write", ["--allow-write"]],
  ["write=/", ["--allow-write"]],
  ["write=/app/src", ["--allow-write of the program's own files"]],
  ["write=/app/config", ["--allow-write of the program's own files"]],
  ["env", ["--allow-env"]],
  ["sys", ["--allow-sys"]],
  ["env=LD_PRELOAD", ["--allow-env=LD_PRELOAD"]],
  ["run=curl", ["--allow-run=curl"]],
  ["net=10.0.0.1", ["--allow-net=10.0.0.1"]],
  ["ffi", ["--allow-ffi"]],
  ["import", ["--allow-import"]],
];

Deno.test("tooWide() names each flag that is wider than written", () => {
  for (const [granted, expected] of CASES) {
    assert.deepEqual(tooWide(RULES, granting(granted)), expected, granted);
  }
});

Deno.test("tooWide() finds nothing in the flags of the task", () => {
  const query = granting(
    "run=nmap",
    "run=/usr/bin/nmap",
    "read=/app/src",
    "write=/app/state",
    "env=PATH",
    "sys=loadavg",
  );
  assert.deepEqual(tooWide(RULES, query), []);
});

Deno.test("tooWide() lets a command that listens have its own address, and no more", () => {
  const rules = { ...RULES, net: true };
  assert.deepEqual(tooWide(rules, granting("net=127.0.0.1")), []);
  assert.deepEqual(tooWide(rules, granting("net")), ["--allow-net"]);
});

Deno.test("refuseTooWide() names every flag and the way out", () => {
  verifies("isolate.wider_grant_fails_start");
  assert.doesNotThrow(() => refuseTooWide(RULES, granting()));
  assert.throws(
    () => refuseTooWide(RULES, granting("run", "net", "ffi")),
    (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "internal");
      assert.equal(
        error.message,
        "Cannot start: the process has more rights than it needs (--allow-run, --allow-net, --allow-ffi); " +
          "start it with the flags of its task in deno.json",
      );
      return true;
    },
  );
});
