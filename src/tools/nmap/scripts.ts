/**
 * nmap's scripts and their categories, as nmap 7.93 ships them.
 *
 * A tool isolate may read no file, so the table stands here; a test compares it with the installed
 * `script.db`. The table refuses early and with a reason. What a category word holds in the end is
 * still nmap's own matter: a word goes to nmap as an expression that leaves out every category that
 * is not confined (see {@linkcode scriptArgv}), so another version of nmap cannot widen it.
 *
 * @module
 */
import { SafeText } from "@/spawn/argv.ts";

const CATEGORY_OF_LETTER: ReadonlyMap<string, string> = new Map([
  ["a", "auth"],
  ["b", "broadcast"],
  ["r", "brute"],
  ["d", "default"],
  ["i", "discovery"],
  ["o", "dos"],
  ["x", "exploit"],
  ["e", "external"],
  ["f", "fuzzer"],
  ["n", "intrusive"],
  ["m", "malware"],
  ["s", "safe"],
  ["v", "version"],
  ["u", "vuln"],
]);

/** Every category that nmap knows. */
export const SCRIPT_CATEGORIES: readonly string[] = [
  ...CATEGORY_OF_LETTER.values(),
];

/** Categories whose scripts need the intrusive right. */
export const INTRUSIVE_CATEGORIES: readonly string[] = [
  "intrusive",
  "vuln",
  "exploit",
  "dos",
  "brute",
  "malware",
  "fuzzer",
];

/**
 * Categories whose scripts send to others than the targets: to services on the internet, or to
 * everybody on the link. No right allows them, for no right widens the scope.
 */
export const UNCONFINED_CATEGORIES: readonly string[] = [
  "external",
  "broadcast",
];

/**
 * Scripts that leave the targets though no category says so. A scanned host says where most of them
 * go, so a host in scope could send the scanner anywhere.
 */
export const UNCONFINED_SCRIPTS: readonly string[] = [
  // They follow a redirect to any host, where nmap's own rule is the same host.
  "http-mobileversion-checker",
  "http-security-headers",
  "http-useragent-tester",
  // They fetch what a page names: nmap's spider compares hosts on the ports 80 and 443 only.
  "http-referer-checker",
  "http-auth-finder",
  "http-backup-finder",
  "http-chrono",
  "http-comments-displayer",
  "http-csrf",
  "http-devframework",
  "http-dombased-xss",
  "http-errors",
  "http-exif-spider",
  "http-feed",
  "http-fetch",
  "http-fileupload-exploiter",
  "http-form-fuzzer",
  "http-grep",
  "http-jsonp-detection",
  "http-method-tamper",
  "http-open-redirect",
  "http-phpself-xss",
  "http-rfi-spider",
  "http-sitemap-generator",
  "http-sql-injection",
  "http-stored-xss",
  "http-unsafe-output-escaping",
  // It asks api.wordpress.org.
  "http-wordpress-enum",
  // It looks up scanme.nmap.org and has the server connect there.
  "ftp-bounce",
  // It asks the system's name server for names that the target's owner chose.
  "fcrdns",
  // It listens on the interface.
  "url-snarf",
];

/** Category words that always mean their confined part that is not intrusive. */
export const MILD_CATEGORIES: readonly string[] = [
  "safe",
  "default",
  "discovery",
];

