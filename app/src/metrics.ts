/** GET /metrics for Prometheus, and what is measured. */
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { PoolCounts } from "./database.js";
import type { Lifecycle } from "./lifecycle.js";
import type { RedisState } from "./redis-link.js";

export interface MetricSources {
  readonly serverId: string;
  readonly version: string;
  readonly lifecycle: Lifecycle;
  readonly poolCounts: () => PoolCounts;
  readonly redisState: () => RedisState | undefined;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #duration: Histogram<"method" | "route" | "status">;

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#duration = new Histogram({
      name: "http_request_duration_seconds",
      help: "Time from a request's head to the end of its answer",
      labelNames: ["method", "route", "status"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    });
    new Gauge({
      name: "event_manager_info",
      help: "Always 1; the labels name the release that this server runs",
      labelNames: ["server", "version"],
      registers,
    }).set({ server: sources.serverId, version: sources.version }, 1);
    new Gauge({
      name: "database_pool_connections",
      help: "Connections of the database pool, and requests that wait for one",
      labelNames: ["state"],
      registers,
      collect() {
        const { total, idle, waiting } = sources.poolCounts();
        this.set({ state: "busy" }, total - idle);
        this.set({ state: "idle" }, idle);
        this.set({ state: "waiting" }, waiting);
      },
    });
    new Gauge({
      name: "redis_connected",
      help: "1 when the session store can be reached",
      registers,
      collect() {
        this.set((sources.redisState() ?? "ready") === "ready" ? 1 : 0);
      },
    });
    new Gauge({
      name: "draining",
      help: "1 once this server has received SIGTERM",
      registers,
      collect() {
        this.set(sources.lifecycle.draining ? 1 : 0);
      },
    });
  }

  readonly measure = (req: Request, res: Response, next: NextFunction): void => {
    const start = process.hrtime.bigint();
    res.once("close", () => {
      // Route patterns, not addresses: the number of time series must not depend on what callers request.
      const route = req.route === undefined ? "none" : `${req.baseUrl}${routePath(req.route)}`;
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      const status = res.writableFinished ? String(res.statusCode) : "aborted";
      this.#duration.observe({ method: knownMethod(req.method), route, status }, seconds);
    });
    next();
  };

  /** Answers direct callers only. A request through a load balancer comes from the internet and gets 404. */
  readonly route: RequestHandler = async (req, res, next) => {
    if (req.get("X-Forwarded-For") !== undefined) {
      next();
      return;
    }
    res.type(this.#registry.contentType).send(await this.#registry.metrics());
  };
}

function routePath(route: unknown): string {
  return typeof route === "object" && route !== null && "path" in route && typeof route.path === "string" ? route.path : "";
}

function knownMethod(method: string): string {
  return ["GET", "HEAD", "POST", "DELETE"].includes(method) ? method : "other";
}
