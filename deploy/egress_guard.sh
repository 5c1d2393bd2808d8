#!/bin/sh
# The egress guard: a network namespace for the scanners whose only way out passes packet rules made from
# the configuration (security.allowed_subnets, security.denied_subnets, sandbox.egress_resolvers).
#
#   sudo deno task egress-guard up
#
#   security-mcp: scan0 169.254.213.2 ── 169.254.213.1 mcp-guard: host ── the networks to scan
#
# Rules stand at both ends of that link and look at every frame, raw ones included; src/egress/rules.ts
# says why they are as they are. The link goes up when the rules are in force, and each change of them is
# one transaction. A follower in the background hands on what changes in the configuration file, and
# writes the counters into the server's state folder.
#
# The network namespace that this is started in is the host. All that `up` makes is written down in
# /run/security-mcp before it is made, so that `down` finds it after an `up` that was killed, too.
set -eu
umask 022

PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root=$(cd "$(dirname "$0")/.." && pwd)
self=$root/deploy/egress_guard.sh
namespace=security-mcp
netns=/run/netns/$namespace
state=/run/security-mcp

# As in src/egress/link.ts.
inner=scan0
outer=mcp-guard
inner_mac=02:6d:63:70:00:02
outer_mac=02:6d:63:70:00:01
inner_ipv4=169.254.213.2
outer_ipv4=169.254.213.1
inner_ipv6=64:ff9b:1:6d63::2
outer_ipv6=64:ff9b:1:6d63::1

usage() {
  cat <<'TEXT'
Usage: egress_guard.sh up [--foreground] | down | status | rules [--container] | follow

  up       makes the scanners' network namespace and its rules, and follows the configuration in the
           background; where it is up, loads the rules anew
  down     ends all of that and puts the host's settings back
  status   says what is up, the counters and whether the configuration is followed; exit code 1 if not
  rules    prints the rules without touching anything; needs no root
  follow   follows the configuration in the foreground, for a guard that is up

  --foreground  follows in the foreground after up
  --container   the rules for a container's own network namespace (deploy/compose/egress_guard.yaml)

MCP_CONFIG_FILE and the other MCP_* variables mean what they mean to the server.
TEXT
}

say() {
  printf 'egress-guard: %s\n' "$1"
}

fail() {
  printf 'egress-guard: %s\n' "$1" >&2
  exit 1
}

# --- What is needed ----------------------------------------------------------------------------------

require_root() {
  [ "$(id -u)" -eq 0 ] || fail "$command needs root; run: sudo deno task egress-guard $command"
}

require_programs() {
  for program in ip nft nsenter setpriv setsid flock deno; do
    command -v "$program" >/dev/null 2>&1 || fail "$program is missing; run scripts/setup.sh"
  done
}

# Two runs that build and remove the same guard at once would each pull down what the other made.
take_turns() {
  exec 9<"$self"
  flock -w 60 9 || fail "another egress_guard.sh has been at work for a minute; look at what it waits for"
}

this_host() {
  readlink /proc/self/ns/net
}

require_same_host() {
  [ "$(cat "$state/host")" = "$(this_host)" ] ||
    fail "the guard was made from another network namespace, where it has links and rules; run this there"
}

# --- The rules' text ---------------------------------------------------------------------------------

# Becomes the program that prints the rules. It may read the code and the configuration, and nothing else.
# What it prints becomes law, so it never runs as the user who called sudo: that user's other programs, a
# scanner among them, could reach into it. Only the packages are taken from that user's cache.
generate() {
  readable=./src,./config
  [ -z "${MCP_CONFIG_FILE:-}" ] || readable=$readable,$MCP_CONFIG_FILE
  cd "$root"
  if [ "$(id -u)" -eq 0 ] && [ -z "${DENO_DIR:-}" ] && [ -n "${SUDO_USER:-}" ] && [ -d "$state" ]; then
    mkdir -p "$state/deno"
    ln -sfn "$(getent passwd "$SUDO_USER" | cut -d: -f6)/.cache/deno/npm" "$state/deno/npm"
    export DENO_DIR="$state/deno"
  fi
  exec deno run --quiet --no-prompt --no-remote --cached-only --deny-import "--allow-read=$readable" \
    '--allow-env=PATH,MCP_*' src/main.ts egress-rules "$@"
}

# Prints one part of a rule set.
part() {
  awk -v wanted="# part: $1" '/^# part: / { inside = $0 == wanted; next } /^# end$/ { exit } inside' "$2"
}

within() {
  nsenter "--net=$netns" -- "$@"
}

