/**
 * Credentials on real files, sockets and processes: the identity key on the disk, an issuer that is
 * slow, huge, redirecting, rotating and down, and `deno task keys` with the flags of its task.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { findOrMakeIdentityKey } from "@/identity/identity_key.ts";
import { IssuerKeys } from "@/identity/issuer_keys.ts";
import { loadKeyMac } from "@/identity/key_mac.ts";
import { verifies } from "../requirements.ts";
import { makePair, type Pair } from "../unit/identity/issuer.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { Desk } from "./fixtures/history_commands.ts";

Deno.test("findOrMakeIdentityKey() makes one file of mode 0600, whoever races for it", async () => {
  verifies("identity.identity_key");
  await using folder = await withTempDir();
  const settings = {
    state: { folder: folder.path },
    identity: { key_file: null },
  };
  const made = await Promise.all(
    Array.from(
      { length: 20 },
      () => findOrMakeIdentityKey(settings, () => Promise.resolve(false)),
    ),
  );
  assert.equal(new Set(made.map(({ bytes }) => bytes.toHex())).size, 1);
  assert.equal(made.filter((one) => one.made).length, 1);
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder.path)) names.push(name);
  assert.deepEqual(names, ["identity.key"], "no draft is left");
  const { mode, size } = await Deno.stat(`${folder.path}/identity.key`);
  assert.deepEqual([(mode ?? 0) & 0o777, size], [0o600, 65]);
});

/** An issuer that answers as a test says. */
class Served implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  readonly origin: string;
  answer: (path: string) => Response | Promise<Response>;

  constructor(pair: Pair) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        this.asked.push(pathname);
        return await this.answer(pathname);
      },
    );
    this.origin = `http://127.0.0.1:${this.#server.addr.port}`;
    this.answer = (path) =>
      path === "/.well-known/openid-configuration"
        ? Response.json({
          issuer: this.origin,
          jwks_uri: `${this.origin}/jwks`,
        })
        : Response.json({ keys: [pair.jwk] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** The keys of an issuer that is served, on a clock of the test's own. */
function keysOf(issuer: string, timeoutMs = 5_000) {
  const warnings: string[] = [];
  const clock = { now: 0 };
  const keys = new IssuerKeys({
    issuer,
    jwksUrl: null,
    fetch,
    now: () => clock.now,
    onWarning: (_message, cause) => warnings.push(String(cause)),
    bounds: { timeoutMs, bytesMax: 262_144 },
  });
  return { keys, clock, warnings };
}

const HEADER = { alg: "ES256", kid: "k1" };

/** A body that goes on until nobody reads it; tells when that is. */
function endless(chunk: Uint8Array<ArrayBuffer>) {
  const left = Promise.withResolvers<void>();
  let bytes = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      bytes += chunk.byteLength;
      controller.enqueue(chunk);
    },
    cancel: () => left.resolve(),
  });
  return { body, left: left.promise, bytes: () => bytes };
}

Deno.test("IssuerKeys fetches from a real issuer, follows its rotation, and outlives it", async () => {
  verifies("identity.jwks");
  const [one, two] = await Promise.all([makePair("k1"), makePair("k2")]);
  const served = new Served(one);
  const { keys, clock, warnings } = keysOf(served.origin);
  assert.ok(await keys.keyOf(HEADER) instanceof CryptoKey);
  const { answer } = served;
  served.answer = (path) =>
    path === "/jwks" ? Response.json({ keys: [two.jwk] }) : answer(path);
  clock.now += 30_000;
  await keys.keyOf({ alg: "ES256", kid: "k2" });
  await assert.rejects(keys.keyOf(HEADER), {
    code: "ERR_JWKS_NO_MATCHING_KEY",
  });
  assert.equal(served.asked.length, 4);
  await served[Symbol.asyncDispose]();
  clock.now += 3_600_000;
  await keys.keyOf({ alg: "ES256", kid: "k2" });
  assert.equal(warnings.length, 1);
});

