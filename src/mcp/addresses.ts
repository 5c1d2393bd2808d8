/**
 * Many addresses in few words. Neighbours in the last octet become `a.b.c.d-e`, which is a form that
 * the tools take as a target, so that an answer can be handed on to the next scan as it stands.
 *
 * @module
 */

/** Fewest neighbours that are worth a range: of two, the range is no shorter. */
const RUN_MIN = 3;

/** Addresses as a client gets them. */
export interface Group {
  /** An address, or a range of neighbours. */
  readonly text: string;
  /** How many addresses it stands for. */
  readonly count: number;
}

/**
 * Folds addresses into groups.
 *
 * @param addresses IPv4 and IPv6 addresses, in any order.
 * @returns IPv4 in order of value, then the others as they came.
 */
export function foldAddresses(addresses: Iterable<string>): readonly Group[] {
  const four = new Map<number, string>();
  const others = new Set<string>();
  for (const address of addresses) {
    const value = valueOf(address);
    if (value === null) others.add(address);
    else four.set(value, address);
  }
  const groups: Group[] = [];
  let run: number[] = [];
  for (const value of [...four.keys()].sort((a, b) => a - b)) {
    const last = run.at(-1);
    if (last !== undefined && (value !== last + 1 || value % 256 === 0)) {
      groups.push(...close(run, four));
      run = [];
    }
    run.push(value);
  }
  groups.push(...close(run, four));
  for (const address of others) groups.push({ text: address, count: 1 });
  return groups;
}

/**
 * Says groups in one line, with a shared beginning written once: `10.0.0.1-9,12; 10.0.1.4`.
 *
 * @param groups The groups, in order.
 * @returns The line.
 */
export function addressLine(groups: readonly Group[]): string {
  const parts: string[] = [];
  let prefix: string | null = null;
  for (const { text } of groups) {
    const dot = text.includes(":") ? -1 : text.lastIndexOf(".");
    const own = dot < 0 ? null : text.slice(0, dot);
    if (own !== null && own === prefix) {
      parts[parts.length - 1] += `,${text.slice(dot + 1)}`;
    } else parts.push(text);
    prefix = own;
  }
  return parts.join("; ");
}

function close(
  run: readonly number[],
  texts: ReadonlyMap<number, string>,
): Group[] {
  const [first] = run;
  const last = run.at(-1);
  if (first === undefined || last === undefined) return [];
  if (run.length < RUN_MIN) {
    return run.map((value) => ({ text: texts.get(value) ?? "", count: 1 }));
  }
  return [{
    text: `${texts.get(first) ?? ""}-${last % 256}`,
    count: run.length,
  }];
}

function valueOf(address: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (match === null) return null;
  const octets = match.slice(1).map(Number);
  if (octets.some((octet) => octet > 255)) return null;
  return octets.reduce((value, octet) => value * 256 + octet, 0);
}
