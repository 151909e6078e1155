/** The last stop of every request that failed: JSON for the caller, details for the log only. */
import type { ErrorRequestHandler } from "express";
import { HttpError, isCallerError, Unavailable } from "./errors.js";
import type { Log } from "./log.js";

const RETRY_AFTER_S = "2";

export function errorHandler(log: Log): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const known = toHttpError(error);
    if (known instanceof Unavailable) log.debug("unavailable", { dependency: known.dependency, cause: known.cause });
    else if (known.status >= 500) {
      log.error("request failed", { method: req.method, path: req.path, error, stack: stackOf(error) });
    }
    // A session that could not be saved is reported after the answer has left: nothing more to say to the caller.
    if (res.headersSent) return;
    if (known.status === 503) res.set("Retry-After", RETRY_AFTER_S);
    const { status, code, message, fields } = known;
    res.status(status).json({ error: code, message, ...(fields && { fields }) });
  };
}

function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (isCallerError(error)) return new HttpError(error.status, "bad_request", callerMessage(error.status));
  return new HttpError(500, "internal", "Something went wrong on the server.");
}

function callerMessage(status: number): string {
  return status === 413 ? "The request is too large." : "The request cannot be understood.";
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
