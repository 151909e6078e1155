/** The log of one server, recorded so that a test can wait for an entry. */
import { until } from "./until.js";

interface LogEntry {
  readonly message: string;
  readonly [field: string]: unknown;
}

export class RecordedLog {
  readonly entries: LogEntry[] = [];

  add(line: string): void {
    this.entries.push(JSON.parse(line) as LogEntry);
  }

  clear(): void {
    this.entries.length = 0;
  }

  find(message: string, fields: Readonly<Record<string, unknown>> = {}): LogEntry | undefined {
    const wanted = Object.entries({ message, ...fields });
    return this.entries.find((entry) => wanted.every(([name, value]) => entry[name] === value));
  }

  /** Waits for an entry. */
  async logged(message: string, fields: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await until(`'${message}' is logged`, () => this.find(message, fields) !== undefined);
  }
}
