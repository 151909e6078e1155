/**
 * One connection to Redis. A short outage (a restart, a failover, a planned move) is bridged: commands wait for its end,
 * and run again when it interrupted them. A long one fails them at once. A server that stops answering (hung, or its host
 * lost) is noticed by the time limit of a command, which TCP alone would do only after many minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, ErrorReply } from "redis";
import type { RedisConfig } from "./config.js";
import { type Log, Throttle } from "./log.js";

const PING_PERIOD_MS = 1000;
const RECONNECT_PAUSE_MS = 100;
/** When requests no longer wait for Redis: a log-in costs it a TLS handshake, and there may be hundreds of servers. */
const LONG_RECONNECT_PAUSE_MS = 1000;
/** Never stored, so that its deletion changes nothing. */
const PROBE_KEY = "probe";

/** Answers of a server that is not the master, or not yet: the command did not run, and a new connection may help. */
const NOT_THE_MASTER = /^(READONLY|MASTERDOWN|LOADING) /;

type Client = ReturnType<typeof open>;

/** `away`: requests wait for it. `failed`: for so long that they no longer do. */
export type RedisState = "ready" | "away" | "failed";

export class RedisUnavailable extends Error {
  constructor(message: string) {
    super(message);
    this.name = "RedisUnavailable";
  }
}

/** A failure of the connection, the route or the server's role, rather than of the command or of this program. */
export function isOutage(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return false;
  return !(error instanceof ErrorReply) || NOT_THE_MASTER.test(error.message);
}

export class RedisLink {
  readonly #config: RedisConfig;
  readonly #log: Log;
  readonly #failures = new Throttle(10_000);
  readonly #pings: NodeJS.Timeout;
  readonly #ending = new AbortController();
  /** undefined during an outage. */
  #client: Client | undefined;
  #connecting: Promise<Client>;
  #outageSince: number | undefined = performance.now();

  constructor(config: RedisConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#connecting = this.#reconnect();
    this.#pings = setInterval(() => { void this.#ping(); }, PING_PERIOD_MS);
    this.#pings.unref();
  }

  get state(): RedisState {
    if (this.#outageSince === undefined) return "ready";
    return this.#outageMs() < this.#config.retryMs ? "away" : "failed";
  }

  /**
   * Runs a command; while an outage is younger than the configured time, it waits for its end.
   * @param run must be idempotent: it runs again when its answer is lost
   * @throws RedisUnavailable or the connection's error when Redis is unavailable; the server's own error otherwise.
   */
  async command<T>(run: (client: Client) => Promise<T>): Promise<T> {
    const began = performance.now();
    for (;;) {
      const client = this.#client ?? await this.#nextClient(began);
      const start = performance.now();
      try {
        return await within(this.#config.timeoutMs, run(client));
      } catch (error) {
        if (!isOutage(error)) throw error;
        this.#lose(client, error, start);
        if (this.#remainingMs(began) <= 0) throw error;
      }
    }
  }

  end(): void {
    this.#ending.abort();
    clearInterval(this.#pings);
    if (this.#client) this.#disconnect(this.#client, performance.now());
  }

  async #nextClient(began: number): Promise<Client> {
    const remaining = this.#remainingMs(began);
    if (remaining <= 0) throw new RedisUnavailable("not connected");
    return within(remaining, this.#connecting);
  }

  /** By the command's own time as well: an outage that follows another at once is a new one. */
  #remainingMs(began: number): number {
    return this.#config.retryMs - Math.max(this.#outageMs(), performance.now() - began);
  }

  #outageMs(): number {
    return this.#outageSince === undefined ? 0 : performance.now() - this.#outageSince;
  }

  async #ping(): Promise<void> {
    const client = this.#client;
    if (!client) return;
    const start = performance.now();
    try {
      await within(this.#config.timeoutMs, probe(client));
    } catch (error) {
      this.#lose(client, error, start);
    }
  }

  /** Gives up a connection; several commands may find at once that it does not work. */
  #lose(client: Client, error: unknown, since: number): void {
    if (client !== this.#client) return;
    this.#warn(error);
    this.#disconnect(client, since);
  }

  #disconnect(client: Client, since: number): void {
    this.#client = undefined;
    this.#outageSince = since;
    client.destroy();
    this.#connecting = this.#reconnect();
  }

  #reconnect(): Promise<Client> {
    const connecting = this.#connectUntilReady();
    // Rejects only at the end of this link, when nobody may wait for it.
    connecting.catch(() => undefined);
    return connecting;
  }

  async #connectUntilReady(): Promise<Client> {
    for (;;) {
      this.#ending.signal.throwIfAborted();
      const client = open(this.#config);
      client.on("error", (error: unknown) => { this.#lose(client, error, performance.now()); });
      try {
        await within(this.#config.timeoutMs, client.connect().then(probe));
        this.#ending.signal.throwIfAborted();
        this.#client = client;
        this.#outageSince = undefined;
        this.#failures.reset();
        this.#log.info("redis connected");
        return client;
      } catch (error) {
        client.destroy();
        if (!this.#ending.signal.aborted) this.#warn(error);
      }
      await sleep(reconnectPauseMs(this.state), undefined, { signal: this.#ending.signal });
    }
  }

  #warn(error: unknown): void {
    this.#failures.run((hidden) => { this.#log.warn("redis connection failed", { error, hidden }); });
  }
}

/** @throws RedisUnavailable when it takes longer. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = sleep(limitMs, undefined, { signal: stop.signal }).then(() => {
    throw new RedisUnavailable(`no answer within ${String(Math.round(limitMs))} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}

/** A write: a replica answers reads, and a Redis that is still loading its file lets clients log in. */
async function probe(client: Client): Promise<void> {
  try {
    await client.del(PROBE_KEY);
  } catch (error) {
    // A Redis that refuses writes for another reason, such as a full disk, still has the sessions.
    if (isOutage(error)) throw error;
  }
}

/** @returns milliseconds until the next attempt, not the same on all servers */
export function reconnectPauseMs(state: RedisState, random: () => number = Math.random): number {
  return (state === "failed" ? LONG_RECONNECT_PAUSE_MS : RECONNECT_PAUSE_MS) * (0.75 + random() / 4);
}

function open({ url, password, authority, timeoutMs }: RedisConfig) {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const common = {
    host,
    port: url.port === "" ? 6379 : Number(url.port),
    connectTimeout: timeoutMs,
    // The link itself reconnects, so that it knows of each outage and bounds each attempt.
    reconnectStrategy: false as const,
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
