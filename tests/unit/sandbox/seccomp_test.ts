/**
 * The checked-in seccomp filter, call by call, for both machines. The interpreter runs its bytes, so a
 * mistake in the generator shows here as well; every number in this file is a literal of the kernel's.
 *
 * @module
 */
import assert from "node:assert/strict";
import { encode, program } from "../../../sandbox/seccomp/program.ts";
import { GROUPS } from "../../../sandbox/seccomp/syscalls.ts";
import { verifies } from "../../requirements.ts";
import { type Call, decode, rule, successors } from "./seccomp_interpreter.ts";

verifies("sandbox.seccomp.generated", "sandbox.seccomp.allowlist");

const BYTES = Deno.readFileSync(
  new URL("../../../sandbox/seccomp/filter.bpf", import.meta.url),
);
const FILTER = decode(BYTES);

const X86_64 = 0xc000003e;
const AARCH64 = 0xc00000b7;

const EPERM = "errno 1";
const ENOSYS = "errno 38";

function verdict(arch: number, number: number, ...args: bigint[]): string {
  return rule(FILTER, { arch, number, args }).verdict;
}

/** Name, number on x86_64, number on aarch64, verdict. */
type Known = readonly [string, number | null, number | null, string];

const KNOWN: readonly Known[] = [
  ["read", 0, 63, "allow"],
  ["write", 1, 64, "allow"],
  ["execve", 59, 221, "allow"],
  ["exit_group", 231, 94, "allow"],
  ["mmap", 9, 222, "allow"],
  ["mprotect", 10, 226, "allow"],
  ["futex", 202, 98, "allow"],
  ["rseq", 334, 293, "allow"],
  ["restart_syscall", 219, 128, "allow"],
  ["setresuid", 117, 147, "allow"],
  ["setresgid", 119, 149, "allow"],
  ["setgroups", 116, 159, "allow"],
  ["capset", 126, 91, "allow"],
  ["prctl", 157, 167, "allow"],
  ["prlimit64", 302, 261, "allow"],
  ["open", 2, null, "allow"],
  ["openat", 257, 56, "allow"],
  ["newfstatat", 262, 79, "allow"],
  ["statx", 332, 291, "allow"],
  ["faccessat2", 439, 439, "allow"],
  ["getrandom", 318, 278, "allow"],
  ["poll", 7, null, "allow"],
  ["ppoll", 271, 73, "allow"],
  ["epoll_wait", 232, null, "allow"],
  ["epoll_pwait", 281, 22, "allow"],
  ["connect", 42, 203, "allow"],
  ["sendto", 44, 206, "allow"],
  ["recvfrom", 45, 207, "allow"],
  ["sendmmsg", 307, 269, "allow"],
  ["setsockopt", 54, 208, "allow"],

  ["fork", 57, null, EPERM],
  ["vfork", 58, null, EPERM],
  ["listen", 50, 201, EPERM],
  ["accept", 43, 202, EPERM],
  ["accept4", 288, 242, EPERM],
  ["kill", 62, 129, EPERM],
  ["seccomp", 317, 277, EPERM],
  ["personality", 135, 92, EPERM],
  ["memfd_create", 319, 279, EPERM],
  ["execveat", 322, 281, EPERM],
  ["openat2", 437, 437, EPERM],
  ["name_to_handle_at", 303, 264, EPERM],
  ["pidfd_open", 434, 434, EPERM],
  ["pidfd_send_signal", 424, 424, EPERM],
  ["splice", 275, 76, EPERM],
  ["vmsplice", 278, 75, EPERM],
  ["modify_ldt", 154, null, EPERM],
  ["shmget", 29, 194, EPERM],
  ["msgget", 68, 186, EPERM],
  ["mknodat", 259, 33, EPERM],
  ["symlinkat", 266, 36, EPERM],
  ["linkat", 265, 37, EPERM],
  ["settimeofday", 164, 170, EPERM],
  ["clock_settime", 227, 112, EPERM],
  ["adjtimex", 159, 171, EPERM],
  ["sethostname", 170, 161, EPERM],
  ["syslog", 103, 116, EPERM],
  ["landlock_create_ruleset", 444, 444, EPERM],

  ["clone3", 435, 435, ENOSYS],

  ["ptrace", 101, 117, "kill process"],
  ["process_vm_readv", 310, 270, "kill process"],
  ["process_vm_writev", 311, 271, "kill process"],
  ["process_madvise", 440, 440, "kill process"],
  ["kcmp", 312, 272, "kill process"],
  ["pidfd_getfd", 438, 438, "kill process"],
  ["bpf", 321, 280, "kill process"],
  ["perf_event_open", 298, 241, "kill process"],
  ["userfaultfd", 323, 282, "kill process"],
  ["io_uring_setup", 425, 425, "kill process"],
  ["io_uring_enter", 426, 426, "kill process"],
  ["io_uring_register", 427, 427, "kill process"],
  ["add_key", 248, 217, "kill process"],
  ["request_key", 249, 218, "kill process"],
  ["keyctl", 250, 219, "kill process"],
  ["mount", 165, 40, "kill process"],
  ["umount2", 166, 39, "kill process"],
  ["pivot_root", 155, 41, "kill process"],
  ["chroot", 161, 51, "kill process"],
  ["open_tree", 428, 428, "kill process"],
  ["open_tree_attr", 467, 467, "kill process"],
  ["move_mount", 429, 429, "kill process"],
  ["fsopen", 430, 430, "kill process"],
  ["fsconfig", 431, 431, "kill process"],
  ["fsmount", 432, 432, "kill process"],
  ["fspick", 433, 433, "kill process"],
  ["mount_setattr", 442, 442, "kill process"],
  ["unshare", 272, 97, "kill process"],
  ["setns", 308, 268, "kill process"],
  ["open_by_handle_at", 304, 265, "kill process"],
  ["kexec_load", 246, 104, "kill process"],
  ["kexec_file_load", 320, 294, "kill process"],
  ["init_module", 175, 105, "kill process"],
  ["finit_module", 313, 273, "kill process"],
  ["delete_module", 176, 106, "kill process"],
  ["create_module", 174, null, "kill process"],
  ["reboot", 169, 142, "kill process"],
  ["iopl", 172, null, "kill process"],
  ["ioperm", 173, null, "kill process"],
  ["swapon", 167, 224, "kill process"],
  ["swapoff", 168, 225, "kill process"],
  ["acct", 163, 89, "kill process"],
  ["quotactl", 179, 60, "kill process"],
  ["quotactl_fd", 443, 443, "kill process"],
];

