/**
 * PostgreSQL by way of pgbouncer in transaction mode, so: no named statements, no session state, time limits kept by the
 * client. A short outage (failover, switchover) is bridged by trying again; a long one fails at once. Who has gone away
 * meanwhile (the load balancer asks another server) is not worked for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { DatabaseConfig } from "./config.js";
import { isTransient, neverRan } from "./database-errors.js";
import { Unavailable } from "./errors.js";
import { type Log, Throttle } from "./log.js";
import type { Visit } from "./visit.js";

const LOOK_EVERY_MS = 100;
const LOG_PERIOD_MS = 10_000;
/** A database that answers within this time is not away, if too slow for the health check to wait for. */
const PROBE_LIMIT_MS = 1000;

/**
 * What a statement does, and so when it may run again after a failure: a read always; an idempotent write too, as running
 * it twice does no more than running it once; any other write only if it is certain that it did not run.
 */
export type Kind = "read" | "idempotent write" | "write";

/** What the database is wanted for: a standby answers reads for as long as no primary takes writes. */
type Use = "read" | "write";

export interface ProbeResult {
  readonly reachable: boolean;
  /** Not reachable, but for so short a time that requests wait for it instead of failing. */
  readonly bridged: boolean;
  /** false on a standby and on a primary that is kept from writing. */
  readonly writable: boolean;
}

interface Waiting {
  readonly use: Use;
  readonly since: number;
  readonly wake: (seen: ProbeResult) => void;
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
  /** The health check's own connection: a busy or hung pool must not make it wait its turn. */
  readonly #probePool: pg.Pool;
  readonly #failures = new Throttle(LOG_PERIOD_MS);
  readonly #probeFailures = new Throttle(LOG_PERIOD_MS);
  /** Since when statements fail; nothing while they work. */
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
   * @param visit who waits for the answer; those who came first have their turn first when an outage is over
   * @throws Unavailable when the database is away or read-only; pg.DatabaseError when the statement is at fault.
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
      if (this.#away(use)) await this.#outageOver(use, began, since, visit?.gone);
      const start = performance.now();
      try {
        const result = await this.#pool.query<Row>(text, [...values]);
        this.#works(use === "write");
        this.#failures.reset();
        return result;
      } catch (error) {
        if (!isTransient(error)) throw error;
        this.#failures.run((hidden) => { this.#log.warn("database statement failed", { error, hidden }); });
        this.#outageSince[use] ??= start;
        const again = kind !== "write" || neverRan(error);
        if (!again || visit?.gone.aborted || this.#tooLate(use, began)) throw new Unavailable("database", error);
      }
    }
  }

  /**
   * Waits until a statement is worth a try: one look at the database for all who wait and all who come meanwhile. Each would
   * log in for its try, and hundreds of logins in a second keep this server, and the failover, from their work.
   * @throws Unavailable when the outage is too old, or nobody waits for the answer any more.
   */
  async #outageOver(use: Use, began: number, since: number, gone?: AbortSignal): Promise<void> {
    for (;;) {
      const seen = await new Promise<ProbeResult>((wake, fail) => {
        this.#waiting.push({ use, since, wake, fail });
        if (this.#waiting.length === 1) void this.#look();
      });
      const back = use === "read" ? seen.reachable : seen.writable;
      if (gone?.aborted || (!back && this.#tooLate(use, began))) {
        throw new Unavailable("database", "still away when last looked at");
      }
      if (back) return;
    }
  }

  /** By the statement's own time as well: one that fails alone is no outage, and each look at the database says so. */
  #tooLate(use: Use, began: number): boolean {
    return Math.max(this.#outageMs(use), performance.now() - began) >= this.#config.retryMs;
  }

  async #look(): Promise<void> {
    await sleep(LOOK_EVERY_MS);
    const seen = this.#sharedProbe();
    await Promise.allSettled([seen]);
    // Whom the load balancer sent here from another server has waited longest, and came last.
    for (const one of this.#waiting.splice(0).sort((a, b) => a.since - b.since)) seen.then(one.wake, one.fail);
  }

  /** Runs `work` in one transaction on one connection; whatever it throws rolls back. Never tried again. */
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

  /** Answers within the health check's time limit, whatever the database does. Callers at one time share one probe. */
  async probe(): Promise<ProbeResult> {
    const limit = this.#config.healthTimeoutMs;
    const stop = new AbortController();
    const late = sleep(limit, "late" as const, { signal: stop.signal }).catch(() => "aborted" as const);
    const result = await Promise.race([this.#sharedProbe(), late]);
    stop.abort();
    if (typeof result === "object") return result;
    // Late is not away: the probe itself says later which of the two it was.
    return this.#unreachable(`no answer within ${String(limit)} ms`);
  }

  counts(): PoolCounts {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#pool.waitingCount };
  }

  async end(): Promise<void> {
    await Promise.allSettled([this.#pool.end(), this.#probePool.end()]);
  }

  /** The probe that runs, or a new one. */
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
      this.#works(writable);
      return { reachable: true, bridged: false, writable };
    } catch (error) {
      for (const use of ["read", "write"] as const) this.#outageSince[use] ??= start;
      return this.#unreachable(error);
    }
  }

  #works(writable: boolean): void {
    delete this.#outageSince.read;
    if (writable) delete this.#outageSince.write;
  }

  /** Statements fail, or those that came before still wait for their turn. */
  #away(use: Use): boolean {
    return this.#outageSince[use] !== undefined || this.#waiting.some((one) => one.use === use);
  }

  /** How long statements have been failing, counted from the start of the first that failed. */
  #outageMs(use: Use): number {
    const since = this.#outageSince[use];
    return since === undefined ? 0 : performance.now() - since;
  }

  #unreachable(error: unknown): ProbeResult {
    this.#probeFailures.run((hidden) => { this.#log.warn("database health check failed", { error, hidden }); });
    return { reachable: false, bridged: this.#outageMs("read") < this.#config.retryMs, writable: false };
  }
}
