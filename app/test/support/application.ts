/** The application in the process of the test, and a client that keeps its cookie as a browser does. */
import { subscribe } from "node:diagnostics_channel";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../src/config.js";
import { Log } from "../../src/log.js";
import { type Running, start } from "../../src/server.js";
import type { RecordedLog } from "./recorded-log.js";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const PASSWORD = "correct horse battery";

export function settings(more: Readonly<Record<string, string>>): Record<string, string> {
  return {
    NODE_ENV: "test", SERVER_ID: "app1", PORT: "0", ADMIN_PASSWORD: PASSWORD, LOG_LEVEL: "error",
    DRAIN_SECONDS: "0", DRAIN_LIMIT_SECONDS: "2", ...more,
  };
}

/** @param recorded takes the log, from level info on, instead of standard output */
export async function startApplication(
  more: Readonly<Record<string, string>>,
  recorded?: RecordedLog,
): Promise<Running> {
  const config = loadConfig(settings(more));
  const log = recorded ? new Log("info", {}, (line) => { recorded.add(line); }) : new Log(config.logLevel);
  const running = await start(config, log, ROOT, "1.2.3");
  await running.ready;
  return running;
}

let received = 0;
subscribe("http.server.request.start", () => { received += 1; });

/** How many requests the servers of this process have received. */
export function requestsReceived(): number {
  return received;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
  readonly ms: number;
}

export class Client {
  readonly #base: string;
  cookie: string | undefined;

  constructor(base: string, cookie?: string) {
    this.#base = base;
    this.cookie = cookie;
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<Answer> {
    const start = performance.now();
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...(this.cookie !== undefined && { Cookie: this.cookie }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    const text = await response.text();
    const set = response.headers.get("Set-Cookie");
    if (set !== null) this.cookie = set.split(";", 1)[0];
    const json = response.headers.get("Content-Type")?.startsWith("application/json") === true;
    return {
      status: response.status,
      headers: response.headers,
      body: json ? JSON.parse(text) as Record<string, unknown> : { text },
      ms: performance.now() - start,
    };
  }

  signIn(password: string = PASSWORD): Promise<Answer> {
    return this.call("POST", "/api/login", { username: "admin", password });
  }
}

export const CONCERT = {
  title: "Concert", startsAt: "2090-05-17T19:30:00Z", place: "Town hall", description: "Two hours\nwith a pause",
};
