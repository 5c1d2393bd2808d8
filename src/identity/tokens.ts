/**
 * Checks tokens of an OpenID Connect issuer: signed JWTs that are meant for this server.
 *
 * What a token says of itself chooses nothing but which of the issuer's keys is tried: algorithms come
 * from the configuration, keys from the issuer, and every header parameter that brings or names a key
 * (`jwk`, `jku`, `x5c`, `x5u`) is passed over unread.
 *
 * @module
 */
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from "jose";
import { AppError } from "@/error/app_error.ts";
import { type ClaimRules, principalOfClaims } from "./claims.ts";
import { type IssuerKeys, KID_LENGTH_MAX } from "./issuer_keys.ts";
import type { Principal } from "./principal.ts";

/** Longest token, in characters. Nothing longer is parsed. */
export const TOKEN_LENGTH_MAX = 8_192;

/** Three parts, none of them empty: no encrypted token, and none without a signature. */
const FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const KID = new RegExp(`^[\\x21-\\x7e]{1,${KID_LENGTH_MAX}}$`);

/** What a token may call itself: RFC 9068, and the name that most issuers give. */
const TYPES = ["at+jwt", "jwt"];

/** Algorithms that may be configured. None of them has a shared secret. */
const ASYMMETRIC =
  /^(?:(?:RS|PS)(?:256|384|512)|ES(?:256|384|512)|EdDSA|Ed25519)$/;

/** What a token has to be. */
export interface TokenRules extends ClaimRules {
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Seconds by which the issuer's clock may differ. */
  readonly clockSkewSeconds: number;
}

/** Why a token is refused, by jose's code. Whatever is not here is about the signature. */
const EXPIRED = "it is expired; get a new one from the issuer and call again";
const EARLY =
  "it is not valid yet; call again later, or compare this host's clock with the issuer's";
const UNPROVED =
  "its signature does not hold under the issuer's keys and identity.algorithms; get a new one from " +
  "the issuer of this server";
const NO_TOKEN =
  "it is no signed JWT of at most 8 KiB; send it as the issuer gave it";
const BY_CLAIM: ReadonlyMap<string, string> = new Map([
  ["iss", "it is of another issuer; get one from the issuer of this server"],
  [
    "aud",
    "it is not meant for this server; ask the issuer for one with the audience of this server",
  ],
  ["nbf", EARLY],
  ["exp", "its exp says no time; the issuer has to give every token an end"],
  ["iat", "its iat says no time; mend it at the issuer"],
]);

/** Checks tokens. */
export class TokenVerifier {
  readonly #rules: TokenRules;
  readonly #keys: Pick<IssuerKeys, "keyOf" | "look">;
  readonly #wallNow: () => number;

  /**
   * @param rules What a token has to be.
   * @param keys The issuer's keys.
   * @param wallNow Milliseconds since the epoch.
   * @throws {RangeError} If an algorithm is none with public keys.
   */
  constructor(
    rules: TokenRules,
    keys: Pick<IssuerKeys, "keyOf" | "look">,
    wallNow: () => number,
  ) {
    const { algorithms } = rules;
    if (
      algorithms.length === 0 ||
      !algorithms.every((name) => ASYMMETRIC.test(name))
    ) {
      throw new RangeError(
        "Cannot check tokens: every algorithm has to be one with public keys",
      );
    }
    this.#rules = rules;
    this.#keys = keys;
    this.#wallNow = wallNow;
  }

  /**
   * Checks a token.
   *
   * @param token What a caller sent.
   * @returns Who it is.
   * @throws {AppError} `unauthenticated`; `tool_unavailable` if the issuer's keys are not to be had.
   */
  async verify(token: string): Promise<Principal> {
    if (token.length > TOKEN_LENGTH_MAX || !FORM.test(token)) {
      throw refuse(NO_TOKEN);
    }
    this.#checkHeader(headerOf(token));
    const claims = await this.#claimsOf(token);
    this.#checkTimes(claims);
    return principalOfClaims(claims, this.#rules);
  }

  /**
   * Looks whether the issuer's keys can be had, for health.
   *
   * @throws {AppError} `tool_unavailable`.
   */
  look(): ReturnType<IssuerKeys["look"]> {
    return this.#keys.look();
  }

  #checkHeader(header: ProtectedHeaderParameters): void {
    const { alg, kid, typ } = header;
    if (typeof alg !== "string" || !this.#rules.algorithms.includes(alg)) {
      throw refuse(UNPROVED, "its alg is not among identity.algorithms");
    }
    if (kid !== undefined && !(typeof kid === "string" && KID.test(kid))) {
      throw refuse(UNPROVED, "its kid is none");
    }
    // We know no extension, so each that has to be understood is one that we do not understand.
    if (Object.hasOwn(header, "crit") || Object.hasOwn(header, "b64")) {
      throw refuse(NO_TOKEN, "its header has crit or b64");
    }
    if (typ === undefined) return;
    const type = typeof typ === "string"
      ? typ.toLowerCase().replace(/^application\//, "")
      : "";
    if (!TYPES.includes(type)) {
      throw refuse("its typ is neither at+jwt nor JWT; send an access token");
    }
  }

  async #claimsOf(token: string): Promise<JWTPayload> {
    const { issuer, audience, algorithms, clockSkewSeconds } = this.#rules;
    try {
      const { payload } = await jwtVerify(
        token,
        (header) => this.#keys.keyOf(header),
        {
          issuer,
          audience,
          algorithms: [...algorithms],
          clockTolerance: clockSkewSeconds,
          currentDate: new Date(this.#wallNow()),
          requiredClaims: ["exp", "sub"],
        },
      );
      return payload;
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw refusalOf(error);
    }
  }

  /** jose looks at `iat` only where a greatest age is set. */
  #checkTimes({ iat }: JWTPayload): void {
    if (iat === undefined) return;
    const latest = this.#wallNow() / 1_000 + this.#rules.clockSkewSeconds;
    if (typeof iat !== "number" || iat > latest) throw refuse(EARLY);
  }
}

function headerOf(token: string): ProtectedHeaderParameters {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    throw refuse(NO_TOKEN, String(error));
  }
}

/** Claims are only looked at when the signature holds, so that their words tell a stranger nothing. */
function refusalOf(error: unknown): AppError {
  const detail = String(error);
  if (error instanceof errors.JWTExpired) return refuse(EXPIRED, detail);
  if (error instanceof errors.JWTClaimValidationFailed) {
    const why = error.reason === "missing"
      ? `it has no ${error.claim}; mend it at the issuer`
      : BY_CLAIM.get(error.claim);
    return refuse(why ?? "its claims do not hold", detail);
  }
  if (error instanceof errors.JWTInvalid) return refuse(NO_TOKEN, detail);
  return refuse(UNPROVED, detail);
}

function refuse(why: string, detail?: string): AppError {
  return new AppError(
    "unauthenticated",
    `Cannot accept the token: ${why}`,
    detail === undefined ? {} : { detail },
  );
}
