/**
 * What can be wrong with the texts of the configuration: addresses, networks, suffixes, names. Each
 * function says what is wrong and how to write it, or returns null.
 *
 * @module
 */
import {
  blockText,
  contains,
  parseAddress,
  parseNetwork,
} from "@/scope/block.ts";
import { shown } from "@/tools/field.ts";
import { isOneHost } from "./http_complaint.ts";

/** Networks that no route of the public internet leads to. */
const PRIVATE_NETWORKS = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
  "fe80::/10",
  "::1/128",
];

/** Words that nmap reads as a category of scripts, or as all of them. */
const SCRIPT_CATEGORIES = new Set([
  "all",
  "auth",
  "broadcast",
  "brute",
  "default",
  "discovery",
  "dos",
  "exploit",
  "external",
  "fuzzer",
  "intrusive",
  "malware",
  "safe",
  "version",
  "vuln",
]);

/** Any text. */
export function nothing(_text: string): null {
  return null;
}

/** A plain address. */
export function addressComplaint(text: string): string | null {
  if (parseAddress(text) !== null) return null;
  return `${
    shown(text)
  } is no address; write one such as 10.0.0.53 or fd00::53`;
}

/** A key in hexadecimal digits. What was given is not repeated: it may be a key. */
export function keyComplaint(text: string): string | null {
  if (/^(?:[0-9a-f]{2}){32,128}$/i.test(text)) return null;
  return "it is no key of 64 to 256 hexadecimal digits; make one with: openssl rand -hex 32";
}

/** The address of a database. What was given is not repeated: it may hold a password. */
export function databaseComplaint(text: string): string | null {
  if (/^sqlite:[\w.-]{1,200}$/.test(text)) return null;
  const isServer = /^postgres(?:ql)?:\/\/[^\s/]{1,512}\/[^\s]{1,256}$/.test(
    text,
  );
  const url = isServer ? URL.parse(text.replace(/^[^:]+:/, "http:")) : null;
  if (url !== null && isOneHost(url.hostname)) return null;
  return "it is no address of a database; write sqlite:scans.db for a file in the state folder, or postgres://USER:PASSWORD@HOST:PORT/DATABASE";
}

/** A tag of scans. */
export function tagComplaint(text: string): string | null {
  return /^[\p{L}\p{N}][\p{L}\p{N} ._:/-]{0,63}$/u.test(text)
    ? null
    : `${
      shown(text)
    } is no tag; write 1 to 64 letters, digits, blanks and . _ : / -`;
}

/** A name of an engagement or a tag, and a subnet that scans under it are bound to. */
export function boundComplaint(text: string): string | null {
  const { name, subnet } = boundOf(text);
  if (name === "" || subnet === "") {
    return `${
      shown(text)
    } binds no name to a network; write NAME=NETWORK, such as spring=10.1.0.0/16`;
  }
  return tagComplaint(name) ?? subnetComplaint(subnet);
}

/**
 * Takes `NAME=SUBNET` apart.
 *
 * @param text What {@linkcode boundComplaint} takes.
 * @returns The name and the subnet; the subnet is empty where there is none.
 */
export function boundOf(text: string): { name: string; subnet: string } {
  const at = Math.max(text.lastIndexOf("="), 0);
  return { name: text.slice(0, at), subnet: text.slice(at + 1) };
}

/** The host that a server listens on. */
export function hostComplaint(text: string): string | null {
  if (text === "localhost" || parseAddress(text) !== null) return null;
  return `${
    shown(text)
  } is neither an address nor localhost; write an address such as 127.0.0.1 or ::1`;
}

/** A network in CIDR form, its host bits zero, in canonical text. */
export function subnetComplaint(text: string): string | null {
  const network = parseNetwork(text);
  if (network === null) {
    const address = parseAddress(text);
    const advice = address === null
      ? "write an address and a prefix length, such as 10.0.0.0/24 or fd00::/64"
      : `write ${blockText(address)}/${address.family === 4 ? 32 : 128}`;
    return `${shown(text)} is not a network; ${advice}`;
  }
  // Targets are compared as what they are, so a rule in this form would never match one.
  const mapped = parseNetwork("::ffff:0:0/96");
  if (mapped !== null && contains(mapped, network)) {
    return `${
      shown(text)
    } is an IPv4 network in the form of IPv6; write it as IPv4`;
  }
  const slash = text.lastIndexOf("/");
  const address = parseAddress(text.slice(0, slash));
  if (address !== null && address.first !== network.first) {
    const whole = text.slice(slash);
    const first = blockText({ ...network, last: network.first });
    return `${
      shown(text)
    } is an address inside a network; write ${first}${whole} for the network or ${
      blockText(address)
    }/${network.family === 4 ? 32 : 128} for the address`;
  }
  return null;
}

/** A suffix of host names. */
export function suffixComplaint(text: string): string | null {
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  if (text.length <= 253 && new RegExp(`^(?:\\.${label})+$`).test(text)) {
    return null;
  }
  return `${
    shown(text)
  } is not a suffix of host names; write lower-case labels, each behind a dot, such as .lab.internal`;
}

/** A name server. */
export function resolverComplaint(text: string): string | null {
  const [, bracketed, plain, port] =
    /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const address = parseAddress(bracketed ?? plain ?? text);
  const sound = address !== null &&
    (bracketed === undefined || address.family === 6) &&
    (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535));
  return sound
    ? null
    : `${
      shown(text)
    } is not a name server; write an address, or an address and a port, such as 127.0.0.1:53 or [::1]:53`;
}

/** The name of one NSE script. */
export function scriptComplaint(text: string): string | null {
  if (SCRIPT_CATEGORIES.has(text)) {
    return `${
      shown(text)
    } is a category and not a script; name the scripts themselves`;
  }
  return /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/.test(text)
    ? null
    : `${shown(text)} is not the name of a script, such as http-title`;
}

/** The name of a wordlist. */
export function wordlistComplaint(text: string): string | null {
  return /^[a-z0-9_-]{1,64}$/.test(text)
    ? null
    : `${
      shown(text)
    } is not the name of a wordlist; write the name of a file without its .txt, of a-z, 0-9, _ and -`;
}

/**
 * Tells whether a network reaches beyond private and loopback addresses.
 *
 * @param text A network that {@linkcode subnetComplaint} takes.
 * @returns Whether any of it may be public.
 */
export function isPublic(text: string): boolean {
  const network = parseNetwork(text);
  if (network === null) return true;
  return !PRIVATE_NETWORKS.some((outer) => {
    const block = parseNetwork(outer);
    return block !== null && contains(block, network);
  });
}

/** Tells whether a host of the server is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  const address = parseAddress(host);
  if (address === null) return host === "localhost";
  return ["127.0.0.0/8", "::1/128"].some((outer) => {
    const block = parseNetwork(outer);
    return block !== null && contains(block, address);
  });
}
