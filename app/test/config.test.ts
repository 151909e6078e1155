import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../src/config.js";
import { ConfigError } from "../src/env-reader.js";

const PRODUCTION = {
  NODE_ENV: "production", SERVER_ID: "app1", DATABASE_URL: "postgres://app@%2Frun%2Fpgbouncer:6432/app",
  REDIS_URL: "rediss://cache1:6379", REDIS_PASSWORD: "r", SESSION_SECRET: "s".repeat(32), ADMIN_PASSWORD: "long enough",
};

function problems(environment: Record<string, string>): readonly string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test("a complete production environment is accepted", () => {
  const config = loadConfig({ ...PRODUCTION, PORT: "5000", HOST: "0.0.0.0", TRUST_PROXY: "1", DRAIN_SECONDS: "1.5" });
  assert.equal(config.port, 5000);
  assert.equal(config.trustedProxies, 1);
  assert.equal(config.drain.noticeMs, 1500);
  assert.equal(config.sessions.redis?.url.host, "cache1:6379");
  assert.equal(config.tls, undefined);
});

test("all problems are reported at once, one line each", () => {
  const found = problems({ NODE_ENV: "production" });
  for (const name of ["SERVER_ID", "DATABASE_URL", "REDIS_URL", "SESSION_SECRET", "ADMIN_PASSWORD"]) {
    assert.equal(found.filter((line) => line.startsWith(`${name} is not set; allowed: `)).length, 1, name);
  }
  assert.ok(found.every((line) => !line.includes("\n")));
});

const WRONG: readonly (readonly [change: Record<string, string>, message: RegExp])[] = [
  [{ PORT: "http" }, /^PORT is 'http'; allowed: a whole number from 0 to 65535$/],
  [{ PORT: "70000" }, /^PORT is '70000'/],
  [{ NODE_ENV: "prod" }, /^NODE_ENV is 'prod'; allowed: production, development, test$/],
  [{ SESSION_STORE: "memory" }, /^SESSION_STORE is 'memory'; allowed: redis/],
  [{ SESSION_STORE: "file" }, /^SESSION_STORE is 'file'; allowed: redis, memory$/],
  [{ REDIS_URL: "http://cache1" }, /^REDIS_URL is 'http:\/\/cache1'; allowed: .*redis:\/\/ or rediss:\/\/$/],
  [{ REDIS_URL: "rediss://:pw@cache1" }, /^REDIS_URL holds a password/],
  [{ REDIS_CA_FILE: "/no/such/file" }, /^REDIS_CA_FILE is '\/no\/such\/file'; allowed: a file/],
  [{ REDIS_URL: "redis://cache1", REDIS_CA_FILE: "/dev/null" }, /^REDIS_CA_FILE is set; allowed: only with a rediss/],
  [{ TLS_CERT_FILE: "/dev/null" }, /^TLS_KEY_FILE is not set; allowed: both/],
  [{ SERVER_ID: "app 1\r\n" }, /^SERVER_ID is /],
  [{ DRAIN_SECONDS: "-1" }, /^DRAIN_SECONDS is '-1'; allowed: a number of seconds/],
  [{ DATABASE_URL: "mysql://app:hidden@db/app" }, /^DATABASE_URL is not such an address/],
  [{ SESSION_SECRET: "hidden" }, /^SESSION_SECRET has 6 characters; allowed: a secret of 16/],
  [{ ADMIN_PASSWORD: "hidden" }, /^ADMIN_PASSWORD has 6 characters/],
];

for (const [change, message] of WRONG) {
  test(`refuses ${JSON.stringify(change)}`, () => {
    const found = problems({ ...PRODUCTION, ...change });
    assert.equal(found.length, 1);
    assert.match(found[0] ?? "", message);
    assert.doesNotMatch(found[0] ?? "", /hidden/, "a secret is in the message");
  });
}

test("development needs no Redis, and an empty variable counts as not set", () => {
  const config = loadConfig({
    DATABASE_URL: "postgres://localhost/app", ADMIN_PASSWORD: "x", REDIS_URL: "", SERVER_ID: "",
  });
  assert.equal(config.sessions.redis, undefined);
  assert.notEqual(config.serverId, "");
});
