/**
 * The environment, read once and typed. Every problem is found in one go; each is one line that names the variable,
 * what it holds (unless it is a secret) and what is allowed.
 */
import { hostname } from "node:os";
import { EnvReader, type Environment } from "./env-reader.js";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface RedisConfig {
  readonly url: URL;
  readonly password: string | undefined;
  /** PEM of the authority that must have signed the server's certificate; undefined means the system's own list. */
  readonly authority: string | undefined;
  /** The longest that a command or a connection attempt may take. */
  readonly timeoutMs: number;
  /** How long after the start of an outage a request may still wait for its end instead of failing at once. */
  readonly retryMs: number;
}

export interface SessionConfig {
  /** undefined: sessions live in this process only (development). */
  readonly redis: RedisConfig | undefined;
  readonly secret: string;
  readonly lifetimeMs: number;
}

export interface DatabaseConfig {
  readonly url: string;
  readonly poolSize: number;
  readonly connectTimeoutMs: number;
  readonly queryTimeoutMs: number;
  /** How long after the start of an outage a request may still be tried again instead of failing at once; until then
   *  the health check calls this server healthy. Longer than a failover. */
  readonly retryMs: number;
  /** What the health check waits for the database before it answers without it; well below the load balancer's limit. */
  readonly healthTimeoutMs: number;
}

export interface Config {
  readonly production: boolean;
  readonly serverId: string;
  readonly host: string;
  readonly port: number;
  readonly tls: TlsFiles | undefined;
  /** How many proxies stand in front, whose X-Forwarded-* headers are believed. */
  readonly trustedProxies: number;
  readonly database: DatabaseConfig;
  readonly sessions: SessionConfig;
  readonly admin: { readonly user: string; readonly password: string };
  readonly drain: {
    /** Still listening, but unhealthy, so that the load balancer looks elsewhere. */
    readonly noticeMs: number;
    /** After that, what running requests get to finish. */
    readonly limitMs: number;
  };
  readonly logLevel: LogLevel;
}

const DEVELOPMENT_SECRET = "development-only-secret-of-no-value";
const MIN_SECRET_LENGTH = 16;
const MIN_PASSWORD_LENGTH = 8;

/** @throws ConfigError naming every variable that is missing or wrong. */
export function loadConfig(environment: Environment): Config {
  const env = new EnvReader(environment);
  const production = env.choice("NODE_ENV", ["production", "development", "test"], "development") === "production";
  const config: Config = {
    production,
    serverId: production ? env.text("SERVER_ID", /^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, '.', '_' or '-'")
      : env.text("SERVER_ID", /^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, '.', '_' or '-'", hostname()),
    host: env.text("HOST", /^[A-Za-z0-9.:-]+$/, "an address or a host name to listen on", "127.0.0.1"),
    port: env.integer("PORT", 0, 65535, 5000),
    tls: readTls(env),
    trustedProxies: env.integer("TRUST_PROXY", 0, 10, 0),
    database: {
      url: env.url("DATABASE_URL", ["postgres:", "postgresql:"], { secret: true })?.href ?? "",
      poolSize: env.integer("DATABASE_POOL_SIZE", 1, 200, 10),
      connectTimeoutMs: env.integer("DATABASE_CONNECT_TIMEOUT_MS", 50, 60_000, 2000),
      queryTimeoutMs: env.integer("DATABASE_QUERY_TIMEOUT_MS", 50, 60_000, 3000),
      retryMs: env.integer("DATABASE_RETRY_MS", 0, 60_000, 9000),
      healthTimeoutMs: env.integer("HEALTH_TIMEOUT_MS", 50, 10_000, 150),
    },
    sessions: readSessions(env, production),
    admin: {
      user: env.text("ADMIN_USER", /^[A-Za-z0-9._@-]{1,64}$/, "1 to 64 letters, digits, '.', '_', '@' or '-'", "admin"),
      password: env.secret("ADMIN_PASSWORD", production ? MIN_PASSWORD_LENGTH : 1),
    },
    drain: {
      noticeMs: env.seconds("DRAIN_SECONDS", 0, 300, 3) * 1000,
      limitMs: env.seconds("DRAIN_LIMIT_SECONDS", 0, 300, 10) * 1000,
    },
    logLevel: env.choice("LOG_LEVEL", ["debug", "info", "warn", "error"], "info"),
  };
  env.finish();
  return config;
}

function readTls(env: EnvReader): TlsFiles | undefined {
  const certificateFile = env.file("TLS_CERT_FILE");
  const keyFile = env.file("TLS_KEY_FILE");
  if (certificateFile && keyFile) return { certificateFile, keyFile };
  if (env.has("TLS_CERT_FILE") !== env.has("TLS_KEY_FILE")) {
    const missing = env.has("TLS_CERT_FILE") ? "TLS_KEY_FILE" : "TLS_CERT_FILE";
    env.problem(missing, "is not set", "both TLS_CERT_FILE and TLS_KEY_FILE (HTTPS), or neither (HTTP)");
  }
  return undefined;
}

function readSessions(env: EnvReader, production: boolean): SessionConfig {
  const store = env.choice("SESSION_STORE", ["redis", "memory"], production ? "redis" : "memory");
  if (store === "memory" && production) {
    env.problem("SESSION_STORE", "is 'memory'", "redis, as NODE_ENV is production and servers share their sessions");
  }
  return {
    redis: store === "redis" ? readRedis(env) : undefined,
    secret: production ? env.secret("SESSION_SECRET", MIN_SECRET_LENGTH)
      : env.secret("SESSION_SECRET", MIN_SECRET_LENGTH, DEVELOPMENT_SECRET),
    lifetimeMs: env.integer("SESSION_HOURS", 1, 24 * 30, 12) * 3_600_000,
  };
}

function readRedis(env: EnvReader): RedisConfig | undefined {
  const url = env.url("REDIS_URL", ["redis:", "rediss:"]);
  if (url?.password) {
    env.problem("REDIS_URL", "holds a password", "an address alone, with the password in REDIS_PASSWORD");
  }
  const authorityFile = env.file("REDIS_CA_FILE");
  if (authorityFile && url?.protocol === "redis:") {
    env.problem("REDIS_CA_FILE", "is set", "only with a rediss:// address in REDIS_URL");
  }
  const authority = authorityFile ? env.contents("REDIS_CA_FILE", authorityFile) : undefined;
  const password = env.has("REDIS_PASSWORD") ? env.secret("REDIS_PASSWORD", 1) : undefined;
  const timeoutMs = env.integer("REDIS_TIMEOUT_MS", 50, 10_000, 1000);
  const retryMs = env.integer("REDIS_RETRY_MS", 0, 60_000, 5000);
  return url && { url, password, authority, timeoutMs, retryMs };
}
