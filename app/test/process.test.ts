/** Start and stop of the real process: exit status, concurrent migrations, a drain without a failed request. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Database } from "../src/database.js";
import { loadConfig } from "../src/config.js";
import { Log } from "../src/log.js";
import { migrate, MigrationConflict, readMigrations } from "../src/migrations.js";
import { ROOT, settings } from "./support/application.js";
import { FaultProxy } from "./support/fault-proxy.js";
import { ApplicationProcess } from "./support/process.js";
import {
  bouncerUrl, databaseUrl, freePort, lockEvents, missing, type Service, sql, startPgbouncer, startPostgres,
} from "./support/services.js";
import { until } from "./support/until.js";

test("an invalid environment: exit status 2 and one line for each problem", async () => {
  const process = new ApplicationProcess({ NODE_ENV: "production", PORT: "x" }, false);
  assert.equal(await process.end(), 2);
  const lines = process.errors.trimEnd().split("\n");
  assert.ok(lines.length >= 2);
  assert.ok(lines.every((line) => /^event-manager: [A-Z_]+ .*; allowed: /.test(line)), process.errors);
});

test("a port in use: exit status 1 and a message", async (t) => {
  const holder = createServer().listen(0, "127.0.0.1");
  t.after(() => { holder.close(); });
  await new Promise((resolve) => holder.once("listening", resolve));
  const PORT = String((holder.address() as AddressInfo).port);
  const process = new ApplicationProcess({ DATABASE_URL: databaseUrl(1), PORT });
  assert.equal(await process.end(), 1);
  assert.match(process.errors, /^event-manager: listen EADDRINUSE.*\n$/);
});

describe("with a database", { skip: missing("postgres", "pgbouncer") }, () => {
  const services: Service[] = [];
  let url = "";

  before(async () => {
    const postgres = await startPostgres();
    services.push(postgres);
    const bouncer = await startPgbouncer(postgres.port);
    services.push(bouncer);
    url = bouncerUrl(bouncer);
  });
  after(async () => {
    for (const service of services.reverse()) await service.stop();
  });

  /** The tests share one database, as pgbouncer serves only `app`. */
  async function emptyDatabase(): Promise<void> {
    await sql(url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  }

  type Use = (server: ApplicationProcess) => Promise<void>;
  async function withServer(environment: Record<string, string>, use: Use): Promise<void> {
    const server = new ApplicationProcess({ DATABASE_URL: url, ...environment });
    try {
      await use(server);
    } finally {
      server.kill("SIGKILL");
      await server.end();
    }
  }

  const openDatabase = (): Database =>
    new Database(loadConfig(settings({ DATABASE_URL: url })).database, new Log("error"), "test");

  test("concurrent migrations: one process applies them, the others wait for it", async (t) => {
    const databases = Array.from({ length: 4 }, openDatabase);
    t.after(() => Promise.all(databases.map((database) => database.end())));
    const shipped = await readMigrations(join(ROOT, "migrations"));
    // From the second round on all connections are open, so that the four start at the same time.
    for (let round = 0; round < 3; round += 1) {
      await emptyDatabase();
      const applied = await Promise.all(databases.map((database) => migrate(database, shipped)));
      assert.deepEqual(applied.flat(), shipped.map(({ name }) => name));
    }
  });

  test("servers that start at the same time on an empty database apply each migration once", async () => {
    await emptyDatabase();
    const servers = ["app1", "app2", "app3"].map((SERVER_ID) =>
      new ApplicationProcess({ DATABASE_URL: url, SERVER_ID }));
    try {
      await Promise.all(servers.map((server) => server.logged("serving")));
    } finally {
      for (const server of servers) server.kill("SIGTERM");
    }
    assert.deepEqual(await Promise.all(servers.map((server) => server.end())), [0, 0, 0]);
    const entries = servers.flatMap((server) => server.log.entries);
    assert.equal(entries.filter(({ message }) => message === "migrations applied").length, 1);
    assert.equal(entries.filter(({ message }) => message.startsWith("not ready")).length, 0);
    const { rows } = await sql(url, "SELECT name FROM schema_migrations ORDER BY name");
    const shipped = await readMigrations(join(ROOT, "migrations"));
    assert.deepEqual(rows.map(({ name }) => name), shipped.map(({ name }) => name));
  });

  test("a failed migration leaves no change, a changed one is refused, an unknown one is ignored", async (t) => {
    await emptyDatabase();
    const folder = mkdtempSync(join(tmpdir(), "event-manager-migrations-"));
    const database = openDatabase();
    t.after(async () => {
      rmSync(folder, { recursive: true });
      await database.end();
    });
    const write = (name: string, text: string): void => { writeFileSync(join(folder, name), text); };
    const run = async (): Promise<string[]> => migrate(database, await readMigrations(folder));
    const tables = async (): Promise<unknown[]> => {
      const { rows } = await sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
      return rows.map((row) => row.tablename);
    };

    write("001-one.sql", "CREATE TABLE one (id int); CREATE TABLE also_one (id int);");
    write("002-two.sql", "CREATE TABLE two (id int); SELECT no_such_function();");
    await assert.rejects(run, /no_such_function/);
    assert.deepEqual(await tables(), []);
    write("002-two.sql", "CREATE TABLE two (id int);");
    assert.deepEqual(await run(), ["001-one.sql", "002-two.sql"]);
    assert.deepEqual(await tables(), ["also_one", "one", "schema_migrations", "two"]);
    assert.deepEqual(await run(), []);
    rmSync(join(folder, "002-two.sql"));
    assert.deepEqual(await run(), [], "as after the rollback of a release");
    write("001-one.sql", "CREATE TABLE one (id bigint);");
    await assert.rejects(run, MigrationConflict);
  });

  test("a server with nothing to migrate starts on a read-only database", async () => {
    await withServer({}, (server) => server.logged("serving"));
    await sql(url, "ALTER DATABASE app SET default_transaction_read_only = on");
    try {
      // Directly to PostgreSQL: pgbouncer's open connections still have the old default.
      await withServer({ DATABASE_URL: databaseUrl(services[0]?.port ?? 0) }, (server) => server.logged("serving"));
    } finally {
      await sql(url, "BEGIN READ WRITE; ALTER DATABASE app RESET default_transaction_read_only; COMMIT");
    }
  });

  test("database down at start: the health check answers 503 until the database is up", async () => {
    const proxy = await new FaultProxy(services[0]?.port ?? 0).start();
    await proxy.set("refuse");
    try {
      await withServer({ DATABASE_URL: databaseUrl(proxy.port) }, async (server) => {
        await server.logged("not ready yet, trying again");
        assert.equal((await fetch(`${server.url}/api/health`)).status, 503);
        assert.equal((await fetch(`${server.url}/api/events`)).status, 503);
        await proxy.set("pass");
        await server.logged("serving");
        assert.equal((await fetch(`${server.url}/api/health`)).status, 200);
        assert.equal((await fetch(`${server.url}/api/events`)).status, 200);
      });
    } finally {
      await proxy.stop();
    }
  });

  test("the process stops within its time limits while the database is down", async () => {
    const server = new ApplicationProcess({ DATABASE_URL: databaseUrl(await freePort()), DRAIN_SECONDS: "0.2" });
    await server.logged("not ready yet, trying again");
    const start = performance.now();
    server.kill("SIGTERM");
    assert.equal(await server.end(), 0);
    assert.ok(performance.now() - start < 5000);
  });

  test("SIGTERM under load: no request fails for a load balancer that obeys the health check", async () => {
    const server = new ApplicationProcess({ DATABASE_URL: url, DRAIN_SECONDS: "1" });
    await server.logged("serving");
    const load = new Load(server.url);
    const running = load.run();
    await until("requests flow", () => load.answered > 200, 10_000);
    const before = load.answered;
    server.kill("SIGTERM");
    assert.equal(await server.end(), 0);
    await running;
    assert.deepEqual(load.failures, []);
    assert.ok(load.answered > before, "served during the drain");
    assert.ok(load.closing > 0, "answered with Connection: close");
    assert.ok(server.log.find("stopped"));
    assert.ok(!server.log.find("requests cut off"));
  });

  /** Waits until a statement of the server waits for the lock of lockEvents. */
  function aReaderWaits(): Promise<void> {
    return until("a reader waits for the lock", async () => {
      const { rows } = await sql(url, "SELECT FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted");
      return rows.length > 0;
    });
  }

  test("a request that runs when listening ends is finished, one that exceeds the limit is cut off", async () => {
    const unlock = await lockEvents(url);
    const server = new ApplicationProcess({ DATABASE_URL: url, DRAIN_SECONDS: "0.1", DRAIN_LIMIT_SECONDS: "5" });
    await server.logged("serving");
    const slow = fetch(`${server.url}/api/events`);
    await aReaderWaits();
    server.kill("SIGTERM");
    await until("the server no longer listens", () =>
      fetch(`${server.url}/api/health`).then(() => false, () => true));
    assert.equal(server.ended, false);
    await unlock();
    const answer = await slow;
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("Connection"), "close");
    assert.equal(await server.end(), 0);

    const unlockAgain = await lockEvents(url);
    try {
      const limited = new ApplicationProcess({ DATABASE_URL: url, DRAIN_SECONDS: "0", DRAIN_LIMIT_SECONDS: "0.3" });
      await limited.logged("serving");
      const cut = fetch(`${limited.url}/api/events`);
      const outcome = cut.then(() => "answered", () => "cut");
      await aReaderWaits();
      limited.kill("SIGTERM");
      assert.equal(await outcome, "cut");
      assert.equal(await limited.end(), 0);
      assert.ok(limited.log.find("requests cut off", { cut: 1 }));
    } finally {
      await unlockAgain();
    }
  });
});

