/** Certificates: the server's own, renewed while it runs, and the one that Redis presents. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { request } from "node:https";
import { after, before, describe, test } from "node:test";
import { TLSSocket } from "node:tls";
import { Client, startApplication } from "./support/application.js";
import { Authority, opensslMissing } from "./support/certificates.js";
import { ApplicationProcess } from "./support/process.js";
import { RecordedLog } from "./support/recorded-log.js";
import { databaseUrl, missing, type Service, startPostgres, startRedis } from "./support/services.js";

/** Well below the 10 s after which the server itself checks the files for a change. */
const AT_ONCE_MS = 4000;

/** @returns status and server of the health check, and the serial number of the server's certificate */
function checkHealth(url: string, ca: string): Promise<{ status: number; serial: string; server: unknown }> {
  return new Promise((resolve, reject) => {
    request(`${url}/api/health`, { ca, agent: false }, (response) => {
      assert.ok(response.socket instanceof TLSSocket);
      const { serialNumber } = response.socket.getPeerCertificate();
      response.resume();
      const { statusCode = 0, headers } = response;
      response.once("end", () => {
        resolve({ status: statusCode, serial: serialNumber, server: headers["x-served-by"] });
      });
    }).once("error", reject).end();
  });
}

describe("TLS", { skip: missing("postgres", "redis") || opensslMissing }, () => {
  const authority = opensslMissing === false ? new Authority() : undefined;
  let postgres: Service;
  before(async () => {
    postgres = await startPostgres();
  });
  after(async () => {
    await postgres.stop();
    authority?.remove();
  });

  test("after SIGHUP a renewed certificate is used, an invalid one is not", async () => {
    assert.ok(authority);
    const current = authority.issue("current", "IP:127.0.0.1");
    const renewed = authority.issue("renewed", "IP:127.0.0.1");
    const server = new ApplicationProcess({
      DATABASE_URL: databaseUrl(postgres.port), TLS_CERT_FILE: current.certificateFile, TLS_KEY_FILE: current.keyFile,
    });
    try {
      await server.logged("serving");
      const first = await checkHealth(server.url, authority.certificate);
      assert.deepEqual([first.status, first.server], [200, "app1"]);
      copyFileSync(renewed.certificateFile, current.certificateFile);
      server.kill("SIGHUP");
      await server.logged("the new certificate cannot be used, keeping the old one", AT_ONCE_MS);
      const unchanged = await checkHealth(server.url, authority.certificate);
      assert.equal(unchanged.serial, first.serial, "the new certificate does not belong to the key");
      copyFileSync(renewed.keyFile, current.keyFile);
      server.kill("SIGHUP");
      await server.logged("certificate loaded", AT_ONCE_MS);
      const second = await checkHealth(server.url, authority.certificate);
      assert.equal(second.status, 200);
      assert.notEqual(second.serial, first.serial);
    } finally {
      server.kill("SIGTERM");
      assert.equal(await server.end(), 0);
    }
  });

  test("an invalid certificate at start: exit status 2 and a message that names the variables", async () => {
    const files = { TLS_CERT_FILE: "/dev/null", TLS_KEY_FILE: "/dev/null" };
    const server = new ApplicationProcess({ DATABASE_URL: databaseUrl(1), ...files });
    assert.equal(await server.end(), 2);
    assert.match(server.errors, /^event-manager: TLS_CERT_FILE and TLS_KEY_FILE cannot be used: .*\n$/);
  });

  test("Redis must present a certificate of the configured authority and for its host name", async () => {
    assert.ok(authority);
    const other = new Authority();
    const certificate = authority.issue("localhost", "DNS:localhost");
    const redis = await startRedis("pw", { ...certificate, authority: authority.certificate });
    try {
      const tries: readonly (readonly [host: string, ca: string, refused?: RegExp])[] = [
        ["localhost", authority.certificateFile],
        ["127.0.0.1", authority.certificateFile, /ERR_TLS_CERT_ALTNAME_INVALID/],
        ["localhost", other.certificateFile, /UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
      ];
      for (const [host, REDIS_CA_FILE, refused] of tries) {
        const log = new RecordedLog();
        const server = await startApplication({
          DATABASE_URL: databaseUrl(postgres.port),
          SESSION_STORE: "redis",
          REDIS_PASSWORD: "pw",
          REDIS_RETRY_MS: "1000",
          REDIS_CA_FILE,
          REDIS_URL: `rediss://${host}:${String(redis.port)}`,
        }, log);
        const client = new Client(server.url);
        try {
          await log.logged(refused ? "redis connection failed" : "redis connected");
          if (refused) assert.match(String(log.find("redis connection failed")?.error), refused);
          assert.equal((await client.call("GET", "/api/health")).body.redis, refused === undefined);
          assert.equal((await client.signIn()).status, refused ? 503 : 200);
        } finally {
          await server.stop();
        }
      }
    } finally {
      await redis.stop();
      other.remove();
    }
  });
});
