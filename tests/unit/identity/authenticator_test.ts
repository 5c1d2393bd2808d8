/**
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { Authenticator } from "@/identity/authenticator.ts";
import { FailureLimiter } from "@/identity/failures.ts";
import { LOCAL } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";

const KEY = `smk_${"0".repeat(16)}_${"A".repeat(49)}`;
const TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.AAAA";

/** Says what it was given; refuses what ends in `bad`. */
function prover(kind: string, heard: string[]) {
  return {
    verify: (text: string) => {
      heard.push(`${kind} ${text}`);
      return text.endsWith("bad")
        ? Promise.reject(new AppError("unauthenticated", "no"))
        : text.endsWith("down")
        ? Promise.reject(new AppError("tool_unavailable", "down"))
        : Promise.resolve({ ...LOCAL, client: kind });
    },
  };
}

function bench(failures: FailureLimiter, tokens = true) {
  const heard: string[] = [];
  const authenticator = new Authenticator({
    keys: prover("key", heard),
    tokens: () => tokens ? prover("token", heard) : null,
    failures,
  });
  return { heard, authenticator };
}

Deno.test("Authenticator tells keys and tokens apart by their beginning", async () => {
  using failures = new FailureLimiter();
  const { heard, authenticator } = bench(failures);
  for (
    const [header, kind, credential] of [
      [`Bearer ${KEY}`, "key", KEY],
      [`bearer ${KEY}`, "key", KEY],
      [`BEARER   ${TOKEN}  `, "token", TOKEN],
      ["Bearer smk_", "key", "smk_"],
      ["Bearer SMK_x", "token", "SMK_x"],
    ] as const
  ) {
    const { client } = await authenticator.authenticate(header, "127.0.0.1");
    assert.equal(client, kind);
    assert.equal(heard.pop(), `${kind} ${credential}`);
  }
});

Deno.test("Authenticator refuses whatever is not one bearer credential, and repeats none of it", async () => {
  verifies("identity.bearer");
  using failures = new FailureLimiter({ failuresMax: 1_000 });
  const { heard, authenticator } = bench(failures);
  const way =
    /: send one header Authorization: Bearer with an API key \(deno task keys create\) or a token/;
  for (
    const header of [
      undefined,
      null,
      "",
      "CANARY",
      "Bearer",
      "Bearer ",
      " Bearer CANARY",
      "Basic Q0FOQVJZOkNBTkFSWQ==",
      "Digest CANARY",
      "Token CANARY",
      "BearerCANARY",
      "Bearer\tCANARY",
      "Bearer CANARY CANARY",
      `Bearer ${KEY}, Bearer ${KEY}`,
      `Bearer ${KEY},${KEY}`,
      `Bearer "${KEY}"`,
      "Bearer CANARY\0",
      "Bearer CANARY\r\nX: y",
      "Bearer CÄNARY",
      `Bearer${" ".repeat(9)}CANARY`,
      `Bearer ${"CANARY".repeat(2_000)}`,
      `Bearer ${"a".repeat(8_250)}`,
    ]
  ) {
    await assert.rejects(
      authenticator.authenticate(header, "127.0.0.1"),
      (error) => {
        assert.ok(error instanceof AppError);
        assert.equal(error.code, "unauthenticated");
        assert.match(error.message, way);
        const all = JSON.stringify([error.message, error.detail]);
        assert.doesNotMatch(all, /CANARY|Q0FO|AAAA/);
        return true;
      },
      String(header).slice(0, 60),
    );
  }
  assert.deepEqual(heard, []);
});

Deno.test("Authenticator says so where no issuer is configured", async () => {
  using failures = new FailureLimiter();
  const { authenticator } = bench(failures, false);
  await assert.rejects(
    authenticator.authenticate(`Bearer ${TOKEN}`, "127.0.0.1"),
    {
      code: "unauthenticated",
      message:
        "Cannot accept the credentials: no issuer of tokens is configured here (identity.issuer), and they are no API key, which begins with smk_",
    },
  );
});

