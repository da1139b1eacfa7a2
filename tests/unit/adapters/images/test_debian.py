"""Tests of Debian mirrors, and of removing files in a root file system."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.adapters.images.debian import clean, remove, sources_list

STANZAS = """\
# a comment
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates trixie
Components: main contrib
Signed-By: /usr/share/keyrings/ours.gpg

Types: deb-src
URIs: http://mirror.test/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://switched-off.test/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://commented.test/debian bookworm main
deb [arch=amd64 trusted=yes] http://one-line.test/debian-security bookworm-security main
deb http://vendor.test/tools bookworm stable
deb cdrom:[Debian]/ bookworm main
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def etc_apt(folder: Path, stanzas: str, one_line: str) -> Path:
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "sources.list.d/debian.sources").write_text(stanzas)
    (folder / "sources.list").write_text(one_line)
    return folder


def test_mirrors_of_machine_are_used_without_trusted_option(tmp_path: Path) -> None:
    assert sources_list(etc_apt(tmp_path / "apt", STANZAS, ONE_LINE)).splitlines() == [
        f"deb [signed-by={KEYRING}] http://one-line.test/debian-security bookworm-security main",
        "deb [signed-by=/usr/share/keyrings/ours.gpg] http://mirror.test/debian bookworm main",
        "deb [signed-by=/usr/share/keyrings/ours.gpg] http://mirror.test/debian bookworm-updates main",
    ]


def test_machine_of_another_suite_has_no_mirrors(tmp_path: Path) -> None:
    assert sources_list(etc_apt(tmp_path / "apt", STANZAS.replace("bookworm", "noble"), "")) == ""


def test_remove_follows_no_link_out_of_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/own").write_text("")
    (root / "link").symlink_to(outside)
    assert remove(root, ["/link/*", "/etc/*", "/none"]) == ["/link/*", "/none"]
    assert (outside / "precious").exists() and not (root / "etc/own").exists()
    remove(root, ["/link"])
    assert not (root / "link").is_symlink() and (outside / "precious").exists()


@pytest.mark.parametrize("pattern", ["/usr/**/tests", "/usr/lib/*/tests"])
def test_remove_deletes_folders_and_nested_folders(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "usr/lib/a/tests/tests").mkdir(parents=True)
    (tmp_path / "usr/lib/a/kept").write_text("")
    assert remove(tmp_path, [pattern]) == []
    assert [path.name for path in (tmp_path / "usr/lib/a").iterdir()] == ["kept"]


def test_clean_returns_unmatched_globs_except_those_of_the_pip_layer(tmp_path: Path) -> None:
    patterns = ["/usr/share/absent", "/usr/local/lib/python3.11/dist-packages/**/tests"]
    assert clean(tmp_path, patterns) == ["/usr/share/absent"]
