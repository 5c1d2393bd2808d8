/**
 * The two sums of the audit log: the hash that chains a line to the one before it, and the seal that
 * only the holder of the key can make.
 *
 * The hash is SHA-256 over the exact bytes of a line. It needs no secret, so anybody can check the
 * chain, and anybody who may write the file can make it anew from some line on. The seal is
 * HMAC-SHA-256: it is on every line, so that a line that somebody else wrote is known by itself, and
 * not only when the next checkpoint fails.
 *
 * `node:crypto` is loaded when a log is opened, not with this file: it takes 16 ms of a start
 * (measured), and the Web's own interface takes 80 µs a line where this takes 8.
 *
 * @module
 */

/** What a log begins with in the place of the hash of a line before. */
export const NO_HASH = "0".repeat(64);

/** Digits of a hash and of a seal. */
export const SUM_LENGTH = 64;

type Crypto = typeof import("node:crypto");

/** Makes hashes and, with a key, seals. */
export class Digest {
  readonly #crypto: Crypto;
  readonly #key: Uint8Array | null;
  /** Names the key without telling it; empty without one. */
  readonly keyId: string;

  private constructor(crypto: Crypto, key: Uint8Array | null) {
    this.#crypto = crypto;
    this.#key = key;
    this.keyId = this.seal("audit key id").slice(0, 16);
  }

  /**
   * Makes a digest.
   *
   * @param key The key, or null to check the chain alone.
   * @returns The digest.
   */
  static async load(key: Uint8Array | null): Promise<Digest> {
    return new Digest(await import("node:crypto"), key);
  }

  /** Whether it can make and check seals. */
  get keyed(): boolean {
    return this.#key !== null;
  }

  /**
   * Hashes bytes.
   *
   * @param bytes The bytes, or an ASCII text.
   * @returns 64 hex digits.
   */
  hash(bytes: string | Uint8Array): string {
    return this.#crypto.createHash("sha256").update(bytes).digest("hex");
  }

  /**
   * Seals a text.
   *
   * @param text ASCII text.
   * @returns 64 hex digits; empty without a key.
   */
  seal(text: string): string {
    if (this.#key === null) return "";
    return this.#crypto.createHmac("sha256", this.#key).update(text)
      .digest("hex");
  }
}