# Puts a rule set in force: each place changes from all of the old to all of the new. Both are tried first.
apply() {
  tail -n 1 "$1" | grep -qx '# end' || return 1
  part namespace "$1" | within nft -c -f - || return 1
  part host "$1" | nft -c -f - || return 1
  part namespace "$1" | within nft -f - || return 1
  part host "$1" | nft -f - || return 1
  part timeouts "$1" | nft -f - 2>/dev/null ||
    say "this kernel has no connection timeouts by rule; fast scans can fill the host's connection table"
}

# --- The namespace and its link ----------------------------------------------------------------------

has_ipv6() {
  [ -e /proc/sys/net/ipv6/conf/all/forwarding ]
}

# The file is there to be found by `down` before anything else is; it says since when and from where.
build() {
  [ ! -e "$netns" ] ||
    fail "there is a network namespace \"$namespace\" that this script did not make; remove it: ip netns delete $namespace"
  ip link show "$outer" >/dev/null 2>&1 && fail "there is a link \"$outer\" that this script did not make"
  trap 'undo' EXIT
  trap 'exit 1' HUP INT TERM
  mkdir -m 755 "$state"
  (generate) >"$state/rules" || fail "no rules, so nothing was made"
  this_host >"$state/host"
  remember_settings

  ip netns add "$namespace"
  ip link add "$outer" address "$outer_mac" type veth peer name "$inner" address "$inner_mac" netns "$namespace"
  apply "$state/rules" || fail "nft does not take the rules; the lines above say why"
  open_forwarding
  join_link
  trap - EXIT HUP INT TERM
}

# Every address of the link is known, so its ends need not ask for them.
join_link() {
  ip address add "$outer_ipv4/30" dev "$outer"
  within ip address add "$inner_ipv4/30" dev "$inner"
  if has_ipv6; then
    ip link set dev "$outer" addrgenmode none
    within ip link set dev "$inner" addrgenmode none
    tune "ipv6/conf/$outer/disable_ipv6=0" "ipv6/conf/$outer/accept_ra=0"
    # shellcheck disable=SC2016 # The inner shell is the one that runs this text.
    within sh -c 'for each in disable_ipv6 accept_ra router_solicitations; do echo 0 >"/proc/sys/net/ipv6/conf/$1/$each"; done' sh "$inner"
    ip address add "$outer_ipv6/64" dev "$outer" nodad
    within ip address add "$inner_ipv6/64" dev "$inner" nodad
  fi
  ip link set dev "$outer" up
  within ip link set dev lo up
  within ip link set dev "$inner" up
  ip neighbour replace "$inner_ipv4" lladdr "$inner_mac" nud permanent dev "$outer"
  within ip neighbour replace "$outer_ipv4" lladdr "$outer_mac" nud permanent dev "$inner"
  within ip route add default via "$outer_ipv4"
  if has_ipv6; then
    ip neighbour replace "$inner_ipv6" lladdr "$inner_mac" nud permanent dev "$outer"
    within ip neighbour replace "$outer_ipv6" lladdr "$outer_mac" nud permanent dev "$inner"
    within ip -6 route add default via "$outer_ipv6" dev "$inner"
  fi
}

# --- Forwarding --------------------------------------------------------------------------------------

# Writes NAME=VALUE settings of the host's network stack.
tune() {
  for setting in "$@"; do
    printf '%s\n' "${setting#*=}" >"/proc/sys/net/${setting%%=*}" || return 1
  done
}

