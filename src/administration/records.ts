/**
 * What operators do is recorded: what was asked before it is looked at, and what came of it.
 *
 * @module
 */
import type { Audit, Operation, Who } from "@/audit/entry.ts";
import { CallRecord } from "@/dispatch/record.ts";
import type { Rules } from "@/dispatch/rules.ts";
import { toAppError } from "@/error/app_error.ts";

/** Something that an operator does. */
export interface Deed {
  readonly who: Who;
  readonly operation: Operation;
  /** What is done, for the log: `keys/create`. */
  readonly what: string;
  /** What was asked: untrusted, and without secrets. */
  readonly arguments: unknown;
  readonly traceId: string;
}

/** What deeds are recorded with. */
export interface RecordsOptions {
  readonly audit: Audit;
  readonly rules: () => Rules;
}

/** Records deeds. */
export class Records {
  readonly #options: RecordsOptions;

  /** @param options Log and rules. */
  constructor(options: RecordsOptions) {
    this.#options = options;
  }

  /**
   * Does something that is recorded. What cannot be recorded does not happen.
   *
   * @param deed Who does what.
   * @param allow Refuses it by throwing.
   * @param run Does it.
   * @returns What it gives.
   * @throws {AppError} What `allow` or `run` throws, or that it cannot be recorded.
   */
  async run<T>(
    deed: Deed,
    allow: () => void,
    run: () => T | Promise<T>,
  ): Promise<T> {
    const { who, operation, what, traceId } = deed;
    const { audit, rules } = this.#options;
    const call = { who, operation, tool: what, traceId };
    const record = await CallRecord.begin(
      audit,
      call,
      deed.arguments,
      rules(),
    );
    try {
      allow();
      await record.allowed({ rule: "role", target: null, scanId: null });
      return await run();
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === "conflict") record.refusedBy("state");
      await record.refused(error).catch(() => {
        // The caller hears of the error itself; the log's own trouble is the log's to tell.
      });
      throw error;
    }
  }
}