/** The pause between two health checks: load balancers check at intervals. */
const HEALTH_CHECK_PERIOD_MS = 100;

/** Four senders on kept-alive connections that stop, as a load balancer does, when the health check has failed. */
class Load {
  readonly failures: string[] = [];
  answered = 0;
  closing = 0;
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  #healthy = true;

  constructor(url: string) {
    this.#url = url;
  }

  async run(): Promise<void> {
    await Promise.all([this.#watch(), ...Array.from({ length: 4 }, () => this.#send())]);
    this.#agent.destroy();
  }

  async #watch(): Promise<void> {
    try {
      let status;
      do {
        await sleep(HEALTH_CHECK_PERIOD_MS);
        status = (await this.#get("/api/health")).statusCode;
      } while (status !== 503);
    } finally {
      this.#healthy = false;
    }
  }

  async #send(): Promise<void> {
    while (this.#healthy) {
      try {
        const response = await this.#get("/api/events");
        if (response.statusCode === 200) this.answered += 1;
        else this.failures.push(`status ${String(response.statusCode)}`);
        if (response.headers.connection === "close") this.closing += 1;
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }

  #get(path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      get(`${this.#url}${path}`, { agent: this.#agent }, (response) => {
        response.resume();
        response.once("end", () => { resolve(response); });
        response.once("error", reject);
      }).once("error", reject);
    });
  }
}
