# Sourced by every stand-in: answers what the server asks a tool before it scans, as the real tool
# does, and returns when the command line is a scan. The shell's own commands only, so that a
# stand-in starts in a millisecond and runs without an environment.

tool=${0##*/}

say_version() {
  case $tool in
    nmap) printf 'Nmap version 7.93 ( https://nmap.org )\nPlatform: x86_64-pc-linux-gnu\n' ;;
    masscan) printf '\nMasscan version 1.3.2 ( https://github.com/robertdavidgraham/masscan )\nOS: Linux\n' ;;
    gobuster) printf '3.5\n' ;;
  esac
}

xml_head() {
  printf '%s\n' '<?xml version="1.0" encoding="UTF-8"?>' '<!DOCTYPE nmaprun>' \
    '<nmaprun scanner="nmap" args="nmap stand-in" start="1795225881" version="7.93" xmloutputversion="1.05">' \
    '<scaninfo type="connect" protocol="tcp" numservices="3" services="22,80,443"/>'
}

xml_host() { # address
  printf '%s\n' '<host starttime="1795225881" endtime="1795225881"><status state="up" reason="user-set" reason_ttl="0"/>' \
    "<address addr=\"$1\" addrtype=\"ipv4\"/>" '<hostnames></hostnames>' \
    '<ports><port protocol="tcp" portid="22"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="ssh" method="table" conf="3"/></port>' \
    '<port protocol="tcp" portid="80"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="http" method="table" conf="3"/></port>' \
    '<port protocol="tcp" portid="443"><state state="closed" reason="conn-refused" reason_ttl="0"/><service name="https" method="table" conf="3"/></port></ports>' \
    '<times srtt="412" rttvar="1804" to="100000"/></host>'
}

xml_tail() { # hosts up
  printf '%s\n' "<runstats><finished time=\"1795225881\" elapsed=\"0.01\" exit=\"success\"/><hosts up=\"$1\" down=\"0\" total=\"$1\"/></runstats>" '</nmaprun>'
}

# Every name resolves to loopback and every address to itself: no question leaves the machine.
list_targets() {
  xml_head
  skip=0
  for word do
    if [ $skip = 1 ]; then skip=0; continue; fi
    case $word in
      -oX | --excludefile | --dns-servers) skip=1 ;;
      -*) ;;
      *[!0-9a-fA-F.:/-]*)
        printf '%s\n' "<host><status state=\"unknown\" reason=\"user-set\" reason_ttl=\"0\"/><address addr=\"127.0.0.1\" addrtype=\"ipv4\"/><hostnames><hostname name=\"$word\" type=\"user\"/></hostnames></host>"
        ;;
      *)
        printf '%s\n' "<host><status state=\"unknown\" reason=\"user-set\" reason_ttl=\"0\"/><address addr=\"$word\" addrtype=\"ipv4\"/><hostnames></hostnames></host>"
        ;;
    esac
  done
  xml_tail 0
}

# A copy of the stand-ins in a folder of a test's own tells there what was started. The log has to
# exist already: the stand-ins of the repository write nothing.
log=${0%/*}/starts.log
if [ -w "$log" ]; then
  line=$tool
  for word do line="$line $word"; done
  printf '%s\n' "$line" >>"$log"
fi

case ${1-} in version | --version | -V) say_version; exit 0 ;; esac
scan=0
for word do
  case $word in
    --version | -V) say_version; exit 0 ;;
    -sL) list_targets "$@"; exit 0 ;;
    -o? | dir | dns | vhost) scan=1 ;;
  esac
done
# A command line of nmap without output is the trial of raw sockets: it may.
[ "$tool" != nmap ] || [ $scan = 1 ] || exit 0

# Waits for ever as one process whose command line names this file, so that a test finds it.
wait_for_ever() {
  exec tail -n 0 -f "$0" >/dev/null 2>&1
}
