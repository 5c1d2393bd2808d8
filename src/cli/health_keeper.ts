/**
 * Keeps the health monitor of a server: made when it is first asked, and made anew with every
 * configuration, as its checks carry limits of that.
 *
 * @module
 */
import type { Health, HealthReport } from "@/health/health.ts";
import type { HealthSources } from "./health_watch.ts";

/** Keeps the health monitor. */
export class HealthKeeper implements AsyncDisposable {
  readonly #sources: () => HealthSources;
  #health: Promise<Health> | null = null;

  /** @param sources Gives what the checks look at, for the configuration of the moment. */
  constructor(sources: () => HealthSources) {
    this.#sources = sources;
  }

  /** Looks at everything. */
  async look(): Promise<HealthReport> {
    return await (await this.#made()).look();
  }

  /** Looks again and again, from now on. */
  async start(): Promise<void> {
    (await this.#made()).start();
  }

  /** Makes the checks anew, for another configuration. */
  async renew(): Promise<void> {
    const old = await this.#health;
    const wasMonitoring = old?.monitoring ?? false;
    this.#health = null;
    await old?.[Symbol.asyncDispose]();
    if (wasMonitoring) await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#health)?.[Symbol.asyncDispose]();
  }

  #made(): Promise<Health> {
    return this.#health ??= import("./health_watch.ts").then((
      { healthWatch },
    ) => healthWatch(this.#sources()));
  }
}
