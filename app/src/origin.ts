/**
 * Refuses cross-site requests (CSRF). Browsers send the origin of a request that changes something (Origin, Sec-Fetch-Site), and
 * do not let another site's form send JSON. Programs send neither, and have no visitor's cookie. The session cookie is also
 * SameSite=Lax.
 */
import type { NextFunction, Request, Response } from "express";
import { HttpError } from "./errors.js";

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

export function sameOriginOnly(req: Request, _res: Response, next: NextFunction): void {
  if (SAFE_METHODS.has(req.method)) {
    next();
    return;
  }
  const problem = foreignOrigin(req) ? new HttpError(403, "foreign_origin", "This request came from another site.")
    : bodyIsNotJson(req) ? new HttpError(415, "not_json", "Send the body as application/json.")
    : undefined;
  next(problem);
}

function foreignOrigin(req: Request): boolean {
  const site = req.get("Sec-Fetch-Site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const origin = req.get("Origin");
  if (origin === undefined) return false;
  // 'null' (a sandboxed frame, a file) is no address, so never this site's. Parsing both removes a default port from either.
  if (!URL.canParse(origin)) return true;
  const { host, protocol } = new URL(origin);
  const own = `${protocol}//${req.get("Host") ?? ""}`;
  return !URL.canParse(own) || new URL(own).host !== host;
}

function bodyIsNotJson(req: Request): boolean {
  const empty = req.get("Transfer-Encoding") === undefined && (req.get("Content-Length") ?? "0") === "0";
  return !empty && req.is("application/json") === false;
}
