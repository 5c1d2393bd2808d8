#!/bin/sh
# Sets up everything this repository needs to run and to be tested, on Debian, Ubuntu and their kin:
#
#   scripts/setup.sh && deno task serve
#
# It says each thing that it does, does only what is missing, and may be run again at any time. It
# puts Deno where the calling shell finds it already, because a script cannot change its caller's PATH.
set -eu

deno_version=2.9.6

# program:package pairs. What the server and its sandbox run:
serve_programs='nmap:nmap masscan:masscan gobuster:gobuster bwrap:bubblewrap perl:perl-base prlimit:util-linux ip:iproute2 nft:nftables'
# What the tests' network lab serves, a sandbox that is optional, what builds and runs the image, what the
# history is held against (its second database, another comparison, a browser), and what loads the HTTP
# server in the benchmarks.
test_programs='bash:bash nginx:nginx-light dropbear:dropbear-bin redis-server:redis-server dnsmasq:dnsmasq-base openssl:openssl ps:procps runsc:runsc debootstrap:debootstrap buildah:buildah podman:podman runc:runc pg_ctlcluster:postgresql ndiff:ndiff chromium:chromium wrk:wrk'
# The system services that packages among these bring, by package; none is started or left enabled.
test_services='nginx-light:nginx redis-server:redis-server postgresql:postgresql podman:podman podman:podman.socket podman:podman-restart podman:podman-auto-update podman:podman-auto-update.timer'

root=$(cd "$(dirname "$0")/.." && pwd)
policy=/usr/sbin/policy-rc.d
policy_mark='written by setup.sh of security-mcp for the time of one installation'
check=no
programs="$serve_programs $test_programs"
policy_ours=no
scratch=

usage() {
  cat <<'TEXT'
Usage: scripts/setup.sh [--check] [--no-test]

Installs what is missing: Deno 2.9.6, nmap, masscan, gobuster, bubblewrap, perl, iproute2, nftables; for
the tests gVisor (runsc), what builds the image, ndiff, Chromium, wrk, PostgreSQL and the servers of the
lab (none of them is started as a service); and the npm packages of this repository.

  --check     changes nothing; says what is there, and exits 1 where something is missing
  --no-test   leaves out what only the tests need
TEXT
}

say() {
  printf 'setup: %s\n' "$1"
}

fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}

# Ordinary users of Debian do not have the sbin folders on their PATH.
have() {
  PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1
}

on_path() {
  case ":$PATH:" in *":$1:"*) return 0 ;; *) return 1 ;; esac
}

is_root() {
  [ "$(id -u)" -eq 0 ]
}

as_root() {
  if is_root; then
    "$@"
  else
    sudo "$@"
  fi
}

can_be_root() {
  is_root || { have sudo && sudo true; }
}

# --- System packages -------------------------------------------------------------------------------

# Prints the packages whose program is missing.
missing_packages() {
  for pair in $programs; do
    have "${pair%%:*}" || printf '%s ' "${pair#*:}"
  done
}

# Debian starts a service as soon as its package is installed. For the time of the installation a
# policy forbids that to the services of the lab; any other is asked of the policy that was there.
hold_services() {
  held=$1
  if [ -e "$policy" ] && ! grep -qs "$policy_mark" "$policy"; then
    as_root mv "$policy" "$policy.before-setup"
  fi
  policy_ours=yes
  as_root tee "$policy" >/dev/null <<TEXT
#!/bin/sh
# $policy_mark
case " $held " in *" \${1%.service} "*) exit 101 ;; esac
[ ! -x "$policy.before-setup" ] || exec "$policy.before-setup" "\$@"
exit 0
TEXT
  as_root chmod 755 "$policy"
}

