/**
 * @module
 */

/** The program's version; the changelog has what changed in it. */
export const VERSION = "0.1.0";
