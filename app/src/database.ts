/**
 * PostgreSQL through pgbouncer in transaction mode, so: no named statements, no session state, timeouts in the client. A
 * short outage (failover, switchover) is bridged by retries; in a long one requests fail at once. A request whose caller has
 * disconnected meanwhile (the load balancer retried it on another server) is dropped.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { DatabaseConfig } from "./config.js";
import { isTransient, neverRan } from "./database-errors.js";
import { Unavailable } from "./errors.js";
import { type Log, Throttle } from "./log.js";
import type { Visit } from "./visit.js";

const PROBE_PAUSE_MS = 100;
const LOG_PERIOD_MS = 10_000;
/** A database that answers within this time is available, even if it is too slow for the health check. */
const PROBE_LIMIT_MS = 1000;

/**
 * Decides when a statement may be retried after a failure: a read and an idempotent write always; any other write only if it
 * is certain that it did not run.
 */
export type Kind = "read" | "idempotent write" | "write";

/** What a statement needs: a standby answers reads as long as no primary accepts writes. */
type Use = "read" | "write";

export interface ProbeResult {
  readonly reachable: boolean;
  /** Not reachable, but since a short time only: requests still wait for it. */
  readonly bridged: boolean;
  /** false on a standby and on a read-only primary. */
  readonly writable: boolean;
}

interface Waiting {
  readonly use: Use;
  readonly since: number;
  readonly wake: (result: ProbeResult) => void;
  readonly fail: (error: unknown) => void;
}

export interface PoolCounts {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

export class Database {
  readonly #config: DatabaseConfig;
  readonly #log: Log;
  readonly #pool: pg.Pool;
  /** The health check's own connection: it must not wait in the queue of a busy or hung pool. */
  readonly #probePool: pg.Pool;
  readonly #failures = new Throttle(LOG_PERIOD_MS);
  readonly #probeFailures = new Throttle(LOG_PERIOD_MS);
  /** Since when statements fail; absent while they succeed. */
  readonly #outageSince: Partial<Record<Use, number>> = {};
  #probing: Promise<ProbeResult> | undefined;
  readonly #waiting: Waiting[] = [];