# Puts the policy back. A run that was killed leaves its mark, and the next one mends it.
release_services() {
  if [ "$policy_ours" = yes ] || grep -qs "$policy_mark" "$policy"; then
    if [ -e "$policy.before-setup" ]; then
      as_root mv -f "$policy.before-setup" "$policy"
    else
      as_root rm -f "$policy"
    fi
    policy_ours=no
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# A service that was there before stays as its owner left it.
disable_services() {
  for service in $1; do
    case $service in *.*) unit=$service ;; *) unit=$service.service ;; esac
    if have systemctl; then
      as_root systemctl --no-reload disable "$unit" >/dev/null 2>&1 || true
    fi
    if have update-rc.d; then
      as_root env PATH="$PATH:/usr/sbin:/sbin" update-rc.d "$service" disable >/dev/null 2>&1 || true
    fi
    as_root rm -f /etc/systemd/system/*.wants/"$unit"
    say "the service \"$service\" is installed for the tests, not started, and not enabled"
  done
}

install_packages() {
  packages=$*
  have apt-get ||
    fail "this system has no apt; install these with its own package manager, then run this again: $packages"
  can_be_root ||
    fail "this needs root, and sudo is not there or refuses; as root run: apt-get install $packages"
  new_services=
  for pair in $test_services; do
    case " $packages " in *" ${pair%%:*} "*) new_services="$new_services ${pair#*:}" ;; esac
  done
  say "installing with apt: $packages"
  [ -z "$new_services" ] || hold_services "$new_services"
  # The lists of a fresh or long idle system know no package, or one that is gone: then they are
  # refreshed, and only then.
  # shellcheck disable=SC2086 # Package names are ours and hold no spaces.
  if ! apt --no-install-recommends install $packages; then
    say "refreshing the package lists, and trying again"
    apt update || fail "apt-get update failed; see its message above"
    apt --no-install-recommends install $packages ||
      fail "apt-get install failed; see its message above (Ubuntu keeps some of these in \"universe\")"
  fi
  [ -z "$new_services" ] || disable_services "$new_services"
  release_services
}

ensure_packages() {
  missing=$(missing_packages)
  if [ -z "$missing" ]; then
    say "programs of the system: all there"
    return 0
  fi
  # shellcheck disable=SC2086 # A list of words.
  install_packages $missing
  missing=$(missing_packages)
  [ -z "$missing" ] || fail "apt reported success, and the programs of these packages are still missing: $missing"
}

# --- Deno ------------------------------------------------------------------------------------------

# Prints the version of the Deno that the calling shell would start, or nothing.
deno_found() {
  deno --version 2>/dev/null </dev/null | sed -n 's/^deno \([^ ]*\).*/\1/p'
}

# npm's package starts Deno through a wrapper where npm runs no install scripts. The wrapper would not
# pass a signal on, and a scan would outlive the server that was told to stop.
deno_is_wrapped() {
  case "$(readlink -f "$(command -v deno)")" in *.cjs) return 0 ;; *) return 1 ;; esac
}

writable_prefix() {
  [ -w "$1/bin" ] && [ -w "$1/lib" ] && { [ ! -e "$1/lib/node_modules" ] || [ -w "$1/lib/node_modules" ]; }
}

# Chooses where to install: prints a prefix whose bin folder is on PATH. Takes the favourite one.
choose_prefix() {
  if [ -n "$1" ] && on_path "$1/bin" && { is_root || writable_prefix "$1"; }; then
    printf '%s\n' "$1"
  elif ! is_root && on_path "$HOME/.local/bin"; then
    mkdir -p "$HOME/.local/bin" "$HOME/.local/lib"
    printf '%s\n' "$HOME/.local"
  elif can_be_root && on_path /usr/local/bin; then
    printf '%s\n' /usr/local
  fi
}

# Chooses prefix, and target: the prefix itself where this user may write to it; else a folder of our
# own, from which the one file is copied with sudo. So downloads run as the user, with the user's proxy
# and certificates, and never as root.
choose_target() {
  prefix=$(choose_prefix "$1")
  [ -n "$prefix" ] || no_place
  target=$prefix
  if ! is_root && ! writable_prefix "$prefix"; then
    [ -n "$scratch" ] || scratch=$(mktemp -d)
    target=$scratch/deno
    mkdir -p "$target/bin" "$target/lib"
  fi
}

put_in_place() {
  [ "$target" = "$prefix" ] || sudo install -m 755 "$(readlink -f "$target/bin/deno")" "$prefix/bin/deno"
}

no_place() {
  fail "no folder for programs that is on PATH can be written to; run: export PATH=\"\$HOME/.local/bin:\$PATH\" (and put that line into ~/.profile), then run this again"
}

