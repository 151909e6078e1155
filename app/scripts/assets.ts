/** Copies the parts of the page that need no compiling from web/ to public/. */
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WEB = fileURLToPath(new URL("../web", import.meta.url));
const PUBLIC = fileURLToPath(new URL("../public", import.meta.url));

mkdirSync(PUBLIC, { recursive: true });
for (const name of readdirSync(WEB)) {
  if ([".html", ".css", ".svg"].includes(extname(name))) cpSync(join(WEB, name), join(PUBLIC, name));
}
