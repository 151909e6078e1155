"""Bundles: the same bytes for the same files, each tier's files and no other's."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from components import bundles as module
from components import host_files as host_files_module
from components.bundles import COMMON, HOSTS, MOST_BYTES, Bundle, bundles
from components.host_files import Context, HostFile, host_files
from components.user_data import TEMPLATE
from spec.errors import EXIT_USAGE, HaError
from spec.tiers import Tier
from tests.unit.cloud_init.rendering import PAIRS, SECRET_SHAPES, estate

ESTATES = {"dev": estate(), "pairs": estate(**PAIRS)}


@pytest.fixture(params=sorted(ESTATES))
def contexts(request: pytest.FixtureRequest) -> dict[str, Context]:
    return ESTATES[request.param]


def members(bundle: Bundle) -> dict[str, tuple[bytes, int]]:
    """Content and mode of each member, by name."""
    with tarfile.open(fileobj=io.BytesIO(bundle.archive)) as archive:
        found = {}
        for one in archive.getmembers():
            assert one.isreg(), one.name
            file = archive.extractfile(one)
            assert file
            found[one.name] = (file.read(), one.mode)
        assert len(found) == len(archive.getmembers())
        return found


def changed(before: Bundle, after: Bundle) -> set[str]:
    """Names of members that one of them lacks, or that differ."""
    return {name for name, _ in members(before).items() ^ members(after).items()}


def test_the_same_files_are_the_same_bytes_in_any_order(contexts: dict[str, Context]) -> None:
    first = bundles(contexts.values())
    again = bundles(reversed(contexts.values()))
    assert {tier: one.archive for tier, one in first.items()} == {tier: one.archive for tier, one in again.items()}
    for tier, one in first.items():
        assert one.key == f"bundles/{tier}/{hashlib.sha256(one.archive).hexdigest()}.tar"


def test_nothing_of_this_machine_is_in_an_archive(contexts: dict[str, Context]) -> None:
    for bundle in bundles(contexts.values()).values():
        with tarfile.open(fileobj=io.BytesIO(bundle.archive)) as archive:
            for one in archive:
                assert (one.mtime, one.uid, one.gid, one.uname, one.gname) == (0, 0, 0, "", "")
                assert one.mode in (0o644, 0o755)


def test_each_host_finds_its_files_and_shares_those_that_are_the_same(contexts: dict[str, Context]) -> None:
    made = bundles(contexts.values())
    for name, context in contexts.items():
        found = members(made[context.host.tier])
        wanted = {one.path: (one.content.encode(), 0o755 if one.executable else 0o644) for one in host_files(context)}
        own = {
            path.removeprefix(f"{HOSTS}/{name}"): file
            for path, file in found.items()
            if path.startswith(f"{HOSTS}/{name}/")
        }
        common = {path.removeprefix(COMMON): file for path, file in found.items() if path.startswith(f"{COMMON}/")}
        assert not set(common) & set(own)
        assert common | own == wanted
        assert "/etc/ha/host.env" in own or len([c for c in contexts.values() if c.host.tier is context.host.tier]) == 1


def test_it_holds_its_own_tiers_hosts_and_no_other(contexts: dict[str, Context]) -> None:
    for tier, bundle in bundles(contexts.values()).items():
        own = [name for name, context in contexts.items() if context.host.tier is tier]
        tops = {
            "/".join(name.split("/")[:2]) if name.startswith(HOSTS) else name.split("/")[0] for name in members(bundle)
        }
        assert tops == {COMMON, *(f"{HOSTS}/{name}" for name in own if len(own) > 1)}


def test_a_tiers_own_files_are_in_its_bundle_alone() -> None:
    found = {
        tier: {name.partition("/etc/")[2] for name in members(one)}
        for tier, one in bundles(ESTATES["pairs"].values()).items()
    }
    where = {
        path: {tier for tier, names in found.items() if path in names}
        for path in ("redis/redis.conf", "ha/pg_hba.conf")
    }
    assert where == {"redis/redis.conf": {Tier.CACHE}, "ha/pg_hba.conf": {Tier.DB, Tier.MONITOR}}
    assert {tier for tier, names in found.items() if any(name.startswith("keepalived/") for name in names)} == {Tier.LB}


def test_no_secret_is_in_a_bundle(contexts: dict[str, Context]) -> None:
    for bundle in bundles(contexts.values()).values():
        for shape in SECRET_SHAPES:
            assert not shape.search(bundle.archive.decode()), f"{bundle.tier}: {shape.pattern}"


def test_a_third_application_host_changes_no_file_of_the_two_and_none_of_the_data() -> None:
    before, after = bundles(estate().values()), bundles(estate(application={"count": 3}).values())
    differing = {tier: changed(before[tier], after[tier]) for tier in Tier}
    assert {tier for tier, names in differing.items() if names} == {Tier.APP, Tier.LB, Tier.MONITOR}
    assert all(name.startswith(f"{HOSTS}/app3/") for name in differing[Tier.APP])
    assert differing[Tier.LB] == {f"{COMMON}/etc/haproxy/haproxy.cfg"}
    assert differing[Tier.MONITOR] == {f"{COMMON}/etc/prometheus/prometheus.yml"}


def test_a_file_of_the_base_changes_every_bundle_and_that_of_a_tier_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bundles(ESTATES["dev"].values())

    def edited(tier: Tier | None) -> set[Tier]:
        def files(context: Context) -> list[HostFile]:
            found = host_files(context)
            if tier in (None, context.host.tier):
                found[0] = HostFile(found[0].path, f"{found[0].content}#\n", found[0].executable)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(module, "host_files", files)
            after = bundles(ESTATES["dev"].values())
        return {one for one in Tier if after[one].digest != before[one].digest}

    assert edited(None) == set(Tier)
    assert edited(Tier.DB) == {Tier.DB}


def test_what_is_uploaded_is_whole_after_an_interrupted_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUILD_DIR", tmp_path / "bundles")
    bundle = bundles(ESTATES["dev"].values())[Tier.LB]
    path = bundle.write()
    assert path.read_bytes() == bundle.archive
    path.write_bytes(bundle.archive[:100])
    assert bundle.write() == path
    assert path.read_bytes() == bundle.archive
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_bundle_that_hosts_could_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(bundles(ESTATES["dev"].values()).values(), key=lambda one: len(one.archive))
    monkeypatch.setattr(module, "MOST_BYTES", len(largest.archive))
    bundles(ESTATES["dev"].values())
    monkeypatch.setattr(module, "MOST_BYTES", len(largest.archive) - 1)
    with pytest.raises(HaError, match=f"the bundle of {largest.tier} is {len(largest.archive)} bytes") as refused:
        bundles(ESTATES["dev"].values())
    assert refused.value.exit_code == EXIT_USAGE


def test_the_bootstrap_reads_as_much_as_a_bundle_may_have() -> None:
    (read,) = re.findall(r"read\(2\*\*(\d+)\)", TEMPLATE.read_text(encoding="utf-8"))
    assert 2 ** int(read) == MOST_BYTES


def test_a_file_that_is_not_text_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(host_files_module.CLOUD_INIT_DIR, tmp_path / "cloud-init")
    monkeypatch.setattr(host_files_module, "CLOUD_INIT_DIR", tmp_path / "cloud-init")
    (tmp_path / "cloud-init" / "lb" / "files" / "etc" / "picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(HaError, match="not text in UTF-8") as refused:
        bundles([estate()["lb1"]])
    assert refused.value.where == "cloud-init/lb/files/etc/picture.png"
    assert refused.value.exit_code == 2


def test_only_hosts_that_write_or_read_backups_are_told_of_them() -> None:
    copied = estate(backups={"copy_region": "us-west-2"})
    for name, context in {**ESTATES["pairs"], **copied}.items():
        told = {f.path: f.content for f in host_files(context)}["/etc/ha/host.env"]
        assert ("HA_BACKUP_" in told) == (context.host.tier in (Tier.DB, Tier.RESTORE)), name
    scope = copied["db1"].scope
    told = {f.path: f.content for f in host_files(copied["db1"])}["/etc/ha/host.env"]
    assert f"\nHA_BACKUP_BUCKET={scope.backup_bucket}\n" in told
    assert f"\nHA_BACKUP_SECRETS_PATH=/ha-backups/{scope.stack}\n" in told
    assert "\nHA_BACKUP_COPY_REGION=us-west-2\n" in told
    alone = {f.path: f.content for f in host_files(ESTATES["dev"]["db1"])}["/etc/ha/host.env"]
    assert "\nHA_BACKUP_COPY_REGION=\n" in alone