install_deno_with_npm() {
  have npm && npm --version >/dev/null 2>&1 || return 1
  choose_target "$(npm prefix -g 2>/dev/null || true)"
  say "installing Deno $deno_version with npm into $prefix/bin"
  npm install -g --prefix "$target" --no-fund --no-audit --no-update-notifier --loglevel=error "deno@$deno_version" </dev/null || return 1
  # What its install script would do; with npm told to run none, this is what puts the program in place
  # of the wrapper.
  package="$target/lib/node_modules/deno"
  node "$package/install.cjs" && [ -x "$package/deno" ] || return 1
  ln -sfn ../lib/node_modules/deno/deno "$target/bin/deno" && put_in_place
}

install_npm_by_apt() {
  have npm && return 1
  say "Deno's own installer did not work; installing npm with apt for another try"
  install_packages npm
}

install_deno_with_its_installer() {
  for program in curl unzip; do
    have "$program" || install_packages curl unzip ca-certificates
  done
  choose_target ''
  say "installing Deno $deno_version with its own installer into $prefix/bin"
  [ -n "$scratch" ] || scratch=$(mktemp -d)
  curl -fsSL --retry 2 -o "$scratch/install.sh" https://deno.land/install.sh || return 1
  # CI keeps the installer from editing the shell's start files.
  CI=true DENO_INSTALL="$target" sh "$scratch/install.sh" "v$deno_version" </dev/null && put_in_place
}

ensure_deno() {
  before=$(deno_found)
  if [ "$before" = "$deno_version" ] && ! deno_is_wrapped; then
    say "Deno $deno_version: there ($(command -v deno))"
    return 0
  fi
  [ -z "$before" ] || say "Deno $before is there ($(command -v deno)); needed is the program itself of $deno_version"
  install_deno_with_npm || install_deno_with_its_installer || { install_npm_by_apt && install_deno_with_npm; } ||
    fail "Deno $deno_version could not be installed; make the npm registry or Deno's download server reachable, and run this again"
  hash -r
  [ "$(deno_found)" = "$deno_version" ] ||
    fail "Deno $deno_version is installed, and another one comes first on PATH: $(command -v deno) ($(deno_found)); remove that, or run: deno upgrade $deno_version"
}

# --- npm packages ----------------------------------------------------------------------------------

# Runs Deno in this repository as the user who will use it: with "sudo scripts/setup.sh" that is not
# root, and root's cache would be of no use.
deno_as_user() {
  if is_root && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
    (cd "$root" && runuser -u "$SUDO_USER" -- env "HOME=$home" NO_COLOR=1 deno "$@" </dev/null)
  else
    (cd "$root" && NO_COLOR=1 deno "$@" </dev/null)
  fi
}

packages_cached() {
  deno_as_user install --cached-only >/dev/null 2>&1
}

ensure_npm_packages() {
  if packages_cached; then
    say "npm packages: all in Deno's cache"
    return 0
  fi
  say "fetching the npm packages of deno.lock into Deno's cache"
  deno_as_user install --quiet --frozen || fail "the npm packages could not be fetched; see the message above"
}

# --- The two ways to run this ----------------------------------------------------------------------

run_check() {
  status=0
  for pair in $programs; do
    if have "${pair%%:*}"; then
      say "${pair%%:*}: there"
    else
      say "${pair%%:*}: missing (package ${pair#*:})"
      status=1
    fi
  done
  found=$(deno_found)
  if [ "$found" != "$deno_version" ] || deno_is_wrapped; then
    say "Deno $deno_version: missing (found: ${found:-none})"
    say "npm packages: not looked at, because that takes Deno $deno_version"
    return 1
  fi
  say "Deno $deno_version: there"
  # Asking Deno would create its cache folder where there is none.
  if [ -d "${DENO_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/deno}/npm" ] && packages_cached; then
    say "npm packages: all in Deno's cache"
  else
    say "npm packages: missing from Deno's cache"
    status=1
  fi
  return "$status"
}

clean_up() {
  release_services
  [ -z "$scratch" ] || rm -rf "$scratch"
}

for argument in "$@"; do
  case "$argument" in
    --check) check=yes ;;
    --no-test) programs=$serve_programs ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

if [ "$check" = yes ]; then
  if run_check; then
    say "everything is there"
    exit 0
  fi
  say "something is missing; run scripts/setup.sh"
  exit 1
fi

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
ensure_packages
ensure_deno
ensure_npm_packages
say "done; next: deno task serve, or deno task test"
