/**
 * Cuts what a reader found into messages that the protocol allows. Hosts are the only findings without a
 * small bound of their own: one may have a hundred thousand ports with the output of scripts.
 *
 * @module
 */
import { foundHosts, type HostReport, type Report } from "@/tools/report.ts";
import type { Reader } from "@/tools/tool.ts";
import { FOUND_MAX, FOUND_SIZE_MAX } from "./protocol.ts";
import { sizeWithin } from "./shape.ts";

/** Room for what stands around the hosts. */
const HOSTS_SIZE_MAX = FOUND_SIZE_MAX - 1_024;

/** The findings of one scan, a message at a time. */
export class Found {
  readonly #reader: Pick<Reader, "found">;
  /** Hosts that the reader gave and that did not fit the message before. */
  #left: readonly HostReport[] = [];
  #version: string | null = null;

  /** @param reader Where the findings come from. */
  constructor(reader: Pick<Reader, "found">) {
    this.#reader = reader;
  }

  /**
   * Takes the next message.
   *
   * @returns A report that fits one, or null if there is nothing to tell.
   */
  next(): Report | null {
    if (this.#left.length === 0) {
      const report = this.#reader.found(FOUND_MAX);
      if (report?.kind !== "hosts") return report;
      this.#left = report.hosts;
      this.#version = report.tool_version;
    }
    const hosts = this.#take();
    return hosts.length === 0 ? null : foundHosts(hosts, this.#version);
  }

  #take(): HostReport[] {
    const taken: HostReport[] = [];
    let [at, size] = [0, 0];
    for (const host of this.#left) {
      const more = sizeWithin(host, HOSTS_SIZE_MAX);
      // One that fits no message comes with the end of the scan.
      if (more <= HOSTS_SIZE_MAX) {
        if (size + more > HOSTS_SIZE_MAX) break;
        size += more;
        taken.push(host);
      }
      at++;
    }
    this.#left = this.#left.slice(at);
    return taken;
  }
}
