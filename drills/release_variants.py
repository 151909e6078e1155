"""The built release, packed again as another version: one that works, or one that fails in a known way."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class ReleaseVariant(StrEnum):
    """What the release does. All but the good one replace the program that starts it."""

    GOOD = "good"
    """Another file is in it, which nothing reads."""
    DIES = "dies"
    """It ends as soon as it starts."""
    NATIVE_MODULE = "native-module"
    """It loads a native module of another platform, and ends."""
    UNHEALTHY = "unhealthy"
    """It listens and answers every request with 503."""
    HANGS = "hangs"
    """It never listens."""


MAIN = "dist/main.js"
_DIES = 'process.stderr.write("this release dies at its start\\n"); process.exit(1);\n'
_NATIVE_MODULE = """\
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
const file = join(mkdtempSync(join(tmpdir(), "native-")), "other.node");
writeFileSync(file, "a module of another platform");
process.dlopen({ exports: {} }, file);
"""
_UNHEALTHY = """\
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
const { HOST, PORT, TLS_CERT_FILE, TLS_KEY_FILE } = process.env;
const answer = (_, response) => {
  response.writeHead(503, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ status: "unhealthy", reason: "this release is never healthy" }));
};
const server = TLS_CERT_FILE
  ? createTlsServer({ cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) }, answer)
  : createServer(answer);
server.listen(Number(PORT), HOST);
"""
_HANGS = "setInterval(() => {}, 60_000);\n"
_FILES: Mapping[ReleaseVariant, tuple[str, str]] = {
    ReleaseVariant.GOOD: ("drill.txt", "another version of the release\n"),
    ReleaseVariant.DIES: (MAIN, _DIES),
    ReleaseVariant.NATIVE_MODULE: (MAIN, _NATIVE_MODULE),
    ReleaseVariant.UNHEALTHY: (MAIN, _UNHEALTHY),
    ReleaseVariant.HANGS: (MAIN, _HANGS),
}


def repack(archive: Path, variant: ReleaseVariant) -> None:
    """Puts a variant of a release in its place: the same members, but for one that is new or replaced."""
    path, text = _FILES[variant]
    top = archive.name.removesuffix(".tar.gz")
    new = tarfile.TarInfo(f"{top}/{path}")
    new.size, new.mode = len(text.encode()), 0o644
    packed = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=packed, mode="w") as written:
        for member in old:
            if member.name != new.name:
                written.addfile(member, old.extractfile(member) if member.isreg() else None)
        written.addfile(new, io.BytesIO(text.encode()))
    archive.write_bytes(gzip.compress(packed.getvalue(), compresslevel=1, mtime=0))
