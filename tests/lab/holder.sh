#!/usr/bin/env bash
# The holder of a lab: builds its networks, starts its services, and stays. lab.sh starts it as pid 1
# of a pid namespace, inside a private mount namespace and an empty network namespace; nothing that
# happens here is seen outside, and all of it ends with this process.
#
# Configuration, keys and logs of the services live in a memory file system that only this mount
# namespace sees. Outside stand only the state folder's few files, which are reached through the
# working directory, because /run (where the folder may be) is covered here.
set -euo pipefail

cd -- "${1#__holder=}"
name=$2 mode=$3 trickle=$4
scan="smcp-$name-scan" rt="smcp-$name-rt" tgt="smcp-$name-tgt"
lab=/run/lab

# Services never need more than to listen: as root they run as nobody. In a user namespace there is
# but one user, and it is the caller.
drop=()
if [ "$mode" = root ]; then
  drop=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all)
fi

within() {
  local ns=$1
  shift
  nsenter "--net=/run/netns/$ns" "$@"
}

# Writes NAME=VALUE settings of a namespace's own network stack.
tune() {
  local ns=$1
  shift
  # shellcheck disable=SC2016 # The inner shell is the one that runs this text.
  within "$ns" sh -c 'for each in "$@"; do echo "${each#*=}" >"/proc/sys/net/${each%%=*}"; done' sh "$@"
}

make_networks() {
  local ns
  for ns in "$scan" "$rt" "$tgt"; do
    ip netns add "$ns"
    tune "$ns" ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0 ipv6/conf/default/accept_ra=0
    ip -n "$ns" link set lo up
  done
  ip link add s0 netns "$scan" type veth peer name r1 netns "$rt"
  ip link add r2 netns "$rt" type veth peer name t0 netns "$tgt"

  # The scanner's default route ends at the router, which knows the two networks and no more.
  # masscan does not start without one.
  ip -n "$scan" -batch - <<'TEXT'
address add 10.77.1.2/24 dev s0
address add fd77:1::2/64 dev s0 nodad
link set s0 up
route add default via 10.77.1.1
route add default via fd77:1::1
TEXT
  # Answers about closed ports and dead hosts are not rationed: scans in the lab are to be quick.
  tune "$rt" ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 ipv4/icmp_ratelimit=0 ipv6/icmp/ratelimit=0 \
    ipv4/neigh/r2/retrans_time_ms=200 ipv6/neigh/r2/retrans_time_ms=200
  ip -n "$rt" -batch - <<'TEXT'
address add 10.77.1.1/24 dev r1
address add fd77:1::1/64 dev r1 nodad
address add 10.77.2.1/24 dev r2
address add fd77:2::1/64 dev r2 nodad
link set r1 up
link set r2 up
TEXT
  tune "$tgt" ipv4/ip_unprivileged_port_start=0 ipv4/icmp_ratelimit=0 ipv6/icmp/ratelimit=0
  {
    for host in 10 11 12 13 14 15 20 21 22 23 24; do
      printf 'address add 10.77.2.%s/24 dev t0\n' "$host"
    done
    for host in 10 11 12 13 14; do
      printf 'address add fd77:2::%s/64 dev t0 nodad\n' "$host"
    done
    # Only the scanner's network is answered, so no default route here either.
    printf 'link set t0 up\nroute add 10.77.1.0/24 via 10.77.2.1\nroute add fd77:1::/64 via fd77:2::1\n'
  } | ip -n "$tgt" -batch -
}

make_filters() {
  # Addresses that swallow packets, as a firewall in the way would.
  within "$rt" nft -f - <<'TEXT'
table inet lab {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ip daddr 10.77.2.240/28 drop
    iifname "r1" oifname "r2" accept
    iifname "r2" oifname "r1" accept
  }
}
TEXT
  # .20 drops all but port 80, .21 drops all, .22 resets all but port 22, .24 says "prohibited".
  within "$tgt" nft -f - <<'TEXT'
