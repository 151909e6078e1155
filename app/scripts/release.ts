/** Makes build/<name>-<version>.tar.gz: what a server needs to run, and nothing else. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pack } from "./pack.js";

const APP = fileURLToPath(new URL("..", import.meta.url));
const BUILD = join(APP, "build");
const STAGE = join(BUILD, "stage");
const PARTS = ["package.json", "package-lock.json", ".npmrc", "dist", "public", "migrations"];
/** Links for a shell, npm's notes of what it did here, and how to reach a package source: nothing that runs. */
const NOT_SHIPPED = ["node_modules/.bin", "node_modules/.package-lock.json", ".npmrc"];

const { name, version } = JSON.parse(readFileSync(join(APP, "package.json"), "utf8")) as { name: string; version: string };
const top = `${name}-${version}`;
const folder = join(STAGE, top);
rmSync(STAGE, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const part of PARTS) cpSync(join(APP, part), join(folder, part), { recursive: true });
execFileSync("npm", ["ci", "--omit=dev", "--prefer-offline"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
for (const left of NOT_SHIPPED) rmSync(join(folder, left), { recursive: true, force: true });
const packed = pack(STAGE, top);
writeFileSync(join(BUILD, `${top}.tar.gz`), packed);
rmSync(STAGE, { recursive: true });
const sha256 = createHash("sha256").update(packed).digest("hex");
process.stdout.write(`build/${top}.tar.gz  ${String(packed.length)} bytes  sha256 ${sha256}\n`);
