/**
 * GET /api/health, the load balancer's question "send requests here?". The database decides, as nothing works without it.
 * Redis does not: all servers would be taken out at once, and with them the pages that need no session.
 */
import type { RequestHandler } from "express";
import type { ProbeResult } from "./database.js";
import type { Lifecycle } from "./lifecycle.js";
import type { RedisState } from "./redis-link.js";

export interface Health {
  readonly status: "healthy" | "degraded" | "unhealthy";
  readonly server: string;
  readonly version: string;
  readonly database: boolean;
  /** false during a failover, or when only a standby is left: writes wait or fail. */
  readonly writable: boolean;
  /** null: sessions are kept in this process, there is no Redis. */
  readonly redis: boolean | null;
  readonly reason?: string;
}

export interface HealthSources {
  readonly serverId: string;
  readonly version: string;
  readonly lifecycle: Lifecycle;
  readonly probe: () => Promise<ProbeResult>;
  readonly redisState: () => RedisState | undefined;
}

export async function health(sources: HealthSources): Promise<Health> {
  const { lifecycle } = sources;
  const database = await sources.probe();
  const redis = sources.redisState();
  const out = lifecycle.phase === "draining" ? "draining"
    : !database.reachable && !database.bridged ? "the database cannot be reached"
    : lifecycle.phase === "starting" ? lifecycle.waitingFor
    : undefined;
  // If the load balancer took this server out, waiting requests would fail; the other servers have the same database.
  const worse = !database.reachable ? "the database cannot be reached, requests wait for it"
    : !database.writable ? "the database is read-only"
    : redis === "away" ? "redis cannot be reached, requests that need a session wait for it"
    : redis === "failed" ? "redis cannot be reached: nobody can sign in"
    : undefined;
  const reason = out ?? worse;
  return {
    status: out !== undefined ? "unhealthy" : worse !== undefined ? "degraded" : "healthy",
    server: sources.serverId,
    version: sources.version,
    database: database.reachable,
    writable: database.writable,
    redis: redis === undefined ? null : redis === "ready",
    ...(reason !== undefined && { reason }),
  };
}

export function healthRoute(sources: HealthSources): RequestHandler {
  return async (_req, res) => {
    const result = await health(sources);
    // The load balancer retries slow requests on other servers. Those that wait here would wait there as well.
    res.set("X-Database", result.writable ? "ready" : "away");
    res.set("X-Redis", sources.redisState() ?? "ready");
    res.status(result.status === "unhealthy" ? 503 : 200).set("Cache-Control", "no-store").json(result);
  };
}
