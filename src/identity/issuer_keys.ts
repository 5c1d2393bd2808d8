/**
 * The public keys of an issuer: fetched when they are needed, kept while they are fresh, fetched again
 * when a token names one that is not among them, and used on for a day while the issuer is down.
 *
 * jose has a remote key set of its own. It is not used: it reads an answer of any length, follows
 * redirects to any host, knows no discovery, and forgets its keys' use when the issuer is down.
 *
 * Whoever sends tokens with invented key ids makes this server ask its issuer at most once in a
 * cooldown, however many they are.
 *
 * @module
 */
import {
  createLocalJWKSet,
  errors,
  type JWK,
  type JWTHeaderParameters,
} from "jose";
import { AppError } from "@/error/app_error.ts";
import { type Fetch, type FetchBounds, fetchObject } from "./issuer_fetch.ts";

/** Bounds of each document. */
const BOUNDS: FetchBounds = { timeoutMs: 5_000, bytesMax: 262_144 };

/** Most keys of an issuer. */
export const ISSUER_KEYS_MAX = 100;

/** Longest id of a key. */
export const KID_LENGTH_MAX = 128;

/** Longest part of a key in base64url: an RSA modulus of 8192 bits. */
const PART_LENGTH_MAX = 1_366;

/** How long keys are taken without another look, and how long at most while the issuer is down. */
const FRESH_MS = 600_000;
const KEPT_MS = 86_400_000;

/** Least time between two fetches with keys at hand, and without any. */
const COOLDOWN_MS = 30_000;
const COOLDOWN_EMPTY_MS = 5_000;

/** What of a key is read. Whatever else it carries (`x5u`, private parts) goes no further. */
const PARTS = ["kty", "kid", "use", "alg", "crv", "n", "e", "x", "y"] as const;

/** Where keys come from. */
export interface IssuerKeysOptions {
  readonly issuer: string;
  /** Null asks the issuer's discovery document. */
  readonly jwksUrl: string | null;
  readonly fetch: Fetch;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
  /** Hears why keys could not be fetched. */
  readonly onWarning: (message: string, cause: unknown) => void;
  /** @default 5 s and 256 KiB a document */
  readonly bounds?: FetchBounds;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Keys and when they were fetched. */
interface Held {
  readonly set: KeySet;
  readonly at: number;
}

/** The issuer's keys. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #held: Held | null = null;
  #triedAt = Number.NEGATIVE_INFINITY;
  #flight: Promise<void> | null = null;

  /** @param options Where they come from. */
  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /**
   * Finds the key of a token.
   *
   * @param header The token's header: its `alg` and `kid` were checked, nothing else of it is read.
   * @returns The key.
   * @throws {AppError} `tool_unavailable` if there are no keys to be had.
   * @throws {Error} jose's own, if none of them fits.
   */
  async keyOf(header: JWTHeaderParameters): Promise<CryptoKey> {
    const wanted = header.kid === undefined
      ? { alg: header.alg }
      : { alg: header.alg, kid: header.kid };
    const age = this.#options.now() - (this.#held?.at ?? -Infinity);
    // A key that the issuer took back is not used on just because nobody called meanwhile.
    if (age > FRESH_MS) await this.#refetch();
    const held = this.#usable();
    try {
      return await held.set(wanted);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refetch();
      const renewed = this.#usable();
      if (renewed === held) throw error;
      return await renewed.set(wanted);
    }
  }

