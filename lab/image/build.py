"""Builds host images into the cache, one at a time: in a temporary folder, renamed when the image is complete."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab import process
from lab.image.contents import RELEASE, Contents, ImageKind, contents
from lab.paths import cache_directory
from spec.errors import EXIT_USAGE, HaError

Progress = Callable[[str], None]
NEEDED_GIB = {ImageKind.BARE: 1.5, ImageKind.FULL: 4.0}
KEPT_IMAGES_A_KIND = 2
"""How many images of a kind stay in the cache: this one, and the one before (of another branch)."""


def image_path(wanted: Contents) -> Path:
    """Where an image is, or will be once it is built."""
    return cache_directory() / "images" / f"{wanted.kind}-{wanted.key}"


def ensure_image(kind: ImageKind, progress: Progress = lambda _: None) -> Path:
    """The root directory of the image, built when the cache lacks it (about a minute and a half for the full one).

    :raises HaError: when the disk lacks room (exit 2) or a package cannot be installed.
    """
    wanted = contents(kind)
    path = image_path(wanted)
    if path.is_dir():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(path.parent, progress):
        if not path.is_dir():
            check_room(path.parent, NEEDED_GIB[kind], "the host image")
            progress(f"building the {kind} host image ({len(wanted.packages)} packages and what they need)")
            _build(wanted, path)
            _delete_old(path)
    return path


def check_room(directory: Path, needed_gib: float, what: str) -> None:
    """:raises HaError: (exit 2) when the disk that holds `directory` has less than `needed_gib` free."""
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    free_gib = shutil.disk_usage(existing).free / 2**30
    if free_gib < needed_gib:
        raise HaError(
            f"no room for {what}: it needs {needed_gib:g} GiB, {free_gib:.1f} GiB are free",
            where=str(directory),
            fix="free some space, or set HA_CACHE and HA_LAB_STATE to folders on a larger disk",
            exit_code=EXIT_USAGE,
        )


@contextmanager
def _one_at_a_time(directory: Path, progress: Progress) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another build of the host image is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(wanted: Contents, path: Path) -> None:
    scratch = path.with_name(f"{path.name}.building")
    with ExitStack() as stack:
        _remove(scratch)
        stack.callback(_remove, scratch)
        hooks = scratch.with_name(f"{scratch.name}.hooks")
        _remove(hooks)
        hooks.mkdir()
        stack.callback(_remove, hooks)
        for name, files in (("early", wanted.early_files), ("late", wanted.files)):
            (hooks / name).mkdir()
            for relative, source in files:
                target = hooks / name / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                target.chmod(0o755 if source.stat().st_mode & 0o111 else 0o644)
        script = hooks / "finish"
        script.write_text(_finish_script(wanted), encoding="utf-8")
        process.run(
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={','.join(wanted.packages)}",
                '--aptopt=APT::Install-Recommends "false"',
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                f"--essential-hook=cp -RT --preserve=mode {hooks}/early $1",
                f"--customize-hook=cp -RT --preserve=mode {hooks}/late $1",
                f"--customize-hook=sh {script} $1",
                RELEASE,
                scratch,
            ],
            environment={"TMPDIR": str(path.parent)},
        )
        scratch.rename(path)


def _finish_script(wanted: Contents) -> str:
    """What is done in the finished tree; `$1` is its root."""
    lines = ["set -eu"]
    if wanted.kind is ImageKind.FULL:
        # Hosts of an image that has all packages refuse a bundle that needs another one (ha-bundle).
        lines.append("echo lab > $1/etc/ha-image")
    if wanted.disabled_services:
        # systemctl fails for a unit that the package does not have in this version: the list must be corrected then.
        lines.append(f"systemctl --root=$1 disable --quiet {' '.join(wanted.disabled_services)}")
    lines += [
        f"systemctl --root=$1 mask --quiet {' '.join(wanted.masked_units)}",
        "systemctl --root=$1 enable --quiet systemd-networkd.service systemd-resolved.service",
        "ln -sf ../run/systemd/resolve/stub-resolv.conf $1/etc/resolv.conf",
        # Every host gets an identity of its own before it first boots.
        ": > $1/etc/machine-id",
        "rm -f $1/etc/hostname $1/var/lib/dbus/machine-id",
        # Seven hosts that compile the same modules at once would take both cores for seconds.
        "chroot $1 python3 -m compileall -q /usr/lib/python3/dist-packages /usr/lib/python3.13 >/dev/null || true",
        # systemd need not do its first-boot updates: the packages' own scripts have done them.
        "touch $1/etc/.updated $1/var/.updated",
        "rm -rf $1/var/cache/apt/*.bin $1/var/log/*.log $1/var/log/apt",
    ]
    return "\n".join(lines) + "\n"


def _delete_old(path: Path) -> None:
    kind = path.name.split("-", 1)[0]
    images = [one for one in path.parent.glob(f"{kind}-*") if one.suffix == "" and one != path]
    images.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    for old in images[KEPT_IMAGES_A_KIND - 1 :]:
        if time.time() - old.stat().st_mtime > 86400:
            _remove(old)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
