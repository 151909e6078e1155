/** Who waits for an answer: since when, and whether still. */
import type { Request, Response } from "express";

export interface Visit {
  /** Milliseconds of Unix time. */
  readonly since: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
}

/**
 * The load balancer says in `X-Request-Start: t=MILLISECONDS` when a request came to it, so that one of which it asked another
 * server before is not taken for a new one.
 */
export function visitOf(req: Request, res: Response): Visit {
  const start = /^t=(\d{13})$/.exec(req.get("X-Request-Start") ?? "")?.[1];
  return { since: start === undefined ? Date.now() : Number(start), gone: goneSignal(res) };
}

/** Aborted when the connection of a request ends before its answer, as when a load balancer asks another server. */
function goneSignal(res: Response): AbortSignal {
  const gone = new AbortController();
  if (res.closed) gone.abort();
  else res.once("close", () => { gone.abort(); });
  return gone.signal;
}