table inet lab {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "lo" accept
    ip daddr 10.77.2.20 tcp dport 80 accept
    ip daddr { 10.77.2.20, 10.77.2.21 } drop
    ip daddr 10.77.2.22 tcp dport 22 accept
    ip daddr 10.77.2.22 meta l4proto tcp reject with tcp reset
    ip daddr 10.77.2.22 meta l4proto udp reject
    ip daddr 10.77.2.24 tcp dport 80 accept
    ip daddr 10.77.2.24 meta l4proto { tcp, udp } reject with icmp type admin-prohibited
  }
}
TEXT
}

page() {
  mkdir -p "$(dirname "$lab/www/$1")"
  printf '<!doctype html><title>%s</title><h1>%s</h1>\n' "$2" "$2" >"$lab/www/$1"
}

make_sites() {
  local folder
  page web1/index.html 'Lab web server one'
  for folder in admin api images login; do
    page "web1/$folder/index.html" "$folder"
  done
  mkdir "$lab/www/web1/backup"
  page web1/secret.txt 'nothing to see'
  page web1/robots.txt 'robots'
  page web1/config.php 'config'
  page www/index.html 'The public site of the lab'
  page shop/index.html 'The shop of the lab, with a longer title than the others have'
  page dev/index.html 'Development'
  page staging/index.html 'Staging: this name is in no name server'
  page web2/index.html 'Lab web server two'
  for folder in portal static; do
    page "web2/$folder/index.html" "$folder"
  done
  page odd/index.html 'An odd port'

  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=secure.lab.internal \
    -addext 'subjectAltName=DNS:secure.lab.internal,DNS:web2.lab.internal,IP:10.77.2.11' \
    -keyout "$lab/key.pem" -out "$lab/cert.pem" 2>/dev/null
}

vhost() {
  printf '  server { listen 10.77.2.10:80; listen [fd77:2::10]:80; server_name %s.lab.internal; root %s/www/%s; }\n' \
    "$1" "$lab" "$1"
}

write_nginx() {
  # As root of a user namespace nginx would hand its work to nobody, who does not exist there.
  [ "$mode" = root ] || printf 'user root root;\n'
  cat <<TEXT
worker_processes 1;
daemon off;
pid $lab/var/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  log_not_found off;
  client_body_temp_path $lab/var/body;
  proxy_temp_path $lab/var/proxy;
  fastcgi_temp_path $lab/var/fastcgi;
  uwsgi_temp_path $lab/var/uwsgi;
  scgi_temp_path $lab/var/scgi;
  default_type text/html;
  server {
    listen 10.77.2.10:80 default_server;
    listen [fd77:2::10]:80 default_server;
    listen 10.77.2.10:8080;
    server_name web1.lab.internal;
    root $lab/www/web1;
    location = /old { return 302 /login/; }
    location = /private { return 401; }
    location = /broken { return 500; }
  }
$(for each in www shop dev staging; do vhost "$each"; done)
  server {
    listen 10.77.2.11:80;
    server_name web2.lab.internal;
    return 301 https://\$host\$request_uri;
  }
  server {
    listen 10.77.2.11:443 ssl;
    listen [fd77:2::11]:443 ssl;
    server_name secure.lab.internal web2.lab.internal;
    ssl_certificate $lab/cert.pem;
    ssl_certificate_key $lab/key.pem;
    root $lab/www/web2;
  }
  server {
    listen 10.77.2.15:8081;
    listen 10.77.2.15:31337;
    listen 10.77.2.15:49152;
    listen 10.77.2.15:60001;
    listen 10.77.2.15:65535;
    listen 10.77.2.20:80;
    listen 10.77.2.24:80;
    root $lab/www/odd;
  }
}
TEXT
}

