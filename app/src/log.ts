/** One JSON object a line on standard output: what journald and every log shipper take as it is. */
import type { LogLevel } from "./config.js";

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 10, info: 20, warn: 30, error: 40 };

export type Fields = Readonly<Record<string, unknown>>;

export class Log {
  readonly #threshold: number;
  readonly #base: Fields;
  readonly #write: (line: string) => void;

  constructor(level: LogLevel, base: Fields = {}, write: (line: string) => void = (line) => process.stdout.write(line)) {
    this.#threshold = ORDER[level];
    this.#base = base;
    this.#write = write;
  }

  debug(message: string, fields: Fields = {}): void {
    this.#emit("debug", message, fields);
  }

  info(message: string, fields: Fields = {}): void {
    this.#emit("info", message, fields);
  }

  warn(message: string, fields: Fields = {}): void {
    this.#emit("warn", message, fields);
  }

  error(message: string, fields: Fields = {}): void {
    this.#emit("error", message, fields);
  }

  #emit(level: LogLevel, message: string, fields: Fields): void {
    if (ORDER[level] < this.#threshold) return;
    const entry = { time: new Date().toISOString(), level, ...this.#base, message, ...fields };
    this.#write(`${JSON.stringify(entry, plain)}\n`);
  }
}

/** Errors have no enumerable fields of their own; log what helps and no more (never the parameters of a query). */
function plain(_key: string, value: unknown): unknown {
  return value instanceof Error ? describe(value) : value;
}

/** One line for an error, with the code that PostgreSQL or the system gave it. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
  // A connection tried on several addresses fails with an AggregateError, whose own message is empty.
  const inner: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  const message = error.message === "" ? inner.map(describe).join("; ") : error.message;
  return `${message === "" ? error.name : message}${code}`;
}

/** Logs the first of a run of like failures and then one every `periodMs`, so that an outage does not fill the disk. */
export class Throttle {
  readonly #periodMs: number;
  #last = -Infinity;
  #hidden = 0;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  run(write: (hidden: number) => void): void {
    const now = performance.now();
    if (now - this.#last < this.#periodMs) {
      this.#hidden += 1;
      return;
    }
    write(this.#hidden);
    this.#last = now;
    this.#hidden = 0;
  }

  /** The failures are over: the next one is logged again. */
  reset(): void {
    this.#last = -Infinity;
    this.#hidden = 0;
  }
}
