# What every launcher does first: it takes its limits, finds the real program, and enters the network
# namespace of the egress guard. Sourced by sandbox/*/launch; sets `tool` and `program`, `raw`, `shown`
# and `etc`, `user`, `uid` and `rights`, `tied`, `enter`, and the limits: each by its name, and all as
# prlimit takes them (`limits`). A launcher ends with `exec env -i PATH="$PATH" perl …/supervise`: nothing
# after it, the scanner least of all, sees a variable of the server, and nothing outlives the scanner.
#
# A launcher stands where the scanner stood on PATH, so that `--allow-run=nmap` permits the launcher and
# nothing else. It is fixed text around "$@": of its environment it takes the numbers below, of its
# arguments a few hints, and it decides by them only what the sandbox leaves out.
#
# No command of this file starts a process: each costs a millisecond at every call.
# shellcheck shell=sh disable=SC2034,SC3013 # Used by its callers; dash knows -ef.
set -euf
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# Whatever somebody upstream left open would be open to the scanner.
exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
# What is put together below begins empty, whatever the environment holds by these names.
libraries='' files='' folders='' mounts='' argv='' namespaces='' become='' enter='' limits='' shown='' etc='' tied=''

# The network namespace that `egress-guard up` makes.
guard=/run/netns/security-mcp

refuse() {
  printf 'sandbox: %s\n' "$1" >&2
  exit 125
}

# Limits come as plain numbers, and so does the process id of the server, whose child this is. A launcher
# that was given none starts nothing.
for name in SERVER CPU_SECONDS ADDRESS_SPACE_BYTES FILE_SIZE_BYTES PROCESSES OPEN_FILES EGRESS_GUARD; do
  eval "value=\${SANDBOX_$name-}"
  case $value in
    '' | *[!0-9]* | ????????????????*)
      refuse "SANDBOX_$name is \"$value\"; it has to be a whole number of at most 15 digits"
      ;;
  esac
done

server=$SANDBOX_SERVER
cpu_seconds=$SANDBOX_CPU_SECONDS
memory_bytes=$SANDBOX_ADDRESS_SPACE_BYTES
file_bytes=$SANDBOX_FILE_SIZE_BYTES
processes=$SANDBOX_PROCESSES
open_files=$SANDBOX_OPEN_FILES
guarded=$SANDBOX_EGRESS_GUARD

# Two seconds lie between the warning (SIGXCPU) and the end, for a program that ignores the warning.
limits="--cpu=$cpu_seconds:$((cpu_seconds + 2)) --as=$memory_bytes --fsize=$file_bytes
  --nproc=$processes --nofile=$open_files --core=0 --memlock=0"

# The real program, in the system's folders alone: these are what the sandboxes show to it.
tool=${0##*/}
program=
for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do
  [ -n "$program" ] || [ ! -x "$folder/$tool" ] || program=$folder/$tool
done
case $tool in
  nmap | masscan | gobuster) ;;
  *) refuse "\"$tool\" is no scanner; start this by the name nmap, masscan or gobuster" ;;
esac
[ -n "$program" ] || refuse "$tool is not installed; run scripts/setup.sh"
command -v perl >/dev/null || refuse 'perl is not installed; run scripts/setup.sh'

# Raw packets for masscan, and for nmap where its command line says so. Of the files outside /usr one is
# shown: gobuster's wordlist, or to nmap the attempts of the doctor, which stand beside this file.
raw=no
shown=
attempts=${0%/*}
attempts=${attempts%/*}/escape.nse
[ "$tool" != masscan ] || raw=yes
for token in "$@"; do
  case $tool$token in
    nmap--privileged) raw=yes ;;
    "nmap--script=$attempts") shown=$attempts ;;
    gobuster--wordlist=/*.txt) shown=${token#--wordlist=} ;;
  esac
done
[ -z "$shown" ] || [ -f "$shown" ] || refuse "the file \"$shown\" is not there"

# What of /etc is shown, where it is there: names are looked up, libraries found and certificates checked
# with these. Each costs a call a fifth of a millisecond.
etc='hosts ld.so.cache localtime nsswitch.conf resolv.conf'
case $tool in
  nmap) etc="$etc alternatives" ;;
  gobuster) etc="$etc ssl/certs" ;;
esac

# Libraries live in /usr; older systems keep them beside it.
link_libraries() {
  for folder in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$folder" ]; then
      libraries="$libraries --symlink usr/$folder $1/$folder"
    elif [ -d "/$folder" ]; then
      libraries="$libraries --ro-bind /$folder $1/$folder"
    fi
  done
}

# Who we are: `Uid:` and the rights that we have, without starting a process to ask. Whoever is root of
# a user namespace that knows no other users cannot become one of them.
user=ordinary
rights=0
while read -r key value rest; do
  case $key$value in
    Uid:0) user=root ;;
    CapPrm:*) rights=$value ;;
  esac
done </proc/self/status
read -r inside outside count </proc/self/uid_map || count=0
if [ "$user" = root ] && [ "${count:-0}" -le 61178 ]; then
  user=lone_root
fi

# A user id from a range that no one else uses, so that a limit on processes counts this scan's alone.
uid=$((60578 + $$ % 600))

# Whoever asks the kernel to end it with its parent does not see a parent that ended before it asked. So
# the scanner starts only if by then this process, which becomes `supervise`, is alive and the child of
# the server. (Not of `$PPID`: of a server that ended before this shell began that is another process.)
exec 7<"/proc/$$/stat"
# shellcheck disable=SC2016 # It is a script for a shell in the sandbox.
tied='read -r pid name state parent rest <&7 && [ "$state" != Z ] && [ "$parent" = "$0" ] || {
  echo "sandbox: process $0, which SANDBOX_SERVER names, is not the parent of the launcher, or no longer" >&2
  exit 125
}
exec 7<&-
exec "$@"'

# The guard's namespace is entered wherever there is one; a server that was started in it is there.
enter=
if [ -e "$guard" ] && [ ! /proc/self/ns/net -ef "$guard" ]; then
  [ "$user" = root ] ||
    refuse "only root can enter the egress guard; start the server in its network namespace"
  enter="nsenter --net=$guard --"
elif [ "$guarded" != 0 ] && [ ! -e "$guard" ]; then
  refuse "sandbox.egress_guard is set and there is no guard; run: deno task egress-guard up"
fi
