import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProbeResult } from "../src/database.js";
import { type Health, health } from "../src/health.js";
import { Lifecycle } from "../src/lifecycle.js";
import type { RedisState } from "../src/redis-link.js";

const READ_ONLY = { reachable: true, bridged: false, writable: false };
const BRIDGED = { reachable: false, bridged: true, writable: false };
const DOWN = { reachable: false, bridged: false, writable: false };
const UP = { reachable: true, bridged: false, writable: true };
interface HealthCase {
  readonly name: string;
  readonly probe: ProbeResult;
  readonly redis: RedisState | undefined;
  readonly serve: boolean;
  readonly drain: boolean;
  readonly status: Health["status"];
}
const HEALTH_CASES: readonly HealthCase[] = [
  { name: "all up", probe: UP, redis: "ready", serve: true, drain: false, status: "healthy" },
  { name: "short outage of Redis", probe: UP, redis: "away", serve: true, drain: false, status: "degraded" },
  { name: "Redis down", probe: UP, redis: "failed", serve: true, drain: false, status: "degraded" },
  { name: "no Redis configured", probe: UP, redis: undefined, serve: true, drain: false, status: "healthy" },
  { name: "read-only", probe: READ_ONLY, redis: "ready", serve: true, drain: false, status: "degraded" },
  { name: "short outage", probe: BRIDGED, redis: "ready", serve: true, drain: false, status: "degraded" },
  { name: "short outage, starting", probe: BRIDGED, redis: "ready", serve: false, drain: false, status: "unhealthy" },
  { name: "short outage, draining", probe: BRIDGED, redis: "ready", serve: true, drain: true, status: "unhealthy" },
  { name: "database down", probe: DOWN, redis: "ready", serve: true, drain: false, status: "unhealthy" },
  { name: "still starting", probe: UP, redis: "ready", serve: false, drain: false, status: "unhealthy" },
  { name: "draining", probe: UP, redis: "ready", serve: true, drain: true, status: "unhealthy" },
  { name: "SIGTERM while starting", probe: UP, redis: "ready", serve: false, drain: true, status: "unhealthy" },
];

for (const { name, probe, redis, serve, drain, status } of HEALTH_CASES) {
  test(`health: ${name} is ${status}`, async () => {
    const lifecycle = new Lifecycle();
    if (serve) lifecycle.serve();
    if (drain) lifecycle.drain();
    const result = await health({
      serverId: "app1", version: "1.0.0", lifecycle, probe: () => Promise.resolve(probe), redisState: () => redis,
    });
    assert.equal(result.status, status);
    assert.equal(result.database, probe.reachable);
    assert.equal(result.redis, redis === undefined ? null : redis === "ready");
    assert.equal(result.reason === undefined, status === "healthy", "every other status has a reason");
  });
}
