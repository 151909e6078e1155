/** Sessions, shared by all servers through Redis, and their middleware. */
import { RedisStore } from "connect-redis";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import session, { MemoryStore } from "express-session";
import type { SessionConfig } from "./config.js";
import { HttpError, Unavailable } from "./errors.js";
import type { Log } from "./log.js";
import { RedisLink, type RedisState } from "./redis-link.js";
import { visitOf } from "./visit.js";

declare module "express-session" {
  interface SessionData {
    user: string;
  }
}

export const SESSION_COOKIE = "event-manager.sid";

export interface Sessions {
  /** For routes that need the signed-in user. All others work without Redis, even with a session cookie. */
  readonly middleware: RequestHandler;
  /** undefined: sessions are kept in this process, there is no Redis. */
  readonly redisState: () => RedisState | undefined;
  readonly end: () => void;
}

export function createSessions(config: SessionConfig, log: Log): Sessions {
  const link = config.redis && new RedisLink(config.redis, log);
  const sessions = session({
    name: SESSION_COOKIE,
    secret: config.secret,
    store: link ? new RedisStore({ client: storeCommands(link, log), prefix: "session:" }) : new MemoryStore(),
    resave: false,
    saveUninitialized: false,
    // Not the library's 'auto': it looks at the connection, which comes from the load balancer and is always encrypted.
    // Express reads X-Forwarded-Proto of a trusted proxy first.
    cookie: (req) => ({ httpOnly: true, sameSite: "lax", secure: req.secure, maxAge: config.lifetimeMs, path: "/" }),
  });
  return {
    middleware: (req, res, next) => {
      if (link?.state === "failed") {
        next(new Unavailable("sessions", "redis is not connected"));
        return;
      }
      const { disconnected } = visitOf(req, res);
      sessions(req, res, (error?: unknown) => {
        if (error !== undefined) next(new Unavailable("sessions", error));
        // A request that waited until its caller disconnected may have been sent to another server: it changes nothing here.
        else if (disconnected.aborted) next(new Unavailable("sessions", "the caller has disconnected"));
        else next();
      });
    },
    redisState: () => link?.state,
    end: () => { link?.end(); },
  };
}

/** The few commands that connect-redis uses. All of them are idempotent, as the link may run them again. */
function storeCommands(link: RedisLink, log: Log) {
  return {
    get: (key: string) => link.command((client) => client.get(key)),
    set: (key: string, value: string, options: { expiration: { type: "EX"; value: number } }) =>
      link.command((client) => client.set(key, value, options)),
    // Each request extends its session, and the library delays the end of the answer until then. Without waiting: a session
    // whose extension is lost is extended by the next request.
    expire: (key: string, seconds: number) => {
      link.command((client) => client.expire(key, seconds))
        .catch((error: unknown) => { log.debug("session not extended", { error }); });
      return Promise.resolve();
    },
    del: (keys: string[]) => link.command((client) => client.del(keys)),
  };
}

/** A new session identifier at sign-in, so that one that an attacker set before is of no use (session fixation). */
export async function startSession(req: Request, user: string): Promise<void> {
  try {
    await settled((done) => { req.session.regenerate(done); });
    req.session.user = user;
    await settled((done) => { req.session.save(done); });
  } catch (error) {
    // Or the library would send a cookie for it with the error, after it had tried to store it once more.
    delete (req as Partial<Request>).session;
    throw error;
  }
}

export async function endSession(req: Request): Promise<void> {
  await settled((done) => { req.session.destroy(done); });
}

export function requireUser(req: Request, _res: Response, next: NextFunction): void {
  next(req.session.user === undefined ? new HttpError(401, "sign_in", "Sign in first.") : undefined);
}

function settled(run: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => {
      if (error === undefined || error === null) resolve();
      else reject(new Unavailable("sessions", error));
    });
  });
}