/** One letter a category, then the scripts that have just these. */
const TABLE: readonly (readonly [string, string])[] = [
  [
    "adis",
    `
dicom-ping
`,
  ],
  [
    "ads",
    `
ajp-auth creds-summary ftp-anon http-auth snmp-win32-users x11-access
`,
  ],
  [
    "aen",
    `
smtp-enum-users
`,
  ],
  [
    "ain",
    `
http-default-accounts
`,
  ],
  [
    "ais",
    `
ms-sql-dump-hashes ms-sql-hasdbaccess mysql-dump-hashes mysql-query
`,
  ],
  [
    "an",
    `
domcon-cmd domino-enum-users http-config-backup http-domino-enum-passwords
http-userdir-enum informix-query informix-tables krb5-enum-users ms-sql-empty-password
mysql-empty-password mysql-users oracle-enum-users sip-enum-users smb-enum-users
ssh-auth-methods ssh-publickey-acceptance
`,
  ],
  [
    "anu",
    `
http-wordpress-users
`,
  ],
  [
    "anx",
    `
http-barracuda-dir-traversal
`,
  ],
  [
    "ar",
    `
dicom-brute
`,
  ],
  [
    "as",
    `
ncp-enum-users
`,
  ],
  [
    "asu",
    `
http-vuln-cve2010-0738 netbus-auth-bypass realvnc-auth-bypass
`,
  ],
  [
    "au",
    `
http-method-tamper
`,
  ],
  [
    "aux",
    `
http-vuln-cve2017-5689
`,
  ],
  [
    "bi",
    `
ipv6-multicast-mld-list targets-ipv6-multicast-echo targets-ipv6-multicast-invalid-dst
targets-ipv6-multicast-mld targets-ipv6-multicast-slaac
`,
  ],
  [
    "bis",
    `
broadcast-eigrp-discovery broadcast-hid-discoveryd broadcast-igmp-discovery
broadcast-jenkins-discover broadcast-ospf2-discover broadcast-pim-discovery broadcast-ping
knx-gateway-discover llmnr-resolve lltd-discovery mrinfo mtrace targets-sniffer
`,
  ],
  [
    "bnou",
    `
broadcast-avahi-dos
`,
  ],
  [
    "bs",
    `
broadcast-ataoe-discover broadcast-bjnp-discover broadcast-db2-discover
broadcast-dhcp-discover broadcast-dhcp6-discover broadcast-dns-service-discovery
broadcast-dropbox-listener broadcast-listener broadcast-ms-sql-discover
broadcast-netbios-master-browser broadcast-networker-discover broadcast-novell-locate
broadcast-pc-anywhere broadcast-pc-duo broadcast-pppoe-discover broadcast-rip-discover
broadcast-ripng-discover broadcast-sonicwall-discover broadcast-sybase-asa-discover
broadcast-tellstick-discover broadcast-upnp-info broadcast-versant-locate
broadcast-wake-on-lan broadcast-wpad-discover broadcast-wsdd-discover
broadcast-xdmcp-discover eap-info
`,
  ],
  [
    "deis",
    `
http-open-proxy socks-open-proxy
`,
  ],
  [
    "dis",
    `
afp-serverinfo backorifice-info bitcoinrpc-info cassandra-info dns-nsid
dns-service-discovery epmd-info finger flume-master-info ftp-syst ganglia-info giop-info
gopher-ls hadoop-datanode-info hadoop-jobtracker-info hadoop-namenode-info
hadoop-secondary-namenode-info hadoop-tasktracker-info hbase-master-info hbase-region-info
hddtemp-info http-cisco-anyconnect http-cors http-favicon http-generator http-ls
http-ntlm-info http-robots.txt http-svn-enum http-svn-info http-title http-webdav-scan
imap-ntlm-info ip-https-discover ipv6-node-info irc-info iscsi-info jdwp-info
knx-gateway-info mongodb-databases mongodb-info ms-sql-info ms-sql-ntlm-info mysql-info
nat-pmp-info nbns-interfaces nbstat ncp-serverinfo netbus-info nntp-ntlm-info ntp-info
pop3-capabilities pop3-ntlm-info quake3-master-getservers rdp-ntlm-info rmi-dumpregistry
servicetags sip-methods smb-os-discovery smb-security-mode smb2-security-mode smb2-time
smtp-commands smtp-ntlm-info snmp-hh3c-logins snmp-interfaces snmp-netstat snmp-processes
snmp-sysdescr snmp-win32-services snmp-win32-shares snmp-win32-software socks-auth-info
ssh-hostkey ssl-cert ssl-date sstp-discover telnet-ntlm-info tls-alpn tls-nextprotoneg
upnp-info vnc-info wsdd-discover xmlrpc-methods
`,
  ],
  [
    "disu",
    `
ssl-known-key
`,
  ],
  [
    "disuv",
    `
wdb-version
`,
  ],
  [
    "disv",
    `
amqp-info freelancer-info hnap-info ike-version openlookup-info quake1-info quake3-info
rpcinfo ubiquiti-discovery ventrilo-info weblogic-t3-info xmpp-info
`,
  ],
  [
    "ds",
    `
address-info ajp-methods auth-owners clock-skew dns-recursion ftp-bounce http-methods
imap-capabilities openflow-info p2p-conficker rtsp-methods sshv1 sslv2 uptime-agent-info
`,
  ],
  [
    "dsu",
    `
http-cookie-flags http-git
`,
  ],
  [
    "dsv",
    `
maxdb-info snmp-info
`,
  ],
  [
    "ei",
    `
hostmap-bfk hostmap-crtsh
`,
  ],
  [
    "eims",
    `
dns-zeustracker http-google-malware
`,
  ],
  [
    "ein",
    `
smtp-open-relay
`,
  ],
  [
    "eis",
    `
asn-query dns-check-zone hostmap-robtex http-icloud-findmyiphone http-icloud-sendmsg
http-robtex-reverse-ip http-robtex-shared-ns http-xssed ip-geolocation-geoplugin
ip-geolocation-ipinfodb ip-geolocation-maxmind shodan-api targets-asn
traceroute-geolocation whois-domain whois-ip
`,
  ],
  [
    "ems",
    `
http-virustotal
`,
  ],
  [
    "en",
    `
dns-random-srcport dns-random-txid
`,
  ],
  [
    "enr",
    `
http-proxy-brute
`,
  ],
  [
    "es",
    `
dns-blacklist ip-geolocation-map-bing ip-geolocation-map-google tor-consensus-checker
`,
  ],
  [
    "esu",
    `
http-cross-domain-policy vulners
`,
  ],
  [
    "fn",
    `
dns-fuzz http-form-fuzzer
`,
  ],
  [
    "fnu",
    `
http-phpself-xss
`,
  ],
  [
    "i",
    `
pcworx-info targets-ipv6-map4to6 targets-ipv6-wordlist
`,
  ],
  [
    "in",
    `
dns-brute dns-cache-snoop dns-ip6-arpa-scan dns-nsec-enum dns-nsec3-enum dns-zone-transfer
http-chrono http-devframework http-drupal-enum-users http-drupal-enum http-errors
http-feed http-open-redirect http-put http-sitemap-generator http-unsafe-output-escaping
http-vhosts http-waf-detect http-waf-fingerprint http-wordpress-enum iec-identify
modbus-discover mysql-databases mysql-variables nbd-info nrpe-enum ntp-monlist
sip-call-spoof smb-enum-domains smb-enum-groups smb-enum-processes smb-enum-sessions
smb-enum-shares smb-server-stats smb-system-info sniffer-detect ssl-enum-ciphers
stuxnet-detect tftp-enum vnc-title
`,
  ],
  [
    "ins",
    `
smb-enum-services
`,
  ],
  [
    "inu",
    `
http-enum mysql-vuln-cve2012-2122
`,
  ],
  [
    "is",
    `
acarsd-info afp-ls afp-showmount ajp-headers ajp-request banner bitcoin-getaddr
bitcoin-info bittorrent-discovery bjnp-discover cics-info citrix-enum-apps-xml
citrix-enum-apps citrix-enum-servers-xml citrix-enum-servers coap-resources
couchdb-databases couchdb-stats cups-info cups-queue-info daap-get-library daytime
dhcp-discover dict-info dns-client-subnet-scan dns-srv-enum eppc-enum-processes fcrdns
firewalk gkrellm-info gpsd-info http-affiliate-id http-apache-negotiation
http-apache-server-status http-auth-finder http-backup-finder http-bigip-cookie
http-cakephp-version http-comments-displayer http-date http-gitweb-projects-enum http-grep
http-headers http-hp-ilo-info http-mcmp http-mobileversion-checker http-php-version
http-qnap-nas-info http-referer-checker http-sap-netweaver-leak http-security-headers
http-traceroute http-useragent-tester http-vlcstreamer-ls icap-info ip-forwarding ipidseq
ipmi-version isns-info ldap-novell-getpass ldap-rootdse ldap-search lexmark-config
membase-http-info memcached-info ms-sql-config ms-sql-dac ms-sql-query ms-sql-tables
msrpc-enum mysql-audit nat-pmp-mapport ndmp-fs-info nfs-ls nfs-showmount nfs-statfs
omp2-enum-targets openwebnet-discovery path-mtu qscan rdp-enum-encryption redis-info
resolveall riak-http-info rpcap-info rsync-list-modules rusers smb-ls smb-mbenum
smb-protocols smb2-capabilities ssh2-enum-algos stun-info targets-traceroute
telnet-encryption tn3270-screen versant-info voldemort-info vuze-dht-info xdmcp-discover
`,
  ],
  [
    "isu",
    `
http-internal-ip-disclosure http-jsonp-detection http-trace irc-botnet-channels
ssl-cert-intaddr
`,
  ],
  [
    "isv",
    `
allseeingeye-info db2-das-info drda-info http-trane-info mqtt-subscribe rfc868-time
vmware-version
`,
  ],
  [
    "iu",
    `
http-aspnet-debug
`,
  ],
  [
    "iv",
    `
bacnet-info enip-info fox-info omron-info s7-info
`,
  ],
  [
    "mnux",
    `
ftp-proftpd-backdoor ftp-vsftpd-backdoor irc-unrealircd-backdoor
`,
  ],
  [
    "ms",
    `
auth-spoof http-malware-host smtp-strangeport
`,
  ],
  [
    "msu",
    `
smb-double-pulsar-backdoor
`,
  ],
  [
    "n",
    `
http-exif-spider http-rfi-spider mmouse-exec ms-sql-xp-cmdshell pjl-ready-message
smb-print-text smb-psexec snmp-ios-config ssh-run tso-brute
`,
  ],
  [
    "no",
    `
http-slowloris ipv6-ra-flood smb-flood
`,
  ],
  [
    "nou",
    `
smb-vuln-ms10-054
`,
  ],
  [
    "noux",
    `
smb-vuln-conficker smb-vuln-cve2009-3103 smb-vuln-ms06-025 smb-vuln-ms07-029
smb-vuln-ms08-067 smb-vuln-regsvc-dos
`,
  ],
  [
    "nr",
    `
afp-brute ajp-brute backorifice-brute cassandra-brute cics-enum cics-user-brute
cics-user-enum citrix-brute-xml cvs-brute-repository cvs-brute deluge-rpc-brute
domcon-brute dpap-brute drda-brute ftp-brute http-brute http-form-brute
http-iis-short-name-brute http-joomla-brute http-wordpress-brute iax2-brute imap-brute
impress-remote-discover informix-brute ipmi-brute irc-brute irc-sasl-brute iscsi-brute
ldap-brute lu-enum membase-brute metasploit-msgrpc-brute metasploit-xmlrpc-brute
mikrotik-routeros-brute mmouse-brute mongodb-brute ms-sql-brute mysql-brute mysql-enum
nessus-brute nessus-xmlrpc-brute netbus-brute nexpose-brute nje-node-brute nje-pass-brute
nping-brute omp2-brute openvas-otp-brute oracle-brute-stealth oracle-brute
oracle-sid-brute pcanywhere-brute pgsql-brute pop3-brute redis-brute rexec-brute
rlogin-brute rpcap-brute rsync-brute rtsp-url-brute sip-brute smb-brute smtp-brute
snmp-brute socks-brute ssh-brute svn-brute telnet-brute tso-enum vmauthd-brute vnc-brute
vtam-enum xmpp-brute
`,
  ],
  [
    "ns",
    `
metasploit-info
`,
  ],
  [
    "nu",
    `
dns-update firewall-bypass ftp-libopie ftp-vuln-cve2010-4221 http-iis-webdav-vuln
http-passwd http-sql-injection http-vuln-cve2010-2861 http-vuln-cve2011-3368
http-vuln-cve2015-1427 http-vuln-cve2017-8917 http-vuln-misfortune-cookie
puppet-naivesigning rdp-vuln-ms12-020 rmi-vuln-classloader samba-vuln-cve-2012-1182
smb-vuln-cve-2017-7494 smb-vuln-ms10-061 smb-vuln-webexec smtp-vuln-cve2011-1720
smtp-vuln-cve2011-1764 sslv2-drown
`,
  ],
  [
    "nux",
    `
afp-path-vuln distcc-cve2004-2687 http-awstatstotals-exec http-axis2-dir-traversal
http-csrf http-dombased-xss http-fileupload-exploiter http-litespeed-sourcecode-download
http-majordomo2-dir-traversal http-shellshock http-stored-xss http-vuln-cve2006-3392
http-vuln-cve2009-3960 http-vuln-cve2012-1823 http-vuln-cve2013-7091
http-vuln-cve2014-3704 http-vuln-cve2014-8877 http-vuln-wnr1000-creds qconn-exec
smtp-vuln-cve2010-4344
`,
  ],
  [
    "nx",
    `
jdwp-exec jdwp-inject smb-webexec-exploit
`,
  ],
  [
    "s",
    `
duplicates http-fetch ip-geolocation-map-kml port-states reverse-index targets-xml
unittest unusual-port url-snarf
`,
  ],
  [
    "su",
    `
http-frontpage-login http-slowloris-check http-vmware-path-vuln http-vuln-cve2011-3192
http-vuln-cve2014-2126 http-vuln-cve2014-2127 http-vuln-cve2014-2128
http-vuln-cve2014-2129 http-vuln-cve2015-1635 http-vuln-cve2017-1001000 ipmi-cipher-zero
rsa-vuln-roca smb-vuln-ms17-010 smb2-vuln-uptime ssl-ccs-injection ssl-dh-params
ssl-heartbleed ssl-poodle tls-ticketbleed
`,
  ],
  [
    "sv",
    `
mcafee-epo-agent oracle-tns-version
`,
  ],
  [
    "u",
    `
http-vuln-cve2017-5638
`,
  ],
  [
    "ux",
    `
clamav-exec http-adobe-coldfusion-apsa1301 http-avaya-ipoffice-users http-dlink-backdoor
http-huawei-hg5xx-vuln http-phpmyadmin-dir-traversal http-tplink-dir-traversal
http-vuln-cve2013-0156 http-vuln-cve2013-6786 supermicro-ipmi-conf
`,
  ],
  [
    "v",
    `
cccam-version docker-version fingerprint-strings http-server-header https-redirect
iax2-version jdwp-version murmur-version ndmp-version netbus-version ovs-agent-version
pptp-version rpc-grind skypev2-version stun-version teamspeak2-version
`,
  ],
  [
    "x",
    `
http-coldfusion-subzero
`,
  ],
];

