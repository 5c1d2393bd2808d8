/**
 * Proves who calls over HTTP: by an API key or by a token, in one `Authorization: Bearer` header and
 * nowhere else. Credentials in a URL end in logs, and cookies are sent by pages that nobody asked.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ApiKeys } from "./keys.ts";
import type { FailureLimiter } from "./failures.ts";
import { KEY_PREFIX } from "./key_text.ts";
import type { Principal } from "./principal.ts";
import type { TokenVerifier } from "./tokens.ts";

/** Longest header that is looked at: the longest token, and room for the scheme. */
const HEADER_LENGTH_MAX = 8_256;

/** One scheme and one credential. Two headers arrive joined by a comma, which neither kind holds. */
const BEARER = /^Bearer {1,8}([\w.~+/=-]+) {0,8}$/i;

const WAY =
  "send one header Authorization: Bearer with an API key (deno task keys create) or a token of the " +
  "issuer that this server trusts";

/** What {@linkcode Authenticator} needs. */
export interface AuthenticatorOptions {
  readonly keys: Pick<ApiKeys, "verify">;
  /** What checks tokens at the moment: a reload may change it. Null where no issuer is configured. */
  readonly tokens: () => Pick<TokenVerifier, "verify"> | null;
  readonly failures: Pick<FailureLimiter, "check" | "count">;
}

/** Proves who calls. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  /** @param options What checks each kind, and what counts failures. */
  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * Proves who calls.
   *
   * @param header The Authorization header, where there is one.
   * @param address Where the call came from.
   * @returns Who it is.
   * @throws {AppError} `unauthenticated`, `rate_limited`, or `tool_unavailable` if what is needed to
   * check them cannot be reached. No message repeats what was sent.
   */
  async authenticate(
    header: string | null | undefined,
    address: string,
  ): Promise<Principal> {
    const { failures } = this.#options;
    await failures.check(address);
    // Whoever sends nothing guesses nothing: the many that try without are not counted.
    if (header === null || header === undefined || header === "") {
      throw new AppError(
        "unauthenticated",
        `Cannot answer without credentials: ${WAY}`,
      );
    }
    try {
      return await this.#prove(header);
    } catch (error) {
      if (error instanceof AppError && error.code === "unauthenticated") {
        await failures.count(address);
      }
      throw error;
    }
  }

  async #prove(header: string): Promise<Principal> {
    const { keys, tokens } = this.#options;
    const credential = header.length > HEADER_LENGTH_MAX
      ? undefined
      : BEARER.exec(header)?.[1];
    if (credential === undefined) {
      throw new AppError(
        "unauthenticated",
        `Cannot read the credentials: ${WAY}`,
      );
    }
    if (credential.startsWith(KEY_PREFIX)) return await keys.verify(credential);
    const verifier = tokens();
    if (verifier !== null) return await verifier.verify(credential);
    throw new AppError(
      "unauthenticated",
      "Cannot accept the credentials: no issuer of tokens is configured here (identity.issuer), and " +
        "they are no API key, which begins with smk_",
    );
  }
}