/** Calls of which an argument decides: x86_64, aarch64. */
const CLONE = [56, 220] as const;
const SOCKET = [41, 198] as const;
const SOCKETPAIR = [53, 199] as const;
const IOCTL = [16, 29] as const;

/** Checks a call that both machines have, by its two numbers. */
function both(
  [x86_64, aarch64]: readonly [number, number],
  args: readonly bigint[],
  expected: string,
  what: string,
): void {
  assert.equal(verdict(X86_64, x86_64, ...args), expected, `x86_64: ${what}`);
  assert.equal(
    verdict(AARCH64, aarch64, ...args),
    expected,
    `aarch64: ${what}`,
  );
}

Deno.test("the checked-in filter is what the generator makes", () => {
  assert.deepEqual(
    BYTES,
    encode(program()),
    "run the generator: see sandbox/seccomp/generate.ts",
  );
});

Deno.test("the filter is a program that the kernel loads", () => {
  assert.ok(FILTER.length > 0 && FILTER.length <= 4096, `${FILTER.length}`);
  for (const [at, step] of FILTER.entries()) {
    for (const next of successors(step, at)) {
      assert.ok(next > at && next < FILTER.length, `instruction ${at}`);
    }
    if (step.code === 0x20) assert.ok(step.k % 4 === 0 && step.k < 64);
  }
});

Deno.test("each instruction of the filter is reached", () => {
  const reached = new Set([0]);
  for (const [at, step] of FILTER.entries()) {
    if (!reached.has(at)) continue;
    for (const next of successors(step, at)) reached.add(next);
  }
  assert.equal(reached.size, FILTER.length);
});

Deno.test("the filter permits, refuses and kills by name", () => {
  for (const [name, x86_64, aarch64, expected] of KNOWN) {
    if (x86_64 !== null) {
      assert.equal(verdict(X86_64, x86_64), expected, `x86_64: ${name}`);
    }
    if (aarch64 !== null) {
      assert.equal(verdict(AARCH64, aarch64), expected, `aarch64: ${name}`);
    }
  }
});

