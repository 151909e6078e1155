/** A request that waits for its answer: since when, and whether its caller is still connected. */
import type { Request, Response } from "express";

export interface Visit {
  /** Milliseconds of Unix time. */
  readonly since: number;
  /** Aborted when the caller has disconnected. */
  readonly disconnected: AbortSignal;
}

/**
 * The load balancer's `X-Request-Start: t=MILLISECONDS` is the time at which it received a request, so that a retry of one that
 * it sent to another server before does not count as new.
 */
export function visitOf(req: Request, res: Response): Visit {
  const start = /^t=(\d{13})$/.exec(req.get("X-Request-Start") ?? "")?.[1];
  return { since: start === undefined ? Date.now() : Number(start), disconnected: disconnection(res) };
}

/** Aborted when a request's connection ends before its answer, as when a load balancer retries it on another server. */
function disconnection(res: Response): AbortSignal {
  const controller = new AbortController();
  if (res.closed) controller.abort();
  else res.once("close", () => { controller.abort(); });
  return controller.signal;
}
