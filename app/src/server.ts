/** Starts and stops the server with all its parts. */
import { createServer as createHttpServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createApp } from "./app.js";
import type { Config } from "./config.js";
import { Database } from "./database.js";
import { Drain } from "./drain.js";
import { Lifecycle } from "./lifecycle.js";
import type { Log } from "./log.js";
import { createSessions } from "./sessions.js";
import { prepare } from "./startup.js";
import { createTlsServer, watchCertificate } from "./tls.js";

/** Longer than any load balancer keeps an idle connection: it must close first, or it sends a request on a closed one. */
const KEEP_ALIVE_MS = 65_000;
const REQUEST_TIMEOUT_MS = 30_000;
const LAST_WAIT_MS = 2000;

export interface Running {
  readonly url: string;
  /** Resolves when the server is ready to serve; rejects on an error that a retry cannot fix. */
  readonly ready: Promise<void>;
  readonly reloadCertificate: () => void;
  /** Drains and releases everything. @returns how many requests had to be cut off. */
  readonly stop: () => Promise<number>;
}

/**
 * @param root the folder that holds migrations/ and public/
 * @throws ConfigError for a certificate that cannot be used; the system's error when the address cannot be listened on.
 */
export async function start(config: Config, log: Log, root: string, version: string): Promise<Running> {
  const lifecycle = new Lifecycle();
  const database = new Database(config.database, log, config.serverId);
  const sessions = createSessions(config.sessions, log);
  const app = createApp({
    serverId: config.serverId,
    version,
    trustedProxies: config.trustedProxies,
    database,
    sessions,
    lifecycle,
    log,
    publicFolder: join(root, "public"),
  });
  const tlsServer = config.tls && createTlsServer(config.tls, app);
  const server: Server = tlsServer ?? createHttpServer(app);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 1000;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  const drain = new Drain(server, lifecycle, log);
  await listen(server, config.host, config.port);
  const certificate = config.tls && tlsServer && watchCertificate(tlsServer, config.tls, log);
  const url = addressOf(server, tlsServer !== undefined);
  log.info("listening", { url, version });

  const ready = prepare({ database, lifecycle, log, admin: config.admin, migrationsFolder: join(root, "migrations") })
    .then(() => { if (lifecycle.phase === "serving") log.info("serving"); });
  return {
    url,
    ready,
    reloadCertificate: () => { certificate?.reload(); },
    stop: async () => {
      const cut = await drain.run(config.drain);
      certificate?.end();
      sessions.end();
      // A statement that hangs must not block the exit.
      await Promise.race([database.end(), sleep(LAST_WAIT_MS)]);
      return cut;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function addressOf(server: Server, tls: boolean): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `${tls ? "https" : "http"}://${family === "IPv6" ? `[${address}]` : address}:${String(port)}`;
}
