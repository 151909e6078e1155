/** POST /api/login, POST /api/logout, GET /api/session. */
import { Router } from "express";
import { z } from "zod";
import type { Database } from "./database.js";
import { HttpError } from "./errors.js";
import { LoginLimit } from "./login-limit.js";
import { endSession, SESSION_COOKIE, startSession, type Sessions } from "./sessions.js";
import { checkCredentials } from "./users.js";
import { parseBody } from "./validation.js";

const credentials = z.strictObject({
  username: z.string("Give a user name.").min(1, "Give a user name.").max(64, "At most 64 characters."),
  password: z.string("Give a password.").min(1, "Give a password.").max(1024, "At most 1024 characters."),
});

export function authRoutes(database: Database, sessions: Sessions): Router {
  const router = Router();
  const limit = new LoginLimit();

  router.post("/login", sessions.middleware, async (req, res) => {
    const { username, password } = parseBody(credentials, req.body);
    const address = req.ip ?? "";
    const wait = limit.waitSeconds(address, username);
    if (wait > 0) {
      res.set("Retry-After", String(wait));
      throw new HttpError(429, "too_many_tries", `Too many wrong passwords. Try again in ${String(wait)} s.`);
    }
    if (!await checkCredentials(database, username, password)) {
      limit.failed(address, username);
      throw new HttpError(401, "wrong_credentials", "The user name or the password is wrong.");
    }
    limit.succeeded(address, username);
    await startSession(req, username);
    res.json({ user: username });
  });

  router.post("/logout", sessions.middleware, async (req, res) => {
    await endSession(req);
    res.clearCookie(SESSION_COOKIE, { path: "/", httpOnly: true, sameSite: "lax" }).status(204).end();
  });

  router.get("/session", sessions.middleware, (req, res) => {
    res.json({ user: req.session.user ?? null });
  });

  return router;
}
