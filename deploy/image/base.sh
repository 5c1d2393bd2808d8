#!/bin/sh
# Makes a base for the Dockerfile where the public one cannot be pulled: a minimal Debian without
# documents, from the mirror that this machine installs from.
#
#   deploy/image/base.sh base.tar
#   docker import base.tar debian:local
#   docker build --build-arg BASE=debian:local -t security-mcp .
#
# Needs root and debootstrap.
set -eu

suite=bookworm
mirror=
file=${1-}

say() {
  printf 'base: %s\n' "$1"
}

fail() {
  printf 'base: %s\n' "$1" >&2
  exit 1
}

if [ $# -ne 1 ] || [ -z "$file" ]; then
  printf 'Usage: deploy/image/base.sh FILE.tar\n' >&2
  exit 2
fi
[ "$(id -u)" -eq 0 ] || fail "debootstrap needs root"
PATH="$PATH:/usr/sbin:/sbin"
command -v debootstrap >/dev/null 2>&1 || fail "debootstrap is not installed; run: apt-get install debootstrap"

# Prints `URI CODENAME` of the parts of this suite that apt knows, the updates for security among them.
parts() {
  if command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2016 # apt fills these in.
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
      sed -n "s/^Debian main \([^ ]*\) \(${suite}[a-z-]*\)\$/\1 \2/p" | sort -u
  fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

parts >"$scratch/parts"
mirror=$(sed -n "s/ $suite\$//p" "$scratch/parts" | head -n 1)
say "installing a minimal $suite; this takes about half a minute"
# shellcheck disable=SC2086 # No word where there is no mirror.
debootstrap --variant=minbase "$suite" "$scratch/root" $mirror >"$scratch/log" 2>&1 ||
  { tail -n 20 "$scratch/log" >&2; fail "debootstrap failed; see above"; }

# The same parts of the archive in the image, and no document of any package, as in the public base.
[ ! -s "$scratch/parts" ] || sed 's/.*/deb & main/' "$scratch/parts" >"$scratch/root/etc/apt/sources.list"
for folder in doc man info locale lintian linda groff; do
  echo "path-exclude /usr/share/$folder/*"
done >"$scratch/root/etc/dpkg/dpkg.cfg.d/no-documents"
echo 'path-include /usr/share/doc/*/copyright' >>"$scratch/root/etc/dpkg/dpkg.cfg.d/no-documents"
for folder in man info locale lintian linda groff; do
  rm -rf "$scratch/root/usr/share/$folder"
done
find "$scratch/root/usr/share/doc" ! -type d ! -name copyright -delete
find "$scratch/root/usr/share/doc" -depth -type d -empty -delete
find "$scratch/root/var/cache" "$scratch/root/var/log" "$scratch/root/var/lib/apt/lists" -type f -delete
# What debootstrap took over from this machine, and a container is given its own.
rm -f "$scratch/root/etc/hostname" "$scratch/root/etc/resolv.conf"

# /dev is made by whatever runs the container.
tar -C "$scratch/root" --numeric-owner --exclude='./dev/*' -cf "$file" .
say "wrote $file: $(($(wc -c <"$file") / 1000000)) MB"
