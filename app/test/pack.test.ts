import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pack } from "../scripts/pack.js";

test("the same content gives the same archive, whatever its dates, modes and order of creation", (t) => {
  const parent = mkdtempSync(join(tmpdir(), "event-manager-pack-"));
  t.after(() => { rmSync(parent, { recursive: true }); });
  const make = (names: readonly string[], mode: number, seconds: number): Buffer => {
    const top = join(parent, "top");
    rmSync(top, { recursive: true, force: true });
    mkdirSync(join(top, "node_modules/some"), { recursive: true });
    for (const name of names) {
      writeFileSync(join(top, name), `content of ${name}`);
      chmodSync(join(top, name), mode);
      utimesSync(join(top, name), seconds, seconds);
    }
    return pack(parent, "top");
  };
  const names = Array.from({ length: 20 }, (_, index) => `${String(index + 10)}.js`);
  const list = execFileSync("tar", ["--list", "--gzip"], { input: make(names, 0o600, 1), encoding: "utf8" });
  assert.deepEqual(list.match(/\d+\.js/g), names, "sorted by name");
  const first = make(["b.js", "a.js"], 0o600, 1_000_000_000);
  assert.deepEqual(make(["a.js", "b.js"], 0o664, 1_700_000_000), first);
  assert.deepEqual(make(["a.js", "b.js", "node_modules/some/types.d.ts"], 0o664, 1), first, "no type declarations");
  assert.notDeepEqual(make(["a.js", "b.js", "types.d.ts"], 0o664, 1), first);
});
