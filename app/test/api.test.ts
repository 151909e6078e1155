/** Two servers that share a database, through pgbouncer in transaction mode, and a Redis, as on the estate. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { Running } from "../src/server.js";
import { Client, CONCERT, PASSWORD, startApplication } from "./support/application.js";
import {
  bouncerUrl, databaseUrl, missing, type Service, sql, startPgbouncer, startPostgres, startRedis,
} from "./support/services.js";
import { until } from "./support/until.js";

describe("two servers", { skip: missing("postgres", "pgbouncer", "redis") }, () => {
  const services: Service[] = [];
  const servers: Running[] = [];
  let environment: Record<string, string>;

  before(async () => {
    const postgres = await startPostgres();
    services.push(postgres);
    const bouncer = await startPgbouncer(postgres.port);
    services.push(bouncer);
    const redis = await startRedis("redis secret");
    services.push(redis);
    environment = {
      DATABASE_URL: bouncerUrl(bouncer), SESSION_STORE: "redis", REDIS_PASSWORD: "redis secret",
      REDIS_URL: `redis://127.0.0.1:${String(redis.port)}`, TRUST_PROXY: "1",
    };
    for (const SERVER_ID of ["app1", "app2"]) servers.push(await startApplication({ ...environment, SERVER_ID }));
    await until("sessions are ready", async () => {
      const answers = await Promise.all(servers.map((server) => new Client(server.url).call("GET", "/api/health")));
      return answers.every((answer) => answer.body.redis === true);
    });
  });

  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    for (const service of services.reverse()) await service.stop();
  });

  const client = (index: 0 | 1, cookie?: string): Client => new Client(servers[index]?.url ?? "", cookie);

  async function signedIn(index: 0 | 1 = 0): Promise<Client> {
    const made = client(index);
    assert.equal((await made.signIn()).status, 200);
    return made;
  }

  test("the health check names the server and the state of its dependencies", async () => {
    const { status, body, headers } = await client(1).call("GET", "/api/health");
    assert.equal(status, 200);
    assert.deepEqual(body,
      { status: "healthy", server: "app2", version: "1.2.3", database: true, writable: true, redis: true });
    assert.equal(headers.get("X-Served-By"), "app2");
  });

  test("the servers share events and sessions", async () => {
    const one = await signedIn(0);
    const two = client(1, one.cookie);
    assert.deepEqual((await two.call("GET", "/api/session")).body, { user: "admin" });
    const created = await one.call("POST", "/api/events", CONCERT);
    assert.equal(created.status, 201);
    const id = Number(created.body.id);
    assert.equal(created.headers.get("Location"), `/api/events/${String(id)}`);
    const read = await client(1).call("GET", `/api/events/${String(id)}`);
    assert.deepEqual(read.body, created.body);
    assert.equal(read.body.startsAt, "2090-05-17T19:30:00.000Z");
    assert.equal((await two.call("DELETE", `/api/events/${String(id)}`)).status, 204);
    assert.equal((await one.call("GET", `/api/events/${String(id)}`)).status, 404);
    assert.equal((await two.call("DELETE", `/api/events/${String(id)}`)).status, 404);
    assert.equal((await two.call("POST", "/api/logout")).status, 204);
    assert.deepEqual((await one.call("GET", "/api/session")).body, { user: null }, "signed out everywhere");
  });

  test("reads need no session, writes do", async () => {
    const stranger = client(0);
    assert.equal((await stranger.call("GET", "/api/events")).status, 200);
    assert.equal((await stranger.call("POST", "/api/events", CONCERT)).status, 401);
    assert.equal((await stranger.call("DELETE", "/api/events/1")).status, 401);
  });

  test("a wrong password, an unknown name and an unknown session are refused", async () => {
    assert.equal((await client(0).signIn("wrong")).status, 401);
    const unknown = await client(0).call("POST", "/api/login", { username: "nobody", password: PASSWORD });
    assert.equal(unknown.status, 401);
    const forged = client(0, "event-manager.sid=s%3Aabc.def");
    assert.deepEqual((await forged.call("GET", "/api/session")).body, { user: null });
  });

  test("sign-in creates a new session, with a cookie for this site only and not for scripts", async () => {
    const one = await signedIn();
    const before = one.cookie;
    const again = await one.signIn();
    assert.notEqual(one.cookie, before);
    assert.deepEqual((await client(0, before).call("GET", "/api/session")).body, { user: null });
    const cookie = again.headers.get("Set-Cookie") ?? "";
    assert.match(cookie, /; HttpOnly/);
    assert.match(cookie, /; SameSite=Lax/);
    assert.doesNotMatch(cookie, /Secure/);
    const https = await client(0).call("POST", "/api/login", { username: "admin", password: PASSWORD },
      { "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7" });
    assert.match(https.headers.get("Set-Cookie") ?? "", /; Secure/);
  });

  test("a request that another site sends for a visitor is refused", async () => {
    const one = await signedIn();
    const { host, port } = new URL(servers[0]?.url ?? "");
    const from = async (headers: Record<string, string>): Promise<number> =>
      (await one.call("POST", "/api/events", CONCERT, headers)).status;
    assert.equal(await from({ Origin: "https://evil.example" }), 403);
    assert.equal(await from({ Origin: "null" }), 403);
    assert.equal(await from({ Origin: `http://evil.example:${port}` }), 403);
    assert.equal(await from({ "Sec-Fetch-Site": "cross-site" }), 403);
    assert.equal(await from({ "Content-Type": "text/plain" }), 415);
    assert.equal(await from({ Origin: `http://${host}`, "Sec-Fetch-Site": "same-origin" }), 201);
    const deletion = await one.call("DELETE", "/api/events/1", undefined, { Origin: "https://evil.example" });
    assert.equal(deletion.status, 403);
  });

  const INVALID: readonly (readonly [change: Record<string, unknown>, field: string])[] = [
    [{ title: "   " }, "title"], [{ title: "x".repeat(201) }, "title"], [{ title: 7 }, "title"],
    [{ title: "a\u0000b" }, "title"],
    [{ startsAt: "tomorrow" }, "startsAt"], [{ startsAt: "2090-02-30T10:00:00Z" }, "startsAt"],
    [{ startsAt: "2090-05-17T19:30:00" }, "startsAt"], [{ startsAt: "1900-01-01T00:00:00Z" }, "startsAt"],
    [{ place: "x".repeat(201) }, "place"], [{ description: "x".repeat(5001) }, "description"],
    [{ description: "\ud800" }, "description"], [{ owner: "me" }, "owner"],
  ];
  for (const [change, field] of INVALID) {
    test(`an event with ${JSON.stringify(change).slice(0, 50)} is refused, naming the field`, async () => {
      const one = await signedIn();
      const { status, body } = await one.call("POST", "/api/events", { ...CONCERT, ...change });
      assert.equal(status, 400);
      assert.deepEqual(Object.keys(body.fields as object), [field]);
    });
  }

  test("invalid JSON, a body that is too large and an unknown path are answered with an error in JSON", async () => {
    const one = await signedIn();
    assert.equal((await one.call("POST", "/api/events", "{")).body.error, "bad_request");
    assert.equal((await one.call("POST", "/api/events", { title: "x".repeat(40_000) })).status, 413);
    const none = await one.call("GET", "/no/such/page");
    assert.deepEqual([none.status, none.body.error, none.headers.get("X-Served-By")], [404, "not_found", "app1"]);
    for (const id of ["0", "-1", "1e3", "99999999999999999999", "x"]) {
      assert.equal((await one.call("GET", `/api/events/${id}`)).status, 404, id);
    }
  });

  test("an event sent several times with one key, through both servers, is stored once", async () => {
    const one = await signedIn();
    const two = client(1, one.cookie);
    const event = { ...CONCERT, title: "Once only" };
    const key = { "Idempotency-Key": randomUUID() };
    const senders = [one, two, one, two];
    const answers = await Promise.all(senders.map((sender) => sender.call("POST", "/api/events", event, key)));
    assert.deepEqual(answers.map(({ status }) => status), [201, 201, 201, 201]);
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    assert.equal((await one.call("POST", "/api/events", { ...event, title: "Another" }, key)).status, 409);
    assert.equal((await one.call("POST", "/api/events", event, { "Idempotency-Key": "7" })).status, 400);
  });

  test("a repeated event is written again, so that its answer waits for a commit too", async () => {
    const one = await signedIn();
    const event = { ...CONCERT, title: "Again" };
    const key = { "Idempotency-Key": randomUUID() };
    const version = async (): Promise<unknown> => {
      const { rows } = await sql(
        databaseUrl(services[0]?.port ?? 0), "SELECT xmin::text FROM events WHERE title = 'Again'");
      assert.equal(rows.length, 1);
      return rows[0]?.xmin;
    };
    assert.equal((await one.call("POST", "/api/events", event, key)).status, 201);
    const first = await version();
    assert.equal((await one.call("POST", "/api/events", event, key)).status, 201);
    assert.notEqual(await version(), first);
  });

  test("lists are sorted, split into upcoming and past, and paged", async () => {
    const one = await signedIn();
    const starts = [
      "2091-01-03T00:00:00Z", "2091-01-01T00:00:00+02:00", "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z",
    ];
    for (const startsAt of starts) {
      assert.equal((await one.call("POST", "/api/events", { title: "Sorted", startsAt })).status, 201);
    }
    const titles = async (query: string): Promise<unknown[]> => {
      const { body } = await one.call("GET", `/api/events?${query}`);
      const events = body.events as { title: string; startsAt: string }[];
      return events.filter(({ title }) => title === "Sorted").map(({ startsAt }) => startsAt);
    };
    assert.deepEqual(await titles("when=upcoming"), ["2090-12-31T22:00:00.000Z", "2091-01-03T00:00:00.000Z"]);
    assert.deepEqual(await titles("when=past"), ["2002-01-01T00:00:00.000Z", "2001-01-01T00:00:00.000Z"]);
    const all = (await one.call("GET", "/api/events")).body as { events: unknown[]; total: number };
    assert.ok(all.total >= 4);
    const page = (await one.call("GET", "/api/events?limit=1&offset=2")).body;
    assert.deepEqual(page, { events: all.events.slice(2, 3), total: all.total });
    for (const query of ["limit=0", "limit=501", "limit=x", "offset=-1", "when=never", "sort=title"]) {
      assert.equal((await one.call("GET", `/api/events?${query}`)).status, 400, query);
    }
  });

  test("the server has all files of the page, and the page loads nothing from other hosts", async () => {
    const page = await client(0).call("GET", "/");
    assert.equal(page.status, 200);
    assert.match(page.headers.get("Content-Security-Policy") ?? "", /default-src 'self'/);
    const html = String(page.body.text);
    assert.doesNotMatch(html, /(src|href)="(https?:)?\/\//);
    const paths = new Set([...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? ""));
    assert.deepEqual([...paths].sort(), ["favicon.svg", "main.js", "style.css"]);
    for (const path of paths) {
      const part = await client(0).call("GET", `/${path}`);
      assert.equal(part.status, 200, path);
      const etag = part.headers.get("ETag") ?? "";
      // By default fetch sends no-cache, and never gets a 304.
      const known = { "If-None-Match": etag, "Cache-Control": "max-age=0" };
      assert.equal((await client(0).call("GET", `/${path}`, undefined, known)).status, 304, path);
    }
  });

  test("metrics are for direct callers, not for callers behind the load balancer", async () => {
    const direct = await client(0).call("GET", "/metrics");
    const text = String(direct.body.text);
    for (const line of [
      /^http_request_duration_seconds_count\{method="GET",route="\/api\/events\/",status="200"\} \d+$/m,
      /^database_pool_connections\{state="idle"\} \d+$/m, /^redis_connected 1$/m, /^draining 0$/m,
      /^event_manager_info\{server="app1",version="1.2.3"\} 1$/m, /^process_cpu_seconds_total /m]) {
      assert.match(text, line);
    }
    const forwarded = await client(0).call("GET", "/metrics", undefined, { "X-Forwarded-For": "198.51.100.7" });
    assert.equal(forwarded.status, 404);
  });

  test("wrong passwords are rate limited", async () => {
    const guess = (): Promise<{ status: number }> =>
      client(0).call("POST", "/api/login", { username: "victim", password: "guess" });
    for (let tries = 0; tries < 10; tries += 1) assert.equal((await guess()).status, 401);
    assert.equal((await guess()).status, 429);
  });

  test("a new password in the environment replaces the old one", async () => {
    const changed = await startApplication({ ...environment, SERVER_ID: "app3", ADMIN_PASSWORD: "another password" });
    try {
      assert.equal((await client(0).signIn()).status, 401);
      assert.equal((await client(0).signIn("another password")).status, 200);
    } finally {
      await changed.stop();
      await (await startApplication({ ...environment, SERVER_ID: "app3" })).stop();
    }
    assert.equal((await client(0).signIn()).status, 200);
  });
});
