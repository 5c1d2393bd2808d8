/**
 * Turns counts into the text that a metrics collector reads. The format is `prom-client`'s business;
 * it is imported at the first call (see `series.ts` for why) and is given objects that answer what
 * its registry asks of a metric: name, help, type and values.
 *
 * Its own default metrics are not used: under Deno they read zeros.
 *
 * @module
 */
import type { Metric, RegistryContentType } from "prom-client";
import type { Sample } from "./series.ts";

/** The two formats. Only OpenMetrics has exemplars. */
export type ExpositionKind = "prometheus" | "openmetrics";

/** A metric as it is shown. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Takes the values when asked. */
  readonly samples: () => Sample[];
}

/** The HTTP content type of each format. */
export const CONTENT_TYPES = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const satisfies Record<ExpositionKind, RegistryContentType>;

/**
 * Writes metrics as text.
 *
 * @param families The metrics.
 * @param kind The format.
 * @returns The text.
 */
export async function exposition(
  families: readonly Family[],
  kind: ExpositionKind,
): Promise<string> {
  const { Registry } = await import("prom-client");
  // A registry of its own for every answer: the library strips `_total` from a counter's name in
  // place when it writes OpenMetrics.
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(CONTENT_TYPES[kind]);
  for (const { name, help, type, samples } of families) {
    const metric = {
      name,
      help,
      type,
      get() {
        return Promise.resolve({ ...this, values: samples() });
      },
    };
    // The registry asks for no more than the above; its type names its four classes.
    registry.registerMetric(metric as unknown as Metric);
  }
  return await registry.metrics();
}
