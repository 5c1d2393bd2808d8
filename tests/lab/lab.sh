#!/usr/bin/env bash
# The network lab: three network namespaces with real services, for tests and demonstrations.
#
#   scan 10.77.1.2 ── 10.77.1.1 rt 10.77.2.1 ── tgt 10.77.2.10 …    (IPv6: fd77:1::, fd77:2::)
#
# Scanners run in `scan`, which holds one link, to `rt`. `rt` forwards to `tgt` and knows no other
# network, and no link leads to the machine that the lab runs on: a packet cannot get out.
#
# All of a lab hangs on one process, its holder (holder.sh): pid 1 of a pid namespace, with a private
# mount and network namespace around it. When that process dies, the kernel ends every service and
# takes every namespace with it. So `down` has one thing to do, and it does it after a half-failed
# `up` as well. Without root the same runs inside a user namespace.
#
# What the lab serves is written down in inventory.json, which the tests compare with.
set -euo pipefail

PATH="$PATH:/usr/sbin:/sbin"
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
name=${LAB_NAME:-lab}
base=${XDG_RUNTIME_DIR:-/tmp}
[ -d "$base" ] || base=/tmp
state="$base/smcp-lab-$name"
uid=$(id -u)

usage() {
  cat <<'TEXT'
Usage: lab.sh up [--trickle] | down [--all] | status [--json] | exec [--ns=scan|rt|tgt] COMMAND... | check

  up       makes the lab and waits until every service listens; does nothing where it is up
  down     ends every process of the lab and removes all of it; --all does so for each lab of this user
  status   says what is up; exit code 1 where nothing is
  exec     runs a command in the lab, with the lab's name server, as seen from the scanner
  check    says whether this machine can hold a lab; exit code 1 where it cannot

  --trickle  sends the scanner ten small packets a second, as a busy network would

LAB_NAME=other gives a second lab beside the first. The state folder is smcp-lab-NAME in
$XDG_RUNTIME_DIR, or in /tmp.
TEXT
}

fail() {
  printf 'lab: %s\n' "$1" >&2
  exit 1
}

# Prints the pids of all holder processes of a state folder, this user's only: another user's process
# could carry the same argument and lead a scanner to a network of its choice.
holders() {
  local file pid
  # A process may end between the listing and the read; grep then complains, and that is no error.
  # The pattern comes by file, or grep would find its own command line.
  { grep -lzxF -f <(printf '__holder=%s\n' "$1") /proc/[0-9]*/cmdline 2>/dev/null || true; } |
    while read -r file; do
      pid=${file#/proc/} pid=${pid%/cmdline}
      [ "$(stat -c %u "/proc/$pid" 2>/dev/null)" = "$uid" ] && printf '%s\n' "$pid"
    done || true
}

# Prints the pid (as seen from here) of the holder that is pid 1 of the lab's pid namespace.
holder() {
  local pid
  for pid in $(holders "$state"); do
    if grep -Eqs '^NSpid:.*[[:space:]]1$' "/proc/$pid/status"; then
      printf '%s\n' "$pid"
      return 0
    fi
  done
  return 1
}

is_up() {
  [ -e "$state/ready" ] && holder >/dev/null
}

# A folder of this name that is a link or another user's would make root trust what stands in it.
own_state() {
  [ ! -L "$state" ] && [ -d "$state" ] && [ -O "$state" ]
}

# Two runs that build and remove the same lab at once would each pull down what the other made.
take_turns() {
  exec 9<"${BASH_SOURCE[0]}"
  flock -w 60 9 || fail "another lab.sh has been at work for a minute; look at what it waits for"
}

require_means() {
  local program missing=()
  [ -e /proc/sys/net/ipv6 ] || fail "this kernel has no IPv6, which the lab needs"
  for program in ip nft ss unshare nsenter setpriv nginx dropbear dropbearkey redis-server dnsmasq openssl; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -eq 0 ] || fail "these programs are missing: ${missing[*]}; run scripts/setup.sh"
  [ "$uid" -eq 0 ] || require_user_namespaces
}

setting() {
  cat "/proc/sys/$1" 2>/dev/null || true
}

