/** What callers see while the database or Redis is down, hung or read-only, or loses a connection. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { Running } from "../src/server.js";
import { type Answer, Client, CONCERT, requestsReceived, startApplication } from "./support/application.js";
import { FaultProxy, SLOW_MS } from "./support/fault-proxy.js";
import { RecordedLog } from "./support/recorded-log.js";
import { databaseUrl, lockEvents, missing, type Service, sql, startPostgres, startRedis } from "./support/services.js";
import { until } from "./support/until.js";

const HEALTH_TIMEOUT_MS = 300;
const RETRY_MS = 1500;
/** Added to each time limit, for the scheduling of a busy machine. */
const SLACK_MS = 400;
/** The application's own pause before each probe of a database that is down. */
const PROBE_PAUSE_MS = 100;
const REDIS_TIMEOUT_MS = 400;
/** The application's own pause between two pings of an idle Redis connection. */
const REDIS_PING_PERIOD_MS = 1000;
const POOL_SIZE = 10;

describe("outages", { skip: missing("postgres", "redis") }, () => {
  const services: Service[] = [];
  let database: FaultProxy;
  let redis: FaultProxy;
  let server: Running;
  let client: Client;
  const log = new RecordedLog();

  before(async () => {
    const postgres = await startPostgres();
    services.push(postgres);
    const store = await startRedis("pw");
    services.push(store);
    database = await new FaultProxy(postgres.port).start();
    redis = await new FaultProxy(store.port).start();
    server = await startApplication({
      DATABASE_URL: databaseUrl(database.port),
      SESSION_STORE: "redis", REDIS_URL: `redis://127.0.0.1:${String(redis.port)}`, REDIS_PASSWORD: "pw",
      HEALTH_TIMEOUT_MS: String(HEALTH_TIMEOUT_MS), DATABASE_RETRY_MS: String(RETRY_MS),
      DATABASE_CONNECT_TIMEOUT_MS: "500", DATABASE_QUERY_TIMEOUT_MS: "800", REDIS_TIMEOUT_MS: String(REDIS_TIMEOUT_MS),
      DATABASE_POOL_SIZE: String(POOL_SIZE),
    }, log);
    client = new Client(server.url);
    await healthBecomes("healthy");
    assert.equal((await client.signIn()).status, 200);
  });

  after(async () => {
    await server.stop();
    await database.stop();
    await redis.stop();
    for (const service of services) await service.stop();
  });

  afterEach(async () => {
    await redis.set("pass");
    await database.set("pass");
    await healthBecomes("healthy");
    // A statement that succeeds resets the log throttle, so that the next failure is logged.
    assert.equal((await client.call("GET", "/api/events")).status, 200);
    log.clear();
  });

  const health = (): Promise<Answer> => client.call("GET", "/api/health");
  const healthBecomes = (status: string, limitMs = 5000): Promise<void> =>
    until(`health is ${status}`, async () => (await health()).body.status === status, limitMs);
  /** A statement has failed: its request, and all later ones, wait for the end of the outage. */
  const aStatementFails = (): Promise<void> => log.logged("database statement failed");
  const create = (title: string): Promise<Answer> => client.call("POST", "/api/events", { ...CONCERT, title });

  /** A server of its own, with the default DATABASE_RETRY_MS. */
  async function withServer(more: Record<string, string>, use: (visitor: Client) => Promise<void>): Promise<void> {
    const own = await startApplication({ DATABASE_URL: databaseUrl(database.port), ...more });
    try {
      await use(new Client(own.url));
    } finally {
      await own.stop();
    }
  }

  const direct = (): string => databaseUrl(services[0]?.port ?? 0);

  async function countStored(title: string): Promise<number> {
    const { rows } = await sql(direct(), `SELECT count(*) AS n FROM events WHERE title = '${title}'`);
    return Number(rows[0]?.n);
  }

  function assertUnavailable(answer: Answer, code: string, limitMs: number): void {
    assert.equal(answer.status, 503);
    assert.equal(answer.body.error, code);
    assert.equal(answer.headers.get("X-Served-By"), "app1");
    assert.ok(Number(answer.headers.get("Retry-After")) > 0);
    assert.ok(answer.ms < limitMs, `took ${String(answer.ms)} ms`);
  }

  for (const fault of ["refuse", "hang"] as const) {
    test(`Redis, fault "${fault}": reads work, sessions answer 503 at once and recover on their own`, async () => {
      await redis.set(fault);
      await healthBecomes("degraded", REDIS_PING_PERIOD_MS + REDIS_TIMEOUT_MS + SLACK_MS);
      const { status, body } = await health();
      assert.deepEqual([status, body.redis, body.database], [200, false, true]);
      for (const path of ["/", "/api/events"]) {
        const read = await client.call("GET", path);
        assert.equal(read.status, 200, path);
        assert.ok(read.ms < SLACK_MS, `${path} took ${String(read.ms)} ms`);
      }
      const ask = client.call("GET", "/api/session");
      const signOut = client.call("POST", "/api/logout");
      for (const answer of await Promise.all([ask, client.signIn(), create("never"), signOut])) {
        assertUnavailable(answer, "sessions_unavailable", SLACK_MS);
      }
      await redis.set("pass");
      await healthBecomes("healthy");
      const session = await client.call("GET", "/api/session");
      assert.deepEqual(session.body, { user: "admin" }, "the session survives the outage");
    });
  }

  test("Redis hangs between two requests: the next one is answered within the time limit", async () => {
    await redis.set("hang");
    assertUnavailable(await client.call("GET", "/api/session"), "sessions_unavailable", REDIS_TIMEOUT_MS + SLACK_MS);
  });

  test("database refuses connections: 503 within the retry time, then at once, and recovery on its own", async () => {
    await database.set("refuse");
    await healthBecomes("degraded");
    const early = await health();
    assert.equal(early.headers.get("X-Database"), "away");
    assert.deepEqual([early.status, early.body.database, early.body.writable], [200, false, false], "requests wait");
    assertUnavailable(await client.call("GET", "/api/events"), "database_unavailable", RETRY_MS + SLACK_MS);
    await healthBecomes("unhealthy");
    const { status, body, ms } = await health();
    assert.deepEqual([status, body.database], [503, false]);
    assert.ok(ms < HEALTH_TIMEOUT_MS + SLACK_MS);
    assertUnavailable(await client.call("GET", "/api/events"), "database_unavailable", SLACK_MS);
    assert.equal((await client.call("GET", "/")).status, 200, "the page itself needs no database");
    await database.set("pass");
    await healthBecomes("healthy");
    assert.equal((await health()).headers.get("X-Database"), "ready");
    assert.equal((await client.call("GET", "/api/events")).status, 200);
  });

  test("database hangs: the health check answers within its own time limit, also while requests hang", async () => {
    await database.set("hang");
    const start = performance.now();
    const hanging = Array.from({ length: 30 }, () => client.call("GET", "/api/events"));
    await until("the health check fails", async () => {
      const { status, ms } = await health();
      assert.ok(ms < HEALTH_TIMEOUT_MS + SLACK_MS, `took ${String(ms)} ms`);
      return status === 503;
    }, RETRY_MS + HEALTH_TIMEOUT_MS + SLACK_MS);
    assert.ok(performance.now() - start >= RETRY_MS, "healthy for as long as requests wait");
    for (const answer of await Promise.all(hanging)) {
      assert.equal(answer.status, 503);
      assert.ok(answer.ms < RETRY_MS + 500 + 800 + SLACK_MS, `took ${String(answer.ms)} ms`);
    }
  });

  for (const [method, status] of [["GET", 200], ["POST", 201]] as const) {
    test(`a short outage: a ${method} request waits for its end and succeeds`, async () => {
      await database.set("refuse");
      const waiting = method === "GET" ? client.call("GET", "/api/events") : create("short outage");
      await aStatementFails();
      await database.set("pass");
      assert.equal((await waiting).status, status);
      if (method === "POST") assert.equal(await countStored("short outage"), 1);
    });
  }

  test("requests that wait for the database share one probe", async () => {
    await withServer({}, async (visitor) => {
      await database.set("close");
      await until("the outage is known", async () =>
        (await visitor.call("GET", "/api/health")).headers.get("X-Database") === "away");
      const known = database.accepted;
      const start = performance.now();
      const waiting: Promise<Answer>[] = [];
      for (let batch = 0; batch < 10; batch += 1) {
        const before = requestsReceived();
        waiting.push(...Array.from({ length: 10 }, () => visitor.call("GET", "/api/events")));
        await until("the batch is received", () => requestsReceived() >= before + 10);
      }
      await until("the application probes twice", () => database.accepted >= known + 2);
      const probes = database.accepted - known;
      const ms = performance.now() - start;
      assert.ok(probes <= 1 + ms / PROBE_PAUSE_MS, `${String(probes)} connections in ${String(ms)} ms`);
      await database.set("pass");
      for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200);
    });
  });

  test("a database too slow for the health check still gets requests", async () => {
    for (const path of ["/api/events", "/api/health"]) assert.equal((await client.call("GET", path)).status, 200);
    await database.set("slow");
    const { status, body } = await health();
    assert.deepEqual([status, body.database], [200, false]);
    const read = await client.call("GET", "/api/events");
    assert.equal(read.status, 200);
    assert.ok(read.ms < SLOW_MS + SLACK_MS, `took ${String(read.ms)} ms`);
  });

  test("the health check does not wait for a busy pool", async () => {
    const unlock = await lockEvents(direct());
    // Two statements each: one connection runs one of them, the other statement waits for a connection.
    const waiting = Array.from({ length: POOL_SIZE }, () => client.call("GET", "/api/events"));
    try {
      await until("statements wait for a connection", async () => {
        const { text } = (await client.call("GET", "/metrics")).body;
        return String(text).includes(`database_pool_connections{state="waiting"} ${String(POOL_SIZE)}\n`);
      });
      const { body } = await health();
      assert.deepEqual([body.status, body.database], ["healthy", true]);
    } finally {
      await unlock();
    }
    for (const { status } of await Promise.all(waiting)) assert.equal(status, 200);
  });

  test("a request whose caller disconnects during an outage is dropped", async () => {
    await database.set("refuse");
    const leaving = new AbortController();
    const left = assert.rejects(client.call("POST", "/api/events", { ...CONCERT, title: "gone" }, {}, leaving.signal));
    await aStatementFails();
    const stayed = create("stayed");
    leaving.abort();
    await left;
    await log.logged("request", { path: "/api/events", aborted: true });
    await database.set("pass");
    assert.equal((await stayed).status, 201);
    assert.deepEqual([await countStored("gone"), await countStored("stayed")], [0, 1]);
  });

  test("after an outage the oldest request runs first, counted from when it reached the load balancer", async () => {
    await withServer({ DATABASE_POOL_SIZE: "1" }, async (visitor) => {
      assert.equal((await visitor.signIn()).status, 200);
      await database.set("refuse");
      const createFrom = async (title: string, agoMs: number): Promise<Answer> => visitor.call(
        "POST", "/api/events", { ...CONCERT, title }, { "X-Request-Start": `t=${String(Date.now() - agoMs)}` });
      const waiting = [];
      for (const [title, agoMs] of [["third", 0], ["second", 1000], ["first", 2000]] as const) {
        const before = requestsReceived();
        waiting.push(createFrom(title, agoMs));
        await until(`'${title}' is received`, () => requestsReceived() > before);
      }
      await database.set("pass");
      const answers = await Promise.all(waiting);
      assert.deepEqual(answers.map((answer) => answer.status), [201, 201, 201]);
      const ids = answers.map((answer) => Number(answer.body.id));
      assert.deepEqual(ids, ids.toSorted((a, b) => b - a));
    });
  });

  test("an event whose answer is lost on the way is stored once and answered 201", async () => {
    // Connected, so that the lost answer belongs to the statement and not to the login.
    assert.equal((await client.call("GET", "/api/events")).status, 200);
    const lost = database.loseNextAnswer();
    const [created] = await Promise.all([create("lost answer"), lost]);
    assert.equal(created.status, 201);
    assert.equal(await countStored("lost answer"), 1);
  });

  async function readOnly(on: boolean): Promise<void> {
    // As a promoted standby before the failover monitor lets it write: out of recovery, but read-only.
    const state = on ? "on" : "off";
    await sql(direct(), `ALTER SYSTEM SET default_transaction_read_only = ${state}`);
    await sql(direct(), "SELECT pg_reload_conf()");
    await until("the setting is active", async () => {
      const { rows } = await sql(direct(), "SELECT current_setting('default_transaction_read_only') AS state");
      return rows[0]?.state === state;
    });
  }

  test("a read-only database: reads work, writes wait, then fail at once, the server stays in rotation", async () => {
    await readOnly(true);
    await healthBecomes("degraded");
    const { status, body } = await health();
    assert.deepEqual([status, body.database, body.writable], [200, true, false]);
    assert.equal((await client.call("GET", "/api/events")).status, 200);
    const refused = await create("read-only");
    assertUnavailable(refused, "database_unavailable", RETRY_MS + SLACK_MS);
    assert.ok(refused.ms >= RETRY_MS / 2, "it was retried");
    assertUnavailable(await create("read-only"), "database_unavailable", SLACK_MS);
    await readOnly(false);
    await healthBecomes("healthy");
    assert.equal((await create("writable")).status, 201);
    assert.deepEqual([await countStored("read-only"), await countStored("writable")], [0, 1]);
  });

  test("a write that reaches a standby just before its promotion waits for the promotion", async () => {
    // A deletion is retried only if it is certain that it did not run.
    const { body } = await create("promoted");
    await readOnly(true);
    const waiting = client.call("DELETE", `/api/events/${String(body.id)}`);
    await aStatementFails();
    await readOnly(false);
    assert.equal((await waiting).status, 204);
    assert.equal(await countStored("promoted"), 0);
  });
});
