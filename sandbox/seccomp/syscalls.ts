/**
 * What the scanners may ask of the kernel, by name, with the reason.
 *
 * The list was measured (scripts/trace_syscalls.sh runs the three tools over the lab in the whole chain
 * of the launcher), then widened by judgement where another C library, another kernel or the other
 * architecture does the same by another call. A call that stands nowhere here fails with EPERM.
 *
 * @module
 */

/** What becomes of a call; see {@linkcode ANSWERS} in program.ts for the code of each. */
export type Answer =
  /** It goes through. */
  | "allow"
  /** Not there (ENOSYS), as on an older kernel, so that the caller takes the older call. */
  | "absent"
  /** The process ends by SIGSYS: no scanner asks for it by mistake. */
  | "kill"
  /** EPERM, unless it makes a thread of the same process. */
  | "thread"
  /** EPERM, unless the socket is one that scans use. */
  | "network"
  /** EPERM, unless its ends can have no other partner than each other. */
  | "pair"
  /** EPERM, unless it is about a socket or a harmless question to a terminal. */
  | "device";

/** A call's number on each machine; null where it does not exist. */
export type Numbers = readonly [x86_64: number | null, aarch64: number | null];

/** Calls that get the same answer for the same reason. */
export interface Group {
  readonly answer: Answer;
  readonly why: string;
  readonly calls: Readonly<Record<string, Numbers>>;
}

