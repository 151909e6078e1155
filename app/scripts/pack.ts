/**
 * A folder as .tar.gz with the same bytes for the same content, whenever, wherever and by whomever it is packed: sorted
 * names, one date, one owner, modes without the umask, neither name nor date in the gzip header.
 */
import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";

const MTIME = "1980-01-01 00:00:00 UTC";
const MAX_TAR_BYTES = 512 * 1024 * 1024;
/** Files that only those who develop against a package read: half of what npm installs. */
const NEVER_RUN = ["*.d.ts", "*.d.mts", "*.d.cts", "*.map", "*.md", "*.markdown", "zod/src"]
  .map((pattern) => `--exclude=*/node_modules/${pattern.startsWith("*") ? pattern : `${pattern}/*`}`);

/** @param parent the folder that holds `top`, the one folder of the archive */
export function pack(parent: string, top: string): Buffer {
  const tar = execFileSync("tar", [
    "--create", "--file=-", "--format=gnu", "--sort=name", `--mtime=${MTIME}`, "--owner=0", "--group=0",
    "--numeric-owner", "--mode=u=rwX,go=rX", "--wildcards-match-slash", ...NEVER_RUN, top,
  ], { cwd: parent, maxBuffer: MAX_TAR_BYTES, stdio: ["ignore", "pipe", "inherit"] });
  return gzipSync(tar, { level: 9 });
}
