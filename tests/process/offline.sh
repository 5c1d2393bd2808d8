#!/bin/sh
# Runs a command where nothing can be reached but itself: a network namespace of its own that holds
# loopback and no other link. Whole-server tests of refusals run in it, so that even a server that fails
# to refuse sends no packet anywhere:
#
#   tests/process/offline.sh deno task serve
#
# Without root it takes a user namespace, in which the command is root of that namespace. The command
# replaces this process: streams, signals and the exit code are its own.
set -eu
PATH="$PATH:/usr/sbin:/sbin"

[ $# -gt 0 ] || {
  echo 'Usage: offline.sh COMMAND...' >&2
  exit 2
}
outside=$(readlink /proc/self/ns/net)
[ "$(id -u)" -eq 0 ] && user='' || user=-r
# The namespace is compared before anything runs: without one the command must not start.
# shellcheck disable=SC2016,SC2086 # The inner shell runs the text; $user is one flag or none.
exec unshare -n $user -- sh -c '
  [ "$(readlink /proc/self/ns/net)" != "$1" ] || exit 125
  shift
  ip link set lo up || exit 125
  exec "$@"' sh "$outside" "$@"