write_dnsmasq() {
  cat <<'TEXT'
no-resolv
no-hosts
no-poll
bind-interfaces
listen-address=10.77.2.14,fd77:2::14
except-interface=lo
local=/internal/
host-record=lab.internal,10.77.2.10
host-record=web1.lab.internal,10.77.2.10,fd77:2::10
host-record=www.lab.internal,10.77.2.10
host-record=shop.lab.internal,10.77.2.10
host-record=dev.lab.internal,10.77.2.10
host-record=web2.lab.internal,10.77.2.11,fd77:2::11
host-record=secure.lab.internal,10.77.2.11
host-record=ssh.lab.internal,10.77.2.12,fd77:2::12
host-record=redis.lab.internal,10.77.2.13,fd77:2::13
host-record=ns.lab.internal,10.77.2.14,fd77:2::14
host-record=odd.lab.internal,10.77.2.15
host-record=six.lab.internal,fd77:2::10
host-record=filtered.lab.internal,10.77.2.20
host-record=silent.lab.internal,10.77.2.21
host-record=closed.lab.internal,10.77.2.22
host-record=plain.lab.internal,10.77.2.23
host-record=prohibited.lab.internal,10.77.2.24
host-record=dead.lab.internal,10.77.2.40
# One name with two allowed addresses, and two that lead out of every private network.
host-record=multi.lab.internal,10.77.2.12
host-record=multi.lab.internal,10.77.2.13
host-record=out.lab.internal,203.0.113.5
host-record=mixed.lab.internal,10.77.2.10
host-record=mixed.lab.internal,203.0.113.6
TEXT
}

# Starts a service in tgt without any right; what it says goes to a file in memory.
serve() {
  local service=$1
  shift
  exec nsenter "--net=/run/netns/$tgt" "${drop[@]}" "$@" >"$lab/log/$service" 2>&1 &
}

start_services() {
  write_nginx >"$lab/nginx.conf"
  write_dnsmasq >"$lab/dnsmasq.conf"
  dropbearkey -t ed25519 -f "$lab/ssh_key" >/dev/null 2>&1
  mkdir "$lab/var" "$lab/log"
  if [ "$mode" = root ]; then
    chown -R 65534:65534 "$lab/var" "$lab/key.pem" "$lab/ssh_key"
  fi
  serve nginx nginx -p "$lab" -c "$lab/nginx.conf"
  # No password, no root, no forwarding: it greets, and lets nobody in.
  serve dropbear dropbear -F -E -s -w -g -j -k -r "$lab/ssh_key" -P "$lab/var/dropbear.pid" \
    -p 10.77.2.12:22 -p 10.77.2.12:2222 -p '[fd77:2::12]:22' -p 10.77.2.22:22
  serve redis redis-server --port 6379 --bind 10.77.2.13 fd77:2::13 --protected-mode no --save '' \
    --appendonly no --dir "$lab/var" --daemonize no --loglevel warning
  serve dnsmasq dnsmasq --keep-in-foreground "--conf-file=$lab/dnsmasq.conf" "--pid-file=$lab/var/dnsmasq.pid" \
    --user="$([ "$mode" = root ] && echo nobody || echo root)" --group=
}

# nginx 13, dropbear 4, redis 2, dnsmasq 2. A test compares each with inventory.json.
expected_tcp=21

await_services() {
  local listening=0 end=$((SECONDS + 6))
  while [ "$SECONDS" -lt "$end" ]; do
    listening=$(within "$tgt" ss -Htln | wc -l)
    [ "$listening" -lt "$expected_tcp" ] || return 0
    sleep 0.02
  done
  printf '%s of %s sockets listen; what the services said:\n' "$listening" "$expected_tcp"
  tail -n 4 "$lab"/log/*
  return 1
}

mount -t tmpfs -o mode=755,size=32m smcp-lab /run
mkdir -p "$lab/www"
make_networks
make_filters
make_sites
start_services
await_services
if [ "$trickle" = yes ]; then
  # shellcheck disable=SC2016 # The inner shell is the one that runs this text.
  within "$rt" bash -c 'while :; do echo >/dev/udp/10.77.1.2/9; sleep 0.1; done' 2>/dev/null &
fi
printf '%s\n' "$expected_tcp" >ready.new
mv ready.new ready
# Pid 1 stays to fetch its dead; it ends by SIGKILL from outside.
sleep infinity &
wait
