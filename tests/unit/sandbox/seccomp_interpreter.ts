/**
 * Runs a program of the kernel's classic BPF on a system call, as seccomp would. It knows the
 * instructions of our filter and refuses every other, and it is written against the kernel's
 * documentation, not against the generator, so that the two can disagree.
 *
 * @module
 */

/** A system call as a filter sees it: `struct seccomp_data`. */
export interface Call {
  /** AUDIT_ARCH of the machine. */
  readonly arch: number;
  readonly number: number;
  /** The first arguments, 64 bits each; the others are 0. */
  readonly args?: readonly bigint[];
}

/** What the filter made of a call. */
export interface Ruling {
  readonly verdict: string;
  /** How many instructions it took. */
  readonly steps: number;
  /** Which parts of the call were looked at, by offset. */
  readonly loads: readonly number[];
}

interface Step {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/**
 * Reads the bytes that `bwrap --seccomp` takes.
 *
 * @param bytes Eight an instruction.
 * @returns The instructions.
 */
export function decode(bytes: Uint8Array): Step[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength % 8 !== 0) {
    throw new RangeError(
      `Cannot decode a filter of ${view.byteLength} bytes: an instruction has 8`,
    );
  }
  return Array.from({ length: view.byteLength / 8 }, (_, i) => ({
    code: view.getUint16(i * 8, true),
    jt: view.getUint8(i * 8 + 2),
    jf: view.getUint8(i * 8 + 3),
    k: view.getUint32(i * 8 + 4, true),
  }));
}

/** Says where control may go from an instruction; nowhere from a return. */
export function successors(
  { code, jt, jf, k }: Step,
  at: number,
): readonly number[] {
  switch (code) {
    case 0x20:
    case 0x54:
      return [at + 1];
    case 0x05:
      return [at + 1 + k];
    case 0x15:
    case 0x35:
    case 0x45:
      return [at + 1 + jt, at + 1 + jf];
    case 0x06:
      return [];
  }
  throw new RangeError(
    `Cannot follow the instruction ${at}: its code 0x${
      code.toString(16)
    } is unknown`,
  );
}

function layout({ arch, number, args = [] }: Call): DataView {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (const [i, arg] of args.entries()) {
    data.setBigUint64(16 + 8 * i, arg, true);
  }
  return data;
}

function verdictOf(value: number): string {
  if (value === 0x7fff0000) return "allow";
  if (value === 0x80000000) return "kill process";
  if (value >>> 16 === 0x0005) return `errno ${value & 0xffff}`;
  return `0x${value.toString(16)}`;
}

/** Whether a jump is taken. */
function holds({ code, k }: Step, accumulator: number): boolean {
  if (code === 0x15) return accumulator === k;
  return code === 0x35 ? accumulator >= k : (accumulator & k) !== 0;
}

/**
 * Runs a filter.
 *
 * @param program The filter.
 * @param call The system call.
 * @returns The verdict, and how it came to be.
 * @throws {RangeError} If the filter does what the kernel would not load.
 */
export function rule(program: readonly Step[], call: Call): Ruling {
  const data = layout(call);
  const loads: number[] = [];
  let accumulator = 0;
  let at = 0;
  // Jumps go forward only, so that no program takes more steps than it has.
  for (let steps = 1; steps <= program.length; steps++) {
    const step = program[at];
    if (step === undefined) break;
    if (step.code === 0x06) {
      return { verdict: verdictOf(step.k), steps, loads };
    }
    if (step.code === 0x20) {
      loads.push(step.k);
      accumulator = data.getUint32(step.k, true);
    } else if (step.code === 0x54) {
      accumulator = (accumulator & step.k) >>> 0;
    }
    const [yes, no = yes] = successors(step, at);
    at = (holds(step, accumulator) ? yes : no) ?? program.length;
  }
  throw new RangeError("Cannot rule on the call: the filter has no end there");
}
