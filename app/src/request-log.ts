/** One line for each request that changed something, failed or was slow; every request at level debug. */
import type { NextFunction, Request, RequestHandler, Response } from "express";
import type { Log } from "./log.js";

const SLOW_MS = 1000;

export function requestLog(log: Log): RequestHandler {
  return (req: Request, res: Response, next: NextFunction) => {
    const start = performance.now();
    const { method, path } = req;
    res.once("close", () => {
      const ms = Math.round(performance.now() - start);
      const fields = { method, path, status: res.statusCode, ms, ...(!res.writableFinished && { aborted: true }) };
      const reading = method === "GET" || method === "HEAD";
      // The health check fails once or more a second while the database is not available, which is logged elsewhere, once.
      const failed = res.statusCode >= 500 && path !== "/api/health";
      if (failed || !reading || ms >= SLOW_MS) log.info("request", fields);
      else log.debug("request", fields);
    });
    next();
  };
}
