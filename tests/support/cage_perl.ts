/**
 * Hostile programs for a cage, in Perl: every Debian has it, and its `syscall` asks the kernel for
 * anything without a compiler. Each prints what came of it: `through`, or the kernel's refusal. All are
 * bounded, so that the machine takes no harm where nothing holds them.
 *
 * @module
 */

/** The one program that every cage of the escape tests runs. */
export const PERL = "/usr/bin/perl";

const ARM = Deno.build.arch === "aarch64";

/** Numbers of system calls on this machine. */
export const CALLS = {
  mmap: ARM ? 222 : 9,
  ptrace: ARM ? 117 : 101,
  processVmReadv: ARM ? 270 : 310,
} as const;

/**
 * Makes the arguments of perl.
 *
 * @param script The program.
 * @param args What it finds in `@ARGV`.
 * @returns The arguments.
 */
export function perl(script: string, ...args: readonly string[]): string[] {
  return ["-e", `$| = 1; ${script}`, "--", ...args];
}

/** Reads each file that it is given: a line a file, its content or the refusal. */
export const READ =
  'for (@ARGV) { if (open my $f, "<", $_) { my $line = <$f>; chomp $line; print "$line\\n" } else { print "$!\\n" } }';

/** Makes a file in each folder that it is given, and removes it. */
export const WRITE = `for (@ARGV) {
  my $file = "$_/security-mcp-test-$$";
  if (open my $f, ">", $file) { close $f; unlink $file; print "through\\n" } else { print "$!\\n" }
}`;

/** Lists the numbers of the processes that it sees. */
export const PROCESSES =
  'opendir my $d, "/proc"; print join " ", grep { /^[0-9]+$/ } readdir $d';

/** Most processes or threads that a bomb starts. */
export const BOMB_MAX = 200;

/** Starts processes that wait for it, and says how many and what stopped it. */
export const FORK_BOMB = `pipe my $r, my $w;
my $n = 0; my $why = "none";
for (1 .. ${BOMB_MAX}) {
  my $p = fork;
  if (!defined $p) { $why = $!; last }
  if ($p == 0) { close $w; sysread $r, my $x, 1; exit 0 }
  $n++;
}
close $w;
print "$n processes; stopped by: $why\\n";
1 while wait != -1;`;

/** Starts threads that wait, and says how many. Those are left to the end of the process. */
export const THREAD_BOMB =
  `use threads (stack_size => 65536); use threads::shared;
my $go :shared = 0; my $n = 0; my @all;
for (1 .. 60) {
  my $t = threads->create(sub { lock $go; cond_wait $go until $go });
  last unless $t;
  push @all, $t; $n++;
}
{ lock $go; $go = 1; cond_broadcast $go }
$_->join for @all;
print "$n threads\\n";`;

/** Asks for 8 GiB without touching them, then takes and fills as many MiB as it is told. */
export const MEMORY =
  `my $got = syscall(${CALLS.mmap}, 0, 8 << 30, 3, 0x4022, -1, 0);
print $got == -1 ? "$!\\n" : "through\\n";
my $x = "x" x ($ARGV[0] << 20);
print length $x, "\\n";`;

/** Writes files of a MiB into a folder, as many as it is told, and says how many bytes and why no more. */
export const FILL =
  `$SIG{XFSZ} = "IGNORE"; my ($folder, $count) = @ARGV; my ($all, $why) = (0, "none");
for my $one (1 .. $count) {
  open my $f, ">", "$folder/fill-$$-$one" or do { $why = $!; last };
  for (1 .. 256) { my $n = syswrite $f, "x" x 4096; if (!defined $n) { $why = $!; last } $all += $n }
}
print "$all bytes; stopped by: $why\\n"; unlink glob "$folder/fill-$$-*";`;

/** Writes one file of as many bytes as it is told, in the way of a program that ignores nothing. */
export const ONE_FILE =
  `my ($folder, $bytes) = @ARGV; open my $f, ">", "$folder/one-$$" or die "$!";
unlink "$folder/one-$$";
my $all = 0; while ($all < $bytes) { my $n = syswrite $f, "x" x 4096; last if !defined $n; $all += $n }
print "$all\\n";`;

/** Opens 10,000 files at once. */
export const OPEN_FILES = `my @f; my $why = "none";
while (@f < 10000) { open my $f, "<", "/dev/null" or do { $why = $!; last }; push @f, $f }
print scalar(@f), " files; stopped by: $why\\n";`;

/** Attaches to a process as a debugger does (PTRACE_SEIZE, which does not stop it). */
export const TRACE =
  `print syscall(${CALLS.ptrace}, 0x4206, $ARGV[0] + 0, 0, 0) == -1 ? "$!\\n" : "through\\n"`;

/** Asks whether it may send a signal to a process. */
export const SIGNAL = 'print kill(0, $ARGV[0]) ? "through\\n" : "$!\\n"';

/** Connects to a unix socket; a name that begins with `@` is an abstract one. */
export const UNIX = `(my $name = $ARGV[0]) =~ s/^@/\\0/;
my $at = pack "S a*", 1, $name;
my $s; print socket($s, 1, 1, 0) && connect($s, $at) ? "through\\n" : "$!\\n"`;

/** Listens on unix sockets, names as above, until it is ended. Says when it does. */
export const LISTEN = `use Socket;
my @all;
for my $name (@ARGV) {
  (my $at = $name) =~ s/^@/\\0/;
  socket my $s, AF_UNIX, SOCK_STREAM, 0 or die $!;
  bind $s, pack "S a*", 1, $at or die $!;
  listen $s, 8 or die $!;
  chmod 0777, $name;
  push @all, $s;
}
print "up\\n"; sleep 1 for 1 .. 120;`;

/** Connects to a port of loopback. */
export const TCP = `my $at = pack "S n C4 x8", 2, $ARGV[0], 127, 0, 0, 1;
my $s; print socket($s, 2, 1, 0) && connect($s, $at) ? "through\\n" : "$!\\n"`;

/**
 * Leaves a process behind that no one waits for: in a session of its own, its parent gone, deaf to
 * every signal that can be ignored. It lives 60 seconds at most. Its command line ends with the name
 * that it is given. The first process stays.
 */
export const OUTLIVE = `my $p = fork // die "no fork: $!";
if (!$p) {
  require POSIX; POSIX::setsid();
  exit 0 if fork;
  $SIG{$_} = "IGNORE" for qw(TERM HUP INT PIPE);
  close STDIN; close STDOUT; close STDERR;
  sleep 1 for 1 .. 60; exit 0;
}
waitpid $p, 0; print "left\\n"; sleep 1 for 1 .. 60;`;

/** Says of itself what the kernel says of it: user, groups, rights, filter. */
export const STATUS =
  'open my $f, "<", "/proc/self/status"; print grep { /^(Uid|Gid|Groups|Cap|NoNew|Seccomp:)/ } <$f>';