/** What the filter permits whatever the arguments: widening it is a decision, so it stands here too. */
const PERMITTED = `
  access arch_prctl bind brk capget capset clock_getres clock_gettime clock_nanosleep
  close close_range connect dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
  epoll_pwait epoll_wait eventfd2 execve exit exit_group faccessat faccessat2 fcntl
  fstat fstatfs futex getcwd getdents64 getegid geteuid getgid getpeername getpgid
  getpgrp getpid getppid getrandom getresgid getresuid getrlimit getrusage
  getsockname getsockopt gettid gettimeofday getuid lseek lstat madvise mincore mkdir
  mkdirat mmap mprotect mremap munmap nanosleep newfstatat open openat pipe pipe2
  poll ppoll prctl pread64 prlimit64 pselect6 pwrite64 read readlink readlinkat readv
  recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn
  sched_getaffinity sched_setaffinity sched_yield select sendmmsg sendmsg sendto
  set_robust_list set_tid_address setgroups setresgid setresuid setrlimit setsockopt
  shutdown sigaltstack stat statfs statx sysinfo tgkill time uname unlink unlinkat
  wait4 write writev
`;

Deno.test("no call is permitted that is not named here", () => {
  const permitted = GROUPS.filter(({ answer }) => answer === "allow")
    .flatMap(({ calls }) => Object.keys(calls)).sort();
  assert.deepEqual(permitted, PERMITTED.trim().split(/\s+/));
});

Deno.test("every number has the verdict of the table", () => {
  const plain = {
    allow: "allow",
    kill: "kill process",
    absent: ENOSYS,
    // Without arguments: no thread, no family, no device.
    thread: EPERM,
    network: EPERM,
    pair: EPERM,
    device: EPERM,
  };
  for (const [column, arch] of [X86_64, AARCH64].entries()) {
    const expected = new Map<number, string>();
    for (const { answer, calls } of GROUPS) {
      for (const numbers of Object.values(calls)) {
        const number = numbers[column];
        if (typeof number === "number") expected.set(number, plain[answer]);
      }
    }
    for (let number = 0; number <= 600; number++) {
      assert.equal(
        verdict(arch, number),
        expected.get(number) ?? EPERM,
        `${number} of 0x${arch.toString(16)}`,
      );
    }
  }
});

Deno.test("a plain verdict takes few steps and no argument, so that the kernel remembers it", () => {
  const deciding = [CLONE, SOCKET, SOCKETPAIR, IOCTL];
  for (const [column, arch] of [X86_64, AARCH64].entries()) {
    const numbers = new Set<number | undefined>(
      deciding.map((call) => call[column]),
    );
    for (let number = 0; number <= 600; number++) {
      if (numbers.has(number)) continue;
      const { steps, loads } = rule(FILTER, { arch, number });
      assert.ok(steps <= 15, `${number}: ${steps} steps`);
      assert.deepEqual(loads, [4, 0], `${number}`);
    }
  }
});

Deno.test("clone makes threads and nothing else", () => {
  const cases: readonly [string, bigint, string][] = [
    ["a thread of glibc", 0x3d0f00n, "allow"],
    ["a thread of Go", 0x50f00n, "allow"],
    ["a thread of musl", 0x7d0f00n, "allow"],
    ["fork", 0x1200011n, EPERM],
    ["vfork", 0x4111n, EPERM],
    ["a process that shares memory", 0x111n, EPERM],
    ["a thread in a network namespace of its own", 0x40050f00n, EPERM],
    ["a thread in a user namespace of its own", 0x10050f00n, EPERM],
    ["a thread in a mount namespace of its own", 0x70d00n, EPERM],
    ["a thread that is traced", 0x52f00n, EPERM],
    ["CLONE_THREAD where the kernel does not look", 0x1000000000011n, EPERM],
    ["a new namespace where it does not look", 0x1000000050f00n, "allow"],
  ];
  for (const [what, flags, expected] of cases) {
    both(CLONE, [flags], expected, what);
  }
});

