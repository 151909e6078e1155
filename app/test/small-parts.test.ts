/** Parts that need no service. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Request, Response } from "express";
import { pack } from "../scripts/pack.js";
import type { ProbeResult } from "../src/database.js";
import { type Health, health } from "../src/health.js";
import { Lifecycle } from "../src/lifecycle.js";
import { describe, Log, Throttle } from "../src/log.js";
import { LoginLimit } from "../src/login-limit.js";
import { sameOriginOnly } from "../src/origin.js";
import { hashPassword, verifyPassword } from "../src/passwords.js";
import { reconnectPauseMs } from "../src/redis-link.js";

test("a password is told from another, and its hash from any other text", async () => {
  const stored = await hashPassword("grüße");
  assert.equal(await verifyPassword("grüße", stored), true);
  assert.equal(await verifyPassword("gruesse", stored), false);
  assert.equal(await verifyPassword("grüße".normalize("NFD"), stored), true, "typed on another keyboard");
  assert.equal(await verifyPassword("", "plain text"), false);
  assert.notEqual(stored, await hashPassword("grüße"), "each hash has a salt of its own");
});

test("guessing is slowed down per name and address, and only until the window ends", () => {
  let now = 0;
  const limit = new LoginLimit(() => now);
  for (let tries = 0; tries < 10; tries += 1) {
    assert.equal(limit.waitSeconds("a", "admin"), 0);
    limit.failed("a", "admin");
  }
  assert.equal(limit.waitSeconds("a", "admin"), 60);
  assert.equal(limit.waitSeconds("b", "admin"), 0);
  now = 60_001;
  assert.equal(limit.waitSeconds("a", "admin"), 0);
  limit.failed("a", "admin");
  for (let tries = 1; tries < 10; tries += 1) {
    assert.equal(limit.waitSeconds("a", "admin"), 0, "a new window counts from one");
    limit.failed("a", "admin");
  }
  assert.equal(limit.waitSeconds("a", "admin"), 60);
});

test("the right password makes earlier wrong ones count for nothing", () => {
  const limit = new LoginLimit(() => 0);
  for (let tries = 0; tries < 9; tries += 1) limit.failed("a", "admin");
  limit.succeeded("a", "admin");
  limit.failed("a", "admin");
  assert.equal(limit.waitSeconds("a", "admin"), 0);
});

test("Redis is tried again soon at first and at least every second later", () => {
  assert.ok(reconnectPauseMs(0) <= 50);
  for (const retries of [5, 10, 1000, 1e9]) {
    const pause = reconnectPauseMs(retries);
    assert.ok(pause >= 750 && pause <= 1000, String(pause));
  }
});

const ORIGINS: readonly (readonly [origin: string, host: string, allowed: boolean])[] = [
  ["https://site.example", "site.example", true],
  ["https://site.example:443", "site.example", true],
  ["https://site.example", "site.example:443", true],
  ["https://site.example:8443", "site.example", false],
  ["https://site.example.evil.example", "site.example", false],
  ["https://evil-site.example", "site.example", false],
  ["null", "site.example", false],
];
for (const [origin, host, allowed] of ORIGINS) {
  test(`a write from ${origin} to ${host} is ${allowed ? "allowed" : "refused"}`, () => {
    const headers: Readonly<Record<string, string>> = { Origin: origin, Host: host };
    const request = { method: "POST", get: (name: string) => headers[name] } as unknown as Request;
    let problem: unknown;
    sameOriginOnly(request, {} as unknown as Response, (error?: unknown) => { problem = error; });
    assert.equal(problem === undefined, allowed);
  });
}

const READ_ONLY = { reachable: true, bridged: false, writable: false };
const BRIDGED = { reachable: false, bridged: true, writable: false };
const AWAY = { reachable: false, bridged: false, writable: false };
const UP = { reachable: true, bridged: false, writable: true };
interface HealthCase {
  readonly name: string;
  readonly probe: ProbeResult;
  readonly redis: boolean | undefined;
  readonly serve: boolean;
  readonly drain: boolean;
  readonly status: Health["status"];
}
const HEALTH_CASES: readonly HealthCase[] = [
  { name: "all well", probe: UP, redis: true, serve: true, drain: false, status: "healthy" },
  { name: "redis away", probe: UP, redis: false, serve: true, drain: false, status: "degraded" },
  { name: "no redis in use", probe: UP, redis: undefined, serve: true, drain: false, status: "healthy" },
  { name: "read-only", probe: READ_ONLY, redis: true, serve: true, drain: false, status: "degraded" },
  { name: "database away for a moment", probe: BRIDGED, redis: true, serve: true, drain: false, status: "degraded" },
  { name: "database away while starting", probe: BRIDGED, redis: true, serve: false, drain: false, status: "unhealthy" },
  { name: "database away for a moment, draining", probe: BRIDGED, redis: true, serve: true, drain: true, status: "unhealthy" },
  { name: "database away", probe: AWAY, redis: true, serve: true, drain: false, status: "unhealthy" },
  { name: "still starting", probe: UP, redis: true, serve: false, drain: false, status: "unhealthy" },
  { name: "draining", probe: UP, redis: true, serve: true, drain: true, status: "unhealthy" },
  { name: "told to stop while starting", probe: UP, redis: true, serve: false, drain: true, status: "unhealthy" },
];

for (const { name, probe, redis, serve, drain, status } of HEALTH_CASES) {
  test(`health: ${name} is ${status}`, async () => {
    const lifecycle = new Lifecycle();
    if (serve) lifecycle.serve();
    if (drain) lifecycle.drain();
    const result = await health({
      serverId: "app1", version: "1.0.0", lifecycle, probe: () => Promise.resolve(probe), redisReady: () => redis,
    });
    assert.equal(result.status, status);
    assert.equal(result.database, probe.reachable);
    assert.equal(result.redis, redis ?? null);
    assert.equal(result.reason === undefined, status === "healthy", "anything but healthy says why");
  });
}

test("a log line is one JSON object, errors and line breaks included", () => {
  const lines: string[] = [];
  const log = new Log("info", { server: "app1" }, (line) => lines.push(line));
  log.debug("not written");
  log.warn("two\nlines", { error: Object.assign(new Error("boom"), { code: "25006" }) });
  assert.equal(lines.length, 1);
  const line = lines.join("");
  assert.equal(line.indexOf("\n"), line.length - 1, "its only line break is its end");
  const entry = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual([entry.level, entry.server, entry.message, entry.error], ["warn", "app1", "two\nlines", "boom (25006)"]);
  assert.equal(describe(new AggregateError([new Error("first"), new Error("second")], "")), "first; second");
});

test("a run of failures is logged once a period, and again after it was over", (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const hidden: number[] = [];
  const throttle = new Throttle(60_000);
  const note = (count: number): void => { hidden.push(count); };
  for (let failures = 0; failures < 5; failures += 1) throttle.run(note);
  assert.deepEqual(hidden, [0]);
  now = 60_000;
  throttle.run(note);
  assert.deepEqual(hidden, [0, 4], "with the number of those that were not logged");
  throttle.reset();
  throttle.run(note);
  assert.deepEqual(hidden, [0, 4, 0]);
});

test("the same content packs into the same bytes, whatever its dates, modes and order of making", (t) => {
  const parent = mkdtempSync(join(tmpdir(), "event-manager-pack-"));
  t.after(() => { rmSync(parent, { recursive: true }); });
  const make = (names: readonly string[], mode: number, seconds: number): Buffer => {
    const top = join(parent, "top");
    rmSync(top, { recursive: true, force: true });
    mkdirSync(join(top, "node_modules/some"), { recursive: true });
    for (const name of names) {
      writeFileSync(join(top, name), `content of ${name}`);
      chmodSync(join(top, name), mode);
      utimesSync(join(top, name), seconds, seconds);
    }
    return pack(parent, "top");
  };
  const names = Array.from({ length: 20 }, (_, index) => `${String(index + 10)}.js`);
  const list = execFileSync("tar", ["--list", "--gzip"], { input: make(names, 0o600, 1), encoding: "utf8" });
  assert.deepEqual(list.match(/\d+\.js/g), names, "in order of name");
  const first = make(["b.js", "a.js"], 0o600, 1_000_000_000);
  assert.deepEqual(make(["a.js", "b.js"], 0o664, 1_700_000_000), first);
  assert.deepEqual(make(["a.js", "b.js", "node_modules/some/types.d.ts"], 0o664, 1), first, "type declarations do not run");
  assert.notDeepEqual(make(["a.js", "b.js", "types.d.ts"], 0o664, 1), first);
});