# Forwarding changes other settings along with itself, so all that it may change is written down, for the
# protocols where it is off. "all" comes first, because writing it writes the others.
remember_settings() {
  for protocol in ipv4 ipv6; do
    folder=/proc/sys/net/$protocol/conf
    [ -e "$folder/all/forwarding" ] || continue
    [ "$(cat "$folder/all/forwarding")" = 0 ] || continue
    printf '%s\n' "$protocol" >>"$state/forwarding"
    for file in "$folder/all" "$folder/default" "$folder"/*; do
      for name in forwarding accept_redirects accept_ra; do
        [ ! -e "$file/$name" ] || printf '%s %s\n' "$file/$name" "$(cat "$file/$name")"
      done
    done >>"$state/settings"
  done
}

# A host that did not forward before forwards for the scanners only, and still hears its own IPv6 router.
open_forwarding() {
  [ -e "$state/forwarding" ] || return 0
  {
    printf 'table inet security_mcp_forwarding {\n  chain forward {\n'
    printf '    type filter hook forward priority raw; policy accept;\n'
    printf '    iifname "%s" accept\n    oifname "%s" accept\n' "$outer" "$outer"
    sed 's/.*/    meta nfproto & drop/' "$state/forwarding"
    printf '  }\n}\n'
  } | nft -f -
  if grep -qx ipv6 "$state/forwarding"; then
    for file in /proc/sys/net/ipv6/conf/*/accept_ra; do
      [ "$(cat "$file")" != 1 ] || echo 2 >"$file"
    done
  fi
  while read -r protocol; do
    tune "$protocol/conf/all/forwarding=1" ||
      fail "this may not switch forwarding on (a container?); have net.$protocol.conf.all.forwarding=1 set from outside"
  done <"$state/forwarding"
}

put_settings_back() {
  [ -e "$state/settings" ] || return 0
  while read -r file value; do
    [ ! -e "$file" ] || [ "$(cat "$file")" = "$value" ] || printf '%s\n' "$value" >"$file" ||
      say "$file could not be put back to $value"
  done <"$state/settings"
}

# --- Taking it all down ------------------------------------------------------------------------------

undo() {
  trap - EXIT
  [ -d "$state" ] || return 0
  stop_follower
  put_settings_back
  for table in 'netdev security_mcp_guard' 'inet security_mcp_guard' 'inet security_mcp_timeout' \
    'inet security_mcp_forwarding'; do
    # shellcheck disable=SC2086 # Two words.
    nft delete table $table 2>/dev/null || true
  done
  ip link delete "$outer" 2>/dev/null || true
  if [ -e "$netns" ]; then
    ip netns delete "$namespace"
  fi
  rm -rf "$state"
}

# --- The follower ------------------------------------------------------------------------------------

# Prints when a process began, in clock ticks since the system did: with the number it names one process.
start_of() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # What stands before the last bracket is a name of any text.
  # shellcheck disable=SC2086 # Numbers.
  set -- ${stat##*) }
  [ "$1" != Z ] || return 1
  shift 19
  printf '%s\n' "$1"
}

# Prints the number of a process that was written down, if that very process lives.
recorded() {
  [ -e "$state/$1.start" ] && pid=$(cat "$state/$1.pid") && start=$(start_of "$pid") &&
    [ "$start" = "$(cat "$state/$1.start")" ] && printf '%s\n' "$pid"
}

record() {
  start_of "$2" >"$state/$1.start" && printf '%s\n' "$2" >"$state/$1.pid"
}

end_process() {
  kill "-$2" "$1" 2>/dev/null || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    start_of "$1" >/dev/null || return 0
    sleep 0.2
  done
  [ "$2" = KILL ] || end_process "$1" KILL
}

stop_follower() {
  for each in follower generator; do
    if pid=$(recorded "$each"); then
      end_process "$pid" TERM
    fi
  done
}

start_follower() {
  if recorded follower >/dev/null; then
    return 0
  fi
  setsid "$self" follow </dev/null >>"$state/log" 2>&1 9<&- &
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    if recorded follower >/dev/null; then
      return 0
    fi
    sleep 0.2
  done
  fail "the follower does not start; see $state/log"
}

# Reads rule sets and ticks until the generator ends (src/egress/follow.ts has the form).
take_rules() {
  new=$state/rules.new
  counters=
  : >"$new"
  while IFS= read -r line; do
    case $line in
      '# tick') write_counters "$counters" || true ;;
      '# end')
        printf '%s\n' "$line" >>"$new"
        change_rules "$new"
        : >"$new"
        ;;
      *)
        case $line in '# counters: '*) counters=${line#\# counters: } ;; esac
        printf '%s\n' "$line" >>"$new"
        ;;
    esac
  done
}

change_rules() {
  ! cmp -s "$1" "$state/rules" || return 0
  if apply "$1"; then
    mv "$1" "$state/rules"
    say "new rules are in force"
  else
    say "nft does not take the new rules; the old ones stay"
  fi
}

follow() {
  ! recorded follower >/dev/null || fail "the configuration is followed already, by process $(recorded follower)"
  generator=
  trap 'exit 0' HUP INT TERM
  trap '[ -z "$generator" ] || kill "$generator" 2>/dev/null || true' EXIT
  record follower $$
  say "following the configuration"
  while :; do
    rm -f "$state/pipe"
    mkfifo -m 600 "$state/pipe"
    (generate --follow) </dev/null >"$state/pipe" &
    generator=$!
    record generator "$generator" || true
    take_rules <"$state/pipe"
    wait "$generator" || true
    say "the rules stay as they are: what makes new ones ended, and is started again in five seconds"
    sleep 5 &
    wait $!
  done
}

# --- Counters ----------------------------------------------------------------------------------------

# Prints "PLACE COUNTER PACKETS BYTES" lines.
counts() {
  count_lines namespace netdev security_mcp
  count_lines host netdev security_mcp_guard
  count_lines host inet security_mcp_guard
}

count_lines() {
  set -- "$1" nft list counters table "$2" "$3"
  place=$1
  shift
  if [ "$place" = namespace ]; then
    set -- within "$@"
  fi
  "$@" | awk -v place="$place" '$1 == "counter" { name = $2 } $1 == "packets" { print place, name, $2, $4 }'
}

# What both ends let pass, without what the host then refused to forward; and all that any place dropped.
sums() {
  counts | awk -v now="$(date +%s)" '
    $1 == "host" && $2 == "accepted" { passed += $3; passed_bytes += $4 }
    $2 == "dropped" || $2 == "refused" { dropped += $3; dropped_bytes += $4 }
    $2 == "refused" { passed -= $3; passed_bytes -= $4 }
    END {
      printf "{\"written_at\":%.0f,\"accepted\":{\"packets\":%.0f,\"bytes\":%.0f},\"dropped\":{\"packets\":%.0f,\"bytes\":%.0f}}\n",
        now, passed < 0 ? 0 : passed, passed_bytes < 0 ? 0 : passed_bytes, dropped, dropped_bytes
    }'
}

# Writes the counters into the server's state folder, if there is one. That folder can be another user's,
# who may put a link in the way; so it is written as its owner, with no right more than that.
write_counters() (
  [ -n "$1" ] || return 0
  cd "$root"
  folder=$(dirname "$1")
  [ -d "$folder" ] && [ ! -L "$folder" ] || return 0
  text=$(sums)
  cd "$folder"
  # shellcheck disable=SC2016 # The inner shell is the one that runs this text.
  setpriv "--reuid=$(stat -c %u .)" "--regid=$(stat -c %g .)" --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all -- timeout 2 \
    sh -c 'rm -f "$1.new"; set -C; printf "%s\n" "$2" >"$1.new" && mv -f "$1.new" "$1"' \
    sh "$(basename "$1")" "$text" </dev/null >/dev/null 2>&1 9<&-
)

# --- Commands ----------------------------------------------------------------------------------------

guard_up() {
  foreground=no
  case "$*" in
    '') ;;
    --foreground) foreground=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  require_root
  require_programs
  take_turns
  if [ -d "$state" ] && is_whole; then
    require_same_host
    renew
    # The one that follows still has the environment of the up before.
    stop_follower
    say "is up already; its rules are loaded anew"
  else
    # What is left of an up that was killed goes first.
    [ ! -e "$state/host" ] || require_same_host
    undo
    build
    say "is up: network namespace $namespace; scanners that root starts are put into it"
  fi
  [ ! -e "$state/forwarding" ] ||
    say "forwarding ($(tr '\n' ' ' <"$state/forwarding" | sed 's/ $//')) is switched on for it until down, and for nothing else"
  if [ "$foreground" = yes ]; then
    stop_follower
    exec "$self" follow 9<&-
  fi
  start_follower
}

is_whole() {
  [ -e "$netns" ] && [ -e "$state/host" ] && [ -e "$state/rules" ] &&
    within ip link show up dev "$inner" 2>/dev/null | grep -q .
}

renew() {
  (generate) >"$state/rules.up" || fail "the rules stay as they are"
  apply "$state/rules.up" || fail "nft does not take the rules; the old ones stay"
  mv "$state/rules.up" "$state/rules"
}

guard_down() {
  [ $# -eq 0 ] || { usage >&2; exit 2; }
  require_root
  take_turns
  if [ ! -d "$state" ]; then
    [ ! -e "$netns" ] ||
      fail "there is a network namespace \"$namespace\" that this script did not make; it stays"
    say "is down"
    return 0
  fi
  [ ! -e "$state/host" ] || require_same_host
  undo
  say "is down"
}

guard_status() {
  [ $# -eq 0 ] || { usage >&2; exit 2; }
  if [ ! -e "$netns" ] || [ ! -e "$state/host" ]; then
    say "is down"
    return 1
  fi
  say "is up since $(date -d "@$(stat -c %Y "$state/host")" '+%Y-%m-%d %H:%M:%S')"
  if [ "$(id -u)" -eq 0 ]; then
    counts | while read -r place name packets bytes; do
      say "  $place: $name $packets packets, $bytes bytes"
    done
  else
    say "  root sees the counters"
  fi
  if pid=$(recorded follower); then
    say "the configuration is followed by process $pid"
  else
    say "the configuration is not followed; run: sudo deno task egress-guard up"
    return 1
  fi
}

guard_follow() {
  [ $# -eq 0 ] || { usage >&2; exit 2; }
  require_root
  require_programs
  [ -e "$state/rules" ] || fail "is down; start it: sudo deno task egress-guard up"
  require_same_host
  follow
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  up) guard_up "$@" ;;
  down) guard_down "$@" ;;
  status) guard_status "$@" ;;
  rules) (generate "$@") ;;
  follow) guard_follow "$@" ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
