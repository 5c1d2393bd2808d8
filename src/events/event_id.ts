/**
 * The ids of live events: `EPOCH-OWN-SHARED`.
 *
 * `OWN` counts the events of one tenant and `SHARED` those of the server that everybody sees, so an id
 * says where in both its reader is, and nothing of how much other tenants do. `EPOCH` is drawn by lot
 * for each tenant in each run of the server: an id of another run, or of another tenant, is known for
 * what it is, and can never be taken for a place in this one.
 *
 * @module
 */

/** Random bytes of an epoch. */
const EPOCH_BYTES = 8;

const ID = /^([0-9a-f]{16})-(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})$/;

/** A place between two events. */
export interface Position {
  readonly epoch: string;
  /** How many events of the tenant came before it. */
  readonly own: number;
  /** How many events of the server came before it; 0 for who does not see them. */
  readonly shared: number;
}

/**
 * Draws an epoch.
 *
 * @param random Fills an array with random bytes.
 * @returns 16 hex digits.
 */
export function newEpoch(random: (bytes: Uint8Array) => void): string {
  const bytes = new Uint8Array(EPOCH_BYTES);
  random(bytes);
  return bytes.toHex();
}

/** Writes an id. */
export function writeEventId({ epoch, own, shared }: Position): string {
  return `${epoch}-${own}-${shared}`;
}

/**
 * Reads an id.
 *
 * @param text What a client sent.
 * @returns The place it names, or null if it is no id.
 */
export function readEventId(text: string): Position | null {
  // No id is longer: the expression never sees more.
  const match = text.length <= 64 ? ID.exec(text) : null;
  if (match === null) return null;
  const [, epoch = "", own, shared] = match;
  return { epoch, own: Number(own), shared: Number(shared) };
}
