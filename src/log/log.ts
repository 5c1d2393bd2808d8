/**
 * The server's log: JSON lines on stderr, because stdout belongs to MCP. It never throws and never
 * waits for its reader.
 *
 * A message is fixed text out of this program. Whatever came from outside goes into the properties,
 * where it is bounded, redacted and escaped down to printable ASCII, so that no banner of a scanned
 * host can draw on an operator's terminal or forge a line.
 *
 * LogTape carries the levels and areas (11 ms and 9 MB of a start, measured). Its redaction package
 * is not used: properties have to be bounded before anything walks them, and one walk does both.
 *
 * @module
 */
import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import { LineWriter } from "./line_writer.ts";
import { redactProperties, redactText } from "./redact.ts";

/** From all to little. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** One of {@linkcode LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** Longest line, in bytes. */
export const LINE_BYTES_MAX = 16_384;

/** Values that go with a message. They may hold anything. */
export type Properties = Readonly<Record<string, unknown>>;

/** The log of one area of the program. */
export interface Log {
  debug(message: string, properties?: Properties): void;
  info(message: string, properties?: Properties): void;
  warn(message: string, properties?: Properties): void;
  error(message: string, properties?: Properties): void;
}

/** Options of {@linkcode configureLog}. */
export interface LogOptions {
  /** What is less important is not written. */
  readonly level: LogLevel;
  /** Writes to stderr unless given. */
  readonly write?: (bytes: Uint8Array) => Promise<number>;
}

const CATEGORY = "mcp";
const LEVELS = {
  debug: "debug",
  info: "info",
  warn: "warning",
  error: "error",
} as const;

let writer: LineWriter | undefined;

/**
 * Sets the log up, or changes its level. Before the first call nothing is written.
 *
 * @param options The level and, for tests, where to write.
 */
export function configureLog(options: LogOptions): void {
  const { level, write } = options;
  if (writer === undefined || write !== undefined) {
    writer = new LineWriter({
      write: write ?? ((bytes) => Deno.stderr.write(bytes)),
      dropped: (count) =>
        lineOf("warn", "log", Date.now(), "log lines were dropped", { count }),
    });
  }
  const lines = writer;
  configureSync({
    reset: true,
    sinks: { lines: (record: LogRecord) => lines.push(recordLine(record)) },
    loggers: [
      { category: CATEGORY, sinks: ["lines"], lowestLevel: LEVELS[level] },
      // LogTape's own complaints; without this it would print them on stdout.
      {
        category: ["logtape", "meta"],
        sinks: ["lines"],
        lowestLevel: "warning",
      },
    ],
  });
}

/**
 * Gives the log of one area.
 *
 * @param area The area: `isolate`, `dispatch`, ….
 * @returns Its log.
 */
export function log(area: string): Log {
  const logger = getLogger([CATEGORY, area]);
  const at =
    (level: LogLevel) => (message: string, properties?: Properties) => {
      try {
        if (!logger.isEnabledFor(LEVELS[level])) return;
        // The braces are LogTape's; doubled, they stand for themselves.
        const text = message.replaceAll("{", "{{").replaceAll("}", "}}");
        logger[level](text, redactProperties(properties ?? {}));
      } catch {
        // Nothing that is logged may hurt who logs it.
      }
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  };
}

/**
 * Waits until the log is written, but no longer than it is useful: for the end of the process.
 *
 * @param timeoutMs Most milliseconds to wait for a reader that does not read.
 */
export async function flushLog(timeoutMs = 500): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  await Promise.race([writer?.flush(), promise]);
  clearTimeout(timer);
}

function recordLine(record: LogRecord): string {
  const level = record.level === "warning" ? "warn" : record.level;
  const area = record.category.slice(1).join(".");
  const message = record.message.map(String).join("");
  return lineOf(level, area, record.timestamp, message, record.properties);
}

/** Fixed fields come first and cannot be displaced: the properties have a field of their own. */
function lineOf(
  level: string,
  area: string,
  timestamp: number,
  message: string,
  properties: Properties,
): string {
  const time = new Date(timestamp).toISOString();
  const head = { time, level, area, message: redactText(message) };
  const line = ascii(JSON.stringify(
    Object.keys(properties).length === 0 ? head : { ...head, properties },
  ));
  if (line.length < LINE_BYTES_MAX) return line;
  const cut = { ...head, message: head.message.slice(0, 512) };
  return ascii(JSON.stringify({ ...cut, cut: line.length }));
}

/** A line of printable ASCII is one byte a character, and holds nothing a terminal obeys. */
function ascii(json: string): string {
  return json.replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
