/**
 * Builds the seccomp filter of the scanners: one program of the kernel's classic BPF for x86_64 and
 * aarch64, which `bwrap --seccomp` loads into its own pid 1 and into the scanner.
 *
 * The program asks which machine the call came from, then finds the call's number in a binary tree of
 * ranges. On the way to a plain answer it reads nothing but the machine and the number: kernels since
 * 5.11 try each number once when the filter is loaded, and need not run it again for those that are
 * always allowed. Only clone, socket, socketpair and ioctl look at an argument.
 *
 * An argument is 64 bits wide in a register, but the kernel takes these as 32 bits and ignores the rest,
 * so only the lower half is looked at; a filter that compared all of it would be passed by a bit that
 * nobody reads.
 *
 * @module
 */
import { type Answer, GROUPS } from "./syscalls.ts";

/** One instruction: `struct sock_filter`. */
export interface Instruction {
  readonly code: number;
  /** How many instructions to leave out where the condition holds, and where it does not. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** A piece of a program. Control never runs off its end: each way through it ends with a return. */
type Code = readonly Instruction[];

// Opcodes of <linux/bpf_common.h>, put together.
const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const IF_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

// Where `struct seccomp_data` has what; arguments are 64 bits, the lower half first on both machines.
const NUMBER = 0;
const MACHINE = 4;
const lowerHalf = (argument: number): number => 16 + 8 * argument;

// Return values of <linux/seccomp.h>; an error number stands in the lower half.
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const ERRNO = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;

/** The machines by AUDIT_ARCH of <linux/audit.h>, and their column in the table. */
const MACHINES = [
  { arch: 0xc000003e, column: 0, name: "x86_64" },
  { arch: 0xc00000b7, column: 1, name: "aarch64" },
] as const;

/** A call of the x32 ABI says x86_64 and has this bit in its number: the same calls by other numbers. */
const X32_BIT = 0x40000000;

const CLONE_THREAD = 0x00010000;
/** CLONE_PTRACE, CLONE_VFORK and every CLONE_NEW… that clone knows. */
const CLONE_BEYOND_THREADS = 0x7e026000;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const AF_PACKET = 17;
const NETLINK_ROUTE = 0;

/** The part of a socket's type that is no flag. */
const SOCKET_TYPE = 0xf;
const SOCK_STREAM = 1;

/** The byte of an ioctl's number that says whose it is: terminals ("T") and sockets. */
const IOCTL_OWNER = 0x0000ff00;
const OWNER_TERMINAL = 0x5400;
const OWNER_SOCKET = 0x8900;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const TIOCCONS = 0x541d;
const TIOCSETD = 0x5423;

function load(offset: number): Instruction {
  return { code: LOAD_WORD, jt: 0, jf: 0, k: offset };
}

function answer(value: number): Instruction {
  return { code: RETURN, jt: 0, jf: 0, k: value };
}

/** Branches. A jump on a condition reaches 255 instructions; a longer one takes a JUMP to help. */
function branch(code: number, k: number, yes: Code, no: Code): Code {
  if (no.length <= 255) {
    return [{ code, jt: no.length, jf: 0, k }, ...no, ...yes];
  }
  const far = { code: JUMP, jt: 0, jf: 0, k: no.length };
  return [{ code, jt: 0, jf: 1, k }, far, ...no, ...yes];
}

/** Gives one answer for some values of what is loaded, and another for the rest. */
function oneOf(values: readonly number[], yes: Code, no: Code): Code {
  return values.reduceRight((rest, k) => branch(IF_EQUAL, k, yes, rest), no);
}

const allow: Code = [answer(ALLOW)];
const kill: Code = [answer(KILL_PROCESS)];
const refuse: Code = [answer(ERRNO | EPERM)];

/** The code of each answer, run with the number loaded. */
export const ANSWERS: Readonly<Record<Answer | "refuse", Code>> = {
  allow,
  kill,
  refuse,
  absent: [answer(ERRNO | ENOSYS)],
  // clone(flags, …)
  thread: [
    load(lowerHalf(0)),
    ...branch(
      IF_ANY_BIT,
      CLONE_BEYOND_THREADS,
      refuse,
      branch(IF_ANY_BIT, CLONE_THREAD, allow, refuse),
    ),
  ],
  // socket(family, type, protocol)
  network: [
    load(lowerHalf(0)),
    ...oneOf(
      [AF_INET, AF_INET6, AF_PACKET],
      allow,
      branch(IF_EQUAL, AF_NETLINK, [
        load(lowerHalf(2)),
        ...branch(IF_EQUAL, NETLINK_ROUTE, allow, refuse),
      ], refuse),
    ),
  ],
  // socketpair(family, type, …). An end of a pair of datagram sockets could still send to every unix
  // socket that it can name; the ends of a stream are connected for good.
  pair: [
    load(lowerHalf(0)),
    ...branch(IF_EQUAL, AF_UNIX, [
      load(lowerHalf(1)),
      { code: AND, jt: 0, jf: 0, k: SOCKET_TYPE },
      ...branch(IF_EQUAL, SOCK_STREAM, allow, refuse),
    ], refuse),
  ],
  // ioctl(fd, number, …)
  device: [
    load(lowerHalf(1)),
    ...oneOf([TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD], refuse, [
      { code: AND, jt: 0, jf: 0, k: IOCTL_OWNER },
      ...oneOf([OWNER_TERMINAL, OWNER_SOCKET], allow, refuse),
    ]),
  ],
};

/** Numbers from `first` on that get one answer, up to the next range. */
interface Range {
  readonly first: number;
  readonly answer: Answer | "refuse";
}

/** Writes a machine's column of the table as ranges that cover every number. */
function rangesOf(column: 0 | 1): Range[] {
  const answers: (Answer | "refuse")[] = [];
  for (const { answer, calls } of GROUPS) {
    for (const [name, numbers] of Object.entries(calls)) {
      const number = numbers[column];
      if (number === null) continue;
      if (answers[number] !== undefined) {
        throw new TypeError(
          `Cannot give "${name}" two answers: its number is taken`,
        );
      }
      answers[number] = answer;
    }
  }
  // What is refused lies between the others and after the last.
  const ranges: Range[] = [];
  for (let number = 0; number <= answers.length; number++) {
    const answer = answers[number] ?? "refuse";
    if (ranges.at(-1)?.answer !== answer) {
      ranges.push({ first: number, answer });
    }
  }
  return ranges;
}

/** Finds the range of a number by halving. */
function search(ranges: readonly Range[]): Code {
  const middle = ranges.length >> 1;
  const pivot = ranges[middle];
  if (pivot === undefined) throw new TypeError("Cannot search among no ranges");
  if (middle === 0) return ANSWERS[pivot.answer];
  const below = search(ranges.slice(0, middle));
  const above = search(ranges.slice(middle));
  return branch(IF_AT_LEAST, pivot.first, above, below);
}

/**
 * Builds the filter.
 *
 * @returns Its instructions.
 */
export function program(): Instruction[] {
  const [x86_64, aarch64] = MACHINES;
  const calls = [
    load(NUMBER),
    ...branch(IF_ANY_BIT, X32_BIT, kill, search(rangesOf(x86_64.column))),
  ];
  const other = branch(
    IF_EQUAL,
    aarch64.arch,
    [load(NUMBER), ...search(rangesOf(aarch64.column))],
    kill,
  );
  return [load(MACHINE), ...branch(IF_EQUAL, x86_64.arch, calls, other)];
}

/**
 * Encodes a program as `bwrap --seccomp` reads it: an array of `struct sock_filter`, low byte first.
 *
 * @param instructions The program.
 * @returns Its bytes, eight an instruction.
 */
export function encode(instructions: readonly Instruction[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(instructions.length * 8));
  for (const [i, { code, jt, jf, k }] of instructions.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  }
  return new Uint8Array(view.buffer);
}
