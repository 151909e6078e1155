/**
 * Stops without a failed request: first announces it (the health check fails, every answer has `Connection: close`) while it
 * still serves new requests; then stops listening and lets running requests finish.
 */
import type { Server, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "./config.js";
import type { Lifecycle } from "./lifecycle.js";
import type { Log } from "./log.js";

export class Drain {
  readonly #server: Server;
  readonly #lifecycle: Lifecycle;
  readonly #log: Log;
  readonly #running = new Set<ServerResponse>();

  constructor(server: Server, lifecycle: Lifecycle, log: Log) {
    this.#server = server;
    this.#lifecycle = lifecycle;
    this.#log = log;
    // Before the application's own listener, which may answer at once.
    server.prependListener("request", (_req, res) => {
      this.#running.add(res);
      res.once("close", () => this.#running.delete(res));
      if (lifecycle.draining) res.setHeader("Connection", "close");
    });
  }

  /** @returns how many requests were cut off because they had not ended within the limit. */
  async run({ noticeMs, limitMs }: Config["drain"]): Promise<number> {
    this.#lifecycle.drain();
    this.#log.info("draining", { noticeMs, limitMs, running: this.#running.size });
    for (const res of this.#running) {
      if (!res.headersSent) res.setHeader("Connection", "close");
    }
    await sleep(noticeMs);
    // Also closes the connections that carry no request at the moment.
    const closed = new Promise<"closed">((resolve) => {
      this.#server.close(() => { resolve("closed"); });
    });
    const stop = new AbortController();
    const late = sleep(limitMs, "late" as const, { signal: stop.signal }).catch(() => "aborted" as const);
    const outcome = await Promise.race([closed, late]);
    stop.abort();
    if (outcome === "closed") return 0;
    const cut = this.#running.size;
    this.#server.closeAllConnections();
    return cut;
  }
}
