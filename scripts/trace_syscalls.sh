#!/bin/sh
# Measures which system calls the scanners make, from which the table of the seccomp filter was written
# (sandbox/seccomp/syscalls.ts). To be run again for another release of the tools or of the system:
#
#   scripts/trace_syscalls.sh
#
# It runs nmap, masscan and gobuster under strace, over scans of the test lab (which has no way out) in
# the whole chain of the launcher, with a filter that permits everything. Counted is what happens after
# the filter was loaded: in bubblewrap's pid 1, in setpriv and prlimit, and in the scanner. Needs root,
# for raw scans, and strace.
#
# It prints every call that was made, with the number of scans that made it and the table's answer; then
# the arguments of the calls of which the filter looks at one; then which calls the table lacks or ends
# a scanner for. The exit code is 1 if there are any.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
lab="$root/tests/lab/lab.sh"
LAB_NAME="trace-$$"
export LAB_NAME
scan_seconds_max=300

fail() {
  printf 'trace_syscalls: %s\n' "$1" >&2
  exit 2
}

[ "$(id -u)" -eq 0 ] || fail 'raw scans need root'
for program in strace bwrap nmap masscan gobuster deno; do
  command -v "$program" >/dev/null || fail "$program is missing; run scripts/setup.sh and install strace"
done

work=$(mktemp -d)
# The scanner in the sandbox is another user and has to reach the word list.
chmod 755 "$work"
trap 'bash "$lab" down >/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The launchers as they are, but for a filter of one instruction: return SECCOMP_RET_ALLOW.
cp -R "$root/sandbox" "$work/sandbox"
printf '\006\000\000\000\000\000\377\177' >"$work/sandbox/seccomp/filter.bpf"
printf '%s\n' admin api nope dev shop ns www blog >"$work/words.txt"
mkdir "$work/traces"
scans=0

# Runs one scanner in the lab and keeps its trace.
scan() {
  scans=$((scans + 1))
  launcher=$1
  shift
  printf '%s. %s %s\n' "$scans" "$launcher" "$*" >&2
  # shellcheck disable=SC2016 # It is a script for that shell, by which the launcher is told its parent.
  timeout "$scan_seconds_max" bash "$lab" exec env -i \
    SANDBOX_CPU_SECONDS=600 SANDBOX_ADDRESS_SPACE_BYTES=8589934592 SANDBOX_FILE_SIZE_BYTES=16777216 \
    SANDBOX_PROCESSES=256 SANDBOX_OPEN_FILES=1024 SANDBOX_EGRESS_GUARD=0 \
    strace -f -qq -o "$work/traces/$scans" \
    /bin/sh -c 'exec /usr/bin/env SANDBOX_SERVER="$PPID" "$@"' sh "$work/sandbox/bwrap/$launcher" "$@" \
    </dev/null >"$work/out" 2>&1 || printf '   ended with %s: %s\n' "$?" "$(sed '/^sandbox: cpu_us=/d' "$work/out" | tail -n 1)" >&2
}

raw() {
  scan nmap -n --privileged -T4 --stats-every=1s -oX - "$@"
}

plain() {
  scan nmap -n --unprivileged -T4 --stats-every=1s -oX - "$@"
}

sweep() {
  scan masscan --range=10.77.2.10-10.77.2.13 --ports=22,80,6379,8080 --rate=500 --wait=2 \
    --output-filename= --output-format=interactive --interactive "$@"
}

bash "$lab" up --trickle >/dev/null

scan nmap --version
scan nmap --iflist
raw -sS -PE -PS22,443 -PA80 -p 22,53,80,443,6379,8080 10.77.2.10-24
raw -sS -sV -O -p 22,53,80,443,2222,6379,31337 10.77.2.10-15
raw -sS -Pn --traceroute --defeat-rst-ratelimit -p 80 10.77.2.10
raw -sS -Pn --top-ports=100 --min-rate=500 --max-rate=600 10.77.2.20-21
raw -sU -sV -p 53,123,161 10.77.2.14
raw -sA -p 80 10.77.2.10
raw -sW -p 80 10.77.2.10
raw -sO -p 1,6,17 10.77.2.10
raw -sY -p 80 10.77.2.10
raw -sn 10.77.2.0/28
raw -sn -PR 10.77.1.1
raw -6 -sS -sV -O --traceroute -p 22,53,80 fd77:2::10 fd77:2::14
raw -6 -sU -p 53 fd77:2::14
raw -sS -O -p 1-100 127.0.0.1
raw --script='(default or safe or discovery or version) and not (external or broadcast)' \
  --script-timeout=20s -sS -sV -p 22,53,80,443,6379 10.77.2.10-14
