/**
 * The page and its parts, read once at start. Express makes the ETag from the bytes: one made from a file's date and size,
 * as for files on disk, would be the same for two releases, whose files all carry the same date.
 */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { Router } from "express";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

export function assetRoutes(folder: string): Router {
  const router = Router();
  for (const name of readdirSync(folder)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(join(folder, name));
    router.get(name === "index.html" ? "/" : `/${name}`, (_req, res) => {
      res.type(type).set("Cache-Control", "no-cache").send(body);
    });
  }
  return router;
}
