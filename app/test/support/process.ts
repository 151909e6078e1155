/** The application as a process of its own, as systemd runs it. Needs `npm run compile`. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT, settings } from "./application.js";
import { RecordedLog } from "./recorded-log.js";
import { until } from "./until.js";

export class ApplicationProcess {
  readonly log = new RecordedLog();
  readonly #child: ChildProcess;
  #closed = false;
  #errors = "";

  constructor(environment: Readonly<Record<string, string>>, defaults = true) {
    const own = defaults ? settings({ LOG_LEVEL: "info", ...environment }) : environment;
    this.#child = spawn(process.execPath, [join(ROOT, "dist/main.js")],
      { env: { PATH: process.env.PATH ?? "", ...own }, stdio: ["ignore", "pipe", "pipe"] });
    // Comes after "exit": by then all output has been read.
    this.#child.once("close", () => { this.#closed = true; });
    this.#child.stderr?.on("data", (chunk: Buffer) => { this.#errors += chunk.toString(); });
    if (this.#child.stdout) createInterface(this.#child.stdout).on("line", (line) => { this.log.add(line); });
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
    return String(this.log.find("listening")?.url);
  }

  /** Waits for a log entry; fails at once when the process ends without it. */
  async logged(message: string, limitMs?: number): Promise<void> {
    await until(`'${message}' is logged`, () => {
      if (this.log.find(message)) return true;
      if (this.#closed) throw new Error(`the process ended before it logged '${message}': ${this.#errors}`);
      return false;
    }, limitMs);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns the exit status once all output has been read; null when a signal ended it. */
  async end(): Promise<number | null> {
    try {
      await until("the process ends", () => this.#closed);
    } catch (error) {
      this.kill("SIGKILL");
      throw error;
    }
    return this.#child.exitCode;
  }
}