Deno.test("a socket is of the internet, of raw frames or asks for routes", () => {
  const stream = 1n;
  const raw = 3n;
  const cases: readonly [string, readonly bigint[], string][] = [
    ["TCP", [2n, stream, 6n], "allow"],
    ["a raw IPv4 socket", [2n, raw, 255n], "allow"],
    ["IPv6", [10n, stream, 6n], "allow"],
    ["frames", [17n, raw, 0x300n], "allow"],
    ["routes", [16n, raw, 0n], "allow"],
    ["the list of everybody's sockets", [16n, raw, 4n], EPERM],
    ["the packet filter", [16n, raw, 12n], EPERM],
    ["generic netlink", [16n, raw, 16n], EPERM],
    ["unspecified", [0n, stream, 0n], EPERM],
    ["unix", [1n, stream, 0n], EPERM],
    ["keys", [15n, raw, 2n], EPERM],
    ["Bluetooth", [31n, raw, 1n], EPERM],
    ["the kernel's ciphers", [38n, 5n, 0n], EPERM],
    ["the virtual machine's host", [40n, stream, 0n], EPERM],
    ["XDP", [44n, raw, 0n], EPERM],
    ["the last family", [0xffffffffn, stream, 0n], EPERM],
    ["unix, and a bit that the kernel ignores", [0x100000001n, stream], EPERM],
    [
      "IPv4, and a bit that the kernel ignores",
      [0x100000002n, stream],
      "allow",
    ],
  ];
  for (const [what, args, expected] of cases) {
    both(SOCKET, args, expected, what);
  }
});

Deno.test("a pair of sockets is a stream, whose ends stay connected", () => {
  const cases: readonly [string, readonly bigint[], string][] = [
    ["a stream", [1n, 1n, 0n], "allow"],
    ["a stream with flags", [1n, 0x80801n, 0n], "allow"],
    ["datagrams, which name their receiver", [1n, 2n, 0n], EPERM],
    ["datagrams with flags", [1n, 0x80802n, 0n], EPERM],
    ["raw, which the kernel makes datagrams", [1n, 3n, 0n], EPERM],
    ["packets", [1n, 5n, 0n], EPERM],
    ["another family", [30n, 1n, 0n], EPERM],
    ["unix where the kernel does not look", [0x100000000n, 1n, 0n], EPERM],
  ];
  for (const [what, args, expected] of cases) {
    both(SOCKETPAIR, args, expected, what);
  }
});

Deno.test("ioctl asks sockets and terminals, and types nothing into one", () => {
  const cases: readonly [string, bigint, string][] = [
    ["TCGETS", 0x5401n, "allow"],
    ["TCGETS2", 0x802c542an, "allow"],
    ["TIOCGWINSZ", 0x5413n, "allow"],
    ["FIONREAD", 0x541bn, "allow"],
    ["FIONBIO", 0x5421n, "allow"],
    ["SIOCGIFCONF", 0x8912n, "allow"],
    ["SIOCGIFHWADDR", 0x8927n, "allow"],
    ["SIOCETHTOOL", 0x8946n, "allow"],
    ["TIOCSTI", 0x5412n, EPERM],
    ["TIOCSTI, and a bit that the kernel ignores", 0x100005412n, EPERM],
    ["TIOCLINUX", 0x541cn, EPERM],
    ["TIOCCONS", 0x541dn, EPERM],
    ["TIOCSETD", 0x5423n, EPERM],
    ["FS_IOC_SETFLAGS", 0x40086602n, EPERM],
    ["FICLONE", 0x40049409n, EPERM],
    ["KVM_CREATE_VM", 0xae01n, EPERM],
    ["NS_GET_USERNS", 0xb701n, EPERM],
    ["LOOP_SET_FD", 0x4c00n, EPERM],
  ];
  for (const [what, request, expected] of cases) {
    both(IOCTL, [0n, request], expected, what);
  }
});

Deno.test("calls of another machine or another ABI kill", () => {
  const read = { x86_64: 0, i386: 3, aarch64: 63, arm: 3 };
  const calls: readonly [string, Call][] = [
    ["i386", { arch: 0x40000003, number: read.i386 }],
    ["arm", { arch: 0x40000028, number: read.arm }],
    ["x86_64, high byte first", { arch: 0x8000003e, number: read.x86_64 }],
    ["aarch64, high byte first", { arch: 0x800000b7, number: read.aarch64 }],
    ["riscv64", { arch: 0xc00000f3, number: read.aarch64 }],
    ["none", { arch: 0, number: read.x86_64 }],
    ["all bits", { arch: 0xffffffff, number: read.x86_64 }],
    ["x32", { arch: X86_64, number: 0x40000000 + read.x86_64 }],
    ["x32's own execve", { arch: X86_64, number: 0x40000000 + 520 }],
    ["the last number", { arch: X86_64, number: 0xffffffff }],
  ];
  for (const [what, call] of calls) {
    assert.equal(rule(FILTER, call).verdict, "kill process", what);
  }
  // aarch64 has no second ABI: a number beyond the table is refused as any other.
  assert.equal(verdict(AARCH64, 0x40000000 + 63), EPERM);
  assert.equal(verdict(X86_64, 0x3fffffff), EPERM);
});