raw --script='(vuln or auth or intrusive or malware) and not (external or broadcast or dos)' \
  --script-timeout=10s -sS -sV -p 22,80,443,6379 10.77.2.11-13
raw -6 --script='(default or safe or discovery) and not (external or broadcast)' \
  --script-timeout=20s -p 53,80 fd77:2::10
plain -sT -sV --script=default -p 22,53,80,443,6379 10.77.2.10-14
plain -sT --script=ssh-auth-methods,ssh2-enum-algos -p 22 10.77.2.12
plain -sT -6 -p 53,80 fd77:2::10 ::1
plain -sT -p 1-200 127.0.0.1
plain -sL -R --dns-servers=10.77.2.14 web1.lab.internal nope.lab.internal 10.77.2.10
scan nmap --unprivileged -sT -sV -oX - -p 80 web1.lab.internal

scan masscan --version
sweep --banners=false
sweep --banners=true --source-port=61212
sweep --banners=false --retries=2 --ttl=3

scan gobuster version
set -- --wordlist="$work/words.txt" --threads=10 --timeout=10s --no-color
scan gobuster dir --url=http://10.77.2.10/ --follow-redirect "$@"
scan gobuster dir --url=https://10.77.2.11/ --no-tls-validation "$@"
scan gobuster dir --url=http://web1.lab.internal/ "$@"
scan gobuster dir '--url=http://[fd77:2::10]/' "$@"
scan gobuster dns --domain=lab.internal --resolver=10.77.2.14 "$@"
scan gobuster dns --domain=lab.internal "$@"
scan gobuster vhost --url=http://10.77.2.10/ --append-domain --domain=lab.internal "$@"

# Prints `NAME(FIRST WORDS OF THE ARGUMENTS` of each call that was made with the filter loaded. Both pid 1
# and the scanner load it; whoever comes after those two is a thread of the scanner.
# shellcheck disable=SC2016 # awk's own.
filtered='
  !($1 in known) { known[$1] = 1; if (loads >= 2) inside[$1] = 1 }
  $2 ~ /^prctl\(PR_SET_SECCOMP,?$/ { loads++; inside[$1] = 1; next }
  inside[$1] && $2 ~ /^[a-z0-9_]+\(/ { sub(/^[0-9]+ +/, ""); print }'

for trace in "$work"/traces/*; do
  awk "$filtered" "$trace" >"$trace.calls"
  [ -s "$trace.calls" ] || fail "scan ${trace##*/} shows no call with the filter loaded"
  cut -d '(' -f 1 "$trace.calls" | sort -u
done | sort | uniq -c >"$work/made"

deno run --no-prompt "$root/sandbox/seccomp/generate.ts" list >"$work/table"

printf 'Calls of %s scans: how many made it, name, answer\n' "$scans"
awk 'NR == FNR { answer[$1] = $2; next } { print $1, $2, ($2 in answer ? answer[$2] : "NOT IN THE TABLE") }' \
  "$work/table" "$work/made" | tee "$work/report"

printf '\nArguments that the filter looks at, and those of prctl\n'
cat "$work"/traces/*.calls | sed -nE \
  -e 's/^(socket(pair)?\([^)]*)\).*/\1)/p' \
  -e 's/^ioctl\([0-9]+, ([A-Za-z0-9_]+).*/ioctl(\1)/p' \
  -e 's/^(clone|clone3)\(.*(flags=[A-Z_|0-9a-z]+).*/\1(\2)/p' \
  -e 's/^prctl\(([A-Z_0-9a-z]+).*/prctl(\1)/p' | sort | uniq -c

printf '\nIn the table and made by no scan\n'
awk 'NR == FNR { made[$2] = 1; next } !($1 in made) && $2 != "kill" { printf "%s ", $1 }' \
  "$work/made" "$work/table" | fold -s -w 98
printf '\n\n'

if grep -E 'NOT IN THE TABLE$| kill$' "$work/report" >"$work/lacks"; then
  printf 'Made, and the filter does not permit it:\n'
  cat "$work/lacks"
  exit 1
fi
printf 'The filter permits each of them.\n'