/** Every call that does not simply fail with EPERM. */
export const GROUPS: readonly Group[] = [
  {
    answer: "allow",
    why:
      "Start and end: setpriv becomes prlimit, prlimit the scanner, and bubblewrap's pid 1 waits for it.",
    calls: {
      execve: [59, 221],
      exit: [60, 93],
      exit_group: [231, 94],
      wait4: [61, 260],
    },
  },
  {
    answer: "allow",
    why:
      "Who it is: setpriv becomes the unprivileged user and keeps at most CAP_NET_RAW; the scanner asks. aarch64 has getpgid for getpgrp.",
    calls: {
      setresuid: [117, 147],
      setresgid: [119, 149],
      setgroups: [116, 159],
      capget: [125, 90],
      capset: [126, 91],
      prctl: [157, 167],
      getuid: [102, 174],
      geteuid: [107, 175],
      getgid: [104, 176],
      getegid: [108, 177],
      getresuid: [118, 148],
      getresgid: [120, 150],
      getpid: [39, 172],
      getppid: [110, 173],
      gettid: [186, 178],
      getpgrp: [111, null],
      getpgid: [121, 155],
    },
  },
  {
    answer: "allow",
    why:
      "Limits and the machine: prlimit sets them, Go raises the one on files (setrlimit in older releases), all ask.",
    calls: {
      prlimit64: [302, 261],
      getrlimit: [97, 163],
      setrlimit: [160, 164],
      getrusage: [98, 165],
      sysinfo: [99, 179],
      uname: [63, 160],
      sched_getaffinity: [204, 123],
      sched_setaffinity: [203, 122],
      sched_yield: [24, 124],
    },
  },
  {
    answer: "allow",
    why: "Memory of its own; mincore is how older Go finds the size of a page.",
    calls: {
      brk: [12, 214],
      mmap: [9, 222],
      munmap: [11, 215],
      mprotect: [10, 226],
      mremap: [25, 216],
      madvise: [28, 233],
      mincore: [27, 232],
    },
  },
  {
    answer: "allow",
    why: "Threads: masscan's transmitter and receiver, and all of Go.",
    calls: {
      arch_prctl: [158, null],
      set_tid_address: [218, 96],
      set_robust_list: [273, 99],
      rseq: [334, 293],
      futex: [202, 98],
      tgkill: [234, 131],
    },
  },
  {
    answer: "allow",
    why:
      "Signals of its own; restart_syscall is how the kernel goes on with a wait that was stopped.",
    calls: {
      rt_sigaction: [13, 134],
      rt_sigprocmask: [14, 135],
      rt_sigreturn: [15, 139],
      sigaltstack: [131, 132],
      restart_syscall: [219, 128],
    },
  },
  {
    answer: "allow",
    why:
      "Time, read and waited for: a machine without a clock in the vDSO makes real calls of these.",
    calls: {
      time: [201, null],
      gettimeofday: [96, 169],
      clock_gettime: [228, 113],
      clock_getres: [229, 114],
      nanosleep: [35, 101],
      clock_nanosleep: [230, 115],
    },
  },
  {
    answer: "allow",
    why: "Randomness.",
    calls: {
      getrandom: [318, 278],
    },
  },
  {
    answer: "allow",
    why:
      "Files that bubblewrap shows. Which call opens and which one asks depends on the release of the C library.",
    calls: {
      open: [2, null],
      openat: [257, 56],
      close: [3, 57],
      close_range: [436, 436],
      stat: [4, null],
      lstat: [6, null],
      fstat: [5, 80],
      newfstatat: [262, 79],
      statx: [332, 291],
      access: [21, null],
      faccessat: [269, 48],
      faccessat2: [439, 439],
      readlink: [89, null],
      readlinkat: [267, 78],
      getcwd: [79, 17],
      getdents64: [217, 61],
      statfs: [137, 43],
      fstatfs: [138, 44],
    },
  },
  {
    answer: "allow",
    why:
      "In /tmp, all that bubblewrap lets it write: a script of nmap makes folders, a temporary file is unlinked.",
    calls: {
      mkdir: [83, null],
      mkdirat: [258, 34],
      unlink: [87, null],
      unlinkat: [263, 35],
    },
  },
  {
    answer: "allow",
    why: "What is open.",
    calls: {
      read: [0, 63],
      write: [1, 64],
      readv: [19, 65],
      writev: [20, 66],
      pread64: [17, 67],
      pwrite64: [18, 68],
      lseek: [8, 62],
      fcntl: [72, 25],
      dup: [32, 23],
      dup2: [33, null],
      dup3: [292, 24],
      pipe: [22, null],
      pipe2: [293, 59],
      eventfd2: [290, 19],
    },
  },
  {
    answer: "allow",
    why:
      "Connections that it makes. None comes in: listen and accept are refused.",
    calls: {
      bind: [49, 200],
      connect: [42, 203],
      getsockname: [51, 204],
      getpeername: [52, 205],
      getsockopt: [55, 209],
      setsockopt: [54, 208],
      shutdown: [48, 210],
      sendto: [44, 206],
      recvfrom: [45, 207],
      sendmsg: [46, 211],
      recvmsg: [47, 212],
      sendmmsg: [307, 269],
    },
  },
  {
    answer: "allow",
    why:
      "Waiting for many at once: nsock takes epoll, libpcap poll, others select; aarch64 has the newer call of each alone.",
    calls: {
      poll: [7, null],
      ppoll: [271, 73],
      select: [23, null],
      pselect6: [270, 72],
      epoll_create: [213, null],
      epoll_create1: [291, 20],
      epoll_ctl: [233, 21],
      epoll_wait: [232, null],
      epoll_pwait: [281, 22],
    },
  },
  {
    answer: "thread",
    why: "A thread of its own, never a process.",
    calls: {
      clone: [56, 220],
    },
  },
  {
    answer: "network",
    why:
      "The internet, raw frames and the routing table; no socket of the host.",
    calls: {
      socket: [41, 198],
    },
  },
  {
    answer: "pair",
    why:
      "Two ends in one process, over which nmap's ssh scripts talk to libssh2.",
    calls: {
      socketpair: [53, 199],
    },
  },
  {
    answer: "device",
    why: "Questions to sockets and terminals.",
    calls: {
      ioctl: [16, 29],
    },
  },
  {
    answer: "absent",
    why: "glibc and Go then take clone, whose flags a filter can read.",
    calls: {
      clone3: [435, 435],
    },
  },
  {
    answer: "kill",
    why: "Another process: its memory, its files, its course.",
    calls: {
      ptrace: [101, 117],
      process_vm_readv: [310, 270],
      process_vm_writev: [311, 271],
      process_madvise: [440, 440],
      kcmp: [312, 272],
      pidfd_getfd: [438, 438],
    },
  },
  {
    answer: "kill",
    why: "Mounts and namespaces: the ways out of the sandbox.",
    calls: {
      mount: [165, 40],
      umount2: [166, 39],
      pivot_root: [155, 41],
      chroot: [161, 51],
      move_mount: [429, 429],
      open_tree: [428, 428],
      open_tree_attr: [467, 467],
      fsopen: [430, 430],
      fsconfig: [431, 431],
      fsmount: [432, 432],
      fspick: [433, 433],
      mount_setattr: [442, 442],
      unshare: [272, 97],
      setns: [308, 268],
      open_by_handle_at: [304, 265],
    },
  },
  {
    answer: "kill",
    why: "The kernel itself: code in it, and another one in its place.",
    calls: {
      bpf: [321, 280],
      perf_event_open: [298, 241],
      kexec_load: [246, 104],
      kexec_file_load: [320, 294],
      init_module: [175, 105],
      finit_module: [313, 273],
      delete_module: [176, 106],
      create_module: [174, null],
      reboot: [169, 142],
      iopl: [172, null],
      ioperm: [173, null],
    },
  },
  {
    answer: "kill",
    why:
      "Parts of the kernel through which sandboxes were left again and again.",
    calls: {
      io_uring_setup: [425, 425],
      io_uring_enter: [426, 426],
      io_uring_register: [427, 427],
      userfaultfd: [323, 282],
      keyctl: [250, 219],
      add_key: [248, 217],
      request_key: [249, 218],
    },
  },
  {
    answer: "kill",
    why: "What belongs to the whole machine.",
    calls: {
      swapon: [167, 224],
      swapoff: [168, 225],
      acct: [163, 89],
      quotactl: [179, 60],
      quotactl_fd: [443, 443],
    },
  },
];