# Without root the lab needs a user namespace in which it may make networks and mounts.
require_user_namespaces() {
  # shellcheck disable=SC2016 # The inner shell is the one that runs this text.
  unshare -Urmnp --fork sh -c 'mount -t tmpfs none /run && ip link set lo up' 2>/dev/null && return 0
  local why="user namespaces do not work here"
  if [ "$(setting kernel/apparmor_restrict_unprivileged_userns)" = 1 ]; then
    why="AppArmor forbids them (sysctl kernel.apparmor_restrict_unprivileged_userns is 1)"
  elif [ "$(setting kernel/unprivileged_userns_clone)" = 0 ]; then
    why="the system forbids them (sysctl kernel.unprivileged_userns_clone is 0)"
  elif [ "$(setting user/max_user_namespaces)" = 0 ]; then
    why="the system forbids them (sysctl user.max_user_namespaces is 0)"
  fi
  fail "an ordinary user needs user namespaces for the lab, and $why; run it as root, or allow them"
}

lab_up() {
  local trickle=no mode=root unshare_flags=(-mnp --fork --kill-child)
  case "${1:-}" in
    "") ;;
    --trickle) trickle=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  if is_up; then
    printf 'lab: "%s" is up already\n' "$name"
    return 0
  fi
  require_means
  if [ "$uid" -ne 0 ]; then
    mode=rootless
    unshare_flags+=(-U --map-root-user)
  fi
  # What is left of an earlier lab that did not come up, or was killed, goes first.
  lab_down >/dev/null
  mkdir -m 700 -- "$state"
  mkdir "$state/etc"
  printf 'nameserver 10.77.2.14\noptions timeout:1 attempts:2\n' >"$state/etc/resolv.conf"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$state/etc/hosts"
  # Anything but "files dns" could ask a resolver of the machine behind the lab's back.
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$state/etc/nsswitch.conf"

  setsid unshare "${unshare_flags[@]}" bash "$here/holder.sh" "__holder=$state" "$name" "$mode" "$trickle" \
    </dev/null >"$state/log" 2>&1 9<&- &
  local launcher=$! end=$((SECONDS + 15))
  # The shell need not report how it ended; the log says why.
  disown
  while [ "$SECONDS" -lt "$end" ]; do
    if [ -e "$state/ready" ]; then
      printf 'lab: "%s" is up (%s), %s listening sockets; try: %s exec nmap -sL web1.lab.internal\n' \
        "$name" "$mode" "$(cat "$state/ready")" "$0"
      return 0
    fi
    kill -0 "$launcher" 2>/dev/null || break
    sleep 0.02
  done
  tail -n 20 "$state/log" >&2 || true
  lab_down >/dev/null
  fail "\"$name\" did not come up; the lines above are its log"
}

