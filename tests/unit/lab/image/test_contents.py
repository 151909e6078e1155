"""What an image holds, and what its key depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.image.contents import Contents, ImageKind, contents, read_words


@pytest.fixture
def cloud_init(tmp_path: Path) -> Path:
    """Two tiers with packages, services and a file that is read at installation."""
    for tier, packages, services in (
        ("base", "curl\nnode-exporter # metrics\n", "node-exporter.service\n"),
        ("db", "# engine\npostgresql-17\ncurl\n", "postgresql.service\n"),
    ):
        folder = tmp_path / tier
        (folder / "files/etc/postgresql-common/createcluster.d").mkdir(parents=True)
        (folder / "packages").write_text(packages, encoding="utf-8")
        (folder / "services").write_text(services, encoding="utf-8")
    early = tmp_path / "db/files/etc/postgresql-common/createcluster.d/ha.conf"
    early.write_text("create_main_cluster = false\n", encoding="utf-8")
    return tmp_path


def test_the_full_image_has_all_packages_and_no_service_that_starts_by_itself(cloud_init: Path) -> None:
    full = contents(ImageKind.FULL, cloud_init)
    bare = contents(ImageKind.BARE, cloud_init)
    assert set(full.packages) - set(bare.packages) == {"node-exporter", "postgresql-17"}
    assert full.disabled_services == ("node-exporter.service", "postgresql.service")
    assert bare.disabled_services == ()


def test_what_packages_read_at_installation_is_there_before_them(cloud_init: Path) -> None:
    paths = [path for path, _ in contents(ImageKind.FULL, cloud_init).early_files]
    assert paths == ["etc/postgresql-common/createcluster.d/ha.conf"]


def key_after(cloud_init: Path, path: str, text: str) -> tuple[str, str]:
    """The full image's key before and after a file is written."""
    before = contents(ImageKind.FULL, cloud_init).key
    (cloud_init / path).write_text(text, encoding="utf-8")
    return before, contents(ImageKind.FULL, cloud_init).key


@pytest.mark.parametrize(
    ("path", "text", "changes"),
    [
        ("db/packages", "postgresql-17\npgbackrest\n", True),
        ("base/services", "", True),
        ("db/files/etc/postgresql-common/createcluster.d/ha.conf", "create_main_cluster = true\n", True),
        ("db/packages", "postgresql-17\n# another word\ncurl\n", False),
        ("db/files/etc/hosts", "a file that set-up writes\n", False),
    ],
)
def test_the_key_follows_what_the_image_is_made_of(cloud_init: Path, path: str, text: str, changes: bool) -> None:
    before, after = key_after(cloud_init, path, text)
    assert (before != after) is changes


def test_the_project_s_own_images_differ() -> None:
    kinds: list[Contents] = [contents(kind) for kind in ImageKind]
    assert len({one.key for one in kinds}) == len(ImageKind)


def test_words_are_read_without_comments(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("# all\n\none # first\n  two\n", encoding="utf-8")
    assert read_words(tmp_path / "words") == ("one", "two")
