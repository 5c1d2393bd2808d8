/**
 * What one run of masscan says about itself on stderr: how far it is, whether it is only waiting,
 * and why it failed. Its words are classified here and go no further.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import { Lines } from "../lines.ts";

/** Longest line of stderr that is looked at. */
const LINE_BYTES_MAX = 1_024;

/** Seconds behind the wait after which a pass is over: what ends by itself mostly did by then. */
const SETTLED_AFTER_SECONDS = 2;

/** The same for a banner pass, whose last lines come only when it ends by itself. */
const SETTLED_AFTER_SECONDS_BANNERS = 8;

/** Milliseconds of silence, beyond the wait, after which a run that had sent all is over. */
const SILENCE_MS = 15_000;

const STATUS =
  /^rate: *[\d.]{1,12}-kpps, *([\d.]{1,8})% done,(?: *waiting (-?\d{1,9})-secs)?/;
const SCANNING = /^Scanning (\d{1,10}) hosts \[(\d{1,10}) ports?\/host\]/;

/** Milliseconds in which a run must begin. Without an answer to its ARP it would wait for ever. */
const START_MS = 15_000;

/** Reasons for which a run ends at once, told by masscan's words. */
const REASONS: readonly (readonly [RegExp, ErrorBody])[] = [
  [/permission denied|need to sudo|Operation not permitted/i, {
    code: "tool_unavailable",
    message:
      "Cannot run masscan: it may not send raw packets here; run the server as root or grant it CAP_NET_RAW, or use nmap with scan_type connect",
  }],
  [
    /could not determine default interface|failed to detect (?:IP|MAC)|default gateway/i,
    {
      code: "tool_failed",
      message:
        "Cannot scan with masscan: this host has no default route that masscan can use; use nmap",
    },
  ],
  [/ARP timed-out|resolving router/i, {
    code: "tool_failed",
    message:
      "Cannot scan with masscan: the default router does not answer ARP; check the network of this host, or use nmap",
  }],
  [/all addresses were removed by exclusion|target IP address list empty/i, {
    code: "tool_failed",
    message:
      "Cannot scan with masscan: this host's masscan.conf excludes every target; ask the operator, or use nmap",
  }],
  [/can't open adapter|couldn't open adapter|init: failed/i, {
    code: "tool_unavailable",
    message:
      "Cannot run masscan: it cannot open the network interface; run the doctor, or use nmap",
  }],
];

/** What is known of a pass before it runs. */
export interface PassFacts {
  readonly waitSeconds: number;
  readonly banners: boolean;
  /** Estimated seconds of the pass, wait included. */
  readonly seconds: number;
}

/** One run of masscan. */
export class PassState {
  readonly #now: () => number;
  readonly #facts: PassFacts;
  readonly #lines: Lines;
  #percent = 0;
  /** Seconds left to wait; below zero when the wait is over. Null until all was sent. */
  #waiting: number | null = null;
  #waitBegan = false;
  #heardAt: number;
  #reason: ErrorBody | null = null;

  /** Whether it began to send. */
  begun = false;

  /** masscan's version as it says itself. */
  version: string | null = null;

  /** How many addresses it says that it scans. */
  hosts: number | null = null;

  /**
   * @param now A monotonic clock in milliseconds.
   * @param facts What is known before it runs.
   */
  constructor(now: () => number, facts: PassFacts) {
    this.#now = now;
    this.#facts = facts;
    this.#heardAt = now();
    this.#lines = new Lines((line) => this.#line(line), {
      bytesMax: LINE_BYTES_MAX,
      carriageReturn: true,
    });
  }

  /** What it does now. */
  get phase(): string {
    return this.#waiting === null ? "sending" : "waiting for late answers";
  }

  /**
   * Takes bytes of stderr.
   *
   * @param bytes Any bytes.
   */
  write(bytes: Uint8Array): void {
    this.#lines.write(bytes);
  }

  /** Takes what was left without a line end. */
  end(): void {
    this.#lines.end();
  }

  /** @returns How much of the pass is done, 0 to 1. */
  fraction(): number {
    const { seconds, waitSeconds } = this.#facts;
    const sending = Math.max(0, 1 - waitSeconds / Math.max(seconds, 1));
    const sent = Math.min(100, this.#percent) / 100;
    if (this.#waiting === null || !this.#waitBegan) return sending * sent;
    const waited = waitSeconds === 0 ? 1 : 1 - this.#waiting / waitSeconds;
    return sending * sent + (1 - sending) * Math.min(1, Math.max(0, waited));
  }

  /**
   * Tells whether nothing more is to come although the process may live on.
   *
   * @returns Whether all was sent and the wait is over by a margin, as counted by masscan; or all was
   * sent and masscan has said nothing for longer than it could be waiting; or it never began to send.
   */
  settled(): boolean {
    if (!this.begun) return this.#now() - this.#heardAt > START_MS;
    if (this.#waiting === null) return false;
    const margin = this.#facts.banners
      ? SETTLED_AFTER_SECONDS_BANNERS
      : SETTLED_AFTER_SECONDS;
    if (this.#waiting <= -margin) return true;
    const silence = this.#now() - this.#heardAt;
    return silence > this.#facts.waitSeconds * 1_000 + SILENCE_MS;
  }

  /** @returns Why it failed, in our own words. */
  failure(): ErrorBody {
    return this.#reason ?? {
      code: "tool_failed",
      message:
        "Cannot scan with masscan: it ended with an error before it found anything; run the doctor, or use nmap",
    };
  }

  #line(line: string): void {
    const status = STATUS.exec(line);
    if (status !== null) {
      this.#status(Number(status[1]), status[2]);
      return;
    }
    const scanning = SCANNING.exec(line);
    if (scanning !== null) this.hosts ??= Number(scanning[1]);
    this.version ??= /^Starting masscan (\d[\d.]{0,15})\b/.exec(line)?.[1] ??
      null;
    this.#reason ??= REASONS.find(([words]) => words.test(line))?.[1] ?? null;
  }

  #status(percent: number, waitingGiven: string | undefined): void {
    this.begun = true;
    this.#heardAt = this.#now();
    if (Number.isFinite(percent)) this.#percent = percent;
    if (waitingGiven === undefined) return;
    const waiting = Number(waitingGiven);
    // The first "waiting 0" stands before the wait; the true count begins above zero.
    if (waiting !== 0) this.#waitBegan = true;
    this.#waiting = waiting;
  }
}
