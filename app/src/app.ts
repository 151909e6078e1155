/** The Express application: what answers which path, and in which order a request passes what. */
import express, { type Express, Router } from "express";
import helmet from "helmet";
import { assetRoutes } from "./assets.js";
import { authRoutes } from "./auth.js";
import type { Database } from "./database.js";
import { errorHandler } from "./error-handler.js";
import { HttpError } from "./errors.js";
import { Events } from "./events.js";
import { eventRoutes } from "./events-routes.js";
import { healthRoute } from "./health.js";
import type { Lifecycle } from "./lifecycle.js";
import type { Log } from "./log.js";
import { Metrics } from "./metrics.js";
import { sameOriginOnly } from "./origin.js";
import { requestLog } from "./request-log.js";
import type { Sessions } from "./sessions.js";

/** A description may have 5000 characters of up to four bytes each. */
const BODY_LIMIT = "32kb";

export interface AppParts {
  readonly serverId: string;
  readonly version: string;
  readonly trustedProxies: number;
  readonly database: Database;
  readonly sessions: Sessions;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
  readonly publicFolder: string;
}

export function createApp(parts: AppParts): Express {
  const { serverId, version, database, sessions, lifecycle, log } = parts;
  const { redisState } = sessions;
  const metrics = new Metrics({ serverId, version, lifecycle, poolCounts: () => database.counts(), redisState });
  const app = express();
  app.disable("x-powered-by");
  app.set("query parser", "simple");
  app.set("trust proxy", parts.trustedProxies === 0 ? false : parts.trustedProxies);

  app.use((_req, res, next) => {
    res.set("X-Served-By", serverId);
    next();
  });
  app.use(metrics.measure, requestLog(log), securityHeaders());
  app.get("/api/health", healthRoute({ serverId, version, lifecycle, probe: () => database.probe(), redisState }));
  app.get("/metrics", metrics.route);
  app.use("/api", apiRoutes(database, sessions, lifecycle));
  app.use(assetRoutes(parts.publicFolder));
  app.use(() => {
    throw new HttpError(404, "not_found", "There is nothing at this address.");
  });
  app.use(errorHandler(log));
  return app;
}

function apiRoutes(database: Database, sessions: Sessions, lifecycle: Lifecycle): Router {
  const api = Router();
  api.use((_req, res, next) => {
    res.set("Cache-Control", "no-store");
    if (lifecycle.phase === "starting") throw new HttpError(503, "starting", "This server is still starting.");
    next();
  });
  api.use(sameOriginOnly, express.json({ limit: BODY_LIMIT }));
  api.use(authRoutes(database, sessions));
  api.use("/events", eventRoutes(new Events(database), sessions));
  return api;
}

/**
 * HTTPS-only headers (Strict-Transport-Security, upgrade-insecure-requests, the cross-origin opener policy) are the load
 * balancer's: it alone knows whether the site is served by HTTPS with a certificate that browsers trust.
 */
function securityHeaders() {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        objectSrc: ["'none'"],
      },
    },
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xFrameOptions: { action: "deny" },
  });
}
