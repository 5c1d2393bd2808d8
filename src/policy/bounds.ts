/**
 * How much of policies is taken, and the check that has to come before Cedar sees a text.
 *
 * Cedar's parser and its validator call themselves for every level of an expression, on a stack of
 * 1 MiB within the WebAssembly instance. A text that is nested 160 deep ends that instance, and with it
 * every later decision of the process (tried: parentheses break it at 160 levels, sets and records at
 * 130, `+` at 1,600 in a row, `.` at 3,200, `&&` at 6,400, `if` at 800). So each policy is counted
 * first, by a scan that does nothing but count, and one that could come near is refused.
 *
 * @module
 */

/** Most files of a folder. */
export const FILES_MAX = 64;

/** Largest file, and largest text that is validated, in bytes. */
export const FILE_BYTES_MAX = 262_144;

/** Most policies in force. */
export const POLICIES_MAX = 1_000;

/** Most networks that one request may name. */
export const NETWORKS_MAX = 256;

/** Most different networks that the policies may name: each that lies within a request's is judged. */
export const POLICY_NETWORKS_MAX = 1_000;

/** Deepest nesting of brackets. */
export const DEPTH_MAX = 20;

/** Most `.`, `[`, `+`, `-` and `*` of one policy. */
export const CHAIN_MAX = 300;

/** Most `&&`, `||`, `when` and `unless` of one policy. */
export const LOGIC_MAX = 400;

/** Most `if` of one policy. */
export const IFS_MAX = 32;

/** What is too much, and where. */
export interface Excess {
  /** UTF-16 code units from the start. */
  readonly offset: number;
  readonly message: string;
}

/** Texts, comments, words, operators and brackets: whatever else there is does not nest. */
const TOKEN =
  /"(?:\\[^]|[^"\\])*"|"|\/\/[^\n\r]*|[A-Za-z_][A-Za-z0-9_]*|&&|\|\||[.+*;<>(){}[\]-]/g;

const SPLIT = "split it into several policies, or name fewer things in it";

/**
 * Counts what nests in a text of policies.
 *
 * @param text Untrusted text.
 * @param brackets What opens and what closes a level; for a schema `<` and `>` as well.
 * @returns What is too much, or null.
 */
export function excessOf(
  text: string,
  brackets: { readonly open: string; readonly close: string } = {
    open: "([{",
    close: ")]}",
  },
): Excess | null {
  const counts = { depth: 0, chain: 0, logic: 0, ifs: 0, policies: 0 };
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '"') {
      return at(index, 'a text is not ended; write a closing "');
    }
    if (brackets.open.includes(token)) counts.depth++;
    if (brackets.close.includes(token)) counts.depth--;
    count(token, counts);
    const message = excess(counts);
    if (message !== null) return at(index, message);
  }
  return null;
}

interface Counts {
  depth: number;
  chain: number;
  logic: number;
  ifs: number;
  policies: number;
}

function count(token: string, counts: Counts): void {
  if (token === ";") {
    [counts.chain, counts.logic, counts.ifs] = [0, 0, 0];
    counts.policies++;
  } else if (".[+-*".includes(token)) counts.chain++;
  else if (["&&", "||", "when", "unless"].includes(token)) counts.logic++;
  else if (token === "if") counts.ifs++;
}

function excess(counts: Counts): string | null {
  if (counts.depth > DEPTH_MAX) {
    return `brackets are nested more than ${DEPTH_MAX} deep; ${SPLIT}`;
  }
  if (counts.chain > CHAIN_MAX) {
    return `a policy has more than ${CHAIN_MAX} of . [ + - *; ${SPLIT}`;
  }
  if (counts.logic > LOGIC_MAX) {
    return `a policy has more than ${LOGIC_MAX} of && || when unless; ${SPLIT}`;
  }
  if (counts.ifs > IFS_MAX) {
    return `a policy has more than ${IFS_MAX} times "if"; ${SPLIT}`;
  }
  return counts.policies > POLICIES_MAX
    ? `there are more than ${POLICIES_MAX} policies; keep fewer, a set of addresses instead of a policy for each`
    : null;
}

function at(offset: number, message: string): Excess {
  return { offset, message };
}
