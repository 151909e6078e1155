/** What callers see while the database or Redis is down, hung or read-only, or loses a connection. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createClient } from "redis";
import type { Running } from "../src/server.js";
import { type Answer, Client, CONCERT, requestsReceived, startApplication } from "./support/application.js";
import { FaultProxy, SLOW_MS } from "./support/fault-proxy.js";
import { RecordedLog } from "./support/recorded-log.js";
import { databaseUrl, lockEvents, missing, type Service, sql, startPostgres, startRedis } from "./support/services.js";
import { until } from "./support/until.js";

const HEALTH_TIMEOUT_MS = 300;
const RETRY_MS = 1500;
const REDIS_RETRY_MS = 1500;
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
      REDIS_RETRY_MS: String(REDIS_RETRY_MS),
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

  /** Makes Redis a replica of a server that does not answer, or a master again. */
  async function demoteRedis(demoted: boolean): Promise<void> {
    const store = createClient({ password: "pw", socket: { host: "127.0.0.1", port: services[1]?.port ?? 0 } });
    await store.connect();
    await store.sendCommand(["REPLICAOF", ...demoted ? ["127.0.0.1", "1"] : ["NO", "ONE"]]);
    store.destroy();
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

  /** Reads a session, stores one, and reads one for a write. */
  const needRedis = (title: string): Promise<Answer[]> =>
    Promise.all([client.call("GET", "/api/session"), new Client(server.url).signIn(), create(title)]);

  for (const fault of ["refuse", "hang"] as const) {
    test(`Redis, fault "${fault}": reads work, sessions answer 503 within the retry time, then at once`, async () => {
      await redis.set(fault);
      await healthBecomes("degraded", REDIS_PING_PERIOD_MS + REDIS_TIMEOUT_MS + SLACK_MS);
      const early = await health();
      assert.deepEqual([early.status, early.body.redis, early.body.database], [200, false, true]);
      assert.equal(early.headers.get("X-Redis"), "away");
      const waiting = needRedis("never");
      for (const path of ["/", "/api/events"]) {
        const read = await client.call("GET", path);
        assert.equal(read.status, 200, path);
        assert.ok(read.ms < SLACK_MS, `${path} took ${String(read.ms)} ms`);
      }
      for (const answer of await waiting) {
        assertUnavailable(answer, "sessions_unavailable", REDIS_RETRY_MS + REDIS_TIMEOUT_MS + SLACK_MS);
        assert.equal(answer.headers.get("Set-Cookie"), null, "no session was stored");
      }
      const late = await health();
      assert.deepEqual([late.status, late.body.status, late.headers.get("X-Redis")], [200, "degraded", "failed"]);
      for (const answer of [...await needRedis("never"), await client.call("POST", "/api/logout")]) {
        assertUnavailable(answer, "sessions_unavailable", SLACK_MS);
      }
      await redis.set("pass");
      await healthBecomes("healthy");
      assert.equal((await health()).headers.get("X-Redis"), "ready");
      const session = await client.call("GET", "/api/session");
      assert.deepEqual(session.body, { user: "admin" }, "the session survives the outage");
      assert.equal(await countStored("never"), 0);
    });
  }

  for (const fault of ["refuse", "close", "hang"] as const) {
    test(`Redis, fault "${fault}" for a short time: requests wait for its end and succeed`, async () => {
      const title = `short outage of Redis: ${fault}`;
      await redis.set(fault);
      const waiting = needRedis(title);
      await log.logged("redis connection failed");
      await redis.set("pass");
      const answers = await waiting;
      assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 201]);
      assert.deepEqual(answers[0]?.body, { user: "admin" });
      assert.equal(await countStored(title), 1);
    });
  }

  test("Redis, a short outage: signing out waits for its end and succeeds", async () => {
    const visitor = new Client(server.url);
    assert.equal((await visitor.signIn()).status, 200);
    const { cookie } = visitor;
    await redis.set("refuse");
    const waiting = visitor.call("POST", "/api/logout");
    await log.logged("redis connection failed");
    await redis.set("pass");
    assert.equal((await waiting).status, 204);
    assert.deepEqual((await new Client(server.url, cookie).call("GET", "/api/session")).body, { user: null });
  });

  test("Redis, an answer lost on the way: the command runs again", async () => {
    const lost = redis.loseNextAnswer();
    const [session] = await Promise.all([client.call("GET", "/api/session"), lost]);
    assert.deepEqual([session.status, session.body], [200, { user: "admin" }]);
  });

  test("Redis, demoted to a replica: requests wait until the connection leads to a master, and succeed", async () => {
    await demoteRedis(true);
    try {
      const waiting = new Client(server.url).signIn();
      await log.logged("redis connection failed");
      assert.match(String(log.find("redis connection failed")?.error), /^READONLY /);
      const known = redis.accepted;
      await until("it connects to the replica twice", () => redis.accepted >= known + 2);
      assert.equal((await health()).headers.get("X-Redis"), "away");
      await demoteRedis(false);
      assert.equal((await waiting).status, 200);
      const connected = log.entries.filter((entry) => entry.message === "redis connected");
      assert.equal(connected.length, 1, "not while it is a replica, although it accepts connections then");
    } finally {
      await demoteRedis(false);
    }
  });

  test("Redis, a short outage: a request whose caller disconnects changes nothing", async () => {
    await redis.set("refuse");
    const leaving = new AbortController();
    const left = assert.rejects(client.call("POST", "/api/events", { ...CONCERT, title: "left" }, {}, leaving.signal));
    await log.logged("redis connection failed");
    const stayed = create("waited");
    leaving.abort();
    await left;
    await log.logged("request", { path: "/api/events", aborted: true });
    await redis.set("pass");
    assert.equal((await stayed).status, 201);
    assert.deepEqual([await countStored("left"), await countStored("waited")], [0, 1]);
  });

  test("Redis hangs after a session was read: extending the session does not delay the answer", async () => {
    const unlock = await lockEvents(direct());
    const waiting = create("answered at once");
    try {
      await until("the event waits for the lock", async () => {
        const { rows } = await sql(direct(), "SELECT count(*) AS n FROM pg_locks WHERE NOT granted");
        return Number(rows[0]?.n) > 0;
      });
      await redis.set("hang");
    } finally {
      await unlock();
    }
    const start = performance.now();
    assert.equal((await waiting).status, 201);
    const ms = performance.now() - start;
    assert.ok(ms < REDIS_TIMEOUT_MS, `took ${String(ms)} ms`);
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
