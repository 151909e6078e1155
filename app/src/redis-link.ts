/**
 * One connection to Redis that is either ready or known to be away: no command waits for a reconnect, none runs longer
 * than the time limit, and a server that has fallen silent (hung, or its host gone without a word) is noticed and the
 * connection made anew, which TCP alone would do only after many minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import type { RedisConfig } from "./config.js";
import { type Log, Throttle } from "./log.js";

const MAX_RECONNECT_PAUSE_MS = 1000;
const WATCH_PERIOD_MS = 1000;

type Client = ReturnType<typeof open>;

export class RedisAway extends Error {
  constructor(message: string) {
    super(message);
    this.name = "RedisAway";
  }
}

export class RedisLink {
  readonly #config: RedisConfig;
  readonly #log: Log;
  readonly #failures = new Throttle(10_000);
  readonly #watch: NodeJS.Timeout;
  #client: Client;
  #ended = false;

  constructor(config: RedisConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#client = this.#connect();
    this.#watch = setInterval(() => {
      if (this.ready) this.command((client) => client.ping()).catch(() => undefined);
    }, WATCH_PERIOD_MS);
    this.#watch.unref();
  }

  get ready(): boolean {
    return this.#client.isReady;
  }

  /** @throws RedisAway when not connected or out of time; the server's own error otherwise. */
  async command<T>(run: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client;
    if (!client.isReady) throw new RedisAway("not connected");
    const stop = new AbortController();
    const late = sleep(this.#config.timeoutMs, undefined, { signal: stop.signal }).then(() => {
      this.#replace(client);
      throw new RedisAway(`no answer within ${String(this.#config.timeoutMs)} ms`);
    });
    try {
      return await Promise.race([run(client), late]);
    } finally {
      stop.abort();
      // The loser of the race ends by itself: aborted, or with the connection.
      late.catch(() => undefined);
    }
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#watch);
    this.#client.destroy();
  }

  /** A connection that does not answer is given up; several commands may come to that at once. */
  #replace(silent: Client): void {
    if (this.#ended || silent !== this.#client) return;
    this.#log.warn("redis does not answer, connecting anew");
    silent.destroy();
    this.#client = this.#connect();
  }

  #connect(): Client {
    const client = open(this.#config);
    client.on("error", (error: unknown) => {
      this.#failures.run((hidden) => { this.#log.warn("redis connection failed", { error, hidden }); });
    });
    client.on("ready", () => {
      this.#failures.reset();
      this.#log.info("redis connected");
    });
    // Rejects only when the client is destroyed: the strategy below never gives up.
    client.connect().catch(() => undefined);
    return client;
  }
}

/** @returns milliseconds until the next attempt; soon at first, as a restarted Redis is back within half a second. */
export function reconnectPauseMs(retries: number, random: () => number = Math.random): number {
  return Math.min(50 * 2 ** Math.min(retries, 10), MAX_RECONNECT_PAUSE_MS) * (0.75 + random() / 4);
}

function open({ url, password, authority, timeoutMs }: RedisConfig) {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const common = {
    host,
    port: url.port === "" ? 6379 : Number(url.port),
    connectTimeout: timeoutMs,
    // Bounds the log-in, which is no command of ours. Once in use the socket is kept awake by the watch.
    socketTimeout: timeoutMs + 2 * WATCH_PERIOD_MS,
    reconnectStrategy: (retries: number) => reconnectPauseMs(retries),
  };
  return createClient({
    ...(url.username !== "" && { username: decodeURIComponent(url.username) }),
    ...(password !== undefined && { password }),
    ...(/^\/\d+$/.test(url.pathname) && { database: Number(url.pathname.slice(1)) }),
    disableOfflineQueue: true,
    socket: url.protocol === "rediss:"
      ? { ...common, tls: true as const, ...(authority !== undefined && { ca: authority }) }
      : common,
  });
}
