/**
 * How deep a JSON text is nested, told without parsing it: a parser that goes down a level for every
 * bracket is what a deeply nested text aims at. Both adapters that take JSON ask here first.
 *
 * @module
 */

/** Deepest nesting of what a client sends. The deepest sound message has about ten levels. */
export const JSON_DEPTH_MAX = 64;

/**
 * Counts brackets outside of strings.
 *
 * @param text What may be JSON.
 * @param depthMax Most levels.
 * @returns Whether it has more.
 */
export function isDeeperThan(
  text: string,
  depthMax: number = JSON_DEPTH_MAX,
): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (inString) {
      if (unit === 0x5c) at++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > depthMax) return true;
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return false;
}