Deno.test("IssuerKeys gives a silent and a dribbling issuer up in time", async () => {
  verifies("identity.jwks");
  const pair = await makePair("k1");
  await using served = new Served(pair);
  const slow: readonly (() => Promise<() => void>)[] = [
    () => {
      const held = Promise.withResolvers<Response>();
      served.answer = () => held.promise;
      return Promise.resolve(() => held.resolve(new Response("late")));
    },
    () => {
      let timer: ReturnType<typeof setInterval> | undefined;
      served.answer = () =>
        new Response(
          new ReadableStream({
            start(controller) {
              timer = setInterval(
                () => controller.enqueue(new TextEncoder().encode(" ")),
                20,
              );
            },
            cancel: () => clearInterval(timer),
          }),
        );
      return Promise.resolve(() => clearInterval(timer));
    },
  ];
  for (const begin of slow) {
    const end = await begin();
    const { keys, warnings } = keysOf(served.origin, 200);
    const asked = Promise.all([keys.keyOf(HEADER), keys.keyOf(HEADER)]);
    await assert.rejects(asked, { code: "tool_unavailable" });
    assert.match(warnings.join(), /no answer within 200 ms/);
    end();
  }
});

Deno.test("IssuerKeys reads 256 KiB and no more, packed or not", async () => {
  verifies("identity.jwks");
  await using served = new Served(await makePair("k1"));
  const plain = endless(new Uint8Array(65_536).fill(32));
  served.answer = () => new Response(plain.body);
  const { keys, warnings } = keysOf(served.origin);
  await assert.rejects(keys.keyOf(HEADER), { code: "tool_unavailable" });
  await plain.left;
  assert.match(warnings.join(), /more than 262144 bytes/);
  assert.ok(plain.bytes() < 64 * 1_024 * 1_024, String(plain.bytes()));

  const packed = endless(new Uint8Array(65_536).fill(32));
  served.answer = () =>
    new Response(packed.body.pipeThrough(new CompressionStream("gzip")), {
      headers: { "content-encoding": "gzip" },
    });
  const other = keysOf(served.origin);
  await assert.rejects(other.keys.keyOf(HEADER), { code: "tool_unavailable" });
  await packed.left;
  assert.match(other.warnings.join(), /more than 262144 bytes/);
});

Deno.test("IssuerKeys follows redirects within the issuer's origin only, and not for ever", async () => {
  const pair = await makePair("k1");
  await using served = new Served(pair);
  await using other = new Served(pair);
  const { answer } = served;
  const to = (location: string) =>
    new Response(null, { status: 307, headers: { location } });
  served.answer = (path) => path === "/jwks" ? to("/moved") : answer(path);
  await keysOf(served.origin).keys.keyOf(HEADER);
  assert.equal(served.asked.at(-1), "/moved");
  for (
    const [location, why] of [
      [`${other.origin}/jwks`, /another origin/],
      ["/jwks", /too often/],
    ] as const
  ) {
    served.answer = (path) => path === "/jwks" ? to(location) : answer(path);
    const { keys, warnings } = keysOf(served.origin);
    await assert.rejects(keys.keyOf(HEADER), { code: "tool_unavailable" });
    assert.match(warnings.join(), why);
  }
  assert.deepEqual(other.asked, []);
});

/** The entries of the audit log of a desk that speak of keys. */
async function entriesOf(desk: Desk): Promise<Record<string, unknown>[]> {
  const { out } = await desk.run("audit", ["export"]);
  return out.trim().split("\n").map((line) => JSON.parse(line))
    .filter(({ operation }) => operation === "keys");
}

Deno.test("keys create prints the secret and nothing else, keeps its sum, and is in the audit log", async () => {
  verifies("identity.key_stored");
  await using desk = await Desk.make();
  const { code, out, err } = await desk.run("keys", [
    "create",
    ...["--name", "ci", "--role", "operator", "--role", "viewer"],
    ...["--scope", "read,scan:nmap", "--expires", "30d"],
  ]);
  assert.equal(code, 0, err);
  assert.match(out, /^smk_[0-9a-z]{16}_[0-9A-Za-z]{49}\n$/);
  const [secret, id] = [out.trim(), out.slice(4, 20)];
  assert.match(err, new RegExp(`made the key ${id} of the tenant default`));
  assert.ok(!err.includes(secret));

  const { keys } = await desk.json("keys", ["list"]);
  const [{ created_at, expires_at, ...rest }] = keys;
  assert.equal(
    Date.parse(expires_at) - Date.parse(created_at),
    30 * 86_400_000,
  );
  assert.deepEqual(rest, {
    id,
    name: "ci",
    tenant: "default",
    roles: ["viewer", "operator"],
    scopes: ["read", "scan:nmap"],
    created_by: "local",
    last_used_at: null,
    revoked_at: null,
  });

  const hex = (await Deno.readTextFile(`${desk.state}/identity.key`)).trim();
  const mac = await loadKeyMac(Uint8Array.fromHex(hex));
  using database = new DatabaseSync(`${desk.state}/scans.db`);
  const row = database.prepare("select digest from api_keys").get();
  assert.equal(row?.["digest"], mac.sum(secret));

  const entries = await entriesOf(desk);
  assert.deepEqual(
    entries.map(({ kind, tool, outcome }) => [kind, tool, outcome ?? null]),
    [
      ["request", "keys create", null],
      ["decision", "keys create", "allowed"],
    ],
  );
  assert.match(JSON.stringify(entries), new RegExp(id));
  // Neither the secret nor half of it is anywhere on the disk.
  for await (const text of textsBelow(desk.state)) {
    assert.ok(!text.includes(secret.slice(21, 50)));
  }
});

