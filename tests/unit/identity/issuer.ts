/**
 * An issuer in memory: keys, tokens of any kind, and a `fetch` that answers from it.
 *
 * @module
 */
import {
  base64url,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from "jose";
import type { Fetch } from "@/identity/issuer_fetch.ts";
import { IssuerKeys } from "@/identity/issuer_keys.ts";
import { TokenVerifier } from "@/identity/tokens.ts";

/** The issuer's name. */
export const ISSUER = "https://login.example.com/realms/soc";

/** What its tokens are meant for. */
export const AUDIENCE = "https://scan.example.com";

/** A pair of keys. */
export interface Pair {
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
}

/** Makes a pair of keys. */
export async function makePair(kid: string, alg = "ES256"): Promise<Pair> {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  const jwk = { ...await exportJWK(publicKey), kid, alg, use: "sig" };
  return { jwk, privateKey };
}

/** Encodes JSON, or a text as it stands, as a part of a token. */
export function part(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return base64url.encode(text);
}

/** An issuer, a clock, and what checks its tokens. */
export class Issuer {
  readonly tenants = new Set(["default", "red"]);
  readonly warnings: string[] = [];
  /** URLs that were fetched. */
  readonly fetched: string[] = [];
  wall = Date.UTC(2026, 10, 21);
  clock = 0;
  /** What it publishes; null for a server that is down. */
  keys: readonly unknown[] | null;
  /** Answers in place of the issuer, where it does. */
  answer: (url: string) => Promise<Response> | null = () => null;
  readonly verifier: TokenVerifier;
  readonly source: IssuerKeys;

  /** @param pair Its first pair of keys. */
  constructor(
    readonly pair: Pair,
    options: {
      readonly algorithms?: readonly string[];
      readonly jwksUrl?: string | null;
    } = {},
  ) {
    this.keys = [pair.jwk];
    const { algorithms = ["RS256", "ES256", "EdDSA"], jwksUrl = null } =
      options;
    this.source = new IssuerKeys({
      issuer: ISSUER,
      jwksUrl,
      fetch: this.fetch,
      now: () => this.clock,
      onWarning: (_message, cause) => this.warnings.push(String(cause)),
    });
    this.verifier = new TokenVerifier(
      {
        issuer: ISSUER,
        audience: AUDIENCE,
        algorithms,
        clockSkewSeconds: 30,
        tenantClaim: "tenant",
        rolesClaim: "realm.roles",
        roleNames: new Map([["soc-analyst", ["operator"]]]),
        tenants: () => this.tenants,
      },
      this.source,
      () => this.wall,
    );
  }

  /** Makes one. */
  static async make(alg?: string): Promise<Issuer> {
    return new Issuer(await makePair("k1", alg));
  }

  /** Answers as the issuer does. */
  readonly fetch: Fetch = async (url) => {
    this.fetched.push(url);
    const other = this.answer(url);
    if (other !== null) return await other;
    if (this.keys === null) throw new TypeError("connection refused");
    return url.endsWith("/.well-known/openid-configuration")
      ? Response.json({ issuer: ISSUER, jwks_uri: `${ISSUER}/certs` })
      : Response.json({ keys: this.keys });
  };

  /** Seconds since the epoch. */
  get seconds(): number {
    return this.wall / 1_000;
  }

  /** Claims that hold. */
  claims(
    change: Readonly<Record<string, unknown>> = {},
  ): Record<string, unknown> {
    return {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: "alice",
      azp: "soc-console",
      iat: this.seconds,
      exp: this.seconds + 300,
      tenant: "red",
      realm: { roles: ["soc-analyst", "viewer", "offline_access"] },
      ...change,
    };
  }

  /** Signs claims. */
  async sign(
    claims: Readonly<Record<string, unknown>> = this.claims(),
    header: Partial<JWTHeaderParameters> = {},
    pair: Pair = this.pair,
  ): Promise<string> {
    return await new SignJWT({ ...claims }).setProtectedHeader({
      alg: pair.jwk.alg ?? "ES256",
      ...pair.jwk.kid === undefined ? {} : { kid: pair.jwk.kid },
      ...header,
    }).sign(pair.privateKey);
  }

  /** Signs parts that are written by hand. */
  async signText(header: string, claims: string): Promise<string> {
    const body = `${part(header)}.${part(claims)}`;
    const signature = await crypto.subtle.sign(
      { name: "ECDSA", hash: "SHA-256" },
      this.pair.privateKey,
      new TextEncoder().encode(body),
    );
    return `${body}.${base64url.encode(new Uint8Array(signature))}`;
  }
}