  /**
   * Looks whether the issuer's keys can be had, for health.
   *
   * @returns How old the keys at hand are.
   * @throws {AppError} `tool_unavailable` if they cannot be fetched now, though older ones may hold.
   */
  async look(): Promise<{ readonly age_seconds: number }> {
    const { now } = this.#options;
    const age = () => now() - (this.#held?.at ?? -Infinity);
    if (age() > FRESH_MS) await this.#refetch();
    if (age() > FRESH_MS) throw unfetched();
    return { age_seconds: Math.floor(age() / 1_000) };
  }

  /** Keys that are too old are none. */
  #usable(): Held {
    const held = this.#held;
    if (held !== null && this.#options.now() - held.at <= KEPT_MS) return held;
    throw unfetched();
  }

  /** Fetches once for everybody who asks meanwhile, and not again before the cooldown is over. */
  #refetch(): Promise<void> {
    if (this.#flight !== null) return this.#flight;
    const { now } = this.#options;
    const cooldown = this.#held === null ? COOLDOWN_EMPTY_MS : COOLDOWN_MS;
    if (now() - this.#triedAt < cooldown) return Promise.resolve();
    this.#triedAt = now();
    this.#flight = this.#fetch().finally(() => {
      this.#flight = null;
    });
    return this.#flight;
  }

  async #fetch(): Promise<void> {
    const { now, onWarning } = this.#options;
    const at = now();
    try {
      const url = await this.#jwksUrl();
      this.#held = { set: keySetOf(await this.#object(url)), at };
    } catch (cause) {
      // What is held is used on until it is too old.
      onWarning("the keys of identity.issuer could not be fetched", cause);
    }
  }

  async #jwksUrl(): Promise<string> {
    const { issuer, jwksUrl } = this.#options;
    if (jwksUrl !== null) return jwksUrl;
    const base = issuer.replace(/\/$/, "");
    const found = await this.#object(
      `${base}/.well-known/openid-configuration`,
    );
    if (found["issuer"] !== issuer) {
      throw new Error(
        "the issuer of the discovery document is not identity.issuer, letter by letter",
      );
    }
    const said = found["jwks_uri"];
    const url = typeof said === "string" ? URL.parse(said) : null;
    if (url === null || url.origin !== new URL(issuer).origin) {
      throw new Error(
        "the jwks_uri of the discovery document is not of the issuer's origin; set identity.jwks_url",
      );
    }
    return url.href;
  }

  #object(url: string): Promise<Readonly<Record<string, unknown>>> {
    const { fetch, bounds = BOUNDS } = this.#options;
    return fetchObject(url, fetch, bounds);
  }
}

function unfetched(): AppError {
  return new AppError(
    "tool_unavailable",
    "Cannot check the token: the issuer's keys cannot be fetched now; try again in a moment, or " +
      "call with an API key",
    { retryAfter: COOLDOWN_EMPTY_MS / 1_000 },
  );
}

/** Keys that are no public ones for signatures are left out; a document without a list is refused. */
function keySetOf(document: Readonly<Record<string, unknown>>): KeySet {
  const keys = document["keys"];
  if (!Array.isArray(keys)) throw new Error("the document holds no keys");
  if (keys.length > ISSUER_KEYS_MAX) {
    throw new Error(`the document holds more than ${ISSUER_KEYS_MAX} keys`);
  }
  return createLocalJWKSet({ keys: keys.flatMap(publicKeyOf) });
}

function publicKeyOf(value: unknown): readonly JWK[] {
  if (typeof value !== "object" || value === null) return [];
  const parts: Record<string, unknown> = {};
  for (const name of PARTS) {
    if (!Object.hasOwn(value, name)) continue;
    const part = (value as Record<string, unknown>)[name];
    if (typeof part !== "string" || part.length > PART_LENGTH_MAX) return [];
    parts[name] = part;
  }
  const operations = (value as Record<string, unknown>)["key_ops"];
  const verifies = !Object.hasOwn(value, "key_ops") ||
    (Array.isArray(operations) && operations.includes("verify"));
  const kid = parts["kid"];
  const named = kid === undefined ||
    (typeof kid === "string" && kid.length <= KID_LENGTH_MAX);
  // `oct` is a shared secret; whoever publishes one has none.
  const asymmetric = ["RSA", "EC", "OKP"].includes(String(parts["kty"]));
  return verifies && named && asymmetric ? [parts as JWK] : [];
}