  constructor(config: DatabaseConfig, log: Log, serverId: string) {
    this.#config = config;
    this.#log = log;
    const common = { connectionString: config.url, keepAlive: true, application_name: `event-manager-${serverId}` };
    this.#pool = new pg.Pool({
      ...common,
      max: config.poolSize,
      connectionTimeoutMillis: config.connectTimeoutMs,
      query_timeout: config.queryTimeoutMs,
      idleTimeoutMillis: 30_000,
    });
    this.#probePool = new pg.Pool({
      ...common,
      max: 1,
      connectionTimeoutMillis: PROBE_LIMIT_MS,
      query_timeout: PROBE_LIMIT_MS,
      idleTimeoutMillis: 30_000,
    });
    // Without a listener, an idle connection that breaks (as in every failover) would end the process.
    for (const pool of [this.#pool, this.#probePool]) {
      pool.on("error", (error) => { log.debug("idle database connection lost", { error }); });
    }
  }

  /**
   * Runs one statement by itself; while an outage is younger than the configured time, it waits for its end.
   * @param visit the request that needs the answer; after an outage the oldest request runs first
   * @throws Unavailable when the database is not available or read-only; pg.DatabaseError when the statement is at fault.
   */
  async query<Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[],
    kind: Kind,
    visit?: Visit,
  ): Promise<pg.QueryResult<Row>> {
    const began = performance.now();
    const use = kind === "read" ? "read" : "write";
    const since = visit?.since ?? Date.now();
    for (;;) {
      if (this.#mustWait(use)) await this.#outageOver(use, began, since, visit?.disconnected);
      const start = performance.now();
      try {
        const result = await this.#pool.query<Row>(text, [...values]);
        this.#succeeded(use === "write");
        this.#failures.reset();
        return result;
      } catch (error) {
        if (!isTransient(error)) throw error;
        this.#failures.run((hidden) => { this.#log.warn("database statement failed", { error, hidden }); });
        this.#outageSince[use] ??= start;
        const again = kind !== "write" || neverRan(error);
        if (!again || visit?.disconnected.aborted || this.#tooLate(use, began)) throw new Unavailable("database", error);
      }
    }
  }

  /**
   * Waits until a probe succeeds. All waiting statements share it: if each connected for a try of its own, hundreds of logins
   * a second would slow down this server and the failover.
   * @throws Unavailable when the outage is too old, or the caller has disconnected.
   */
  async #outageOver(use: Use, began: number, since: number, disconnected?: AbortSignal): Promise<void> {
    for (;;) {
      const result = await new Promise<ProbeResult>((wake, fail) => {
        this.#waiting.push({ use, since, wake, fail });
        if (this.#waiting.length === 1) void this.#probeForWaiting();
      });
      const back = use === "read" ? result.reachable : result.writable;
      if (disconnected?.aborted || (!back && this.#tooLate(use, began))) {
        throw new Unavailable("database", "not available at the last probe");
      }
      if (back) return;
    }
  }

  /** Counts the statement's own time too: when only this statement fails, each successful probe ends the outage. */
  #tooLate(use: Use, began: number): boolean {
    return Math.max(this.#outageMs(use), performance.now() - began) >= this.#config.retryMs;
  }

  async #probeForWaiting(): Promise<void> {
    await sleep(PROBE_PAUSE_MS);
    const probe = this.#sharedProbe();
    await Promise.allSettled([probe]);
    // A request that the load balancer retried here arrived last, but has waited longest.
    for (const one of this.#waiting.splice(0).sort((a, b) => a.since - b.since)) probe.then(one.wake, one.fail);
  }

  /** Runs `work` in one transaction on one connection; an exception rolls it back. Never retried. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      await client.query("BEGIN");
      const result = await work(client);
      await client.query("COMMIT");
      client.release();
      return result;
    } catch (error) {
      // Closing the connection rolls back, also when it is the connection that failed.
      client.release(true);
      throw error;
    }
  }

  /** Answers within the health check's time limit, whatever the database does. Concurrent callers share one probe. */
  async probe(): Promise<ProbeResult> {
    const limit = this.#config.healthTimeoutMs;
    const stop = new AbortController();
    const late = sleep(limit, "late" as const, { signal: stop.signal }).catch(() => "aborted" as const);
    const result = await Promise.race([this.#sharedProbe(), late]);
    stop.abort();
    if (typeof result === "object") return result;
    // It may only be slow: the outage begins when the probe itself fails.
    return this.#unreachable(`no answer within ${String(limit)} ms`);
  }

  counts(): PoolCounts {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#pool.waitingCount };
  }

  async end(): Promise<void> {
    await Promise.allSettled([this.#pool.end(), this.#probePool.end()]);
  }

  /** The running probe, or a new one. */
  #sharedProbe(): Promise<ProbeResult> {
    this.#probing ??= this.#probeOnce().finally(() => { this.#probing = undefined; });
    return this.#probing;
  }

  async #probeOnce(): Promise<ProbeResult> {
    const start = performance.now();
    try {
      const { rows } = await this.#probePool.query<{ writable: boolean }>(
        "SELECT current_setting('transaction_read_only') = 'off' AS writable",
      );
      this.#probeFailures.reset();
      const writable = rows[0]?.writable === true;
      this.#succeeded(writable);
      return { reachable: true, bridged: false, writable };
    } catch (error) {
      for (const use of ["read", "write"] as const) this.#outageSince[use] ??= start;
      return this.#unreachable(error);
    }
  }

  #succeeded(writable: boolean): void {
    delete this.#outageSince.read;
    if (writable) delete this.#outageSince.write;
  }

  /** During an outage, and until the statements that waited for its end have been started. */
  #mustWait(use: Use): boolean {
    return this.#outageSince[use] !== undefined || this.#waiting.some((one) => one.use === use);
  }

  /** How long statements have failed, counted from the start of the first one. */
  #outageMs(use: Use): number {
    const since = this.#outageSince[use];
    return since === undefined ? 0 : performance.now() - since;
  }

  #unreachable(error: unknown): ProbeResult {
    this.#probeFailures.run((hidden) => { this.#log.warn("database health check failed", { error, hidden }); });
    return { reachable: false, bridged: this.#outageMs("read") < this.#config.retryMs, writable: false };
  }
}
