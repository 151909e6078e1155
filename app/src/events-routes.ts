/** /api/events: anyone may read, who is signed in may create and delete. */
import { randomUUID } from "node:crypto";
import { type Request, Router } from "express";
import { z } from "zod";
import { type Events, listQuery, newEvent } from "./events.js";
import { HttpError } from "./errors.js";
import { requireUser, type Sessions } from "./sessions.js";
import { parseBody, parseQuery } from "./validation.js";
import { visitOf } from "./visit.js";

const requestKey = z.uuid();

export function eventRoutes(events: Events, sessions: Sessions): Router {
  const router = Router();

  router.get("/", async (req, res) => {
    res.json(await events.list(parseQuery(listQuery, req.query), visitOf(req, res)));
  });

  router.get("/:id", async (req, res) => {
    const event = await events.get(idOf(req), visitOf(req, res));
    if (!event) throw noSuchEvent();
    res.json(event);
  });

  router.post("/", sessions.middleware, requireUser, async (req, res) => {
    const event = await events.create(parseBody(newEvent, req.body), req.session.user ?? "", keyOf(req), visitOf(req, res));
    res.status(201).location(`/api/events/${String(event.id)}`).json(event);
  });

  router.delete("/:id", sessions.middleware, requireUser, async (req, res) => {
    if (!await events.delete(idOf(req), visitOf(req, res))) throw noSuchEvent();
    res.status(204).end();
  });

  return router;
}

function noSuchEvent(): HttpError {
  return new HttpError(404, "no_such_event", "There is no such event. It may have been deleted.");
}

function idOf(req: Request): number {
  const id = req.params.id;
  if (typeof id !== "string" || !/^[1-9]\d{0,14}$/.test(id)) throw noSuchEvent();
  return Number(id);
}

/** The caller's key; without one, a key that makes this server's own second try harmless. */
function keyOf(req: Request): string {
  const given = req.get("Idempotency-Key");
  if (given === undefined) return randomUUID();
  if (!requestKey.safeParse(given).success) {
    throw new HttpError(400, "invalid", "The Idempotency-Key must be a UUID.", { "Idempotency-Key": "Must be a UUID." });
  }
  return given;
}
