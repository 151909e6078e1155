/**
 * Packs build/event-manager-<version>.tar.gz: what a server needs to run, nothing else, and the same bytes for the same
 * source (sorted names, one date, one owner, modes without the umask, no name or date in the gzip header).
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const APP = fileURLToPath(new URL("..", import.meta.url));
const BUILD = join(APP, "build");
const STAGE = join(BUILD, "stage");
const PARTS = ["package.json", "package-lock.json", ".npmrc", "dist", "public", "migrations"];
/** Files that only those who develop against a package read; a third of the release otherwise. */
const NEVER_RUN = ["*.d.ts", "*.d.mts", "*.d.cts", "*.map", "*.md", "*.markdown", "node_modules/zod/src"];
/** GNU tar wants a date; this one is the earliest that a zip or FAT tool can also show. */
const MTIME = "1980-01-01 00:00:00 UTC";

function run(command: string, args: readonly string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "inherit"] });
}

function main(): void {
  const { name, version } = JSON.parse(readFileSync(join(APP, "package.json"), "utf8")) as { name: string; version: string };
  const top = `${name}-${version}`;
  const folder = join(STAGE, top);
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const part of PARTS) cpSync(join(APP, part), join(folder, part), { recursive: true });
  run("npm", ["ci", "--omit=dev", "--prefer-offline"], folder);
  // Links for a shell, and npm's own notes of what it did here.
  for (const left of ["node_modules/.bin", "node_modules/.package-lock.json", ".npmrc"]) {
    rmSync(join(folder, left), { recursive: true, force: true });
  }
  const tar = join(BUILD, `${top}.tar`);
  run("tar", [
    "--create", `--file=${tar}`, "--format=gnu", "--sort=name", `--mtime=${MTIME}`, "--owner=0", "--group=0",
    "--numeric-owner", "--mode=u=rwX,go=rX", ...NEVER_RUN.map((pattern) => `--exclude=${pattern}`), top,
  ], STAGE);
  // zlib writes neither name nor date into the header.
  const packed = gzipSync(readFileSync(tar), { level: 9 });
  const target = `${tar}.gz`;
  writeFileSync(target, packed);
  rmSync(tar);
  rmSync(STAGE, { recursive: true });
  const sha256 = createHash("sha256").update(packed).digest("hex");
  process.stdout.write(`build/${basename(target)}  ${String(statSync(target).size)} bytes  sha256 ${sha256}\n`);
}

main();
