/**
 * Where a page of the audit log ends, sealed. The log numbers the entries of all tenants in one row, so
 * that a number which anybody could read would tell one tenant how much the others do. Nobody but this
 * process reads it, and none is good for another tenant.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

const NONCE_BYTES = 12;

/** A number of 8 bytes and the tag of 16: each cursor is as long as any other. */
const SEALED_BYTES = NONCE_BYTES + 8 + 16;

/** Seals cursors with a key that is gone with the process. */
export class AuditCursors {
  readonly #key = crypto.subtle.generateKey(
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );

  /**
   * Writes a cursor.
   *
   * @param seq The number of an entry, of whichever tenant.
   * @param tenant Whom it is for.
   * @returns The cursor.
   */
  async write(seq: number, tenant: string): Promise<string> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const plain = new DataView(new ArrayBuffer(8));
    plain.setBigUint64(0, BigInt(seq));
    const sealed = await crypto.subtle.encrypt(
      algorithm(nonce, tenant),
      await this.#key,
      plain,
    );
    const bytes = new Uint8Array([...nonce, ...new Uint8Array(sealed)]);
    return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  }

  /**
   * Reads a cursor.
   *
   * @param cursor What came back from the caller, or nothing.
   * @param tenant Who it came from.
   * @returns The number, or null where there is no cursor.
   * @throws {AppError} `invalid_arguments`.
   */
  async read(
    cursor: string | null | undefined,
    tenant: string,
  ): Promise<number | null> {
    if (cursor === null || cursor === undefined) return null;
    const bytes = bytesOf(cursor);
    try {
      const plain = await crypto.subtle.decrypt(
        algorithm(bytes.subarray(0, NONCE_BYTES), tenant),
        await this.#key,
        bytes.subarray(NONCE_BYTES),
      );
      return Number(new DataView(plain).getBigUint64(0));
    } catch {
      // Altered, another tenant's, or sealed before this process began.
      throw none();
    }
  }
}

function algorithm(iv: Uint8Array<ArrayBuffer>, tenant: string): AesGcmParams {
  const additionalData = new TextEncoder().encode(tenant);
  return { name: "AES-GCM", iv, additionalData };
}

function bytesOf(cursor: string): Uint8Array<ArrayBuffer> {
  if (cursor.length > 2 * SEALED_BYTES) throw none();
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    if (bytes.length === SEALED_BYTES) return bytes;
  } catch {
    // Not base64: no cursor of ours either way.
  }
  throw none();
}

function none(): AppError {
  return new AppError(
    "invalid_arguments",
    'Cannot use "cursor": it did not come from a page of entries, or the server was started since; leave it out to begin at the newest',
  );
}
