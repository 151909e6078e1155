/** Removes what an earlier build left, so that a deleted source file leaves nothing in a release. */
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

for (const folder of ["dist", "public", "build"]) {
  rmSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)), { recursive: true, force: true });
}
