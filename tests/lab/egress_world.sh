#!/usr/bin/env bash
# A world for the egress guard, without any way out: a host with two networks, each with one machine.
#
#   (the guard's namespace) ── host ── good 10.99.1.2, fd99:1::2
#                                 └─── bad  10.99.2.2, fd99:2::2
#
# egress_world.ts starts it in namespaces of its own (mount, network, pid), where /run is its own as well:
# no guard of the machine is seen or touched. It lives as long as its standard input is open. Its last
# word is the number of this process, which `nsenter` takes.
set -euo pipefail

exec 3</proc/self/stat
read -r outside _ <&3
exec 3<&-
mount -t proc none /proc
mount -t tmpfs -o mode=755,size=16m none /run
mkdir -p /run/world

ip link set lo up
net=0
for name in good bad; do
  net=$((net + 1))
  ip netns add "$name"
  ip link add "${name}0" type veth peer name t0 netns "$name"
  ip link set "${name}0" addrgenmode none
  ip -n "$name" link set t0 addrgenmode none
  ip address add "10.99.$net.1/24" dev "${name}0"
  ip address add "fd99:$net::1/64" dev "${name}0" nodad
  ip -n "$name" address add "10.99.$net.2/24" dev t0
  ip -n "$name" address add "fd99:$net::2/64" dev t0 nodad
  ip -n "$name" link set lo up
  ip -n "$name" link set t0 up
  ip link set "${name}0" up
  # Counts what comes for the machine itself, without the talk of neighbours.
  nsenter "--net=/run/netns/$name" nft -f - <<'TEXT'
table netdev world {
  counter seen { }
  chain ingress {
    type filter hook ingress device "t0" priority -500; policy accept;
    meta protocol arp accept
    ip6 daddr ff00::/8 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    counter name "seen"
  }
}
TEXT
  for port in 6379 7000; do
    nsenter "--net=/run/netns/$name" redis-server --port "$port" --bind "10.99.$net.2" "fd99:$net::2" \
      --protected-mode no --save '' --appendonly no --dir /run/world </dev/null >/dev/null 2>&1 &
  done
done
# Two services of the host: what stands for the server's own port.
redis-server --port 8080 --bind 10.99.1.1 fd99:1::1 127.0.0.1 --protected-mode no --save '' --appendonly no \
  --dir /run/world </dev/null >/dev/null 2>&1 &

# Links take a moment to find that their other ends are up.
settled() {
  ! ip -br link show type veth | grep -v ' UP ' | grep -q . && [ "$(listening | wc -l)" -eq 11 ]
}

listening() {
  for name in good bad; do nsenter "--net=/run/netns/$name" ss -Htln; done
  ss -Htln
}
for ((i = 0; i < 200; i++)); do
  ! settled || break
  sleep 0.05
done
settled || { listening >&2; exit 1; }
printf '%s\n' "$outside"
cat >/dev/null
