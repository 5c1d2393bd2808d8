/**
 * A process that writes to a store until somebody kills it. Every line on standard output is the id
 * of a scan whose end was acknowledged: `store_writer.ts URL FOLDER NAME COUNT`.
 *
 * @module
 */
import { openStore } from "@/store/open.ts";
import type { HostReport } from "@/tools/report.ts";

const [url = "", folder = "", name = "", count = "0"] = Deno.args;

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

function host(n: number, port: number): HostReport {
  return {
    address: `10.${(n >> 8) & 255}.${n & 255}.7`,
    status: "up",
    ports: [22, 80, port].map((one) => ({
      port: one,
      protocol: "tcp",
      state: "open",
      service: "http",
      untrusted: { product: `product ${one % 7}`, version: `1.${n}` },
    })),
  };
}

try {
  await using store = await openStore(url, {
    folder,
    program: "1.0.0",
    now: Date.now,
  });
  say("open");
  for (let n = 0; n < Number(count); n++) {
    const id = `${name}-${String(n).padStart(6, "0")}`;
    await store.createScan({
      id,
      tenant: "default",
      tool: "nmap",
      request: { target: id },
      target: id,
      queuedAt: Date.now(),
      traceId: "0".repeat(32),
      tags: ["writer"],
      idempotencyKey: id,
      requestDigest: id,
    });
    say(`created ${id}`);
    await store.updateScan(id, { status: "running", startedAt: Date.now() });
    const hosts = Array.from(
      { length: 5 },
      (_, at) => host(n * 5 + at, 8000 + n),
    );
    const totals = { up: 5, down: null, total: null };
    const head = { kind: "hosts", totals, tool_version: null } as const;
    await store.appendFindings(id, {
      ...head,
      partial: true,
      hosts: hosts.slice(0, 3),
    });
    say(`found ${id}`);
    await store.finishScan(id, {
      status: "succeeded",
      finishedAt: Date.now(),
      report: { ...head, partial: false, hosts },
      raw: new TextEncoder().encode(id.repeat(1_000)),
    });
    say(`finished ${id}`);
  }
  say("done");
} catch (thrown) {
  say(`failed ${thrown instanceof Error ? thrown.message : thrown}`);
  Deno.exitCode = 1;
}