/** The categories of each script, by its name. */
export const SCRIPTS: ReadonlyMap<string, readonly string[]> = new Map(
  TABLE.flatMap(([letters, names]) => {
    const categories = Object.freeze(
      [...letters].map((letter) => CATEGORY_OF_LETTER.get(letter) ?? ""),
    );
    return names.trim().split(/\s+/).map((name) => [name, categories] as const);
  }),
);

/** What a script or a category asks of whoever wants to run it. */
export type ScriptClass = "mild" | "other" | "intrusive" | "unconfined";

/**
 * Classifies a script or a category word.
 *
 * @param word A name of {@linkcode SCRIPTS} or one of {@linkcode SCRIPT_CATEGORIES}.
 * @returns `mild` for what is in a mild category alone, `other` for what is in none, or the reason
 * why it needs more.
 */
export function classifyScript(word: string): ScriptClass {
  const categories = SCRIPTS.get(word) ?? [word];
  const has = (list: readonly string[]) =>
    categories.some((category) => list.includes(category));
  if (UNCONFINED_SCRIPTS.includes(word) || has(UNCONFINED_CATEGORIES)) {
    return "unconfined";
  }
  if (has(INTRUSIVE_CATEGORIES)) return "intrusive";
  return has(MILD_CATEGORIES) ? "mild" : "other";
}

