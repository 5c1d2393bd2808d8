/**
 * Fetches the JSON that an issuer publishes, within bounds: an issuer is trusted with who callers are,
 * and not with this server's memory and time.
 *
 * @module
 */

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Bounds of one document. */
export interface FetchBounds {
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

/** Most redirects of one document; all of them within its origin. */
const REDIRECTS_MAX = 3;

/**
 * Fetches a JSON object.
 *
 * @param url Where it is.
 * @param fetch Fetches.
 * @param bounds The bounds; the time holds for all redirects and the body together.
 * @returns The object.
 * @throws {Error} With a plain reason, if there is none to be had.
 */
export async function fetchObject(
  url: string,
  fetch: Fetch,
  bounds: FetchBounds,
): Promise<Readonly<Record<string, unknown>>> {
  const over = new AbortController();
  const timer = setTimeout(
    () => over.abort(new Error(`no answer within ${bounds.timeoutMs} ms`)),
    bounds.timeoutMs,
  );
  try {
    const response = await follow(url, fetch, over.signal);
    const text = await readText(response, bounds.bytesMax);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Error("the document is no JSON object");
    }
    return value as Readonly<Record<string, unknown>>;
  } finally {
    clearTimeout(timer);
  }
}

async function follow(
  start: string,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<Response> {
  let url = new URL(start);
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const response = await fetch(url.href, {
      redirect: "manual",
      headers: { accept: "application/json" },
      signal,
    });
    if (response.status === 200) return response;
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) {
      throw new Error(`the answer's status is ${response.status}`);
    }
    const next = URL.parse(location, url);
    // The permission to reach other hosts was given for other purposes.
    if (next === null || next.origin !== url.origin) {
      throw new Error("the answer redirects to another origin");
    }
    url = next;
  }
  throw new Error("the answer redirects too often");
}

/** Counts bytes as they come, unpacked ones: no header is believed. */
async function readText(
  response: Response,
  bytesMax: number,
): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  // Leaving the loop by an error cancels the stream.
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > bytesMax) {
      throw new Error(`the answer has more than ${bytesMax} bytes`);
    }
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
