/** Certificates: the one that is shown to callers and renewed in place, and the one that Redis must show. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { request } from "node:https";
import { after, describe, test } from "node:test";
import { TLSSocket } from "node:tls";
import { Client, startApplication } from "./support/application.js";
import { Authority, opensslMissing } from "./support/certificates.js";
import { ApplicationProcess } from "./support/process.js";
import { databaseUrl, missing, type RedisTls, type Service, startPostgres, startRedis, until } from "./support/services.js";

/** @returns the health check's status and the serial number of the certificate that was shown */
function visit(url: string, ca: string): Promise<{ status: number | undefined; serial: string; server: string | undefined }> {
  return new Promise((resolve, reject) => {
    request(`${url}/api/health`, { ca, agent: false }, (response) => {
      assert.ok(response.socket instanceof TLSSocket);
      const { serialNumber } = response.socket.getPeerCertificate();
      response.resume();
      const server = response.headers["x-served-by"];
      response.once("end", () => {
        resolve({ status: response.statusCode, serial: serialNumber, server: typeof server === "string" ? server : undefined });
      });
    }).once("error", reject).end();
  });
}

describe("TLS", { skip: missing("postgres", "redis") || opensslMissing }, () => {
  const authority = opensslMissing === false ? new Authority() : undefined;
  const services: Service[] = [];
  after(async () => {
    for (const service of services) await service.stop();
    authority?.remove();
  });

  test("a renewed certificate is used after SIGHUP, and a broken one is not", async () => {
    assert.ok(authority);
    const postgres = await startPostgres();
    services.push(postgres);
    const current = authority.issue("current", "IP:127.0.0.1");
    const renewed = authority.issue("renewed", "IP:127.0.0.1");
    const server = new ApplicationProcess({
      DATABASE_URL: databaseUrl(postgres.port), TLS_CERT_FILE: current.certificateFile, TLS_KEY_FILE: current.keyFile,
    });
    try {
      await server.logged("serving");
      const first = await visit(server.url, authority.certificate);
      assert.deepEqual([first.status, first.server], [200, "app1"]);
      copyFileSync(renewed.certificateFile, current.certificateFile);
      server.kill("SIGHUP");
      await server.logged("the new certificate cannot be used, keeping the old one");
      assert.equal((await visit(server.url, authority.certificate)).serial, first.serial, "key and certificate do not match");
      copyFileSync(renewed.keyFile, current.keyFile);
      server.kill("SIGHUP");
      await server.logged("certificate loaded");
      const second = await visit(server.url, authority.certificate);
      assert.equal(second.status, 200);
      assert.notEqual(second.serial, first.serial);
    } finally {
      server.kill("SIGTERM");
      assert.equal(await server.end(), 0);
    }
  });

  test("a certificate that is none is refused at start, by name, with status 2", async () => {
    const files = { TLS_CERT_FILE: "/dev/null", TLS_KEY_FILE: "/dev/null" };
    const server = new ApplicationProcess({ DATABASE_URL: databaseUrl(1), ...files });
    assert.equal(await server.end(), 2);
    assert.match(server.errors, /^event-manager: TLS_CERT_FILE and TLS_KEY_FILE cannot be used: .*\n$/);
  });

  test("Redis must show a certificate of the right authority and for the name that was asked for", async () => {
    assert.ok(authority);
    const url = databaseUrl(services[0]?.port ?? 0);
    const other = new Authority();
    try {
      const shown = authority.issue("localhost", "DNS:localhost");
      const tls: RedisTls = { ...shown, authority: authority.certificate };
      const redis = await startRedis("pw", tls);
      services.push(redis);
      const tries: readonly (readonly [host: string, ca: string, ready: boolean])[] = [
        ["localhost", authority.certificateFile, true],
        ["127.0.0.1", authority.certificateFile, false],
        ["localhost", other.certificateFile, false],
      ];
      for (const [host, REDIS_CA_FILE, ready] of tries) {
        const server = await startApplication({
          DATABASE_URL: url,
          SESSION_STORE: "redis",
          REDIS_PASSWORD: "pw",
          REDIS_CA_FILE,
          REDIS_URL: `rediss://${host}:${String(redis.port)}`,
        });
        const client = new Client(server.url);
        const connected = async (): Promise<boolean> => (await client.call("GET", "/api/health")).body.redis === true;
        try {
          if (ready) {
            await until("redis is ready", connected, 3000);
            assert.equal((await client.signIn()).status, 200);
          } else {
            const accepted = until("redis is ready", connected, 1000);
            await assert.rejects(accepted, /not within/);
            assert.equal((await client.signIn()).status, 503);
          }
        } finally {
          await server.stop();
        }
      }
    } finally {
      other.remove();
    }
  });
});