/**
 * Writes the value of `--script`. Names stand as they are. Category words become expressions without
 * the scripts that are not confined; the mild ones also without the intrusive ones, so that
 * `default` means the same whatever the configuration allows.
 *
 * @param words Names and category words that were judged.
 * @returns The value. It holds no space: nmap's expressions need none around parentheses.
 */
export function scriptArgv(words: readonly string[]): SafeText {
  const names = words.filter((word) => SCRIPTS.has(word));
  const categories = words.filter((word) => !SCRIPTS.has(word));
  const mild = categories.filter((word) => MILD_CATEGORIES.includes(word));
  const others = categories.filter((word) => !MILD_CATEGORIES.includes(word));
  const rules = [...names];
  if (mild.length > 0) {
    rules.push(
      without(mild, [...INTRUSIVE_CATEGORIES, ...UNCONFINED_CATEGORIES]),
    );
  }
  if (others.length > 0) rules.push(without(others, UNCONFINED_CATEGORIES));
  return SafeText.match(rules.join(","), /[A-Za-z0-9.(),-]+/);
}

/** The scripts of some categories that are not confined and that no barred category leaves out. */
function unconfinedOf(
  words: readonly string[],
  barred: readonly string[],
): readonly string[] {
  return UNCONFINED_SCRIPTS.filter((name) => {
    const categories = SCRIPTS.get(name) ?? [];
    return categories.some((category) => words.includes(category)) &&
      !categories.some((category) => barred.includes(category));
  });
}

function without(words: readonly string[], barred: readonly string[]): string {
  const all = [...barred, ...unconfinedOf(words, barred)];
  return `(${anyOf(words)})and(not(${anyOf(all)}))`;
}

function anyOf(words: readonly string[]): string {
  return words.map((word) => `(${word})`).join("or");
}
