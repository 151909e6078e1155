/** The application as a process of its own, as systemd runs it. Needs `npm run compile`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT, settings } from "./application.js";
import { until } from "./services.js";

export interface LogEntry {
  readonly message: string;
  readonly [field: string]: unknown;
}

export class ApplicationProcess {
  readonly entries: LogEntry[] = [];
  readonly #child: ChildProcess;
  #errors = "";

  constructor(environment: Readonly<Record<string, string>>, defaults = true) {
    const env = { PATH: process.env.PATH ?? "", ...(defaults ? settings({ LOG_LEVEL: "info", ...environment }) : environment) };
    this.#child = spawn(process.execPath, [join(ROOT, "dist/main.js")], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stderr?.on("data", (chunk: Buffer) => { this.#errors += chunk.toString(); });
    if (this.#child.stdout) {
      createInterface(this.#child.stdout).on("line", (line) => this.entries.push(JSON.parse(line) as LogEntry));
    }
    const kill = (): void => { this.kill("SIGKILL"); };
    process.once("exit", kill);
    this.#child.once("exit", () => process.off("exit", kill));
  }

  get errors(): string {
    return this.#errors;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get url(): string {
    return String(this.entries.find(({ message }) => message === "listening")?.url);
  }

  async logged(message: string): Promise<void> {
    await until(`'${message}' is logged`, () => {
      if (this.ended) throw new Error(`ended before '${message}': ${this.#errors}`);
      return Promise.resolve(this.entries.some((entry) => entry.message === message));
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns the exit status once all output has been read; null when a signal ended it. */
  async end(): Promise<number | null> {
    if (!this.ended) await once(this.#child, "close");
    return this.#child.exitCode;
  }
}