Deno.test("Authenticator refuses an address unread after its failures, and no other", async () => {
  verifies("identity.failures");
  using failures = new FailureLimiter({ failuresMax: 3, windowSeconds: 60 });
  const { heard, authenticator } = bench(failures);
  const ask = (text: string, address = "192.0.2.1") =>
    authenticator.authenticate(`Bearer ${text}`, address);
  const counted = ["smk_bad", "token.bad", "CANARY, CANARY"];
  for (const text of counted) {
    await ask("good");
    await assert.rejects(ask(text), { code: "unauthenticated" });
  }
  const before = heard.length;
  await assert.rejects(ask("good"), (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "rate_limited");
    assert.equal(
      error.message,
      "Cannot check the credentials: too many that do not hold came from this address; wait, and call with sound ones",
    );
    assert.ok((error.retryAfter ?? 0) >= 1 && (error.retryAfter ?? 99) <= 60);
    return true;
  });
  assert.equal(heard.length, before);
  assert.equal((await ask("good", "192.0.2.2")).client, "token");
});

Deno.test("Authenticator counts neither missing credentials nor faults of the server", async () => {
  using failures = new FailureLimiter({ failuresMax: 1 });
  const { authenticator } = bench(failures);
  for (let at = 0; at < 5; at++) {
    await assert.rejects(
      authenticator.authenticate(undefined, "192.0.2.1"),
      { code: "unauthenticated" },
    );
    await assert.rejects(
      authenticator.authenticate("Bearer down", "192.0.2.1"),
      { code: "tool_unavailable" },
    );
  }
  assert.equal(failures.size, 0);
});

Deno.test("FailureLimiter counts by network: an IPv4 address, or the /64 of an IPv6 one", async () => {
  verifies("identity.failures");
  const same = [
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"],
    ["not an address", "'; drop table"],
  ] as const;
  for (const [one, other] of same) {
    using failures = new FailureLimiter({ failuresMax: 1 });
    await failures.count(one);
    await assert.rejects(failures.check(other), { code: "rate_limited" });
  }
  const apart = [
    ["192.0.2.1", "192.0.2.2"],
    ["2001:db8::1", "2001:db8:0:1::1"],
    ["0.0.0.1", "::1"],
  ] as const;
  for (const [one, other] of apart) {
    using failures = new FailureLimiter({ failuresMax: 1 });
    await failures.count(one);
    await failures.check(other);
  }
});

Deno.test("FailureLimiter counts at most 10,000 networks, and forgets the one that failed longest ago", async () => {
  using failures = new FailureLimiter({ failuresMax: 1 });
  const address = (at: number) =>
    `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;
  for (let at = 0; at < 10_001; at++) await failures.count(address(at));
  assert.equal(failures.size, 10_000);
  await failures.check(address(0));
  for (const at of [1, 10_000]) {
    await assert.rejects(failures.check(address(at)), { code: "rate_limited" });
  }
  // Whoever goes on failing is not the one that is forgotten.
  await failures.count(address(1));
  await failures.count(address(20_000));
  await assert.rejects(failures.check(address(1)), { code: "rate_limited" });
  await failures.check(address(2));
});

Deno.test("FailureLimiter lets an address go on when its time is over", async () => {
  verifies("identity.failures");
  using failures = new FailureLimiter({ failuresMax: 1, windowSeconds: 60 });
  await failures.count("192.0.2.1");
  await assert.rejects(failures.check("192.0.2.1"), { retryAfter: 60 });
  const now = Date.now;
  const later = now() + 60_001;
  Date.now = () => later;
  try {
    await failures.check("192.0.2.1");
    await failures.count("192.0.2.1");
    await assert.rejects(failures.check("192.0.2.1"), { retryAfter: 60 });
  } finally {
    Date.now = now;
  }
});
