/** Sessions shared by all servers through Redis, and what a request sees of them. */
import { RedisStore } from "connect-redis";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import session, { MemoryStore } from "express-session";
import type { SessionConfig } from "./config.js";
import { HttpError, Unavailable } from "./errors.js";
import type { Log } from "./log.js";
import { RedisLink } from "./redis-link.js";

declare module "express-session" {
  interface SessionData {
    user: string;
  }
}

export const SESSION_COOKIE = "event-manager.sid";

export interface Sessions {
  /** For the routes that need to know who asks. All others work without Redis, whatever cookie they are sent. */
  readonly middleware: RequestHandler;
  /** undefined: there is no Redis to speak of, sessions are kept in this process. */
  readonly redisReady: () => boolean | undefined;
  readonly end: () => void;
}

export function createSessions(config: SessionConfig, log: Log): Sessions {
  const link = config.redis && new RedisLink(config.redis, log);
  const sessions = session({
    name: SESSION_COOKIE,
    secret: config.secret,
    store: link ? new RedisStore({ client: storeCommands(link), prefix: "session:" }) : new MemoryStore(),
    resave: false,
    saveUninitialized: false,
    // What 'secure: auto' means to be. The library's own takes a connection from the load balancer that is encrypted for
    // one from the browser; Express asks X-Forwarded-Proto of a trusted proxy first.
    cookie: (req) => ({ httpOnly: true, sameSite: "lax", secure: req.secure, maxAge: config.lifetimeMs, path: "/" }),
  });
  return {
    middleware: (req, res, next) => {
      if (link?.ready === false) {
        next(new Unavailable("sessions", "redis is not connected"));
        return;
      }
      sessions(req, res, (error?: unknown) => {
        next(error === undefined ? undefined : new Unavailable("sessions", error));
      });
    },
    redisReady: () => link?.ready,
    end: () => { link?.end(); },
  };
}

/** The few commands that connect-redis uses, each within the link's time limit. */
function storeCommands(link: RedisLink) {
  return {
    get: (key: string) => link.command((client) => client.get(key)),
    set: (key: string, value: string, options: { expiration: { type: "EX"; value: number } }) =>
      link.command((client) => client.set(key, value, options)),
    expire: (key: string, seconds: number) => link.command((client) => client.expire(key, seconds)),
    del: (keys: string[]) => link.command((client) => client.del(keys)),
  };
}

/** A new session identifier at sign-in, so that one planted in the browser beforehand is worth nothing. */
export async function startSession(req: Request, user: string): Promise<void> {
  await settled((done) => { req.session.regenerate(done); });
  req.session.user = user;
  await settled((done) => { req.session.save(done); });
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