/** Every file of a folder, byte by byte as Latin-1. */
async function* textsBelow(folder: string): AsyncIterable<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* textsBelow(path);
    else yield new TextDecoder("latin1").decode(await Deno.readFile(path));
  }
}

Deno.test("keys rotate and keys revoke change a key, and say so", async () => {
  await using desk = await Desk.make();
  const made = await desk.json("keys", [
    "create",
    ...["--name", "a", "--role", "viewer"],
  ]);
  const { id } = made.key;
  const rotated = await desk.run("keys", ["rotate", id, "--overlap", "1h"]);
  assert.equal(rotated.code, 0, rotated.err);
  assert.match(rotated.out, new RegExp(`^smk_${id}_`));
  assert.notEqual(rotated.out.trim(), made.secret);
  assert.match(rotated.err, /the old one holds 3600 s longer/);
  const revoked = await desk.run("keys", ["revoke", id]);
  assert.match(revoked.out, new RegExp(`^revoked the key ${id}; `));
  const list = await desk.run("keys", ["list"]);
  assert.match(list.out, new RegExp(`${id} .*revoked 20`));
  const again = await desk.run("keys", ["rotate", id]);
  assert.deepEqual([again.code, again.out], [2, ""]);
  assert.match(again.err, /revoked or expired; create a new one/);
  const refusals = (await entriesOf(desk))
    .filter(({ outcome }) => outcome === "refused");
  assert.deepEqual(refusals.map(({ tool, code }) => [tool, code]), [
    ["keys rotate", "conflict"],
  ]);
});

Deno.test("keys revoke works without the identity key, and nothing makes another one over its keys", async () => {
  verifies("identity.identity_key");
  await using desk = await Desk.make();
  const create = ["create", "--name", "a", "--role", "viewer"];
  const { key } = await desk.json("keys", create);
  await Deno.remove(`${desk.state}/identity.key`);
  const refused = await desk.run("keys", create);
  assert.deepEqual([refused.code, refused.out], [2, ""]);
  assert.match(refused.err, /the file of identity\.key_file is missing/);
  assert.equal((await desk.run("keys", ["revoke", key.id])).code, 0);
  assert.equal((await desk.run("keys", create)).code, 0);
});

Deno.test("keys refuses command lines that make no key, and names the right form", async () => {
  await using desk = await Desk.make();
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /name one of its actions first: create, list, rotate, revoke/],
    [["__proto__"], /name one of its actions first/],
    [["create"], /--name is missing; the form is: deno task keys create/],
    [["create", "--name", "a"], /--role is missing/],
    [["create", "--name", "a", "--role", "root"], /one or more of the roles/],
    [
      ["create", "--name", "a", "--role", "viewer", "--tenant", "x"],
      /no tenant/,
    ],
    [["create", "--name", "a", "--role", "viewer", "--expires", "1y"], /30d/],
    [
      ["create", "--name", "a", "--role", "viewer", "--expires", "1s"],
      /good for/,
    ],
    [["create", "--name", "a", "--role", "viewer", "--scope", "all"], /scopes/],
    [["rotate"], /something is missing/],
    [["rotate", "nobody"], /Cannot find the key "nobody"/],
    [["revoke", "0000000000000000"], /Cannot find the key "0000000000000000"/],
  ];
  await Promise.all(cases.map(async ([args, message]) => {
    const { code, out, err } = await desk.run("keys", args);
    assert.deepEqual([code, out], [2, ""], `${args.join(" ")}: ${err}`);
    assert.match(err, message);
  }));
  assert.match((await desk.run("keys", ["list"])).out, /^there is no key yet/);
});