# Prints the pids of the processes in any network namespace of the lab: what `exec` started lives
# outside the holder's pid namespace and would keep the network alive.
inmates() {
  local pid ns inode arguments=()
  pid=$(holder) || return 0
  for ns in scan rt tgt; do
    inode=$(stat -Lc %i "/proc/$pid/root/run/netns/smcp-$name-$ns" 2>/dev/null) || continue
    arguments+=(-o -lname "net:\[$inode\]")
  done
  [ ${#arguments[@]} -gt 0 ] || return 0
  find /proc/[0-9]*/ns/net "${arguments[@]:1}" 2>/dev/null | cut -d/ -f3 || true
}

alive() {
  # A dead process that its parent has not fetched yet (state Z) holds nothing any more.
  [ -e "/proc/$1/stat" ] && ! grep -Eqs '^State:[[:space:]]*[ZX]' "/proc/$1/status"
}

lab_down() {
  local pids pid i
  if [ -e "$state" ] && ! own_state; then
    fail "\"$state\" is not this user's folder; take that lab down as its owner, or choose another LAB_NAME"
  fi
  pids="$(inmates) $(holders "$state")"
  for pid in $pids; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  for pid in $pids; do
    for ((i = 0; i < 250; i++)); do
      alive "$pid" || continue 2
      sleep 0.02
    done
    fail "process $pid of \"$name\" does not end; look at /proc/$pid/status"
  done
  rm -rf -- "$state"
  printf 'lab: "%s" is down\n' "$name"
}

lab_down_all() {
  local folder
  {
    for folder in "$base"/smcp-lab-*; do
      if [ -O "$folder" ]; then
        printf '%s\n' "$folder"
      fi
    done
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | sed -n "s|^__holder=\($base/smcp-lab-[a-z0-9-]*\)\$|\1|p"
  } | sort -u | while read -r state; do
    name=${state##*/smcp-lab-}
    lab_down
  done
}

lab_status() {
  local pid mode=root listening
  if ! pid=$(holder) || ! is_up; then
    case "${1:-}" in
      --json) printf '{"name":"%s","up":false}\n' "$name" ;;
      *) printf 'lab: "%s" is down\n' "$name" ;;
    esac
    return 1
  fi
  [ "$uid" -eq 0 ] || mode=rootless
  listening=$(lab_exec --ns=tgt ss -Htln | wc -l)
  if [ "${1:-}" = --json ]; then
    printf '{"name":"%s","up":true,"mode":"%s","pid":%s,"listening_tcp":%s,"expected_tcp":%s,"resolver":"10.77.2.14"}\n' \
      "$name" "$mode" "$pid" "$listening" "$(cat "$state/ready")"
    return 0
  fi
  printf 'lab: "%s" is up (%s, holder %s), %s of %s tcp sockets listen\n' \
    "$name" "$mode" "$pid" "$listening" "$(cat "$state/ready")"
  local ns
  for ns in scan rt tgt; do
    printf '%s\n' "$ns"
    lab_exec "--ns=$ns" ip -br address | sed 's/^/  /'
  done
  printf 'services (tgt)\n'
  lab_exec --ns=tgt ss -Htuln | awk '{ print "  " $1 " " $5 }' | sort -V
}

# Runs in a subshell for status, and as the last act of the script for the user's command: every step
# replaces the one before, so a signal to this process reaches the command itself.
enter_and_run() {
  local ns=$1 pid netns enter=(nsenter)
  shift
  pid=$(holder) || fail "\"$name\" is down; start it: $0 up"
  own_state || fail "\"$state\" is not this user's folder"
  netns="/proc/$pid/root/run/netns/smcp-$name-$ns"
  [ "$uid" -eq 0 ] || enter+=("--user=/proc/$pid/ns/user" --preserve-credentials)
  # The comparison is the last guard before a scanner starts: it must not be the machine's own network.
  # shellcheck disable=SC2016 # The inner shell is the one that runs this text.
  exec "${enter[@]}" "--net=$netns" unshare -m sh -c '
    outside=$1 etc=$2
    shift 2
    if [ "$(readlink /proc/self/ns/net)" = "$outside" ]; then
      echo "lab: still in the network of the machine; nothing was run" >&2
      exit 125
    fi
    for file in resolv.conf hosts nsswitch.conf; do
      if [ -e "/etc/$file" ]; then
        mount --bind "$etc/$file" "/etc/$file" || exit 125
      elif [ "$file" = resolv.conf ]; then
        echo "lab: this system has no /etc/resolv.conf to put the name server of the lab in; make an empty one" >&2
        exit 125
      fi
    done
    exec "$@"' sh "$(readlink /proc/self/ns/net)" "$state/etc" "$@"
}

lab_exec() {
  local ns=scan
  case "${1:-}" in
    --ns=scan | --ns=rt | --ns=tgt) ns=${1#--ns=}; shift ;;
    -*) usage >&2; exit 2 ;;
  esac
  [ "${1:-}" != -- ] || shift
  [ $# -gt 0 ] || { usage >&2; exit 2; }
  if [ "$command" = exec ]; then
    enter_and_run "$ns" "$@"
  else
    (enter_and_run "$ns" "$@")
  fi
}

[[ $name =~ ^[a-z0-9][a-z0-9-]{0,23}$ ]] ||
  fail "the name \"$name\" does not fit: at most 24 of a-z, 0-9 and -, a letter or digit first"
command=${1:-help}
[ $# -eq 0 ] || shift
case "$command" in
  up) take_turns; lab_up "$@" ;;
  down) take_turns; if [ "${1:-}" = --all ]; then lab_down_all; else lab_down; fi ;;
  status) lab_status "$@" ;;
  exec) lab_exec "$@" ;;
  check) require_means; printf 'lab: this machine can hold a lab\n' ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
